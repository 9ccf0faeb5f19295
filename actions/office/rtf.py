r"""Reads RTF: a small tokenizer of our own, because a second voice must not share a parser with the first.

Bytes are decoded with the code page of the font that they are set in, or by \\u with its fallback skipped.
Styles, numbering (generated) and layout do not belong here.
Source: Rich Text Format Specification 1.9.1 (Microsoft, 2008), "RTF Syntax", "Unicode RTF", "Fields", "Pictures".
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from actions.errors import DamagedError, TooLargeError
from actions.office import rtf_words as words
from actions.office.content import Comment, Gathering, OfficeContent, is_computed, kept
from actions.office.metafiles import is_apart, note

SOURCE_BYTES = 400_000_000
GROUPS_DEEP = 10_000  # real files stay below 100; bounds memory on a file of nothing but braces

_TOKEN = re.compile(
    rb"\\(?P<word>[A-Za-z]{1,64})(?P<number>-?\d{1,10})? ?|\\'(?P<hex>[0-9A-Fa-f]{2})|\\(?P<symbol>[^A-Za-z])"
    rb"|(?P<brace>[{}])|(?P<end>[\r\n\x00]+)|(?P<text>[^\\{}\r\n\x00]+)|(?P<stray>\\)",
    re.DOTALL,
)


@dataclass(slots=True)
class _Group:
    """What a closing brace takes back."""

    destination: str = words.BODY
    codec: str = ""  # of the font; empty: the document's own
    is_symbol: bool = False
    fallback_chars: int = 1
    hidden: bool = False
    deleted: bool = False
    starred: bool = False
    instruction: list[str] | None = None  # of the field around, shared by its groups
    outer: str = words.BODY
    is_pair: bool = False  # of \\upr: the same text twice


@dataclass(slots=True)
class _Reader:
    gathering: Gathering
    codec: str = "cp1252"
    group: _Group = field(default_factory=_Group)
    stack: list[_Group] = field(default_factory=list)
    pending: bytearray = field(default_factory=bytearray)
    to_skip: int = 0
    fonts: dict[int, int] = field(default_factory=dict)
    font: int = 0
    default_font: int | None = None
    comment: list[str] = field(default_factory=list)
    author: list[str] = field(default_factory=list)
    shape_property: list[str] = field(default_factory=list)
    object_class: list[str] = field(default_factory=list)
    picture: str = ""
    picture_data: bytes = b""


def is_rtf(head: bytes) -> bool:
    """Tell RTF by its first bytes."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{\\rt")


def read(source: Path) -> OfficeContent:
    """Read an RTF file.

    Raises:
        DamagedError: Groups are nested beyond reason.
        TooLargeError: The file is beyond the bound.
    """
    if source.stat().st_size > SOURCE_BYTES:
        raise TooLargeError(f"it is larger than {SOURCE_BYTES} bytes", source.name, "Compare it by hand.")
    data = source.read_bytes()
    reader = _Reader(Gathering("text", "bevara rtf reader"))
    position = data.find(b"{")
    while (token := _TOKEN.match(data, position)) is not None:
        position = token.end()
        if token["word"] is not None and token["word"] == b"bin" and token["number"]:
            raw = data[position : position + max(0, int(token["number"]))]  # raw bytes, not RTF
            position += len(raw)
            if reader.group.destination == words.PICTURE:
                reader.picture_data += raw.hex().encode()
        else:
            _take(token, reader, source.name)
            if not reader.stack:
                break  # the document's own group is closed: what follows is not part of it
    _flush(reader)
    if reader.stack:
        reader.gathering.damage = "its last group is not closed"
    content = reader.gathering.content()
    return replace(
        content, text=_paired(content.text), marked=_paired(content.marked), headers_footers=_paired(content.headers_footers)
    )


def _paired(text: str) -> str:
    r"""Join surrogate halves: \\u gives characters beyond the basic plane in two."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _take(token: re.Match[bytes], reader: _Reader, name: str) -> None:
    kind = token.lastgroup
    if kind == "text":
        _bytes(token["text"], reader)
    elif kind == "hex":
        _bytes(bytes([int(token["hex"], 16)]), reader)
    elif kind == "brace":
        _flush(reader)
        reader.to_skip = 0
        _open(reader, name) if token["brace"] == b"{" else _close(reader)
    elif kind == "symbol":
        _flush(reader)
        if token["symbol"] == b"*":
            reader.group.starred = True
        else:
            _write(words.SYMBOLS.get(token["symbol"], ""), reader)
    elif kind in {"word", "number"}:
        _flush(reader)
        number = int(token["number"]) if token["number"] else None
        _word(token["word"].decode(), number, reader)


def _open(reader: _Reader, name: str) -> None:
    if len(reader.stack) >= GROUPS_DEEP:
        raise DamagedError(f"its groups are nested more than {GROUPS_DEEP} deep", name, "Ask for a readable copy.")
    reader.stack.append(reader.group)
    reader.group = replace(reader.group, starred=False, is_pair=False, outer=reader.group.destination)


def _close(reader: _Reader) -> None:
    ended = reader.group
    if reader.stack:
        reader.group = reader.stack.pop()
    inside = reader.group.destination
    if ended.destination == words.COMMENT and inside != words.COMMENT:
        author = "".join(reader.author).strip()
        reader.gathering.comments.append(Comment(author, _paired(kept(reader.comment)).strip()))
        reader.author, reader.comment = [], []
    elif ended.destination == words.PICTURE and inside != words.PICTURE:
        _keep_picture(reader, inside)


def _keep_picture(reader: _Reader, around: str) -> None:
    if reader.picture and around in {words.BODY, words.PROPERTY} and not reader.group.deleted:
        kind = reader.gathering.vectors if reader.picture in words.VECTORS else reader.gathering.pictures
        key = hashlib.sha256(reader.picture_data).hexdigest()
        kind.add(key)
        if reader.picture in words.VECTORS and not is_apart("".join(reader.object_class).strip()):
            note(reader.gathering, key, words.from_hex(reader.picture_data))
    reader.picture, reader.picture_data = "", b""


def _bytes(data: bytes, reader: _Reader) -> None:
    r"""Text in the font's code page; first the fallback of a \\u before it goes."""
    if reader.to_skip:
        skipped = min(reader.to_skip, len(data))
        reader.to_skip -= skipped
        data = data[skipped:]
    if reader.group.destination == words.PICTURE:
        reader.picture_data += data
    elif reader.group.destination not in {words.SKIP, words.PROPERTY}:
        reader.pending += data


