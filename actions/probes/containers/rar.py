"""RAR headers, versions 1.5 to 4 and 5: whether headers or members are encrypted, how many, how large.

Source: RAR technotes (rarlab.com), "Archive header", "File header", "Archive encryption header", "File encryption record".
"""

from __future__ import annotations

from typing import BinaryIO

from actions.contract import Fact
from actions.probes.containers.error import BrokenHeaderError

SIGNATURE_4 = b"Rar!\x1a\x07\0"
SIGNATURE_5 = b"Rar!\x1a\x07\x01\0"
_MAIN, _FILE, _END = 0x73, 0x74, 0x7B
_MAIN_ENCRYPTED, _FILE_ENCRYPTED, _FILE_LARGE, _LONG_BLOCK = 0x0080, 0x0004, 0x0100, 0x8000
_FILE_5, _ENCRYPTION_5, _END_5 = 2, 4, 5
_HAS_EXTRA, _HAS_DATA, _IS_DIRECTORY = 0x01, 0x02, 0x01
_ENCRYPTION_RECORD = 1
_MAX_HEADER_BYTES = 2 << 20  # RAR 5 allows no larger header
_MAX_MEMBERS = 1_000_000


def facts_4(stream: BinaryIO, size: int) -> dict[str, Fact]:
    """Walk the blocks of a RAR 1.5 to 4 archive."""
    at, members, unpacked, encrypted = len(SIGNATURE_4), 0, 0, False
    while at + 7 <= size and members < _MAX_MEMBERS:
        stream.seek(at)
        head = stream.read(40)
        kind, flags, length = head[2], int.from_bytes(head[3:5], "little"), int.from_bytes(head[5:7], "little")
        if length < 7 or at + length > size:
            raise BrokenHeaderError(f"the RAR block at byte {at} does not fit in the file")
        if kind == _MAIN and flags & _MAIN_ENCRYPTED:
            return {"encrypted": True}
        added = int.from_bytes(head[7:11], "little") if flags & _LONG_BLOCK or kind == _FILE else 0
        if kind == _FILE:
            members += 1
            encrypted = encrypted or bool(flags & _FILE_ENCRYPTED)
            unpacked += int.from_bytes(head[11:15], "little")
            if flags & _FILE_LARGE:
                added += int.from_bytes(head[32:36], "little") << 32
                unpacked += int.from_bytes(head[36:40], "little") << 32
        elif kind == _END:
            break
        at += length + added
    if at > size:
        raise BrokenHeaderError("the RAR archive breaks off in a member")
    return {"encrypted": encrypted, "members": members, "unpacked_bytes": unpacked}


def facts_5(stream: BinaryIO, size: int) -> dict[str, Fact]:
    """Walk the headers of a RAR 5 archive."""
    at, members, unpacked, encrypted = len(SIGNATURE_5), 0, 0, False
    while at + 7 <= size and members < _MAX_MEMBERS:
        stream.seek(at + 4)  # after the header's CRC-32
        length, used = _vint(stream.read(10), 0)
        if length > _MAX_HEADER_BYTES or at + 4 + used + length > size:
            raise BrokenHeaderError(f"the RAR header at byte {at} does not fit in the file")
        stream.seek(at + 4 + used)
        block = stream.read(length)
        kind, place = _vint(block, 0)
        flags, place = _vint(block, place)
        extra, place = _vint(block, place) if flags & _HAS_EXTRA else (0, place)
        data, place = _vint(block, place) if flags & _HAS_DATA else (0, place)
        if kind == _ENCRYPTION_5:
            return {"encrypted": True}
        if kind == _FILE_5:
            members += 1
            file_flags, place = _vint(block, place)
            unpacked += 0 if file_flags & _IS_DIRECTORY else _vint(block, place)[0]
            encrypted = encrypted or (extra > 0 and _has_encryption(block[-extra:]))
        at += 4 + used + length + data
        if kind == _END_5:
            break
    if at > size:
        raise BrokenHeaderError("the RAR archive breaks off in a member")
    return {"encrypted": encrypted, "members": members, "unpacked_bytes": unpacked}


def _has_encryption(extra: bytes) -> bool:
    at = 0
    while at < len(extra):
        length, start = _vint(extra, at)
        kind, _ = _vint(extra, start)
        if kind == _ENCRYPTION_RECORD:
            return True
        at = start + length
    return False


def _vint(data: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer at *at*, and where the next field starts."""
    value = 0
    for shift in range(10):
        if at + shift >= len(data):
            break
        value |= (data[at + shift] & 0x7F) << (7 * shift)
        if not data[at + shift] & 0x80:
            return value, at + shift + 1
    raise BrokenHeaderError("a number in a RAR header has no end")
