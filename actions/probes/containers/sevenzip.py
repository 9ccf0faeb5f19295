"""7z headers: which coders its folders use, in the clear or behind one layer of LZMA; AES is one of them.

The number of members would need the rest of the header; passwords and sizes are in the part that is read here.
Source: 7zFormat.txt of the LZMA SDK; coder ids in Methods.txt.
"""

from __future__ import annotations

import lzma
from dataclasses import dataclass, field
from typing import BinaryIO

from actions.contract import Fact
from actions.probes.containers.error import BrokenHeaderError

_START_BYTES = 32
_MAX_HEADER_BYTES = 64 << 20
_END, _HEADER, _MAIN_STREAMS, _PACK_INFO, _UNPACK_INFO, _SIZE, _CRC = 0x00, 0x01, 0x04, 0x06, 0x07, 0x09, 0x0A
_ARCHIVE_PROPERTIES, _FOLDER, _UNPACK_SIZE, _ENCODED_HEADER = 0x02, 0x0B, 0x0C, 0x17
_AES = b"\x06\xf1\x07\x01"
_LZMA, _LZMA2 = b"\x03\x01\x01", b"\x21"
_MAX_ITEMS = 1_000_000


@dataclass(slots=True)
class _Cursor:
    """Reads numbers out of a header; the end of the data is an error like any other."""

    data: bytes
    at: int = 0

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.data):
            raise BrokenHeaderError("the 7z header breaks off")
        self.at += count
        return self.data[self.at - count : self.at]

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        """As many leading ones in the first byte, so many bytes follow."""
        first, value = self.byte(), 0
        for index in range(8):
            mask = 0x80 >> index
            if not first & mask:
                return value | (first & (mask - 1)) << (8 * index)
            value |= self.byte() << (8 * index)
        return value

    def count(self) -> int:
        value = self.number()
        if value > _MAX_ITEMS:
            raise BrokenHeaderError(f"the 7z header promises {value} items")
        return value


