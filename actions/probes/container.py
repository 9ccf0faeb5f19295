"""Facts of an archive file (ZIP, 7z, RAR, tar, gzip …) from its headers: passwords, members, and what it would unpack to.

Nothing is unpacked: a bomb is measured, not opened. One reader a format, each its own; Python's ``zipfile`` would hold every
member's entry in memory.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from actions.contract import Fact
from actions.probes.containers import rar, sevenzip, zip64
from actions.probes.containers.error import BrokenHeaderError

MAX_MEMBERS = 1_000_000


def probe(source: Path) -> dict[str, Fact]:
    """``encrypted``, ``members``, ``unpacked_bytes`` and ``ratio`` where the headers tell; ``damaged`` where they break off."""
    size = source.stat().st_size
    with source.open("rb") as stream:
        reader = _reader(stream.read(512))
        if reader is None and zip64.has_end(stream, size):
            reader = zip64.facts  # the last part of several, or a self-extractor
        if reader is None:
            return {}
        stream.seek(0)
        try:
            facts = reader(stream, size)
        except BrokenHeaderError as broken:
            return {"damaged": True, "damage": str(broken)}
        except (EOFError, OverflowError, IndexError) as broken:
            return {"damaged": True, "damage": f"the headers break off ({type(broken).__name__})"}
    unpacked = facts.get("unpacked_bytes")
    if isinstance(unpacked, int) and size:
        facts["ratio"] = round(unpacked / size, 1)
    return facts


def _reader(head: bytes) -> Callable[[BinaryIO, int], dict[str, Fact]] | None:  # noqa: PLR0911 -- one signature a line
    if head.startswith(b"7z\xbc\xaf\x27\x1c"):
        return sevenzip.facts
    if head.startswith(rar.SIGNATURE_5):
        return rar.facts_5
    if head.startswith(rar.SIGNATURE_4):
        return rar.facts_4
    if is_tar(head):
        return _tar
    if head.startswith(b"\x1f\x8b"):
        return _gzip
    if head.startswith((b"BZh", b"\xfd7zXZ\0")):
        return lambda _stream, _size: {"encrypted": False}  # these know no passwords, and tell no size before the end
    return zip64.facts if head.startswith(b"PK") else None


def is_tar(head: bytes) -> bool:
    """The header's own checksum: old tar files bear no "ustar" (POSIX.1-1988; the field counts as eight spaces)."""
    if len(head) < tarfile.BLOCKSIZE or not head[0]:
        return False
    told = head[148:156].strip(b" \0")
    if not told or any(byte not in b"01234567" for byte in told):
        return False
    return int(told, 8) == sum(head[:148]) + 8 * 0x20 + sum(head[156:512])


def _tar(stream: BinaryIO, size: int) -> dict[str, Fact]:
    """Members and their sizes, read by skipping from header to header."""
    del size
    members = unpacked = 0
    try:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            while (member := archive.next()) is not None and members < MAX_MEMBERS:
                archive.members.clear()  # type: ignore[attr-defined]  # tarfile would keep every header
                members += 1
                unpacked += member.size
    except (tarfile.TarError, ValueError) as broken:
        raise BrokenHeaderError(f"the tar headers cannot be read: {broken}") from broken
    return {"encrypted": False, "members": members, "unpacked_bytes": unpacked}


def _gzip(stream: BinaryIO, size: int) -> dict[str, Fact]:
    """ISIZE: the unpacked size modulo 4 GiB, of the last member (RFC 1952, 2.3.1)."""
    if size < 18:
        raise BrokenHeaderError("the gzip file is shorter than its own header and trailer")
    stream.seek(size - 4)
    return {"encrypted": False, "unpacked_bytes": int.from_bytes(stream.read(4), "little")}
