"""Whether text in a font that was never embedded is still the same text to the eye.

Such a font has no shape of its own: every reader draws it with what it has, and PDF/A makes us embed one. Designs
of a letter differ, sometimes more than two letters do, so no threshold on likeness tells them apart. The question
asked here is the reader's: *which letter is this?* Each letter of the result, averaged over a page, must look more
like the same letter of the source than like any other. Everything that is not such a letter belongs to ``pixels``.
Source: ISO 32000-1:2008, 9.8 and 9.9 (font programs that are not embedded); ISO 19005-2:2011, 6.2.11.4.1.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from actions.compare.pixels import Mask, Picture, Plane

MARGIN_PX = 2  # how far a substitute's stroke may leave the letter's box
SMALLEST_PX = 8.0  # a box this low holds an x-height of 3 pixels: no letter can be told from another
CLEAR_LEAD = 0.40  # by how much another letter is the better match; in substitutes at most 0.27 was measured
MEAN_LEAD = 0.05  # over all letters of a font: substitutes -0.17 to 0.04 (thin for heavy typewriter), other letters 0.07 to 0.24
MIN_LIKENESS = 0.30  # where a font has one letter only on the page, there is no other to compare with
MARK_KEPT, MIN_MARK_PX = 0.35, 1.5  # share of a mark's ink; fully black pixels that make it a mark
VANISHED = 0.25  # of one occurrence's ink; thin substitutes for heavy fonts keep half
MIN_INK_PX = 3.0  # fully black pixels: less is a dot, a comma, a hair line
MAX_HUE = 0.12  # change of a colour channel's part in the ink of a font
TONE = (0.50, 2.0)  # ink of the result against the source, a font as a whole: thin and heavy designs

_Box: TypeAlias = tuple[int, int]
"""Top, left."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One drawn character: its box in pixels of the drawing."""

    text: str
    font: str
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class LetterLikeness:
    """What became of the letters of fonts that are not embedded: how many were compared, and each fault named."""

    letters: int
    faults: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Every letter is there and is still that letter."""
        return not self.faults


def mask(letters: Iterable[Letter], shape: Sequence[int]) -> Mask:
    """Pixels that belong to *letters*, with a margin."""
    inside = np.zeros(shape[:2], dtype=np.bool_)
    for letter in letters:
        top, left = max(0, int(letter.top) - MARGIN_PX), max(0, int(letter.left) - MARGIN_PX)
        inside[top : int(letter.bottom) + 1 + MARGIN_PX, left : int(letter.right) + 1 + MARGIN_PX] = True
    return inside


def compare(source: Picture, result: Picture, letters: Iterable[Letter]) -> LetterLikeness:
    """Compare every letter's ink in the two drawings, font by font and size by size."""
    groups: dict[tuple[str, int], dict[str, list[Letter]]] = defaultdict(lambda: defaultdict(list))
    for letter in letters:
        if letter.text.strip() and min(letter.left, letter.top) >= 0:
            groups[letter.font, round(letter.bottom - letter.top)][letter.text].append(letter)
    ink_source, ink_result = (255 - side.astype(np.float32) for side in (source, result))
    faults: dict[str, None] = {}
    for (font, height), by_text in groups.items():
        for fault in _font_faults(ink_source, ink_result, by_text, height):
            faults[f"{font or 'a font without name'}: {fault}"] = None
    return LetterLikeness(sum(len(some) for group in groups.values() for some in group.values()), tuple(faults))


def _font_faults(source: Plane, result: Plane, by_text: Mapping[str, Sequence[Letter]], height: int) -> list[str]:
    width = max(int(letter.right - letter.left) + 2 for some in by_text.values() for letter in some)
    shape = height + 1, min(width, 4 * height)
    texts = list(by_text)
    means = np.zeros((2, len(texts), *shape, 3), dtype=np.float32)
    vanished = 0
    for at, text in enumerate(texts):
        for letter in by_text[text]:
            pair = _boxes(source, result, letter, shape)
            means[:, at, : pair.shape[1], : pair.shape[2]] += pair / len(by_text[text])
            vanished += _vanished(pair)
    faults = [f"{vanished} letters are gone"] if vanished else []
    faults += _tint(means, [len(by_text[text]) for text in texts])
    letters = means.max(axis=-1)
    if height >= SMALLEST_PX:
        faults += _confused(texts, [len(by_text[text]) for text in texts], letters) + _marks_lost(texts, letters)
    return faults


def _boxes(source: Plane, result: Plane, letter: Letter, shape: _Box) -> Plane:
    """Both drawings' boxes of one letter, cut at its own right edge and at the page's."""
    top, left = int(letter.top), int(letter.left)
    right = min(left + shape[1], int(np.ceil(letter.right)))
    return np.stack([side[top : top + shape[0], left:right] for side in (source, result)])


def _vanished(pair: Plane) -> bool:
    ink_source, ink_result = pair.max(axis=-1).sum(axis=(1, 2)) / 255
    return bool(ink_source >= MIN_INK_PX and ink_result < VANISHED * ink_source)


def _tint(means: Plane, counts: Sequence[int]) -> list[str]:
    """Whether the font as a whole changed its colour or its weight beyond a design's."""
    ink_source, ink_result = np.tensordot(np.array(counts, dtype=np.float32), means.sum(axis=(2, 3)), axes=(0, 1))
    total_source, total_result = float(ink_source.sum()), float(ink_result.sum())
    if total_source < MIN_INK_PX * 3 * 255:
        return []
    faults = [] if TONE[0] <= total_result / total_source <= TONE[1] else [f"ink changed {total_result / total_source:.0%}"]
    if total_result and float(abs(ink_source / total_source - ink_result / total_result).max()) > MAX_HUE:
        faults.append("colour changed")
    return faults


def _confused(texts: Sequence[str], counts: Sequence[int], means: Plane) -> list[str]:
    """Whether the letters of the result are read as others: as a whole, or single ones clearly."""
    flat = means.reshape(2, len(texts), -1)
    flat = flat - flat.mean(axis=2, keepdims=True)
    source, result = flat / np.maximum(np.linalg.norm(flat, axis=2, keepdims=True), 1.0)
    likeness = result @ source.T
    own = likeness.diagonal().copy()
    np.fill_diagonal(likeness, -1)
    rival = likeness.argmax(axis=1)
    lead = likeness.max(axis=1) - own if len(texts) > 1 else MIN_LIKENESS - own
    weights = np.where(means.sum(axis=(2, 3))[0] >= MIN_INK_PX * 255, counts, 0)
    if not weights.any():
        return []
    clear = np.flatnonzero((lead > CLEAR_LEAD) & (weights > 0)).tolist() if len(texts) > 1 else []
    faults = [f"{texts[at]} looks like {texts[rival[at]]}" for at in clear]
    if float(np.average(lead, weights=weights)) > MEAN_LEAD:
        faults.append("letters look like other letters")
    return faults


def _marks_lost(texts: Sequence[str], means: Plane) -> list[str]:
    """Letters whose ring, dots or accent is gone: the ink that å has beyond a, in both drawings."""
    ink = means.sum(axis=(2, 3)) / 255
    place = {text: at for at, text in enumerate(texts)}
    faults = []
    for text, at in place.items():
        base = place.get(unicodedata.normalize("NFD", text)[:1])
        if base is None or base == at:
            continue
        mark_source, mark_result = ink[:, at] - ink[:, base]
        if mark_source >= MIN_MARK_PX and mark_result < MARK_KEPT * mark_source:
            faults.append(f"{text} lost its mark")
    return faults
