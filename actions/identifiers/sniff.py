"""Our own reading of a file's first bytes, for what the three identifiers leave open.

Asked only when siegfried found no signature. It claims a PUID only where the bytes say as much; otherwise it names
a MIME type, which a policy can match as well. It must stay small: a signature that PRONOM could hold belongs to PRONOM.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

from actions.contract import Voice
from actions.identifiers.heard import Evidence, Heard
from actions.office import wordperfect
from actions.text.encoding import Confidence, Encoding, name_encoding

NAME = "bevara sniff 1"
HEAD_BYTES = 64 * 1024
TAIL_BYTES = 66 * 1024  # a ZIP end record and its longest comment (APPNOTE 4.3.16)
_XML_LIMIT_BYTES = 16 * 1024

# Source: PRONOM; ISO 32000-1:2008 §7.5.2 for the header, which readers accept within the first 1024 bytes (Annex H.3).
_PDF = re.compile(rb"%PDF-(\d\.\d)")
_PDF_PUIDS = {f"1.{minor}": f"fmt/{14 + minor}" for minor in range(7)} | {"1.7": "fmt/276", "2.0": "fmt/1129"}
_FIELD = re.compile(rb"^([A-Za-z][A-Za-z0-9-]*):[ \t]?(.*)$")
_NOT_WEIGHED = Encoding(None, Confidence.UNCERTAIN, "not weighed: the bytes have a structure")
_MAIL_FIELDS = frozenset(
    (b"from", b"to", b"subject", b"date", b"message-id", b"received", b"return-path", b"mime-version", b"dkim-signature")
)


@dataclass(frozen=True, slots=True)
class Sniffed:
    """A structure that was recognised (``heard``), and the text encoding of the first bytes, if it is text."""

    heard: Heard
    encoding: Encoding

    @property
    def text_in(self) -> str | None:
        """The encoding, where the bytes are text beyond doubt; a best guess would make text of anything."""
        return None if self.encoding.confidence is Confidence.UNCERTAIN else self.encoding.name


def ask(source: Path) -> Sniffed:
    """Look at the first 64 KiB (and a ZIP's end). Never raises for bad content."""
    with source.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
        size = stream.seek(0, 2)
        stream.seek(max(0, size - TAIL_BYTES))
        tail = stream.read(TAIL_BYTES)
    heard = _pdf(head) or _signature(head, tail) or _wordperfect(head, cut=size > len(head))
    if heard is None and b"\0" not in head:
        heard = _mail(head) or _xml(head)
    if heard:
        return Sniffed(heard, _NOT_WEIGHED)
    encoding = name_encoding(source, limit_bytes=HEAD_BYTES)
    return Sniffed(Heard(Voice(NAME, None, None, _describe(encoding))), encoding)


def _describe(encoding: Encoding) -> str:
    if encoding.confidence is Confidence.UNCERTAIN:
        return f"no known structure; not certainly text: {encoding.why}"
    return f"text in {encoding.name}" if encoding.name else f"no known structure, and not text: {encoding.why}"


def _heard(puid: str | None, mime: str, name: str, basis: str, warning: str = "") -> Heard:
    return Heard(Voice(NAME, puid, mime, basis, warning=warning), Evidence.BYTES, name, candidates=(puid,) if puid else ())


def _pdf(head: bytes) -> Heard | None:
    found = _PDF.search(head, 0, 1024)
    if not found:
        return None
    version = found[1].decode()
    puid = _PDF_PUIDS.get(version)
    warning = "no PRONOM signature fits: the header is not at the start, the version is not known, or the end marker is missing"
    return _heard(puid, "application/pdf", f"PDF {version}", f"header %PDF-{version} at {found.start()}", warning)


def _signature(head: bytes, tail: bytes) -> Heard | None:  # noqa: PLR0911 -- a table of signatures
    if head.startswith(b"{\\rtf"):
        return _heard(None, "application/rtf", "Rich Text Format", "header {\\rtf; the bytes do not tell which version")
    if head.startswith(b"Rar!\x1a\x07\x01\0"):
        return _heard("fmt/613", "application/vnd.rar", "RAR Archive 5.0", "RAR 5 signature at 0")
    if head.startswith(b"Rar!\x1a\x07\0"):
        return _heard(None, "application/vnd.rar", "RAR Archive", "RAR signature at 0; the bytes do not tell whether 2.0 or 2.9")
    if re.match(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", head):
        return _heard("x-fmt/268", "application/x-bzip2", "BZIP2 Compressed Archive", "bzip2 signature at 0")
    if (end := tail.rfind(b"PK\x05\x06")) >= 0 and len(tail) - end >= 22:
        return _heard(
            "x-fmt/263", "application/zip", "ZIP Format", "end of a ZIP's central directory", "damaged, or one part of several"
        )
    if head.startswith(b"PK\x03\x04"):
        return _heard(None, "application/zip", "ZIP Format", "ZIP member header at 0, but no central directory", "damaged")
    return None


def _wordperfect(head: bytes, *, cut: bool) -> Heard | None:
    """Version 4 has no signature; its codes keep to a form that nothing else keeps to."""
    if not wordperfect.keeps_to_it(head, cut=cut):
        return None
    basis = "WordPerfect 4 codes, each closed at its own length"
    return _heard("fmt/949", "application/vnd.wordperfect", "WordPerfect 4.0/4.1/4.2", basis)


def _mail(head: bytes) -> Heard | None:
    """A block of header fields that begins the file, as RFC 5322 §2.1 wants it; two fields of mail among them."""
    fields: dict[bytes, bytes] = {}
    last = b""
    for line in head.splitlines():
        if not line.strip():
            break
        if line[:1] in b" \t" and last:
            fields[last] += line
        elif found := _FIELD.match(line):
            last = found[1].lower()
            fields[last] = found[2]
        elif not (line.startswith(b"From ") and not fields):
            return None
    known = _MAIL_FIELDS & fields.keys()
    is_mime = fields.get(b"mime-version", b"").strip().startswith(b"1.0")
    if is_mime and b"multipart/related" in fields.get(b"content-type", b"").lower() and not known & {b"to", b"received"}:
        return _heard("x-fmt/429", "multipart/related", "MHTML", "MIME header with Content-Type multipart/related")
    if len(known) < 2 or not known & {b"from", b"date", b"received", b"message-id"}:
        return None
    basis = f"header fields {', '.join(sorted(name.decode() for name in known))}"
    if is_mime:
        return _heard("fmt/950", "message/rfc822", "MIME Email 1.0", basis)
    return _heard("fmt/278", "message/rfc822", "Internet Message Format", basis)


def _xml(head: bytes) -> Heard | None:
    """A well-formed beginning without the declaration that PRONOM's signature needs (XML 1.0 §2.8: it may be left out)."""
    if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return None
    root: list[str] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, _attributes: root.append(name) if not root else None
    try:
        parser.Parse(head[:_XML_LIMIT_BYTES].lstrip(), len(head) <= _XML_LIMIT_BYTES)
    except expat.ExpatError:
        return None
    if not root:
        return None
    local = root[0].rpartition(":")[2].lower()
    if local == "svg":
        return _heard(None, "image/svg+xml", "Scalable Vector Graphics", "XML root element svg; the version is not told")
    if local == "html":
        return _heard(None, "application/xhtml+xml", "XHTML", "XML root element html; the version is not told")
    return _heard("fmt/101", "application/xml", "Extensible Markup Language 1.0", f"well-formed XML, root element {root[0][:60]}")
