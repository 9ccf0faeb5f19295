"""The record tree of Office's binary drawings: PowerPoint's whole stream, and the shapes of binary Word.

Lengths are the file's own word, so walking is bounded in depth and number. What a record means belongs to its reader.
Source: [MS-ODRAW] §2.2 (records), §2.2.40 (OfficeArtFSP), §2.3.23.5 (pib); [MS-PPT] §2.3.1 (RecordHeader).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

SHAPE_OPTIONS, BLIP_ENTRY, TAG_DATA = 0xF00B, 0xF007, 5003
PICTURE_OPTIONS = frozenset({0x0104, 0x0186})  # pib, fillBlip: numbers of entries in the picture store
VECTOR_BLIPS = frozenset({2, 3, 4})  # EMF, WMF, PICT
SHAPE_PROPERTIES, SHAPE_BYTES, NOT_A_SHAPE = 0xF00A, 8, 0x40D  # fGroup, fPatriarch, fDeleted, fBackground
DEPTH_MAX = 40
RECORDS_MAX = 2_000_000


@dataclass(frozen=True, slots=True)
class Record:
    """One record; ``data`` is its body, which a container's children fill."""

    kind: int
    instance: int
    is_container: bool
    data: memoryview


def record_at(stream: bytes | bytearray | memoryview, at: int) -> Record | None:
    """The record that begins at *at*; None beyond the end."""
    if at < 0 or at + 8 > len(stream):
        return None
    head, kind, length = struct.unpack_from("<HHI", stream, at)
    is_container = head & 0xF == 0xF or kind == TAG_DATA  # a tag's blob holds records, but does not say so
    return Record(kind, head >> 4, is_container, memoryview(stream)[at + 8 : at + 8 + length])


def children(data: memoryview) -> Iterator[Record]:
    """The records that lie one after another in *data*."""
    at = 0
    while (record := record_at(data, at)) is not None:
        yield record
        at += 8 + len(record.data)


def walk(record: Record) -> Iterator[Record]:
    """All records below *record*, in the stream's order, at most ``RECORDS_MAX`` of them."""
    for count, found in enumerate(_below(record, 0)):
        if count >= RECORDS_MAX:
            return
        yield found


def _below(record: Record, depth: int) -> Iterator[Record]:
    for child in children(record.data):
        yield child
        if child.is_container and depth < DEPTH_MAX:
            yield from _below(child, depth + 1)


def blip_kinds(root: Record) -> list[int]:
    """The kinds of the picture store's entries, in order."""
    return [record.data[0] for record in walk(root) if record.kind == BLIP_ENTRY and len(record.data)]


def is_drawn(record: Record) -> bool:
    """Tell whether the record is a shape of its own: no group, no page, not deleted, no background."""
    if record.kind != SHAPE_PROPERTIES or len(record.data) < SHAPE_BYTES:
        return False
    return not struct.unpack_from("<I", record.data, 4)[0] & NOT_A_SHAPE


def shape_pictures(options: Record, kinds: list[int]) -> Iterator[tuple[int, bool]]:
    """The pictures that a shape's options refer to: number in the store, and whether it is a vector picture."""
    for index in range(min(options.instance, len(options.data) // 6)):
        code, value = struct.unpack_from("<HI", options.data, index * 6)
        if code & 0x3FFF in PICTURE_OPTIONS and code & 0x4000 and 0 < value <= len(kinds):
            yield value, kinds[value - 1] in VECTOR_BLIPS
