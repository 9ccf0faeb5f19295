"""Choose between the voices, and say when they really disagree.

A finer or a coarser answer is no disagreement (a ZIP that is a document, XML that is a drawing), and neither is an
older signature file's other name for the same MIME type. Two answers from bytes for different kinds of content are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actions.identifiers.heard import Evidence, Heard

if TYPE_CHECKING:
    from actions.identifiers.sniff import Sniffed  # loaded when it is asked

PLAIN_TEXT = "x-fmt/111"
# Wrappers and families that another answer may refine. Source: PRONOM.
COARSE = frozenset(
    (
        "x-fmt/263",
        "fmt/111",
        "fmt/189",
        "x-fmt/111",
        "fmt/101",
        "fmt/96",
        "fmt/122",
        "x-fmt/266",
        "x-fmt/265",
        "x-fmt/268",
        "fmt/278",
    )
)
_COARSE_MIMES = frozenset(
    ("application/zip", "application/x-ole-storage", "application/cdfv2", "application/xml", "text/xml", "text/html", "text/plain")
)
# Formats that are text and have no signature in PRONOM: a name's extension, borne out by bytes that are text, is all there is.
TEXT_BY_EXTENSION = frozenset(
    (
        "x-fmt/18",
        "x-fmt/13",
        "fmt/1149",
        "fmt/817",
        "fmt/818",
        "fmt/206",
        "x-fmt/62",
        "fmt/938",
        "x-fmt/421",
        "x-fmt/224",
        "x-fmt/423",
    )
) | frozenset(("fmt/1367", "x-fmt/111", "fmt/939", "fmt/940", "x-fmt/72", "fmt/880", "fmt/883"))
# What kind of content a MIME type stands for; types of different kinds on one file contradict each other.
_KINDS = {
    "application/pdf": "pdf", "image/png": "png", "image/jpeg": "jpeg", "image/tiff": "tiff", "image/gif": "gif",
    "image/bmp": "bmp", "image/webp": "webp", "image/jp2": "jp2", "image/vnd.adobe.photoshop": "psd",
    "application/rtf": "rtf", "text/rtf": "rtf", "application/zip": "zip", "application/gzip": "gzip",
    "application/x-7z-compressed": "7z", "application/vnd.rar": "rar", "application/x-rar": "rar", "application/x-bzip2": "bzip2",
    "audio/mpeg": "mpeg audio", "audio/flac": "flac", "audio/ogg": "ogg", "audio/x-wav": "wav", "audio/vnd.wave": "wav",
    "message/rfc822": "mail", "application/epub+zip": "epub",
    "application/msword": "ole", "application/vnd.ms-excel": "ole", "application/vnd.ms-powerpoint": "ole",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer that stands."""

    puid: str | None
    mime: str | None
    format_name: str
    basis: str
    by_extension_only: bool
    disagreement: str
    """Which two voices contradict each other; empty: none."""


def judge(first: Heard, sniffed: Sniffed | None, others: tuple[Heard, ...]) -> Verdict:  # noqa: PLR0911 -- a ladder
    """The strongest evidence wins; siegfried stands before the others where evidence is equal."""
    own = (sniffed.heard,) if sniffed and first.evidence is not Evidence.BYTES else ()  # a fallback does not contest a signature
    clash = _clash((first, *own, *others))
    if first.evidence >= Evidence.TEXT:
        return _from(first, clash)
    if sniffed is None:
        return _nothing(clash)
    by_bytes = [heard for heard in (sniffed.heard, *others) if heard.evidence is Evidence.BYTES]
    named = next((heard for heard in by_bytes if heard.voice.puid), None)
    if first.evidence is Evidence.EXTENSION and sniffed.text_in and _text_like(first) and not _contradicts(first, named):
        return _from(first, clash, f"{first.voice.basis}; the bytes are text in {sniffed.text_in}")
    if named:
        return _from(named, clash)
    if by_bytes:
        return _from(by_bytes[0], clash)
    if sniffed.text_in and _may_be_plain(first):
        basis = f"text in {sniffed.text_in} ({sniffed.encoding.why})"
        return Verdict(PLAIN_TEXT, "text/plain", "Plain Text File", basis, by_extension_only=False, disagreement=clash)
    if first.evidence is Evidence.EXTENSION and not first.error:
        return _from(first, clash)
    mime = "text/plain" if sniffed.text_in else None
    return Verdict(None, mime, "", sniffed.heard.voice.basis, by_extension_only=False, disagreement=clash)


def needs_more(first: Heard) -> bool:
    """Whether siegfried alone does not settle it: silent, an error, or an answer by extension only."""
    return bool(first.error) or first.evidence < Evidence.TEXT


def settled_as_text(first: Heard, sniffed: Sniffed) -> bool:
    """Text by its bytes, and nothing in name or structure says that it is more: the other voices have nothing to add."""
    plain = sniffed.heard.evidence is Evidence.NONE and sniffed.text_in is not None
    return (
        plain and not first.error and (_text_like(first) if first.evidence is Evidence.EXTENSION else PLAIN_TEXT in first.suggested)
    )


def _text_like(first: Heard) -> bool:
    mime = first.voice.mime or ""
    return first.voice.puid in TEXT_BY_EXTENSION or mime.startswith("text/") or mime in {"application/json", "application/geo+json"}


def _contradicts(first: Heard, named: Heard | None) -> bool:
    return named is not None and named.voice.puid not in COARSE and named.voice.puid != first.voice.puid


def _may_be_plain(first: Heard) -> bool:
    """An extension that promises something else makes plain text a contradiction, not an answer."""
    return first.evidence is Evidence.NONE and not first.error and (not first.suggested or PLAIN_TEXT in first.suggested)


def _from(heard: Heard, clash: str, basis: str = "") -> Verdict:
    voice = heard.voice
    only = voice.by_extension_only and not basis
    return Verdict(voice.puid, voice.mime, heard.format_name, basis or voice.basis, only, clash)


def _nothing(clash: str) -> Verdict:
    return Verdict(None, None, "", "", by_extension_only=False, disagreement=clash)


def _clash(voices: tuple[Heard, ...]) -> str:
    strong = [heard for heard in voices if heard.evidence is Evidence.BYTES]
    for index, one in enumerate(strong):
        for other in strong[index + 1 :]:
            if _disagree(one, other):
                return f"{_short(one)} against {_short(other)}"
    return ""


def _short(heard: Heard) -> str:
    return f"{heard.voice.identifier.split(' ')[0]}: {heard.voice.puid or heard.voice.mime}"


def _disagree(one: Heard, other: Heard) -> bool:
    """Two kinds of content, both known, and neither a wrapper of the other."""
    if set(one.candidates) & set(other.candidates):
        return False
    if {one.voice.puid, other.voice.puid} & COARSE or {one.voice.mime, other.voice.mime} & _COARSE_MIMES:
        return False
    kinds = (_KINDS.get(one.voice.mime or ""), _KINDS.get(other.voice.mime or ""))
    return all(kinds) and kinds[0] != kinds[1]
