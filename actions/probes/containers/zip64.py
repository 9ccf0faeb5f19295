"""ZIP headers: the end record, its 64-bit form, and the central directory, entry by entry.

Source: PKWARE APPNOTE 6.3.10, sections 4.3.7 to 4.3.16 and 4.4.4 (general purpose bit 0: encrypted; bit 13: masked headers).
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from actions.contract import Fact
from actions.probes.containers.error import BrokenHeaderError

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_MAX_COMMENT = 65_535
_ENCRYPTED, _MASKED = 1 << 0, 1 << 13
_FULL_16, _FULL_32 = 0xFFFF, 0xFFFFFFFF
_MAX_MEMBERS = 1_000_000


def facts(stream: BinaryIO, size: int) -> dict[str, Fact]:
    """Members, unpacked size and passwords as the central directory tells them.

    Raises:
        BrokenHeaderError: No end record, or the directory is not where it says.
    """
    count, start = _directory(stream, size)
    stream.seek(start)
    members = unpacked = 0
    encrypted = False
    while members < min(count, _MAX_MEMBERS):
        entry = stream.read(_ENTRY.size)
        if len(entry) < _ENTRY.size or not entry.startswith(b"PK\x01\x02"):
            if entry.startswith(b"PK\x06\x08"):
                return {"encrypted": True}  # APPNOTE 7.3.3: an archive decryption header stands before an encrypted directory
            raise BrokenHeaderError(f"the central directory breaks off after {members} of {count} members")
        values = _ENTRY.unpack(entry)
        flags, entry_size, tail = values[3], values[9], values[10] + values[11] + values[12]
        variable = stream.read(tail)
        members += 1
        encrypted = encrypted or bool(flags & (_ENCRYPTED | _MASKED))
        unpacked += _long_size(variable[values[10] :], entry_size)
    return {"encrypted": encrypted, "members": count, "unpacked_bytes": unpacked}


def has_end(stream: BinaryIO, size: int) -> bool:
    """Whether a ZIP's end record stands where it may, whatever the file begins with."""
    reach = min(size, _END.size + _MAX_COMMENT)
    stream.seek(size - reach)
    return stream.read(reach).rfind(b"PK\x05\x06", 0, reach - _END.size + 4) >= 0


def _directory(stream: BinaryIO, size: int) -> tuple[int, int]:
    """Count and offset of the central directory; bytes before the archive (self-extractors) shift the offset."""
    reach = min(size, _END.size + _MAX_COMMENT)
    stream.seek(size - reach)
    tail = stream.read(reach)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise BrokenHeaderError("the ZIP end record is missing: the file is cut, or a part of several")
    _, disk, first_disk, _, count, length, offset, _ = _END.unpack_from(tail, at)
    end = size - reach + at
    if _FULL_16 in (count, disk) or _FULL_32 in (length, offset):
        count, length, offset, end = _directory_64(stream, end, (count, length, offset))
    elif disk or first_disk:
        raise BrokenHeaderError("this is one part of a ZIP archive in several parts")
    start = end - length
    if start < 0 or offset > start:
        raise BrokenHeaderError("the central directory does not fit in the file: bytes are missing")
    return count, start


def _directory_64(stream: BinaryIO, end: int, short: tuple[int, int, int]) -> tuple[int, int, int, int]:
    stream.seek(max(0, end - _LOCATOR_64.size))
    locator = stream.read(_LOCATOR_64.size)
    if not locator.startswith(b"PK\x06\x07"):
        return (*short, end)  # the large values are meant as they stand
    stream.seek(max(0, end - _LOCATOR_64.size - _END_64.size))
    record = stream.read(_END_64.size)
    if len(record) < _END_64.size or not record.startswith(b"PK\x06\x06"):
        raise BrokenHeaderError("the 64-bit end record is not where the ZIP file says")
    values = _END_64.unpack(record)
    return values[7], values[8], values[9], end - _LOCATOR_64.size - _END_64.size


def _long_size(extra: bytes, short: int) -> int:
    """The 64-bit size of extra field 1, where the 32-bit one is full."""
    if short != _FULL_32:
        return short
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1 and length >= 8 and at + 12 <= len(extra):
            return int(struct.unpack_from("<Q", extra, at + 4)[0])
        at += 4 + length
    return short
