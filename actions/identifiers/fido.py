"""Ask fido's signatures (PRONOM as regular expressions): the second voice.

The regular expressions, their priorities and the buffers are fido's own; the loop over them is ours.
fido 1.6.1 takes 0.6 s to import, load and compile, and 11 ms a file, because it compiles all 2,286 patterns and
walks the XML tree for each of them, each time. Here a pattern is compiled when a file's first byte, and the longest
literal that the pattern asks for, let it match: 0.05 s, and about 1 ms a file, with the same answers
(``tests/actions/test_identify.py`` holds both side by side).

As with fido's ``-nocontainer``: its container signatures are of January 2020, and its container reader unpacks whole
members without a bound. Extension matches are left out too: siegfried's list is newer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from xml.etree.ElementTree import Element

from fido import CONFIG_DIR, __version__
from lxml import etree

from actions.contract import Voice
from actions.identifiers.heard import Evidence, Heard

BUFFER_BYTES = 128 * 1024  # fido's own default; bounds time and memory on large files
_START = "(?s)\\A"
_HEX = re.compile(r"\\x([0-9a-fA-F]{2})")
_TOLD = frozenset(("puid", "name", "mime"))
_REPEATS = "*+?{"
_SPECIAL = ".[](){}^$*+?|\\"


@dataclass(frozen=True, slots=True)
class _Pattern:
    regex: bytes
    first_byte: int | None
    """The byte that a match at the beginning must start with; None: any."""
    at_start: bool
    at_end: bool

    def matches(self, head: bytes, tail: bytes) -> bool:
        if self.first_byte is not None and head[0] != self.first_byte:
            return False
        literal, within = _required(self.regex)
        if (tail if self.at_end else head).find(literal, 0, within if self.at_start else None) < 0:
            return False
        compiled = _compiled(self.regex)
        if compiled is None:
            return False
        if self.at_start:
            return compiled.match(head) is not None
        return compiled.search(tail if self.at_end else head) is not None


@dataclass(frozen=True, slots=True)
class _Format:
    puid: str
    name: str
    mime: str | None
    over: frozenset[str]
    signatures: tuple[tuple[_Pattern, ...], ...]


@dataclass(frozen=True, slots=True)
class _Library:
    version: str
    formats: tuple[_Format, ...]


def ask(source: Path) -> Heard:
    """What fido's signatures say of the first and last 128 KiB of *source*. Never raises for bad content."""
    library = _library()
    head, tail = _buffers(source)
    found = _match(library.formats, head, tail) if head else []
    if not found:
        return Heard(Voice(library.version, None, None, "no signature matches"))
    pronom = [form for form in found if not form.puid.startswith("fido-")]
    best = pronom[0] if pronom else None
    own = ", ".join(form.puid for form in found if form.puid.startswith("fido-"))
    basis = f"signature {found[0].name}" + (f" ({own}: an id of fido's own, not PRONOM's)" if own else "")
    also = ", ".join(form.puid for form in pronom[1:])
    voice = Voice(
        identifier=library.version,
        puid=best.puid if best else None,
        mime=(best or found[0]).mime,
        basis=basis,
        warning=f"equally possible: {also}" if also else "",
    )
    return Heard(voice, Evidence.BYTES, (best or found[0]).name, candidates=tuple(form.puid for form in pronom))


def _match(formats: tuple[_Format, ...], head: bytes, tail: bytes) -> list[_Format]:
    """The order of work of fido: a format is not tried when one already found has priority over it."""
    found: list[_Format] = []
    for form in formats:
        if form.signatures and not _inferior(form, found):
            hits = (all(pattern.matches(head, tail) for pattern in signature) for signature in form.signatures)
            if any(hits):
                found.append(form)
    return [form for form in found if not _inferior(form, found)]


def _inferior(form: _Format, found: list[_Format]) -> bool:
    return any(form.puid in other.over for other in found if other is not form)


def _buffers(source: Path) -> tuple[bytes, bytes]:
    with source.open("rb") as stream:
        head = stream.read(BUFFER_BYTES)
        size = stream.seek(0, 2)
        if size <= len(head):
            return head, head
        stream.seek(max(0, size - BUFFER_BYTES))
        return head, stream.read(BUFFER_BYTES)


@cache
def _library() -> _Library:
    """Load fido's signature files as its ``versions.xml`` names them: ``Fido()`` by itself asks for a file that is not shipped."""
    folder = Path(CONFIG_DIR)
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    versions = etree.parse(str(folder / "versions.xml"), parser).getroot()
    formats: dict[str, _Format] = {}
    for key in ("pronomSignature", "fidoExtensionSignature"):
        root = etree.parse(str(folder / str(versions.findtext(key))), parser).getroot()
        formats.update((form.puid, form) for form in map(_format, root.iterfind("format")))
    pronom = versions.findtext("pronomVersion")
    return _Library(f"fido {__version__} (PRONOM v{pronom}, no containers)", tuple(formats.values()))


