"""Make a small font program (bare CFF) out of an installed font, with the widths that a document expects.

The advance of each glyph is the document's own width, so that PDF/A's width rule holds and no line moves; an
outline whose natural advance differs is stretched to it, as readers do. Source: ISO 19005-2, 6.2.11.4 and 6.2.11.5.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.t2CharStringPen import T2CharStringPen
from fontTools.pens.transformPen import TransformPen
from fontTools.ttLib import TTFont

from actions.pdf.font_encoding import NOTDEF, unicode_of

UNITS = 1000  # a CFF program's usual em; widths in a PDF are in thousandths of it
WIDTH_TOLERANCE = 1.0  # in the same units: what PDF/A allows between dictionary and program
STRETCH_LIMITS = (0.4, 2.5)  # beyond this a stretched glyph is no longer readable: keep its shape
OPEN_FONTS = 24  # cached; all styles of the common families


@dataclass(frozen=True, slots=True)
class Glyph:
    """Where a glyph is: the font file and its name there; ``advance`` in thousandths of the em."""

    file: Path
    name: str
    advance: float


@dataclass(frozen=True, slots=True)
class Program:
    """A CFF program and what its descriptor must say; ``stretched`` counts outlines that were fitted to a width."""

    cff: bytes
    bbox: tuple[int, int, int, int]
    ascent: int
    descent: int
    cap_height: int
    italic_angle: float
    stretched: int


@functools.lru_cache(maxsize=OPEN_FONTS)
def _font(path: Path) -> TTFont:
    """An installed font; open for the process's life, because every PDF asks for the same few."""
    return TTFont(path, lazy=True)


@functools.lru_cache(maxsize=OPEN_FONTS)
def _cmap(path: Path) -> Mapping[int, str]:
    found: Mapping[int, str] = _font(path).getBestCmap() or {}
    return found


@functools.lru_cache(maxsize=OPEN_FONTS)
def _names(path: Path) -> frozenset[str]:
    return frozenset(_font(path).getGlyphOrder())


def find(name: str, files: tuple[Path, ...]) -> Glyph | None:
    """The glyph for a PostScript glyph *name* in the first of *files* that has it, by name or by its character."""
    if name == NOTDEF:
        return None
    return _first(files, name, unicode_of(name))


def find_text(text: str, files: tuple[Path, ...]) -> Glyph | None:
    """The glyph for one character; None for a cluster that needs more than one glyph."""
    return _first(files, "", text)


def _first(files: tuple[Path, ...], name: str, text: str) -> Glyph | None:
    for file in files:
        found = name if name in _names(file) else _cmap(file).get(ord(text)) if len(text) == 1 else None
        if found:
            return Glyph(file, found, _advance(file, found))
    return None


def _advance(file: Path, name: str) -> float:
    font = _font(file)
    return float(font["hmtx"][name][0]) * UNITS / float(font["head"].unitsPerEm)


def build(ps_name: str, glyphs: Mapping[str, tuple[Glyph | None, float]], primary: Path) -> Program:
    """A CFF program called *ps_name*: glyph name → (shape, or None for a blank; advance in thousandths)."""
    order = [NOTDEF, *(name for name in glyphs if name != NOTDEF)]
    shapes: dict[str, Any] = {}
    stretched = 0
    for name in order:
        glyph, width = glyphs.get(name, (None, 0.0))
        scale = _stretch(glyph, width)
        stretched += scale != 1.0
        shapes[name] = _outline(glyph, width, scale)
    builder = FontBuilder(UNITS, isTTF=False)
    builder.setupGlyphOrder(order)
    builder.setupCFF(ps_name, {"FullName": ps_name}, shapes, {})
    builder.font["CFF "].cff.topDictIndex[0].FontBBox = list(_bbox(primary))
    return _describe(builder.font["CFF "].compile(builder.font), primary, stretched)


def _stretch(glyph: Glyph | None, width: float) -> float:
    if glyph is None or glyph.advance <= 0 or width <= 0 or abs(glyph.advance - width) <= WIDTH_TOLERANCE:
        return 1.0
    scale = width / glyph.advance
    return scale if STRETCH_LIMITS[0] <= scale <= STRETCH_LIMITS[1] else 1.0


def _outline(glyph: Glyph | None, width: float, stretch: float) -> Any:
    pen = T2CharStringPen(round(width), None)
    if glyph is not None:
        font = _font(glyph.file)
        unit = UNITS / float(font["head"].unitsPerEm)
        font.getGlyphSet()[glyph.name].draw(TransformPen(pen, (unit * stretch, 0, 0, unit, 0, 0)))
    return pen.getCharString()


def _bbox(path: Path) -> tuple[int, int, int, int]:
    head = _font(path)["head"]
    unit = UNITS / float(head.unitsPerEm)
    return (round(head.xMin * unit), round(head.yMin * unit), round(head.xMax * unit), round(head.yMax * unit))


def _describe(cff: bytes, primary: Path, stretched: int) -> Program:
    font = _font(primary)
    unit = UNITS / float(font["head"].unitsPerEm)
    ascent, descent = round(font["hhea"].ascent * unit), round(font["hhea"].descent * unit)
    cap = round(getattr(font["OS/2"], "sCapHeight", 0) * unit) or round(ascent * 0.75)
    return Program(cff, _bbox(primary), ascent, descent, cap, float(font["post"].italicAngle), stretched)
