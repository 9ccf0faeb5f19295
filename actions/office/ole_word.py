"""Reads binary Word documents, 6.0 to 2003, from their piece table: text, notes, headers, comments, fields.

Character runs tell what is hidden, deleted or a picture. Everything is an offset that a hostile file chose, so
every read is bounded by the stream it is in. Fonts, layout and list numbers do not belong here.
Source: [MS-DOC] §2.4.1 (text retrieval), §2.5 (Fib), §2.8.35 (PlcPcd), §2.6.1 (sprms), §2.9.43 (ChpxFkp).
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

from actions.errors import DamagedError, EncryptedError
from actions.office import blips
from actions.office.content import Comment, Gathering, OfficeContent, is_computed, kept
from actions.office.metafiles import is_apart
from actions.office.package import ASK
from actions.office.records import SHAPE_OPTIONS, blip_kinds, is_drawn, record_at, shape_pictures, walk
from actions.office.word_runs import Run, read_runs

WORD_97 = 0xC1  # nFib from here on has the long layout and Unicode pieces
ENCRYPTED = 0x0100
COMPLEX = 0x0004
TABLE_1 = 0x0200
PIECES_MAX = 2_000_000
COMPRESSED = 0x40000000
SHAPES = 0x22A  # where the directory names the drawings
GROUP, BODY_DRAWING = 0xF000, 0

# What a character stands for; the rest below 0x20 is not text ([MS-DOC] §2.4.2, §2.9: special characters).
_PLAIN = {7: "\n", 9: "\t", 11: "\n", 12: "\n", 13: "\n", 14: "\n", 30: "-", 31: "\u00ad", 0xA0: " "}
_CONTROL = {code: _PLAIN.get(code, "") for code in range(32)}
_PICTURE = "\x01"
ICON = "\0"  # behind the instruction of a field whose object is shown as an icon
_FIELD = re.compile("[\x13\x14\x15]")


@dataclass(frozen=True, slots=True)
class Fib:
    """The file's directory, as far as text needs it. ``counts``: characters of each part, in storage order."""

    version: int
    flags: int
    counts: dict[str, int]
    clx: tuple[int, int]
    runs: tuple[int, int]
    shapes: tuple[int, int]
    text_start: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Characters that lie together in the stream: ``start`` in characters, ``offset`` in bytes."""

    start: int
    length: int
    offset: int
    width: int


def read_fib(stream: bytes, name: str) -> Fib:
    """Read the directory at the start of the WordDocument stream.

    Raises:
        DamagedError: Too short.
    """
    if len(stream) < 0x180:
        raise DamagedError("its WordDocument stream is too short", name, ASK)
    version, flags = struct.unpack_from("<H", stream, 2)[0], struct.unpack_from("<H", stream, 10)[0]
    text_start = struct.unpack_from("<I", stream, 0x18)[0]
    is_97 = version >= WORD_97
    parts = ("body", "footnotes", "headers", "macros", "comments", "endnotes", "boxes", "header_boxes")
    counts = struct.unpack_from("<8i", stream, 0x4C if is_97 else 0x34)
    clx, runs = (0x1A2, 0xFA) if is_97 else (0x160, 0xB8)
    if len(stream) < clx + 8:
        raise DamagedError("its WordDocument stream is too short", name, ASK)
    where = {part: max(0, count) for part, count in zip(parts, counts, strict=True)}
    places = {"clx": clx, "runs": runs, "shapes": SHAPES if is_97 and len(stream) >= SHAPES + 8 else 0}
    spans = {key: struct.unpack_from("<Ii", stream, at) if at else (0, 0) for key, at in places.items()}
    return Fib(version, flags, where, **spans, text_start=text_start)


def read(stream: bytes, tables: dict[str, bytes], name: str, icons: frozenset[int] = frozenset()) -> OfficeContent:
    """Read a document.

    Args:
        stream: The WordDocument stream.
        tables: "0Table", "1Table" and "Data" where they exist.
        icons: Numbers of the embedded objects that are shown as an icon.

    Raises:
        DamagedError: Piece table or text are not where they should be.
        EncryptedError: It needs a password.
    """
    fib = read_fib(stream, name)
    if fib.flags & ENCRYPTED:
        raise EncryptedError("it needs a password", name, "Ask the producer for a copy without a password.")
    table = tables.get("1Table" if fib.flags & TABLE_1 else "0Table", b"") if fib.version >= WORD_97 else stream
    pieces = _pieces(fib, table, name)
    if sum(piece.length * piece.width for piece in pieces) > 2 * len(stream):
        raise DamagedError("its piece table claims more text than the file holds", name, ASK)
    runs = read_runs(stream, table, tables.get("Data", b""), fib.runs, is_97=fib.version >= WORD_97)
    gathering = Gathering("text", "bevara word binary reader")
    _shapes(gathering, table[fib.shapes[0] : fib.shapes[0] + max(fib.shapes[1], 0)], stream)
    start = 0
    for part, count in fib.counts.items():
        _part(gathering, part, _marked(stream, pieces, runs, start, start + count), frozenset(map(str, icons)))
        start += count
    gathering.deletions = sum(1 for run in runs if run.deleted)
    gathering.insertions = sum(1 for run in runs if run.inserted)
    for place in sorted(gathering.vectors):
        if place.isdecimal():
            blips.note_inline(gathering, place, tables.get("Data", b""), int(place))
    if sum(piece.length for piece in pieces) < fib.counts["body"]:
        gathering.damage = "its text is shorter than its directory says"
    return gathering.content()


def _shapes(gathering: Gathering, drawings: bytes, stream: bytes) -> None:
    """Count the pictures of floating shapes: the picture store first, then the body's drawing, then the headers'."""
    store = record_at(drawings, 0)
    if store is None or store.kind != GROUP:
        return
    kinds, entries = blip_kinds(store), blips.store(store)
    at = 8 + len(store.data)
    while (drawing := record_at(drawings, at + 1)) is not None:
        for record in walk(drawing) if drawings[at] == BODY_DRAWING else ():
            gathering.shapes += is_drawn(record)
            for number, is_vector in shape_pictures(record, kinds) if record.kind == SHAPE_OPTIONS else ():
                (gathering.vectors if is_vector else gathering.pictures).add(f"shape {number}")
                if is_vector:
                    blips.note_entry(gathering, f"shape {number}", entries[number - 1], stream)
        at += 9 + len(drawing.data)


def _pieces(fib: Fib, table: bytes, name: str) -> list[Piece]:
    """The piece table; a plain Word 6 file has none, and its text lies in one run."""
    start, length = fib.clx
    if fib.version < WORD_97 and (not fib.flags & COMPLEX or length <= 0):
        return [Piece(0, sum(fib.counts.values()), fib.text_start, 1)]
    clx = table[start : start + max(length, 0)]
    position = 0
    while position + 3 <= len(clx) and clx[position] == 1:  # property modifiers come first
        position += 3 + struct.unpack_from("<H", clx, position + 1)[0]
    if position + 5 > len(clx) or clx[position] != 2:
        raise DamagedError("its piece table is missing", name, ASK)
    size = min(struct.unpack_from("<I", clx, position + 1)[0], len(clx) - position - 5)
    count = (size - 4) // 12
    if not 0 < count <= PIECES_MAX:
        raise DamagedError("its piece table is empty", name, ASK)
    starts = struct.unpack_from(f"<{count + 1}I", clx, position + 5)
    return list(_piece_list(starts, clx[position + 5 + 4 * (count + 1) :], is_97=fib.version >= WORD_97))


def _piece_list(starts: tuple[int, ...], descriptors: bytes, *, is_97: bool) -> list[Piece]:
    pieces = []
    for index, (start, end) in enumerate(pairwise(starts)):
        where = struct.unpack_from("<I", descriptors, index * 8 + 2)[0]
        is_narrow = not is_97 or bool(where & COMPRESSED)
        offset = (where & ~COMPRESSED) // 2 if is_97 and is_narrow else where
        pieces.append(Piece(start, max(0, end - start), offset, 1 if is_narrow else 2))
    return pieces


def _marked(stream: bytes, pieces: list[Piece], runs: list[Run], first: int, last: int) -> list[tuple[str, Run | None]]:
    """Characters *first* to *last* as strings with the run that formats them."""
    found: list[tuple[str, Run | None]] = []
    for piece in pieces:
        low, high = max(first, piece.start), min(last, piece.start + piece.length)
        if low < high:
            begin = piece.offset + (low - piece.start) * piece.width
            found += _split(stream, begin, begin + (high - low) * piece.width, piece.width, runs)
    return found


def _split(stream: bytes, begin: int, end: int, width: int, runs: list[Run]) -> list[tuple[str, Run | None]]:
    """Cut one stretch of the stream where its special runs begin and end."""
    encoding = "cp1252" if width == 1 else "utf-16-le"
    found: list[tuple[str, Run | None]] = []
    for index in range(max(0, bisect_right(runs, begin, key=_run_start) - 1), len(runs)):
        run = runs[index]
        if run.start >= end:
            break
        low, high = max(begin, run.start), min(end, run.end)
        if low < high:
            found.append((stream[begin:low].decode(encoding, "replace"), None))
            found.append((stream[low:high].decode(encoding, "replace"), run))
            begin = high
    found.append((stream[begin:end].decode(encoding, "replace"), None))
    return found


def _run_start(run: Run) -> int:
    return run.start


def _part(gathering: Gathering, part: str, marked: list[tuple[str, Run | None]], icons: frozenset[str]) -> None:
    """Sort one part's text into streams, and follow its fields."""
    stream: list[str] = []
    fields: list[list[str] | str] = []
    in_body = part not in {"headers", "header_boxes"}
    for text, run in marked:
        for piece in re.split(f"({_FIELD.pattern})", text):
            if piece == "\x13":
                fields.append([])
            elif piece == "\x14":
                mark = ICON if run is not None and run.embedded and run.picture_id in icons else ""
                fields[-1:] = ["".join(fields[-1]) + mark] if fields else []
            elif piece == "\x15":
                del fields[-1:]
            elif fields and isinstance(fields[-1], list):
                fields[-1].append(piece)
            elif piece:
                _put(gathering, stream, piece, run, fields, in_body=in_body)
    if fields:
        gathering.damage = "a field is not closed: text after it may be taken for the field's"
    _store(gathering, part, stream)


