"""One page of a source beside the same page of its derivative: size, turn, words, pixels, blankness.

Gives measured facts of a page; gathering them into a proof of the document belongs to ``pdf_checks``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from actions.compare import glyphs
from actions.compare.glyphs import LetterLikeness
from actions.compare.pages import NO_MAPPING, Sheet
from actions.compare.pixels import SAME, Difference, Picture, difference, has_ink
from actions.compare.text import TextSimilarity, normalise, numbers_kept, similarity

SIZE_TOLERANCE_PT = 0.5  # a fifth of a millimetre: rounding of boxes by writers
EDGE_PX = 2  # two drawings of the same page may differ so much by rounding its size


@dataclass(frozen=True, slots=True)
class Limits:
    """What is still the same record; see ``catalog.PdfCompareParams``."""

    text_recall: float
    max_changed_share: float
    ocr: bool
    extracted_attachments: int


@dataclass(frozen=True, slots=True)
class PageText:
    """Words of both sides, and what was lost or added."""

    source_words: int = 0
    result_words: int = 0
    equal: bool = True
    numbers_kept: bool = True
    unmapped: bool = False
    """The source has glyphs without a Unicode value, so that the result may rightly have more text."""
    similarity: TextSimilarity = field(default_factory=lambda: TextSimilarity(1.0, 1.0, 1.0, [], []))

    def faults(self, limits: Limits) -> str:
        """What is wrong, as part of a sentence; empty when nothing is."""
        found = self.similarity
        if found.recall < limits.text_recall:
            return f"keeps {found.recall:.1%} of its text{_named('missing', found.missing)}"
        if not self.numbers_kept:
            return f"has another number{_named('missing', found.missing)}{_named('instead', found.extra)}"
        if found.precision < limits.text_recall and not limits.ocr and not self.unmapped:
            return f"has text that the source has not{_named('added', found.extra)}"
        return ""


@dataclass(frozen=True, slots=True)
class PageProof:
    """What was measured of one page; ``pixels`` None: one side could not be drawn, or the sizes are too far apart."""

    number: int
    sizes_pt: tuple[tuple[float, float], tuple[float, float]] | None
    rotations: tuple[int, int]
    text: PageText | None
    pixels: Difference | None
    letters: LetterLikeness | None
    ink: tuple[bool, bool] | None
    fine: bool
    ok: bool

    @property
    def same_size(self) -> bool | None:
        """Within rounding; None when a side could not be read."""
        if self.sizes_pt is None:
            return None
        (width, height), (other_width, other_height) = self.sizes_pt
        return abs(width - other_width) <= SIZE_TOLERANCE_PT and abs(height - other_height) <= SIZE_TOLERANCE_PT

    def pixels_ok(self, limits: Limits) -> bool | None:
        """Whether both look the same; None when that could not be measured."""
        if self.pixels is None:
            return None if self.same_size in (None, True) else False
        return self.pixels.changed_share <= limits.max_changed_share and (self.letters is None or self.letters.ok)

    def pixel_fault(self) -> str:
        """What a person would see, as part of a sentence."""
        if self.pixels is None:
            return "has another size" if self.same_size is False else "could not be drawn"
        if self.letters is not None and not self.letters.ok:
            return "; ".join(self.letters.faults[:3])
        return self.pixels.sentence()


def compare_page(
    number: int, source: Sheet | None, result: Sheet | None, *, coarse_dpi: int | None, fine_dpi: int, limits: Limits
) -> tuple[PageProof, tuple[Picture | None, Picture | None]]:
    """Compare page *number* (1-based); also return the drawings for a person.

    Args:
        number: 1-based page number.
        source: The page as interpreted; None when MuPDF could not.
        result: Likewise.
        coarse_dpi: Draw so first, and finer only where the two differ. None: fine at once.
        fine_dpi: Resolution that differences are judged at.
        limits: What counts as the same.
    """
    if source is None or result is None:
        rotations = source.rotation if source else 0, result.rotation if result else 0
        proof = PageProof(number, None, rotations, None, None, None, None, fine=False, ok=False)
        return proof, (_drawn(source, fine_dpi), _drawn(result, fine_dpi))
    sizes = (source.width_pt, source.height_pt), (result.width_pt, result.height_pt)
    pictures, fine = _drawings(source, result, coarse_dpi, fine_dpi)
    pixels, letters = _looks(source, *pictures) if fine else (SAME, None)
    ink = (has_ink(pictures[0]), has_ink(pictures[1])) if pictures[0] is not None and pictures[1] is not None else None
    text = _text(source, result)
    rotations = source.rotation, result.rotation
    proof = PageProof(number, sizes, rotations, text, pixels, letters, ink, fine=fine, ok=False)
    ok = bool(proof.same_size and proof.pixels_ok(limits) and not text.faults(limits) and ink and ink[0] == ink[1])
    return PageProof(number, sizes, rotations, text, pixels, letters, ink, fine=fine, ok=ok), pictures


def _drawings(
    source: Sheet, result: Sheet, coarse_dpi: int | None, fine_dpi: int
) -> tuple[tuple[Picture | None, Picture | None], bool]:
    if coarse_dpi is not None:
        left, right = _drawn(source, coarse_dpi), _drawn(result, coarse_dpi)
        if left is not None and right is not None and np.array_equal(left, right):
            return (left, right), False
    return (_drawn(source, fine_dpi), _drawn(result, fine_dpi)), True


def _drawn(sheet: Sheet | None, dpi: int) -> Picture | None:
    if sheet is None:
        return None
    try:
        return sheet.picture(dpi)
    except Exception:  # noqa: BLE001 -- MuPDF's own classes on hostile content; "could not be drawn" is the finding
        return None


def _looks(source: Sheet, left: Picture | None, right: Picture | None) -> tuple[Difference | None, LetterLikeness | None]:
    """Judge two drawings: letters of fonts that are not embedded by ``glyphs``, all the rest by ``pixels``."""
    if left is None or right is None or any(abs(a - b) > EDGE_PX for a, b in zip(left.shape, right.shape, strict=True)):
        return None, None
    if left.shape != right.shape:
        height, width = min(left.shape[0], right.shape[0]), min(left.shape[1], right.shape[1])
        left, right = left[:height, :width], right[:height, :width]
    if np.array_equal(left, right):
        return SAME, None
    borrowed = source.borrowed_letters(left.shape[1] / max(source.width_pt, 1.0))
    if not borrowed:
        return difference(left, right), None
    return difference(left, right, glyphs.mask(borrowed, left.shape)), glyphs.compare(left, right, borrowed)


def _text(source: Sheet, result: Sheet) -> PageText:
    left, right = source.text(), result.text()
    left_words, unmapped = normalise(left), NO_MAPPING in left
    if left == right:
        return PageText(len(left_words), len(left_words), unmapped=unmapped)
    right_words = normalise(right)
    equal = left_words == right_words
    found = similarity(left_words, right_words)
    return PageText(len(left_words), len(right_words), equal, numbers_kept(left_words, right_words), unmapped, found)


def _named(what: str, words: list[str]) -> str:
    return f" ({what}: {', '.join(words[:3])})" if words else ""
