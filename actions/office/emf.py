"""Reads the text records of an enhanced metafile, and those of the EMF+ records in its comments.

An EMF+ file may carry its drawing twice ("dual"): one of the two is shown, so the fuller one is taken. Where the
drawing lies in EMF+ alone, the plain records count only where EMF+ hands over to them.
Source: [MS-EMF] §2.2.5 (EmrText), §2.3.5.7, §2.3.5.8, §2.3.5.32, §2.3.5.33, §2.3.5.37 (text), §2.3.3 (comments),
§2.3.7.8 (fonts), §2.3.8; [MS-EMFPLUS] §2.3.3.3 (header), §2.3.4.6, §2.3.4.14 (strings), §2.3.3.2 (GetDC).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from actions.office.metafile import RECORDS_MAX, Box, Font, Lettering, Metafile, font

SIGNATURE, SIGNATURE_AT = b" EMF", 40
END, TEXT_ALIGN, SELECT, COMMENT, DELETE, NEW_FONT = 14, 22, 37, 70, 40, 82
EXT_TEXT_A, EXT_TEXT_W, POLY_TEXT_A, POLY_TEXT_W, SMALL_TEXT = 83, 84, 96, 97, 108
CLIPPED, GLYPHS, NO_RECT, SMALL_CHARS = 0x4, 0x10, 0x100, 0x200  # ETO_…
RIGHT, CENTRE = 2, 6  # TA_…
AT_PEN = 1  # TA_UPDATECP: where the last string ended, not where the record says
SAVE, RESTORE, CLIP_TO = 33, 34, 30
DEVICE = frozenset({SAVE, RESTORE, CLIP_TO, 9, 10, 11, 12, 17, 31, 32, 35, 36, 75})  # the rest: mapping, transform, region
SAVED_MAX = 1000
STRINGS_MAX = 10_000  # of one record
PLUS, PLUS_HEADER, GET_DC, DRAW_STRING, DRIVER_STRING = b"EMF+", 0x4001, 0x4004, 0x401C, 0x4036
BY_CHARACTER = 1  # DriverStringOptionsCmapLookup; else the numbers are glyphs


def is_emf(data: bytes) -> bool:
    """Tell an enhanced metafile by its header."""
    return data[:4] == b"\1\0\0\0" and data[SIGNATURE_AT : SIGNATURE_AT + 4] == SIGNATURE


@dataclass(slots=True)
class _Player:
    """What the records so far have set."""

    plain: Lettering = field(default_factory=Lettering)
    plus: Lettering = field(default_factory=Lettering)
    fonts: dict[int, Font] = field(default_factory=dict)
    font: Font = field(default_factory=Font)
    align: int = 0
    clip: Box | None = None  # None: no limit, or none that we know
    saved: list[tuple[Font, int, Box | None]] = field(default_factory=list)
    is_dual: bool = False
    is_silent: bool = False  # the drawing lies in EMF+: plain records are for programs that do not know it


def read(data: bytes) -> Metafile:
    """The words of the enhanced metafile *data*; what lies behind a broken record is not read, and counted as one."""
    player = _Player()
    for kind, record in _records(data):
        if kind == 0:
            player.plain.unread += 1
        elif kind == COMMENT:
            _comment(record, player)
        else:
            _take(kind, record, player)
    if player.is_dual:
        return max(player.plain.done(), player.plus.done(), key=lambda one: (len(one.text), -one.unread))
    plain, plus = player.plain.done(), player.plus.done()
    text = "\n".join(part for part in (plain.text, plus.text) if part)
    return Metafile(text, plain.unread + plus.unread, plain.cut + plus.cut)


def _records(data: bytes) -> Iterator[tuple[int, memoryview]]:
    """Each record whole, its head included; 0 where the chain breaks before its end."""
    view, at = memoryview(data), 0
    for _ in range(RECORDS_MAX):
        if at + 8 > len(data):
            break
        kind, size = struct.unpack_from("<II", data, at)
        if size < 8 or at + size > len(data):
            break
        yield kind, view[at : at + size]
        if kind == END:
            return
        at += size
    yield 0, view[:0]


def _take(kind: int, record: memoryview, player: _Player) -> None:
    """One plain record; one that is shorter than it should be says nothing that can be read."""
    try:
        if kind == NEW_FONT:
            handle, height, _, turn = struct.unpack_from("<I3i", record, 8)
            player.fonts[handle] = font(height, turn, record[35])
        elif kind == SELECT:
            player.font = player.fonts.get(struct.unpack_from("<I", record, 8)[0], player.font)
        elif kind == TEXT_ALIGN:
            player.align = struct.unpack_from("<I", record, 8)[0]
        elif kind in DEVICE:
            _device(kind, record, player)
        elif not player.is_silent:
            _text(kind, record, player)
    except (struct.error, IndexError):
        player.plain.unread += 1


def _text(kind: int, record: memoryview, player: _Player) -> None:
    if kind in {EXT_TEXT_A, EXT_TEXT_W}:
        _string(record, 36, player, wide=kind == EXT_TEXT_W)
    elif kind in {POLY_TEXT_A, POLY_TEXT_W}:
        for index in range(min(struct.unpack_from("<I", record, 36)[0], STRINGS_MAX)):
            _string(record, 40 + 40 * index, player, wide=kind == POLY_TEXT_W)
    elif kind == SMALL_TEXT:
        _small(record, player)


def _device(kind: int, record: memoryview, player: _Player) -> None:
    """What holds for the records that follow: kept and taken back, cut off, or moved so that the cut is not known."""
    if kind == SAVE and len(player.saved) < SAVED_MAX:
        player.saved.append((player.font, player.align, player.clip))
    elif kind == RESTORE:
        steps = -struct.unpack_from("<i", record, 8)[0]
        if 0 < steps <= len(player.saved):
            player.font, player.align, player.clip = player.saved[-steps]
            del player.saved[-steps:]
    elif kind == CLIP_TO:
        player.clip = Box.of(*struct.unpack_from("<4i", record, 8)).within(player.clip)
    else:
        player.clip = None


def _string(record: memoryview, at: int, player: _Player, *, wide: bool) -> None:
    x, y, count, start, options, *corners, steps_at = struct.unpack_from("<iiIII4iI", record, at)
    box = Box.of(*corners).within(player.clip) if options & CLIPPED else player.clip
    is_known = steps_at and not player.align & AT_PEN and steps_at + 4 * count <= len(record)
    steps = struct.unpack_from(f"<{count}I", record, steps_at) if is_known else ()
    x -= {RIGHT: sum(steps), CENTRE: sum(steps) // 2}.get(player.align & CENTRE, 0)
    _put(record[start:], count, options, (x, y), player, wide=wide, steps=steps, box=box)


def _small(record: memoryview, player: _Player) -> None:
    x, y, count, options = struct.unpack_from("<iiII", record, 8)
    start = 36 if options & NO_RECT else 52
    _put(record[start:], count, options, (x, y), player, wide=not options & SMALL_CHARS)


def _put(
    data: memoryview,
    count: int,
    options: int,
    at: tuple[int, int],
    player: _Player,
    *,
    wide: bool,
    steps: tuple[int, ...] = (),
    box: Box | None = None,
) -> None:
    size = count * (2 if wide else 1)
    if not count:
        return
    if options & GLYPHS or size > len(data):
        player.plain.unread += 1
        return
    text = bytes(data[:size]).decode("utf-16-le" if wide else player.font.codec, "replace")
    if player.align & AT_PEN:
        player.plain.put(text, None, player.font)
    else:
        player.plain.put_within(text, at, player.font, steps, box)


def _comment(record: memoryview, player: _Player) -> None:
    """A comment's EMF+ records, one after another."""
    if bytes(record[12:16]) != PLUS:
        return
    body = record[16 : 12 + struct.unpack_from("<I", record, 8)[0]]
    at = 0
    while at + 12 <= len(body):
        kind, flags, size, length = struct.unpack_from("<HHII", body, at)
        if size < 12 or at + size > len(body):
            player.plus.unread += 1
            return
        try:
            _plus(kind, flags, body[at + 12 : at + 12 + length], player)
        except struct.error:
            player.plus.unread += 1
        at += size


def _plus(kind: int, flags: int, data: memoryview, player: _Player) -> None:
    if kind == PLUS_HEADER:
        player.is_dual = bool(flags & 1)
    player.is_silent = not player.is_dual and kind != GET_DC
    if kind == DRAW_STRING:
        count, x, y = struct.unpack_from("<Iff", data, 8)
        _plus_text(data[28:], count, (x, y), player)
    elif kind == DRIVER_STRING:
        options, _, count = struct.unpack_from("<III", data, 4)
        if options & BY_CHARACTER:
            _plus_text(data[16:], count, None, player)
        else:
            player.plus.unread += count > 0


def _plus_text(data: memoryview, count: int, at: tuple[float, float] | None, player: _Player) -> None:
    if 2 * count > len(data):
        player.plus.unread += 1
        return
    player.plus.put(bytes(data[: 2 * count]).decode("utf-16-le", "replace"), at, Font())
