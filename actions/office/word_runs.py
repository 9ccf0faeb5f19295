"""The character runs of a binary Word document that mean more than looks: hidden, deleted, inserted, pictures.

Source: [MS-DOC] §2.8.5 (PlcBteChpx), §2.9.43 (ChpxFkp), §2.6.1 (character properties), §2.9.192 (PICFAndOfficeArtData),
§2.2.5 (sprm operand sizes); Word 6: the one-byte sprms of its own specification ("Microsoft Word 6.0 Binary File Format").
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

PAGE_BYTES = 512
RUNS_MAX = 500_000
BLIP_SCAN_BYTES = 65_536  # a picture's head: shape options, then the blip's record
MFP_METAFILE = 8
MFP_SHAPE = 0x64
MFP_SHAPE_FILE = 0x66
BLIP_EMF, BLIP_WMF, BLIP_PICT = 0xF01A, 0xF01B, 0xF01C
BLIPS_RASTER = frozenset({0xF01D, 0xF01E, 0xF01F, 0xF029, 0xF02A})
ON = frozenset({1, 0x81})  # 0x81: the opposite of the style, whose own value is off in practice
OPERANDS = (1, 1, 2, 4, 2, 2, -1, 3)  # bytes by spra; -1: the first byte tells

DELETED, INSERTED, HIDDEN, PICTURE, IS_DATA, IS_OBJECT, IS_SPECIAL = 0x0800, 0x0801, 0x083C, 0x6A03, 0x0806, 0x080A, 0x0855


@dataclass(frozen=True, slots=True)
class Run:
    """One run; ``start`` and ``end`` are bytes in the WordDocument stream. ``picture``: "", "raster" or "vector"."""

    start: int
    end: int
    hidden: bool
    deleted: bool
    inserted: bool
    picture: str
    picture_id: str
    embedded: bool

    @property
    def says_something(self) -> bool:
        """Whether the run has any of the properties at all."""
        return self.hidden or self.deleted or self.inserted or bool(self.picture) or self.embedded


def read_runs(stream: bytes, table: bytes, data: bytes, where: tuple[int, int], *, is_97: bool) -> list[Run]:
    """Read the runs with any of our properties, in the stream's order. Broken pages are passed over."""
    if not is_97:
        return []  # Word 6 numbers its properties differently; its pictures and hidden text stay unread
    start, length = where
    plc = table[start : start + max(length, 0)]
    count = max(0, (len(plc) - 4) // 8)
    pages = struct.unpack_from(f"<{count}I", plc, 4 * (count + 1)) if count else ()
    found: list[Run] = []
    for page in pages:
        at = (page & 0x3FFFFF) * PAGE_BYTES
        found += _page_runs(stream[at : at + PAGE_BYTES], data)
        if len(found) > RUNS_MAX:
            break
    return sorted(found, key=lambda run: run.start)


def _page_runs(page: bytes, data: bytes) -> Iterator[Run]:
    if len(page) < PAGE_BYTES:
        return
    count = min(page[-1], 0x65)
    limits = struct.unpack_from(f"<{count + 1}I", page)
    for index in range(count):
        at = page[4 * (count + 1) + index] * 2
        if at and at < PAGE_BYTES:
            run = _run(limits[index], limits[index + 1], page[at + 1 : at + 1 + page[at]], data)
            if run.says_something and run.start < run.end:
                yield run


def _run(start: int, end: int, properties: bytes, data: bytes) -> Run:
    values = dict(_sprms(properties))
    at = values.get(PICTURE)
    picture = "" if at is None or values.get(IS_DATA) or values.get(IS_OBJECT) else _picture_kind(data, at)
    return Run(
        start,
        end,
        values.get(HIDDEN) in ON,
        values.get(DELETED) in ON,
        values.get(INSERTED) in ON,
        picture,
        f"{at}",
        values.get(IS_OBJECT) == 1,
    )


def _sprms(properties: bytes) -> Iterator[tuple[int, int]]:
    """Each property modifier and its operand as a number."""
    at = 0
    while at + 2 < len(properties):
        code = struct.unpack_from("<H", properties, at)[0]
        size = OPERANDS[code >> 13]
        at += 2
        if size < 0:
            at += 1 + properties[at]
            continue
        yield code, int.from_bytes(properties[at : at + size], "little")
        at += size


def _picture_kind(data: bytes, at: int) -> str:
    """What a picture's data is: old metafiles tell in their header, later ones by their blip's record type."""
    if at + 16 > len(data):
        return ""
    size, header, kind = struct.unpack_from("<IHH", data, at)
    if kind not in {MFP_SHAPE, MFP_SHAPE_FILE}:
        return "vector" if kind == MFP_METAFILE else ""
    body = data[at + header : at + min(size, BLIP_SCAN_BYTES)]
    if kind == MFP_SHAPE_FILE and body:
        body = body[1 + body[0] :]  # the file's name comes first
    return _blip_kind(body)


def _blip_kind(records: bytes) -> str:
    """Find the blip behind the shape: a file block entry (F007) holds it."""
    at = 0
    while at + 8 <= len(records):
        kind, length = struct.unpack_from("<HI", records, at + 2)
        if kind == 0xF007 and at + 8 + 36 + 8 <= len(records):
            name_bytes = records[at + 8 + 33]
            kind = struct.unpack_from("<H", records, at + 8 + 36 + name_bytes + 2)[0] if at + 52 + name_bytes <= len(records) else 0
        if kind in BLIPS_RASTER:
            return "raster"
        if kind in {BLIP_EMF, BLIP_WMF, BLIP_PICT}:
            return "vector"
        at += 8 + length
    return ""
