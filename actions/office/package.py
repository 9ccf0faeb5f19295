"""The parts of a zipped or flat XML document, read with bounds: a hostile file costs memory and time, never more.

Entities and networks are off, each part and their sum are limited, and a part that cannot be read is an error
with a name. What the parts mean belongs to ``ooxml_*`` and ``odf``.
Source: ECMA-376-2:2021 §6.5 (relationships), §9 (zip); OASIS ODF 1.3 part 2 §2.
"""

from __future__ import annotations

import base64
import posixpath
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from lxml import etree

from actions.errors import DamagedError, EncryptedError, TooLargeError

PART_BYTES = 100_000_000  # a tree takes about ten times this; real documents stay under 30 MB
TOTAL_BYTES = 300_000_000
MEMBERS = 50_000
RATIO = 500  # XML shrinks 10 to 60 times; above 500 it was made to be a bomb
RATIO_FROM_BYTES = 20_000_000
ASK = "Ask the producer for a readable copy."
SNIFF_BYTES = 4096
FLAT = "http://schemas.microsoft.com/office/2006/xmlPackage"

Element = etree._Element  # noqa: SLF001 -- lxml publishes its element type under no other name


def local(element: Element) -> str:
    """The element's name without its namespace, so that strict, transitional and old dialects read alike."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Element, name: str, default: str = "") -> str:
    """An attribute by local name, whatever its namespace."""
    for key, value in element.attrib.items():
        if str(key).rpartition("}")[2] == name:
            return str(value)
    return default


def parse_xml(data: bytes, subject: str) -> Element:
    """Parse untrusted XML.

    Raises:
        DamagedError: Not well-formed, or nested or sized beyond libxml2's limits.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True)
    try:
        return etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as bad:
        raise DamagedError(f"its XML cannot be read: {bad}", subject, ASK) from bad


def from_base64(text: str) -> bytes:
    """Bytes written as letters; none where they are broken."""
    try:
        return base64.b64decode(text)
    except ValueError:
        return b""


@dataclass(slots=True)
class Package:
    """Parts by name. Use as a context manager; ``open`` or ``flat`` makes one."""

    subject: str
    archive: zipfile.ZipFile | None = None
    parts: dict[str, Element] = field(default_factory=dict)
    blobs: dict[str, str] = field(default_factory=dict)  # of a flat file: base64
    read_bytes: int = 0

    @classmethod
    def open(cls, source: Path) -> Package:
        """Open a zip.

        Raises:
            DamagedError: No zip, or its directory is broken.
        """
        try:
            archive = zipfile.ZipFile(source)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as bad:
            raise DamagedError(f"its zip cannot be opened: {bad}", source.name, ASK) from bad
        if len(archive.namelist()) > MEMBERS:
            archive.close()
            raise TooLargeError(f"it has more than {MEMBERS} members", source.name, "Look at it by hand: no program makes that.")
        return cls(source.name, archive)

    @classmethod
    def flat(cls, root: Element, subject: str) -> Package:
        """Make the parts of a flat OPC document (Word's and PowerPoint's single XML file)."""
        parts = {}
        for part in root.iterchildren(f"{{{FLAT}}}part"):
            data = part.find(f"{{{FLAT}}}xmlData")
            if data is not None and len(data):
                parts[attribute(part, "name").lstrip("/")] = data[0]
        found = ((part, part.find(f"{{{FLAT}}}binaryData")) for part in root.iterchildren(f"{{{FLAT}}}part"))
        blobs = {attribute(part, "name").lstrip("/"): data.text or "" for part, data in found if data is not None}
        return cls(subject, None, parts, blobs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.archive is not None:
            self.archive.close()

    def names(self) -> list[str]:
        """All part names."""
        return self.archive.namelist() if self.archive is not None else list(self.parts)

    def fingerprint(self, name: str) -> str:
        """Equal for members with equal bytes, as far as the zip's directory tells; the name where it does not."""
        try:
            info = self.archive.getinfo(name) if self.archive is not None else None
        except KeyError:
            info = None
        return name if info is None else f"{info.CRC:08x}-{info.file_size}"

    def read(self, name: str) -> bytes | None:
        """One member's bytes; None when it is not there.

        Raises:
            DamagedError: Its checksum or compression is broken.
            EncryptedError: The zip member needs a password.
            TooLargeError: Beyond the bounds above.
        """
        if self.archive is None:
            return from_base64(self.blobs[name]) if name in self.blobs else None
        try:
            info = self.archive.getinfo(name)
        except KeyError:
            return None
        if info.flag_bits & 1:
            raise EncryptedError("its parts need a password", self.subject, "Ask the producer for a copy without a password.")
        self._weigh(info)
        try:
            with self.archive.open(info) as member:
                data = member.read(PART_BYTES + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as bad:
            raise DamagedError(f"its part {name} cannot be unpacked: {bad}", self.subject, ASK) from bad
        self.read_bytes += len(data)
        return data

    def _weigh(self, info: zipfile.ZipInfo) -> None:
        bomb = info.file_size > RATIO_FROM_BYTES and info.file_size > RATIO * max(info.compress_size, 1)
        if bomb or info.file_size > PART_BYTES or self.read_bytes + info.file_size > TOTAL_BYTES:
            size = f"its part {info.filename} would unpack to {info.file_size} bytes"
            raise TooLargeError(size, self.subject, "Look at it by hand; it may be a zip bomb.")

    def xml(self, name: str) -> Element | None:
        """One part's root element; None when it is not there."""
        if name in self.parts:
            return self.parts[name]
        data = self.read(name)
        return None if data is None else parse_xml(data, f"{self.subject} ({name})")

    def relations(self, name: str) -> dict[str, tuple[str, str]]:
        """A part's relationships: id → (type's last word, part name or external address)."""
        folder, base = posixpath.split(name)
        root = self.xml(posixpath.join(folder, "_rels", base + ".rels"))
        found: dict[str, tuple[str, str]] = {}
        for relation in root if root is not None else ():
            target = relation.get("Target", "")
            if relation.get("TargetMode") != "External":
                target = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
            found[relation.get("Id", "")] = (relation.get("Type", "").rpartition("/")[2], target)
        return found
