"""Reads the text records of a Windows metafile, with or without the placeable header.

Source: [MS-WMF] §2.3.2 (records), §2.3.3.5 (META_EXTTEXTOUT), §2.3.3.20 (META_TEXTOUT), §2.2.1.2 (Font), §3.1.4.1 (objects).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from actions.office.metafile import RECORDS_MAX, Box, Font, Lettering, Metafile, font

PLACEABLE, PLACEABLE_BYTES = b"\xd7\xcd\xc6\x9a", 22
TEXT_OUT, EXT_TEXT_OUT, TEXT_ALIGN, NEW_FONT, SELECT, DELETE = 0x0521, 0x0A32, 0x012E, 0x02FB, 0x012D, 0x01F0
NEW_OTHERS = frozenset({0x02FA, 0x02FC, 0x00F7, 0x01F9, 0x0142, 0x06FF})  # pen, brush, palette, patterns, region
OBJECTS_MAX = 65_536
WITH_RECTANGLE, CLIPPED, GLYPHS = 0x6, 0x4, 0x10  # ETO_…
AT_PEN, RIGHT, CENTRE = 1, 2, 6  # TA_…
SAVE, RESTORE, CLIP_TO = 0x001E, 0x0127, 0x0416
DEVICE = frozenset({SAVE, RESTORE, CLIP_TO, 0x0103, 0x020B, 0x020C, 0x020D, 0x020E, 0x020F, 0x0211, 0x0410, 0x0412, 0x012C})
SAVED_MAX = 1000


@dataclass(slots=True)
class _Player:
    out: Lettering = field(default_factory=Lettering)
    objects: list[Font | bool | None] = field(default_factory=list)  # False: free, None: no font
    font: Font = field(default_factory=Font)
    align: int = 0
    clip: Box | None = None
    saved: list[tuple[Font, int, Box | None]] = field(default_factory=list)

    def keep(self, made: Font | None) -> None:
        """A new object takes the first free number."""
        if False in self.objects:
            self.objects[self.objects.index(False)] = made
        elif len(self.objects) < OBJECTS_MAX:
            self.objects.append(made)


def is_wmf(data: bytes) -> bool:
    """Tell a Windows metafile by its header."""
    start = PLACEABLE_BYTES if data.startswith(PLACEABLE) else 0
    return data[start : start + 4] in {b"\1\0\x09\0", b"\2\0\x09\0"} and data[start + 4 : start + 6] in {b"\0\3", b"\0\1"}


def read(data: bytes) -> Metafile:
    """The words of the Windows metafile *data*; what lies behind a broken record is not read, and counted as one."""
    player = _Player()
    for kind, record in _records(data):
        try:
            _take(kind, record, player)
        except (struct.error, IndexError):
            player.out.unread += 1
    return player.out.done()


def _records(data: bytes) -> Iterator[tuple[int, memoryview]]:
    """Each record's parameters; the last record has the number 0."""
    view, at = memoryview(data), 18 + (PLACEABLE_BYTES if data.startswith(PLACEABLE) else 0)
    for _ in range(RECORDS_MAX):
        if at + 6 > len(data):
            return  # many programs leave the last record out
        words, kind = struct.unpack_from("<IH", data, at)
        if kind == 0:
            return
        if words < 3 or at + 2 * words > len(data):
            break
        yield kind, view[at + 6 : at + 2 * words]
        at += 2 * words
    yield TEXT_OUT, view[:0]


def _take(kind: int, data: memoryview, player: _Player) -> None:
    if kind == NEW_FONT:
        player.keep(font(struct.unpack_from("<h", data)[0], struct.unpack_from("<h", data, 4)[0], data[13]))
    elif kind in NEW_OTHERS:
        player.keep(None)
    elif kind in {SELECT, DELETE}:
        number = struct.unpack_from("<H", data)[0]
        known = player.objects[number] if number < len(player.objects) else None
        if kind == DELETE and number < len(player.objects):
            player.objects[number] = False
        elif isinstance(known, Font):
            player.font = known
    elif kind == TEXT_ALIGN:
        player.align = data[0]
    elif kind in DEVICE:
        _device(kind, data, player)
    else:
        _text(kind, data, player)


def _text(kind: int, data: memoryview, player: _Player) -> None:
    if kind == TEXT_OUT:
        count = struct.unpack_from("<H", data)[0]
        y, x = struct.unpack_from("<2h", data, 2 + count + count % 2)
        _put(bytes(data[2 : 2 + count]), (x, y), player)
    elif kind == EXT_TEXT_OUT:
        y, x, count, options = struct.unpack_from("<2h2H", data)
        start = 16 if options & WITH_RECTANGLE else 8
        if count and (options & GLYPHS or start + count > len(data)):
            player.out.unread += 1
        else:
            box = Box.of(*struct.unpack_from("<4h", data, 8)).within(player.clip) if options & CLIPPED else player.clip
            _put(bytes(data[start : start + count]), (x, y), player, data[start + count + count % 2 :], box)


def _device(kind: int, data: memoryview, player: _Player) -> None:
    """What holds for the records that follow: kept and taken back, cut off, or moved so that the cut is not known."""
    if kind == SAVE and len(player.saved) < SAVED_MAX:
        player.saved.append((player.font, player.align, player.clip))
    elif kind == RESTORE:
        steps = -struct.unpack_from("<h", data)[0]
        if 0 < steps <= len(player.saved):
            player.font, player.align, player.clip = player.saved[-steps]
            del player.saved[-steps:]
    elif kind == CLIP_TO:
        bottom, right, top, left = struct.unpack_from("<4h", data)
        player.clip = Box.of(left, top, right, bottom).within(player.clip)
    else:
        player.clip = None


def _put(letters: bytes, at: tuple[int, int], player: _Player, steps: memoryview | bytes = b"", box: Box | None = None) -> None:
    text = letters.decode(player.font.codec, "replace")
    if player.align & AT_PEN:
        player.out.put(text, None, player.font)
        return
    count = len(steps) // 2
    known = struct.unpack_from(f"<{len(text)}h", steps) if count >= len(text) == len(letters) else ()
    shift = {RIGHT: sum(known), CENTRE: sum(known) // 2}.get(player.align & CENTRE, 0)
    player.out.put_within(text, (at[0] - shift, at[1]), player.font, known, box)
