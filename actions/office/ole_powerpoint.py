"""Reads binary PowerPoint presentations (97 to 2003) from their record tree: slides, notes, comments, pictures.

The live records are found through the user edits and their persist directories, because a saved file keeps
what was deleted. Master text is kept apart; looks and animation do not belong here.
Source: [MS-PPT] §2.1.2 (reading a file), §2.3 (records of the stream), §2.4 (document), §2.5 (slides), §2.9 (text);
§2.7.1 (anchors); [MS-ODRAW] §2.2.13 (shapes), §2.2.23 (blips).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from actions.errors import DamagedError, EncryptedError
from actions.office import blips
from actions.office.content import Comment, Gathering, OfficeContent
from actions.office.metafiles import is_apart
from actions.office.package import ASK
from actions.office.records import SHAPE_OPTIONS, Record, blip_kinds, children, is_drawn, record_at, shape_pictures, walk

DOCUMENT, DOCUMENT_ATOM = 1000, 1001
SLIDE_PERSIST, SLIDE_INFO, LIST_WITH_TEXT = 1011, 1017, 4080
TEXT_HEADER, TEXT_CHARS, TEXT_BYTES, OUTLINE_REFERENCE, TEXT_STRING = 3999, 4000, 4008, 3998, 4026
HEADERS_FOOTERS, COMMENT, USER_EDIT, PERSIST_DIRECTORY = 4057, 12000, 4085, 6002
OLE_EMBED, OLE_OBJECT, OBJECT_REFERENCE, PROGRAM = 4044, 4035, 3009, 2
AS_ICON = 4  # DVASPECT_ICON
SHAPE, TEXT_BOX, CLIENT_ANCHOR, CLIENT_DATA = 0xF004, 0xF00D, 0xF010, 0xF011
PLACEHOLDER = 3011
NOTES_FURNITURE = frozenset({5, 7, 8, 9, 10, 11})  # PlaceholderEnum: slide image, date, number, footer, header
ENCRYPTED_TOKEN = 0xF3D1C4DF
HIDDEN_SLIDE = 0x04
EDITS_MAX = 10_000


@dataclass(slots=True)
class _Deck:
    """What slides refer to."""

    gathering: Gathering
    blips: list[int] = field(default_factory=list)
    store: list[Record] = field(default_factory=list)
    pictures: bytes = b""
    apart: frozenset[int] = frozenset()  # objects whose picture is not compared
    size: tuple[int, int] = (0, 0)


def read(stream: bytes, current_user: bytes, name: str, pictures: bytes = b"") -> OfficeContent:
    """Read a presentation from its main stream, the stream that names its last edit, and that of its *pictures*.

    Raises:
        DamagedError: No document record can be reached.
        EncryptedError: It needs a password.
    """
    if len(current_user) >= 20 and struct.unpack_from("<I", current_user, 12)[0] == ENCRYPTED_TOKEN:
        raise EncryptedError("it needs a password", name, "Ask the producer for a copy without a password.")
    offsets, document_id = _persist(stream, current_user)
    document = record_at(stream, offsets.get(document_id, -1))
    if document is None or document.kind != DOCUMENT:
        raise DamagedError("its document record cannot be found", name, ASK)
    deck = _Deck(Gathering("presentation", "bevara powerpoint binary reader", slides=0))
    deck.blips, deck.store, deck.pictures = blip_kinds(document), blips.store(document), pictures
    objects = [record for record in walk(document) if record.kind == OLE_EMBED]
    deck.gathering.embedded = len(objects)
    deck.apart = frozenset(number for record in objects for number in _apart(record))
    for child in children(document.data):
        if child.kind == DOCUMENT_ATOM and len(child.data) >= 8:
            deck.size = struct.unpack_from("<2i", child.data)
        elif child.kind == LIST_WITH_TEXT and child.instance in {0, 1, 2}:
            _list(child, stream, offsets, deck)
        elif child.kind == HEADERS_FOOTERS:
            deck.gathering.headers.extend(_string(record) + "\n" for record in children(child.data) if record.kind == TEXT_STRING)
    return deck.gathering.content()


def edits(stream: bytes | bytearray, current_user: bytes) -> Iterator[int]:
    """Where the user edits' records begin, from the last to the first."""
    at = struct.unpack_from("<I", current_user, 16)[0] if len(current_user) >= 20 else 0
    seen: set[int] = set()
    while at and at not in seen and len(seen) < EDITS_MAX:
        seen.add(at)
        yield at
        edit = record_at(stream, at)
        if edit is None or edit.kind != USER_EDIT or len(edit.data) < 20:
            return
        at = struct.unpack_from("<I", edit.data, 8)[0]


def _persist(stream: bytes, current_user: bytes) -> tuple[dict[int, int], int]:
    """Object id → offset of its newest record, and the document's id."""
    offsets: dict[int, int] = {}
    document_id = 0
    for at in edits(stream, current_user):
        edit = record_at(stream, at)
        if edit is None or edit.kind != USER_EDIT or len(edit.data) < 20:
            break
        place, identifier = struct.unpack_from("<2I", edit.data, 12)
        document_id = document_id or identifier
        table = record_at(stream, place)
        if table is not None and table.kind == PERSIST_DIRECTORY:
            for key, offset in directory(table.data):
                offsets.setdefault(key, offset)
    return offsets, document_id