def _flush(reader: _Reader) -> None:
    if reader.pending:
        data = bytes(reader.pending)
        reader.pending.clear()
        if not reader.group.is_symbol or reader.group.destination not in {words.BODY, words.HEADERS}:
            _write(data.decode(reader.group.codec or reader.codec, "replace"), reader)


def _write(text: str, reader: _Reader) -> None:
    """Put *text* into the stream that a page would show it in."""
    group, gathering = reader.group, reader.gathering
    streams = {
        words.COMMENT: reader.comment,
        words.AUTHOR: reader.author,
        words.PROPERTY_NAME: reader.shape_property,
        words.HEADERS: gathering.headers,
        words.BODY: gathering.body,
    }
    if group.destination == words.INSTRUCTION:
        if group.instruction is not None:
            group.instruction.append(text)
    elif group.destination == words.OBJECT_CLASS:
        reader.object_class.append(text)
    elif group.destination not in streams:
        return
    elif group.deleted:
        gathering.strike(streams[group.destination], text)
    elif group.hidden and text != "\n":
        gathering.aside(gathering.hidden, text)
    elif group.destination == words.BODY and group.instruction is not None and is_computed("".join(group.instruction)):
        gathering.field_result(streams[words.BODY], text)
    else:
        gathering.part_asides()
        streams[group.destination].append(text)


def _word(word: str, number: int | None, reader: _Reader) -> None:
    """One control word: a character, a destination, or a property of the group."""
    if word in words.CHARACTERS:
        _write(words.CHARACTERS[word], reader)
    elif word == "u" and number is not None:
        _write(chr(number % 0x10000), reader)
        reader.to_skip = reader.group.fallback_chars
    elif word in words.DESTINATIONS:
        _destination(word, reader)
    elif reader.group.starred:
        reader.group.destination = words.SKIP  # an unknown destination says so itself: skip it whole
        reader.group.starred = False
    elif word in words.RASTERS or word in words.VECTORS:
        reader.picture = word
    else:
        _property(word, number, reader)


def _destination(word: str, reader: _Reader) -> None:
    group = reader.group
    group.starred = False
    meaning = words.DESTINATIONS[word]
    if word == "ud" and reader.stack and reader.stack[-1].is_pair:
        group.destination = reader.stack[-1].outer  # the Unicode form of a pair stands where the pair stands
    elif group.destination == words.SKIP:
        return
    elif meaning == words.PROPERTY:
        is_picture = "".join(reader.shape_property) == words.PICTURE_PROPERTY
        group.destination = words.PROPERTY if is_picture and group.outer == words.BODY else words.SKIP
    elif meaning != words.OUTER:
        group.destination = words.HEADERS if meaning == words.BODY and group.outer == words.HEADERS else meaning
    group.is_pair = word == "upr"
    if word == "field":
        group.instruction = []
    elif word in {"shp", "do"}:
        reader.gathering.shapes += 1
    elif word == "object":
        reader.gathering.embedded += 1
        reader.object_class.clear()
    elif word == "sn":
        reader.shape_property.clear()
    elif word in {"footnote", "shptxt", "dptxbxtext"}:
        group.instruction = None
        group.hidden = False


def _property(word: str, number: int | None, reader: _Reader) -> None:
    group, is_on = reader.group, number != 0
    if word == "f" and number is not None:
        reader.font = number
        if group.destination != words.FONTS:
            _set_font(number, reader)
    elif word == "fcharset" and number is not None and group.destination == words.FONTS:
        reader.fonts[reader.font] = number
    elif word in {"ansicpg", "mac", "pc", "pca"}:
        reader.codec = words.codec({"mac": 10000, "pc": 437, "pca": 850}.get(word, number or 1252))
    elif word == "uc":
        group.fallback_chars = min(max(number or 0, 0), 64)
    elif word == "deff":
        reader.default_font = number
    else:
        _looks(word, reader, is_on=is_on)


def _looks(word: str, reader: _Reader, *, is_on: bool) -> None:
    """Properties of characters that decide whether a page shows them."""
    group = reader.group
    if word == "v":
        group.hidden = is_on
    elif word == "deleted":
        reader.gathering.deletions += is_on and not group.deleted
        group.deleted = is_on
    elif word == "revised":
        reader.gathering.insertions += is_on
    elif word == "plain":
        group.hidden = group.deleted = False
        if reader.default_font is not None:
            _set_font(reader.default_font, reader)


def _set_font(number: int, reader: _Reader) -> None:
    charset = reader.fonts.get(number, 0)
    reader.group.codec = words.CHARSETS.get(charset, "")
    reader.group.is_symbol = charset == words.SYMBOL_CHARSET
