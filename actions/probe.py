"""Say of a file what PRONOM cannot see: passwords, signatures, macros, pages, dimensions, encoding.

This is the door: it looks at the first bytes, calls the one family's reader in ``actions/probes/``, and answers facts.
A probe never raises for bad content; a reader that fails in a way it did not foresee leaves ``damaged`` unmeasured.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

from actions.catalog import ProbeParams
from actions.contract import Fact, Outcome

_HEAD_BYTES = 1024
_OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_OFFICE_MEMBERS = (b"[Content_Types].xml", b"mimetypeapplication/vnd.oasis", b"mimetypeapplication/vnd.sun.xml")
_OFFICE_ZIP_EXTENSIONS = (".doc", ".dot", ".xls", ".xlt", ".ppt", ".pps", ".pot", ".od", ".ot", ".sx", ".st")
_PACKED = (b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0")
_PICTURES = (
    b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"8BPS", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+",
    b"\0\0\0\x0cjP  \r\n", b"\xff\x4f\xff\x51", b"\0\0\1\0", b"\n\x05\x01", b"\n\x03\x01", b"\n\x02\x01",
)  # fmt: skip
_PNM = re.compile(rb"P[1-7f F][\s#]")
_PICTURE_EXTENSIONS = (".tga", ".pcx", ".ico", ".dib")  # TGA has no signature at its start
_RAW_EXTENSIONS = (".dng", ".nef", ".cr2", ".arw", ".orf", ".rw2", ".pef", ".srw")  # TIFF outside, but only a preview is plain TIFF
_OFFICE_MIMES = (
    "application/msword",
    "application/vnd.ms-",
    "application/vnd.openxml",
    "application/vnd.oasis",
    "application/rtf",
    "text/rtf",
)


def run(source: Path, workdir: Path, params: ProbeParams) -> Outcome:
    """Measure *source*; writes nothing, and never raises for bad content."""
    del workdir
    facts: dict[str, Fact] = {"empty": source.stat().st_size == 0}
    notes: tuple[str, ...] = ()
    if not facts["empty"] and (family := family_of(source, params)):
        reader = import_module(f"actions.probes.{family}")  # each family loads its own libraries
        try:
            facts |= reader.probe(source)
        except MemoryError:
            raise
        except Exception as failure:  # noqa: BLE001 -- third-party parsers raise anything on hostile bytes; the gap is told
            facts["damaged"] = None
            notes = (f"The {family} probe could not read this file: {type(failure).__name__}: {failure}"[:300],)
    return Outcome(tool="bevara probe 1", notes=notes, facts=facts)


def family_of(source: Path, params: ProbeParams) -> str | None:
    """The module in ``actions/probes/`` whose content this is, by its bytes first; None: no reader for it."""
    with source.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    mime, extension = params.mime or "", params.extension.lower()
    if b"%PDF-" in head or mime == "application/pdf":
        return "pdf"
    if head.startswith((_OLE2, b"{\\rtf")):
        return "office"
    if head.startswith(_ZIP):
        by_name = extension.startswith(_OFFICE_ZIP_EXTENSIONS)
        return "office" if by_name or _is_office_zip(source, head, mime) else "container"
    if head.startswith(_PACKED) or head[257:262] == b"ustar":
        return "container"
    if _is_picture(head, mime, extension):
        return "picture"
    return _by_hint(mime, params)


def _is_office_zip(source: Path, head: bytes, mime: str) -> bool:
    """OOXML names its parts' list in the first or the last members; ODF puts ``mimetype`` first."""
    if mime.startswith(_OFFICE_MIMES) or any(mark in head for mark in _OFFICE_MEMBERS):
        return True
    with source.open("rb") as stream:
        stream.seek(max(0, source.stat().st_size - 256 * 1024))  # the central directory of most documents
        return b"[Content_Types].xml" in stream.read()


def _is_picture(head: bytes, mime: str, extension: str) -> bool:
    if extension in _RAW_EXTENSIONS:
        return False
    webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    by_name = extension in _PICTURE_EXTENSIONS or mime in {"image/x-tga", "image/tga", "image/x-pcx"}
    return head.startswith(_PICTURES) or webp or by_name or _PNM.match(head) is not None


def _by_hint(mime: str, params: ProbeParams) -> str | None:
    if mime.startswith(_OFFICE_MIMES):
        return "office"
    if mime in {"application/x-tar", "application/zip"}:
        return "container"  # a tar without "ustar", or the last part of a ZIP in several
    if params.puid in {None, "x-fmt/111"} or mime.startswith("text/") or _is_text_mime(mime) or not mime:
        return "text"
    return None


def _is_text_mime(mime: str) -> bool:
    return mime.endswith(("xml", "json", "javascript", "yaml", "sql")) or mime == "message/rfc822"
