"""The door to our own readers: looks at the bytes, never at the name, and lets the right one read.

A format without a reader answers None: the comparison then says that only the converter's own reading is known.
Formats themselves belong to the other modules of this folder.
Source: ECMA-376-2:2021 (OPC); ODF 1.3 part 2 §3.3 (mimetype); [MS-CFB]; [MS-DOC] §2.1; [MS-PPT] §2.1.
"""

from __future__ import annotations

import re
from pathlib import Path

import olefile

from actions.errors import DamagedError, EncryptedError, TooLargeError
from actions.office import odf, ole_powerpoint, ole_word, ooxml_slides, ooxml_word, rtf, wordperfect
from actions.office.content import OfficeContent
from actions.office.package import ASK, FLAT, Package, attribute, local, parse_xml

HEAD_BYTES = 4096
XML_BYTES = 100_000_000
STREAM_BYTES = 400_000_000
OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
OBJECT_INFO = re.compile("objectpool/_([0-9]{1,10})/\x03objinfo")
SHOWN_AS_ICON = 0x40  # [MS-DOC] §2.9.175 (ODTPersist1), fIcon
ASK_OPEN = "Ask the producer for a copy without a password."


def read(source: Path) -> OfficeContent | None:
    """Read *source*, or answer None where we have no reader for what it is.

    Raises:
        DamagedError: It is of a kind that we read, and broken.
        EncryptedError: It needs a password.
        TooLargeError: It would unpack beyond the bounds.
    """
    with source.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if head.startswith(b"PK\x03\x04"):
        return _zipped(source)
    if head.startswith(OLE_MAGIC):
        return _ole(source)
    if rtf.is_rtf(head):
        return rtf.read(source)
    if _looks_like_xml(head):
        return _flat(source)
    return wordperfect.read(source)  # asked last: it has no signature


def _looks_like_xml(head: bytes) -> bool:
    start = head.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").replace(b"\x00", b"")
    return start.startswith(b"<?xml") or b"office:document" in start or b"pkg:package" in start


def _zipped(source: Path) -> OfficeContent | None:
    with Package.open(source) as package:
        names = set(package.names())
        if "content.xml" in names:
            return _odf(package)
        if "[Content_Types].xml" in names:
            return _opc(package)
    return None


def _odf(package: Package) -> OfficeContent | None:
    manifest = package.read("META-INF/manifest.xml") or b""
    if b"encryption-data" in manifest:
        raise EncryptedError("it needs a password", package.subject, ASK_OPEN)
    root, styles = package.xml("content.xml"), package.xml("styles.xml")
    kind = None if root is None else odf.body_kind(root)
    return None if root is None or kind is None else odf.read(package, root, styles, kind)


def _opc(package: Package) -> OfficeContent | None:
    """Start at the package's own relationships: the main part may have any name."""
    main = next((target for kind, target in package.relations("").values() if kind == "officeDocument"), "")
    root = package.xml(main) if main else None
    if root is None:
        return None
    reader = {"document": ooxml_word.read, "presentation": ooxml_slides.read}.get(local(root))
    return reader(package, main) if reader is not None else None


def _flat(source: Path) -> OfficeContent | None:
    if source.stat().st_size > XML_BYTES:
        raise TooLargeError(f"it is larger than {XML_BYTES} bytes", source.name, "Compare it by hand.")
    root = parse_xml(source.read_bytes(), source.name)
    name = local(root)
    if name == "package" and root.tag == f"{{{FLAT}}}package":
        return _opc(Package.flat(root, source.name))
    if name == "wordDocument":
        blobs = {attribute(data, "name"): data.text or "" for data in root.iter("{*}binData")}
        return ooxml_word.read(Package(source.name, None, {"": root}, blobs), "")
    if name == "document":
        kind = odf.body_kind(root)
        return odf.read(Package(source.name), root, None, kind) if kind is not None else None
    return None


def _ole(source: Path) -> OfficeContent | None:
    try:
        with olefile.OleFileIO(str(source)) as container:
            streams = {"/".join(path).lower(): path for path in container.listdir()}
            is_encrypted = "encryptedpackage" in streams
            if "worddocument" in streams:
                tables = {name: _stream(container, streams, name.lower()) for name in ("0Table", "1Table", "Data")}
                return ole_word.read(_stream(container, streams, "worddocument"), tables, source.name, _icons(container, streams))
            if "powerpoint document" in streams:
                names = ("powerpoint document", "current user", "pictures")
                main, user, pictures = (_stream(container, streams, name) for name in names)
                return ole_powerpoint.read(main, user, source.name, pictures)
    except (DamagedError, EncryptedError, TooLargeError):
        raise
    except Exception as bad:  # olefile and struct raise a dozen kinds on hostile offsets
        raise DamagedError(f"its OLE container cannot be read: {bad}", source.name, ASK) from bad
    if is_encrypted:
        raise EncryptedError("it needs a password", source.name, ASK_OPEN)
    return None


def _icons(container: olefile.OleFileIO, streams: dict[str, list[str]]) -> frozenset[int]:
    """The embedded objects of a Word document that are shown as an icon, by number."""
    found = set()
    for name in streams:
        number = OBJECT_INFO.fullmatch(name)
        if number is not None and int.from_bytes(_stream(container, streams, name)[:2], "little") & SHOWN_AS_ICON:
            found.add(int(number[1]))
    return frozenset(found)


def _stream(container: olefile.OleFileIO, streams: dict[str, list[str]], name: str) -> bytes:
    path = streams.get(name)
    if path is None:
        return b""
    if container.get_size(path) > STREAM_BYTES:
        raise TooLargeError(f"its stream {name} is larger than {STREAM_BYTES} bytes", name, "Compare it by hand.")
    with container.openstream(path) as stream:
        return bytes(stream.read())