def _format(element: Element) -> _Format:
    """One walk over the children: asking for each by name takes twice as long, for 2,266 formats."""
    texts: dict[str, str] = {}
    over: list[str] = []
    signatures: list[tuple[_Pattern, ...]] = []
    for child in element:
        if child.tag == "signature":
            signatures.append(tuple(_pattern(part) for part in child if part.tag == "pattern"))
        elif child.tag == "has_priority_over":
            over.append(str(child.text))
        elif child.tag in _TOLD:
            texts.setdefault(child.tag, child.text or "")
    return _Format(str(texts.get("puid")), str(texts.get("name")), texts.get("mime"), frozenset(over), tuple(signatures))


def _pattern(element: Element) -> _Pattern:
    texts = {child.tag: child.text or "" for child in element}
    regex, at_start = texts["regex"], texts.get("position") == "BOF"
    return _Pattern(regex.encode(), _first_byte(regex) if at_start else None, at_start, texts.get("position") == "EOF")


def _first_byte(regex: str) -> int | None:
    """The literal byte that *regex* must begin with, where that is plain to see."""
    if not regex.startswith(_START) or _has_alternatives(regex):
        return None
    rest = regex[len(_START) :]
    if hexadecimal := _HEX.match(rest):
        literal, rest = int(hexadecimal[1], 16), rest[4:]
    elif rest[:1] == "\\" and rest[1:2] and not rest[1].isalnum():
        literal, rest = ord(rest[1]), rest[2:]
    elif rest[:1] and rest[0] not in _SPECIAL:
        literal, rest = ord(rest[0]), rest[1:]
    else:
        return None
    optional = rest != "" and rest[0] in _REPEATS
    multibyte = literal > 127 and not hexadecimal  # fido encodes its patterns as UTF-8
    return None if optional or multibyte else literal


_TOKEN = re.compile(
    rb"\\x(?P<hex>[0-9a-fA-F]{2})|\\(?P<escaped>[^A-Za-z0-9])|(?P<plain>[^\\.\[\](){}^$*+?|])"
    rb"|(?P<repeat>[*+?]|\{\d*,?\d*\})|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<other>\\.|.)",
    re.DOTALL,
)


@cache
def _required(regex: bytes) -> tuple[bytes, int | None]:
    """The longest run of bytes that every match of *regex* holds, and in how many bytes from a match's beginning it ends.

    Empty, or without a bound (None), where that is not plain to see.
    """
    best: tuple[bytes, int | None] = (b"", None)
    run, depth = b"", 0
    reach: int | None = 0
    last = 0  # bytes that the token before takes, at most
    for token in _TOKEN.finditer(regex.removeprefix(b"(?s)").removeprefix(b"\\A")):
        kind, text = token.lastgroup, token[0]
        if text == b"|" and depth == 0:
            return b"", None
        if kind in ("hex", "escaped", "plain") and depth == 0:
            run += bytes.fromhex(token["hex"].decode()) if kind == "hex" else token[token.lastgroup or 0]
            reach, last = _further(reach, 1), 1
            continue
        ended = _further(reach, -last) if kind == "repeat" and run else reach
        if kind == "repeat":
            run = run[:-1]  # the byte before may be missing
        best, run = max(best, (run, ended), key=lambda found: len(found[0])), b""
        if kind == "other":
            depth += (text == b"(") - (text == b")")
        reach, last = _after(reach, last, kind, text, depth)
    return max(best, (run, reach), key=lambda found: len(found[0]))


def _further(reach: int | None, count: int) -> int | None:
    return None if reach is None else reach + count


def _after(reach: int | None, last: int, kind: str | None, text: bytes, depth: int) -> tuple[int | None, int]:
    """How far a match may reach after *text*, and how many bytes *text* itself takes; no bound behind a group or an open repeat."""
    if reach is None or depth or text in b"()":
        return None, 0
    if kind == "repeat":
        most = text[1:-1].split(b",")[-1] if text[:1] == b"{" else b"1" if text == b"?" else b""
        return (reach + last * max(0, int(most) - 1) if most else None), 0
    one = kind == "set" or text == b"." or (kind == "other" and text[1:] in (b"n", b"r", b"t", b"f", b"v", b"s", b"S", b"d", b"w"))
    return (reach + 1, 1) if one else (None, 0)


def _has_alternatives(regex: str) -> bool:
    """Whether a ``|`` may stand outside all groups; groups in the way are answered with yes."""
    if "|" not in regex:
        return False
    bare = re.sub(r"\\.", "", regex[len(_START) :])
    bare = re.sub(r"\[[^\]]*\]", "", bare)
    while (fewer := re.sub(r"\([^()]*\)", "", bare)) != bare:
        bare = fewer
    return "|" in bare or "(" in bare


@cache
def _compiled(regex: bytes) -> re.Pattern[bytes] | None:
    """None for a pattern that Python refuses: fido then reports it and goes on."""
    try:
        return re.compile(regex)
    except (re.error, OverflowError):
        return None
