"""The words of a metafile (EMF, EMF+, WMF): a picture made of drawing orders, some of which set text.

A converter draws these pictures anew, so their words must come back in the result; lines and colours are not read.
A string that only names glyphs of a font cannot be read without that font: it is counted instead. Lengths and counts
are the file's own word, so every walk is bounded. How the records of each kind look belongs to ``emf`` and ``wmf``.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from actions.office.rtf_words import CHARSETS, SYMBOL_CHARSET

METAFILE_BYTES = 50_000_000  # unpacked; a map of a town has 5 MB
RECORDS_MAX = 1_000_000
CHARS_MAX = 500_000
TWICE_EM = 0.2  # a shadow, or letters set twice to look bold: whoever reads the page sees one word
EDGE_EM = 0.1  # a letter's own margin
POINTS_MAX = 100  # places of one string that are remembered
GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Metafile:
    """What a metafile says: a line for each string. ``unread``: strings that are glyph numbers, or beyond our bounds.

    ``cut``: strings that the picture itself cuts off at an edge; their cut words are not in ``text``.
    """

    text: str = ""
    unread: int = 0
    cut: int = 0


@dataclass(frozen=True, slots=True)
class Font:
    """A font as far as reading needs it; ``size`` in the drawing's own unit."""

    size: float = 1.0
    codec: str = "cp1252"
    is_symbol: bool = False
    is_turned: bool = False


def font(height: int, turn: int, charset: int) -> Font:
    """A font by its height, the angle of its line and its character set ([MS-WMF] §2.2.1.2, §2.1.1.5)."""
    return Font(max(1.0, abs(height)), CHARSETS.get(charset, "cp1252"), charset == SYMBOL_CHARSET, turn != 0)


@dataclass(frozen=True, slots=True)
class Box:
    """What is drawn outside it is cut off, by the picture's own order; in the drawing's own unit."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def of(cls, x1: float, y1: float, x2: float, y2: float) -> Box:
        """A box by two corners, whichever way the drawing's axes run."""
        return cls(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))

    def within(self, other: Box | None) -> Box:
        """What both boxes share."""
        if other is None:
            return self
        left, top = max(self.left, other.left), max(self.top, other.top)
        return Box(left, top, min(self.right, other.right), min(self.bottom, other.bottom))

    def cut(self, text: str, at: tuple[float, float], steps: Sequence[int], size: float) -> str:
        """The words of *text* that stand wholly inside; *steps* has the way from each letter to the next, from *at* on.

        A word cut in two is nobody's to find: it is left out whole.
        """
        if not self.top - size <= at[1] <= self.bottom + size:
            return ""
        reach = EDGE_EM * size
        kept: list[str] = []
        for word in re.finditer(r"\S+", text):
            begin, end = at[0] + sum(steps[: word.start()]), at[0] + sum(steps[: word.end()])
            if begin >= self.left - reach and end <= self.right + reach:
                kept.append(word[0])
        return " ".join(kept)


@dataclass(slots=True)
class Lettering:
    """Strings in the order in which they are drawn, those of symbol fonts left out: their codes are no text."""

    lines: list[str] = field(default_factory=list)
    unread: int = 0
    cut: int = 0
    chars: int = 0
    places: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def put(self, text: str, at: tuple[float, float] | None, drawn: Font) -> None:
        """Add *text*, unless it stands where it stood already; *at* is None where the place is not known."""
        if drawn.is_symbol or not text.strip("\0 "):
            return
        if at is not None:
            known = self.places.setdefault(text, [])
            reach = TWICE_EM * drawn.size
            if any(abs(at[0] - x) <= reach and abs(at[1] - y) <= reach for x, y in known):
                return
            if len(known) < POINTS_MAX:
                known.append(at)
        if self.chars + len(text) > CHARS_MAX:
            self.unread += 1
            return
        self.chars += len(text)
        self.lines.append(text.replace("\0", "").replace("\n", " "))

    def put_within(self, text: str, at: tuple[float, float], drawn: Font, steps: Sequence[int], box: Box | None) -> None:
        """Add what of *text* the picture shows; without *steps* it is not known where its letters stand."""
        whole = (
            box.cut(text, at, steps, drawn.size) if box is not None and len(steps) == len(text) and not drawn.is_turned else text
        )
        if whole.split() != text.split():
            self.cut += 1
            text = whole
        self.put(text, at, drawn)

    def done(self) -> Metafile:
        """What was collected."""
        return Metafile("\n".join(self.lines), self.unread, self.cut)


def unzipped(data: bytes) -> bytes | None:
    """A compressed metafile's bytes (emz and wmz: gzip); the bytes themselves where they are none; None: broken or too large."""
    return inflated(data, 16 + zlib.MAX_WBITS) if data.startswith(GZIP) else data


def inflated(data: bytes | memoryview, bits: int = zlib.MAX_WBITS) -> bytes | None:
    """What *data* unpacks to; None where it is broken or beyond ``METAFILE_BYTES``."""
    unpacker = zlib.decompressobj(bits)
    try:
        found = unpacker.decompress(data, METAFILE_BYTES)
    except zlib.error:
        return None
    return None if unpacker.unconsumed_tail else found