@dataclass(slots=True)
class _Streams:
    pack_position: int = 0
    pack_sizes: list[int] = field(default_factory=list)
    coders: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Id and properties of every coder of every folder."""
    unpack_sizes: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    """Output streams of each folder."""


def facts(stream: BinaryIO, size: int) -> dict[str, Fact]:
    """``encrypted`` None where the header is packed in a way that is not read here."""
    start = stream.read(_START_BYTES)
    offset, length = int.from_bytes(start[12:20], "little"), int.from_bytes(start[20:28], "little")
    if not length:
        return {"encrypted": False, "members": 0, "unpacked_bytes": 0}
    if _START_BYTES + offset + length > size or length > _MAX_HEADER_BYTES:
        raise BrokenHeaderError("the 7z header is not in the file: bytes are missing")
    stream.seek(_START_BYTES + offset)
    cursor = _Cursor(stream.read(length))
    kind = cursor.byte()
    if kind == _ENCODED_HEADER:
        outer = _streams(cursor)
        if _is_encrypted(outer):
            return {"encrypted": True}
        header = _unpack(stream, outer)
        if header is None:
            return {"encrypted": None}
        cursor = _Cursor(header)
        kind = cursor.byte()
    if kind != _HEADER:
        raise BrokenHeaderError("the 7z header does not begin as one")
    return _main(cursor)


def _main(cursor: _Cursor) -> dict[str, Fact]:
    kind = cursor.byte()
    if kind == _ARCHIVE_PROPERTIES:
        while cursor.byte() != _END:
            cursor.take(cursor.number())
        kind = cursor.byte()
    if kind != _MAIN_STREAMS:
        return {"encrypted": False, "unpacked_bytes": 0}  # empty files only
    streams = _streams(cursor)
    unpacked, at = 0, 0
    for outputs in streams.outputs:  # the last output of a folder is the file data: earlier ones feed later coders
        unpacked += max(streams.unpack_sizes[at : at + outputs], default=0)
        at += outputs
    return {"encrypted": _is_encrypted(streams), "unpacked_bytes": unpacked}


def _is_encrypted(streams: _Streams) -> bool:
    return any(coder == _AES for coder, _ in streams.coders)


def _streams(cursor: _Cursor) -> _Streams:
    """Pack info and coders info; what follows (substreams) is not needed."""
    found = _Streams()
    kind = cursor.byte()
    if kind == _PACK_INFO:
        _pack_info(cursor, found)
        kind = cursor.byte()
    if kind == _UNPACK_INFO:
        _unpack_info(cursor, found)
    return found


def _pack_info(cursor: _Cursor, found: _Streams) -> None:
    found.pack_position, count = cursor.number(), cursor.count()
    while (kind := cursor.byte()) != _END:
        if kind == _SIZE:
            found.pack_sizes = [cursor.number() for _ in range(count)]
        elif kind == _CRC:
            _skip_digests(cursor, count)
        else:
            raise BrokenHeaderError(f"the 7z header holds an unknown part {kind}")


def _unpack_info(cursor: _Cursor, found: _Streams) -> None:
    if cursor.byte() != _FOLDER:
        raise BrokenHeaderError("the 7z header has no folders where it must")
    folders = cursor.count()
    if cursor.byte():
        raise BrokenHeaderError("the 7z folders lie outside the header, which no known program writes")
    found.outputs = [_folder(cursor, found) for _ in range(folders)]
    if cursor.byte() != _UNPACK_SIZE:
        raise BrokenHeaderError("the 7z header has no sizes where it must")
    found.unpack_sizes = [cursor.number() for outputs in found.outputs for _ in range(outputs)]


def _folder(cursor: _Cursor, found: _Streams) -> int:
    """Read one folder's coders; answer how many output streams it has."""
    inputs = outputs = 0
    for _ in range(cursor.count()):
        flags = cursor.byte()
        coder = cursor.take(flags & 0x0F)
        takes, gives = (cursor.count(), cursor.count()) if flags & 0x10 else (1, 1)
        properties = cursor.take(cursor.number()) if flags & 0x20 else b""
        found.coders.append((coder, properties))
        inputs, outputs = inputs + takes, outputs + gives
    bound = outputs - 1
    for _ in range(2 * bound):
        cursor.number()
    if (packed := inputs - bound) > 1:
        for _ in range(packed):
            cursor.number()
    return outputs


def _skip_digests(cursor: _Cursor, count: int) -> None:
    defined = count
    if not cursor.byte():
        defined = sum(byte.bit_count() for byte in cursor.take((count + 7) // 8))
    cursor.take(4 * defined)


def _unpack(stream: BinaryIO, outer: _Streams) -> bytes | None:
    """The packed header, where it is one LZMA stream, as 7-Zip writes it; bounded."""
    if len(outer.coders) != 1 or not outer.pack_sizes or not outer.unpack_sizes:
        return None
    (coder, properties), size = outer.coders[0], outer.unpack_sizes[0]
    if size > _MAX_HEADER_BYTES or outer.pack_sizes[0] > _MAX_HEADER_BYTES:
        raise BrokenHeaderError(f"the 7z header would unpack to {size} bytes")
    stream.seek(_START_BYTES + outer.pack_position)
    packed = stream.read(outer.pack_sizes[0])
    try:
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[_filter(coder, properties)])
        return unpacker.decompress(packed, max_length=size)
    except (lzma.LZMAError, ValueError) as broken:
        raise BrokenHeaderError(f"the packed 7z header cannot be unpacked: {broken}") from broken


def _filter(coder: bytes, properties: bytes) -> dict[str, int]:
    """LZMA's five property bytes: lc, lp and pb in the first, then the dictionary size."""
    if coder == _LZMA and len(properties) == 5:
        rest, lc = divmod(properties[0], 9)
        pb, lp = divmod(rest, 5)
        dictionary = min(int.from_bytes(properties[1:], "little"), _MAX_HEADER_BYTES)
        return {"id": lzma.FILTER_LZMA1, "dict_size": max(dictionary, 4096), "lc": lc, "lp": lp, "pb": pb}
    if coder == _LZMA2 and len(properties) == 1:
        return {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 26}
    raise BrokenHeaderError(f"the 7z header is packed by an unknown method {coder.hex()}")
