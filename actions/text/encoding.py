"""Name the encoding of a text, with a reason and an honest confidence; in bounded memory.

Unicode encodings prove themselves (byte order mark, strict UTF-8, the zero pattern of UTF-16). The eight-bit ones do
not: ``legacy`` weighs them. A text whose encoding cannot be told is for a person; nothing here decodes for keeps.
Not told apart: ISO 646-SE, where å ä ö are ``}{|`` in seven bits, is ASCII to a program.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from actions.text import legacy

CHUNK_BYTES = 1 << 20  # bounds memory whatever the file's size
HEAD_BYTES = 64 * 1024  # enough to see zeros, controls and a first accented letter
SAMPLE_BYTES = 48 * 1024  # lines with bytes above 127 that the weighing looks at

_BOMS = (  # UTF-32 first: its little-endian mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
BOM_BYTES = {name: mark for mark, name in _BOMS}
# Tabulator, line feed, vertical tab, form feed, carriage return; DOS end of file; escape (printer and terminal codes).
_TEXT_CONTROLS = b"\t\n\x0b\x0c\r\x1a\x1b"
_CONTROLS = bytes(code for code in range(32) if code not in _TEXT_CONTROLS) + b"\x7f"
_NOT_CONTROLS = bytes(code for code in range(256) if code not in _CONTROLS)
_ASCII = bytes(range(128))
_CONTROL_SHARE = 0.005  # a stray control happens in old texts; more of them is a binary file
_ZERO_SHARE = 0.6  # zeros in one half of the byte pairs: Western UTF-16 has over 90 %
_STRAY_SHARE = 0.1  # at most this share of broken sequences is called damaged UTF-8, not another encoding


class Confidence(StrEnum):
    """How well the name is founded."""

    CERTAIN = "certain"
    """The bytes prove it: a mark, or strict UTF-8 or ASCII to the end."""
    LIKELY = "likely"
    """Weighed, and clearly ahead of every other encoding that would give other characters."""
    UNCERTAIN = "uncertain"
    """A best guess that a person has to confirm."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """An encoding's name as Python's codecs know it; ``name`` None: not text, or not to be told."""

    name: str | None
    confidence: Confidence
    why: str
    bom: bool = False
    binary: bool = False


@dataclass(slots=True)
class _Scan:
    """What one pass over the bytes gathers."""

    total: int = 0
    high: int = 0
    controls: int = 0
    nuls: int = 0
    utf8_error: str = ""
    sample: bytearray | None = None


def name_encoding(source: Path, *, limit_bytes: int | None = None) -> Encoding:
    """Name the encoding of *source*.

    Args:
        source: Read once, in chunks.
        limit_bytes: Look at no more than so many bytes from the start; the answer then holds for these only, and
            charset-normalizer (0.1 s) is not asked.
    """
    with source.open("rb") as stream:
        head = stream.read(min(HEAD_BYTES, limit_bytes or HEAD_BYTES))
    if marked := _marked(head):
        return marked
    if b"\0" in head:
        return _with_zeros(head, cut=source.stat().st_size > len(head))
    return _weigh(_scan(source, limit_bytes), cut=limit_bytes is not None)


def _marked(head: bytes) -> Encoding | None:
    for mark, name in _BOMS:
        if head.startswith(mark):
            return Encoding(name, Confidence.CERTAIN, f"begins with the byte order mark of {name}", bom=True)
    return None


def _with_zeros(head: bytes, *, cut: bool) -> Encoding:
    """UTF-16 or UTF-32 without a mark, or not text at all."""
    for name, width, zero_at in (
        ("utf-32-le", 4, (2, 3)),
        ("utf-32-be", 4, (0, 1)),
        ("utf-16-le", 2, (1,)),
        ("utf-16-be", 2, (0,)),
    ):
        usable = head[: len(head) // width * width] if cut else head
        others = [place for place in range(width) if place not in zero_at and (width, place) not in {(4, 1), (4, 2)}]
        zeros_there = all(_zero_share(usable, place, width) >= _ZERO_SHARE for place in zero_at)
        if zeros_there and all(_zero_share(usable, place, width) < 0.1 for place in others) and _is_text(usable, name, cut=cut):
            return Encoding(
                name, Confidence.LIKELY, f"zeros in the places that {name} gives to Western letters, no byte order mark"
            )
    return Encoding(None, Confidence.CERTAIN, "holds zero bytes as no text encoding does", binary=True)


def _zero_share(data: bytes, place: int, width: int) -> float:
    part = data[place::width]
    return part.count(0) / len(part) if part else 0.0


def _is_text(data: bytes, name: str, *, cut: bool) -> bool:
    try:
        text = codecs.getincrementaldecoder(name)("strict").decode(data, final=not cut)
    except UnicodeDecodeError:
        return False
    controls = sum(text.count(chr(code)) for code in _CONTROLS)
    return controls <= len(text) * _CONTROL_SHARE


def _scan(source: Path, limit_bytes: int | None) -> _Scan:
    seen = _Scan(sample=bytearray())
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    for chunk in chunks(source, limit_bytes):
        seen.controls += len(chunk.translate(None, _NOT_CONTROLS))
        seen.nuls += chunk.count(0)
        if not chunk.isascii():
            seen.high += len(chunk.translate(None, _ASCII))
            _take_sample(seen, chunk)
        if not seen.utf8_error:
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as wrong:
                seen.utf8_error = f"byte 0x{wrong.object[wrong.start]:02X} near offset {seen.total + wrong.start}"
        seen.total += len(chunk)
    if not seen.utf8_error and limit_bytes is None and decoder.getstate()[0]:
        seen.utf8_error = "the last character is cut"
    return seen


def _take_sample(seen: _Scan, chunk: bytes) -> None:
    """Keep lines that hold a byte above 127: they decide, and there may be few in a long text."""
    if seen.sample is None or len(seen.sample) >= SAMPLE_BYTES:
        return
    for line in chunk.splitlines(keepends=True):
        if not line.isascii():
            seen.sample += line[: SAMPLE_BYTES // 8]
            if len(seen.sample) >= SAMPLE_BYTES:
                return


def _weigh(seen: _Scan, *, cut: bool) -> Encoding:
    if seen.nuls or seen.controls > seen.total * _CONTROL_SHARE:
        return Encoding(None, Confidence.CERTAIN, f"{seen.controls} control characters in {seen.total} bytes", binary=True)
    part = "in the part that was read" if cut else "to its end"
    if not seen.high:
        return Encoding("ascii", Confidence.CERTAIN, f"every byte is below 128 {part}")
    if not seen.utf8_error:
        return Encoding("utf-8", Confidence.CERTAIN, f"strict UTF-8 {part}")
    sample = bytes(seen.sample or b"")
    if _mostly_utf8(sample):
        return Encoding("utf-8", Confidence.UNCERTAIN, f"UTF-8 with stray bytes: {seen.utf8_error}")
    guess = legacy.weigh(sample, ask_twice=not cut)
    if guess is None:
        return Encoding(None, Confidence.UNCERTAIN, "not UTF-8, and no eight-bit encoding gives plausible words")
    confidence = Confidence.LIKELY if guess.clear else Confidence.UNCERTAIN
    return Encoding(guess.name, confidence, guess.why)


def _mostly_utf8(sample: bytes) -> bool:
    """A few broken sequences among many good ones: damaged or mixed, not another encoding."""
    text = sample.decode("utf-8", errors="replace")
    broken = text.count("\N{REPLACEMENT CHARACTER}")
    good = sum(1 for char in text if ord(char) > 127) - broken
    return good > 0 and broken <= (good + broken) * _STRAY_SHARE


def chunks(source: Path, limit_bytes: int | None = None) -> Iterator[bytes]:
    """The bytes of *source* in pieces of at most ``CHUNK_BYTES``."""
    left = limit_bytes
    with source.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES if left is None else min(CHUNK_BYTES, left)):
            if left is not None:
                left -= len(chunk)
            yield chunk
