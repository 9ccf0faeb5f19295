"""Pages of a PDF as pictures, words and letters, drawn by MuPDF one at a time and in bounded memory.

The one place of the comparisons that knows PyMuPDF's page objects. Judging what was drawn belongs to ``pixels``,
``glyphs`` and ``text``; what a document has beside its pages to ``inventory``.
Source: ISO 32000-1:2008, 14.11.2 (page boundaries), 8.3.2.3 and Table 30 (Rotate, UserUnit).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pymupdf

from actions.compare.glyphs import Letter
from actions.compare.pixels import Picture

POINTS_PER_INCH = 72
MAX_PIXELS = 6_000_000  # A2 at 110 dpi; a poster of 500 x 1,000 inches would otherwise take gigabytes
FONT_NAME_CHARS = 31  # MuPDF cuts font names there
RING_EM, TAIL_EM = 0.95, 0.25  # the ring of Å above the baseline, the tail of g under it, in parts of the font's size
NO_MAPPING = "\ufffd"  # what MuPDF gives for a glyph without a Unicode value

mupdf: Any = pymupdf  # half typed: behind this module nothing of it is seen

# MuPDF would print every flaw of every file to standard error; ``complaints`` asks for them instead.
mupdf.TOOLS.mupdf_display_errors(False)
mupdf.TOOLS.mupdf_display_warnings(False)


class UnreadableError(Exception):
    """MuPDF cannot open the document, or needs a password; the sentence says which. Turned into a finding by the caller."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page, interpreted once.

    Attributes:
        width_pt: As seen: cropped, turned, user unit applied.
        height_pt: Likewise.
        rotation: Degrees clockwise, 0 to 270.
    """

    width_pt: float
    height_pt: float
    rotation: int
    _page: Any
    _list: Any

    def picture(self, dpi: float) -> Picture:
        """Draw at *dpi*, or coarser where the page is very large. sRGB on white, annotations drawn."""
        area = self.width_pt * self.height_pt / POINTS_PER_INCH**2
        zoom = min(dpi, sqrt(MAX_PIXELS / max(area, 1e-6))) / POINTS_PER_INCH
        drawn = self._list.get_pixmap(matrix=mupdf.Matrix(zoom, zoom), colorspace=mupdf.csRGB, alpha=False)
        rows: Picture = np.frombuffer(drawn.samples, dtype=np.uint8).reshape(
            drawn.h, drawn.stride
        )  # samples: a copy; the pixmap goes
        return rows[:, : drawn.w * 3].reshape(drawn.h, drawn.w, 3)

    def text(self) -> str:
        """The page's text in the order of its content; ``NO_MAPPING`` for glyphs without a Unicode value."""
        found: str = self._textpage(mupdf.TEXTFLAGS_TEXT & ~mupdf.TEXT_CID_FOR_UNKNOWN_UNICODE).extractText()
        return found

    def borrowed_letters(self, zoom: float) -> list[Letter]:
        """Letters of fonts that the file does not embed, in pixels of a picture drawn at *zoom* pixels a point."""
        embedded = self._embedded_fonts()
        if embedded is None:
            return []
        raw = self._textpage(mupdf.TEXTFLAGS_TEXT).extractRAWDICT()
        return [
            Letter(char["c"], span["font"], *(zoom * edge for edge in _letter_box(char, span, line["dir"])))
            for block in raw["blocks"]
            for line in block.get("lines", ())
            for span in line["spans"]
            if span["font"] not in embedded
            for char in span["chars"]
        ]

    def _textpage(self, flags: int) -> Any:
        found = self._list.get_textpage(flags)
        return found if hasattr(found, "extractText") else mupdf.TextPage(found)  # PyMuPDF 1.28 gives the bare MuPDF object

    def _embedded_fonts(self) -> set[str] | None:
        """Names of embedded fonts; None when all are (annotations' own fonts are not listed, so they count as borrowed)."""
        fonts = [
            (_plain(name), extension != "n/a" or kind == "Type3")
            for _, extension, kind, name, *_ in self._page.get_fonts(full=True)
        ]
        embedded = {name for name, inside in fonts if inside} - {name for name, inside in fonts if not inside}
        if all(inside for _, inside in fonts) and self._page.first_widget is None and self._page.first_annot is None:
            return None
        return embedded


def _letter_box(char: Any, span: Any, direction: tuple[float, float]) -> tuple[float, float, float, float]:
    """MuPDF's box is as high as the font's tallest sign, and reaches into the next lines: cut it at rings and tails."""
    left, top, right, bottom = char["bbox"]
    if direction[0] < 1:  # not written level
        return left, top, right, bottom
    baseline, size = char["origin"][1], span["size"]
    return left, max(top, baseline - RING_EM * size), right, min(bottom, baseline + TAIL_EM * size)


def _plain(name: str) -> str:
    """Without the subset prefix ("ABCDEF+"), cut as MuPDF cuts it."""
    prefix, plus, rest = name.partition("+")
    return (rest if plus and len(prefix) == 6 else name)[:FONT_NAME_CHARS]  # ISO 32000-1, 9.6.4: six letters


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a PDF for comparison and free all that it took.

    Raises:
        UnreadableError: MuPDF cannot open it, or it needs a password.
    """
    try:
        document = mupdf.open(path, filetype="pdf")
    except Exception as broken:  # MuPDF raises its own classes, RuntimeError and ValueError on hostile bytes
        raise UnreadableError(f"cannot be opened: {_first_line(broken).replace(str(path), path.name)}") from broken
    try:
        if document.needs_pass:
            raise UnreadableError("needs a password")
        yield document
    finally:
        document.close()
        free_cache()  # the next file shares nothing with this


def free_cache() -> None:
    """Empty MuPDF's store of fonts and decoded images."""
    mupdf.TOOLS.store_shrink(100)


def page_count(document: Any) -> int:
    """How many pages MuPDF reads; 0 when the page tree is broken."""
    try:
        return len(document)
    except Exception:  # noqa: BLE001 -- a broken page tree raises MuPDF's own classes; "no pages" is the finding
        return 0


def sheet(document: Any, page_index: int) -> Sheet | None:
    """Interpret one page (0-based). None when MuPDF cannot read it."""
    try:
        page = document[page_index]
        drawing = page.get_displaylist()
    except Exception:  # noqa: BLE001 -- see ``opened``; a page that cannot be interpreted is a finding of the caller
        return None
    return Sheet(drawing.rect.width, drawing.rect.height, int(page.rotation), page, drawing)


def complaints() -> list[str]:
    """What MuPDF complained of since the last call, each once."""
    said = mupdf.TOOLS.mupdf_warnings(reset=True)
    return list(dict.fromkeys(line for line in said.splitlines() if line and not line.startswith("...")))


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