def directory(data: memoryview) -> Iterator[tuple[int, int]]:
    """Object ids and offsets. Runs of consecutive ids: 20 bits first id, 12 bits count, then the offsets."""
    at = 0
    while at + 4 <= len(data):
        head = struct.unpack_from("<I", data, at)[0]
        first, count = head & 0xFFFFF, head >> 20
        at += 4
        for index in range(min(count, (len(data) - at) // 4)):
            yield first + index, struct.unpack_from("<I", data, at + 4 * index)[0]
        at += 4 * count


def _list(container: Record, stream: bytes, offsets: dict[int, int], deck: _Deck) -> None:
    """One of the three lists: slides (0), masters (1), notes (2); each entry is followed by its outline text."""
    texts: list[str] = []
    slide: Record | None = None
    for record in (*children(container.data), None):
        if record is None or record.kind == SLIDE_PERSIST:
            if slide is not None:
                _sheet(slide, container.instance, texts, deck)
            texts, slide = [], None
            if record is not None and len(record.data) >= 4:
                slide = record_at(stream, offsets.get(struct.unpack_from("<I", record.data)[0], -1))
                if slide is None:
                    deck.gathering.damage = "a slide's record cannot be found"
        elif record.kind == TEXT_HEADER:
            texts.append("")
        elif record.kind in {TEXT_CHARS, TEXT_BYTES} and texts:
            texts[-1] += _string(record)


def _sheet(sheet: Record, which: int, outline: list[str], deck: _Deck) -> None:
    gathering = deck.gathering
    lines: list[str] = []
    for record in walk(sheet):
        if record.kind == SHAPE:
            _shape(record, which, outline, lines, deck)
        elif record.kind == COMMENT:
            strings = {one.instance: _string(one) for one in children(record.data) if one.kind == TEXT_STRING}
            gathering.comments.append(Comment(strings.get(0, ""), strings.get(1, "")))
        elif record.kind == SLIDE_INFO and which == 0 and len(record.data) >= 12:
            gathering.hidden_slides += bool(record.data[10] & HIDDEN_SLIDE)
        elif record.kind == HEADERS_FOOTERS and which == 0:
            gathering.headers.extend(_string(one) + "\n" for one in children(record.data) if one.kind == TEXT_STRING)
    if which == 0:
        gathering.slides = (gathering.slides or 0) + 1
        gathering.body.extend([*lines, "\n"])
    elif which == 1:
        gathering.headers.extend(lines)
    else:
        gathering.notes.append("".join(lines).strip())


def _shape(shape: Record, which: int, outline: list[str], lines: list[str], deck: _Deck) -> None:
    """A shape's text and picture; a master's placeholder is a pattern, and a note has its page's furniture beside it."""
    parts = list(children(shape.data))
    placeholder = next((one.data[4] for part in parts if part.kind == CLIENT_DATA for one in children(part.data)
                        if one.kind == PLACEHOLDER and len(one.data) >= 5), 0)  # fmt: skip
    if (which == 1 and placeholder) or (which == 2 and placeholder in NOTES_FURNITURE):
        return
    if which == 0 and _is_beyond(parts, deck.size):
        deck.gathering.beyond.extend(_box(part, outline) + "\n" for part in parts if part.kind == TEXT_BOX)
        return
    for part in parts:
        deck.gathering.shapes += which == 0 and not placeholder and is_drawn(part)
        if part.kind == TEXT_BOX:
            lines.append(_box(part, outline) + "\n")
        elif part.kind == SHAPE_OPTIONS and which == 0:
            for number, is_vector in shape_pictures(part, deck.blips):
                (deck.gathering.vectors if is_vector else deck.gathering.pictures).add(str(number))
                if is_vector and not _is_apart(parts, deck):
                    blips.note_entry(deck.gathering, str(number), deck.store[number - 1], deck.pictures)


def _apart(embedded: Record) -> Iterator[int]:
    """The number of an embedded object, where its picture is not compared."""
    inside = list(children(embedded.data))
    program = next((_string(one) for one in inside if one.kind == TEXT_STRING and one.instance == PROGRAM), "")
    for atom in (one for one in inside if one.kind == OLE_OBJECT and len(one.data) >= 12):
        aspect, _, number = struct.unpack_from("<3I", atom.data)
        if is_apart(program, as_icon=aspect == AS_ICON):
            yield number


def _is_apart(parts: list[Record], deck: _Deck) -> bool:
    inside = [one for part in parts if part.kind == CLIENT_DATA for one in children(part.data) if one.kind == OBJECT_REFERENCE]
    return any(len(one.data) >= 4 and struct.unpack_from("<I", one.data)[0] in deck.apart for one in inside)


def _is_beyond(parts: list[Record], size: tuple[int, int]) -> bool:
    """Whether a shape's own anchor (top, left, right, bottom) puts it wholly beyond the slide's edge."""
    form = {8: "<4h", 16: "<4i"}
    for anchor in (part.data for part in parts if part.kind == CLIENT_ANCHOR and len(part.data) in form):
        top, left, right, bottom = struct.unpack(form[len(anchor)], anchor)
        return min(size) > 0 and (right <= 0 or bottom <= 0 or left >= size[0] or top >= size[1])
    return False


def _box(box: Record, outline: list[str]) -> str:
    text = ""
    for record in children(box.data):
        if record.kind in {TEXT_CHARS, TEXT_BYTES}:
            text += _string(record)
        elif record.kind == OUTLINE_REFERENCE and len(record.data) >= 4:
            index = struct.unpack_from("<I", record.data)[0]
            text += outline[index] if index < len(outline) else ""
    return text


def _string(record: Record) -> str:
    """Text of an atom: UTF-16, or its low bytes; paragraph marks become line ends."""
    data = bytes(record.data)
    text = data.decode("latin-1") if record.kind == TEXT_BYTES else data[: len(data) & ~1].decode("utf-16-le", "replace")
    return text.replace("\r", "\n").replace("\x0b", "\n").replace("\x00", "")