def _put(
    gathering: Gathering, stream: list[str], text: str, run: Run | None, fields: list[list[str] | str], *, in_body: bool
) -> None:
    plain = text.translate(_CONTROL)
    if run is not None and run.deleted:
        gathering.strike(stream, plain)
        return
    if run is not None and run.picture and in_body and _PICTURE in text:
        name = f"apart {run.picture_id}" if any(isinstance(one, str) and _is_apart(one) for one in fields) else run.picture_id
        (gathering.pictures if run.picture == "raster" else gathering.vectors).add(name)
    if run is not None and run.embedded and _PICTURE in text:
        gathering.embedded += 1
    if run is not None and run.hidden:
        gathering.aside(gathering.hidden, plain)
    elif any(isinstance(one, str) and is_computed(one) for one in fields):
        gathering.field_result(stream, plain)
    else:
        gathering.part_asides()
        stream.append(plain)


def _is_apart(instruction: str) -> bool:
    """Whether a field shows an embedded object whose picture is not compared."""
    words = instruction.split()
    return words[:1] == ["EMBED"] and is_apart(words[1] if len(words) > 1 else "", as_icon=instruction.endswith(ICON))


def _store(gathering: Gathering, part: str, stream: list[str]) -> None:
    if part in {"headers", "header_boxes"}:
        gathering.headers.extend(stream)
    elif part == "comments":
        gathering.comments.extend(Comment("", line.strip()) for line in kept(stream).splitlines() if line.strip())
    elif part != "macros":
        gathering.body.extend([*stream, "\n"])
