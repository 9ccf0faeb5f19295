"""Whether two drawings of a page show the same thing, and where they do not.

Works on arrays only. Two renderings of the same record differ by anti-aliasing and by a pixel's shift; a lost
word, another letter, a moved line or a changed colour differ by more. Drawing pages, and excusing glyphs of
fonts that were never embedded (see ``glyphs``), do not belong here.
Source: Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity (2004), section III.B
for the likeness of a window; the numbers were measured on pairs of drawings at 110 dpi, see the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Picture: TypeAlias = NDArray[np.uint8]
"""Height x width x 3, sRGB."""
Plane: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]

INK_LEVELS = 12  # of 255 away from paper white: fainter is compression noise in a scan's paper
SPOT_PX = 5  # edge of the square in which lost or added ink is summed
WINDOW_PX = 24  # 5.5 mm at 110 dpi: a word; smaller windows judge single letters' anti-aliasing
STRIDE_PX = 6
STEADY = 40.0  # variance (levels²) under which a window counts as flat paper or flat colour
REACH_PX = 40  # a difference's surroundings that the measures need

MAX_SPOT = 2.5  # full black pixels in a spot, beyond one pixel's shift; anti-aliasing alone gives under 1
MIN_LIKENESS = 0.60  # of a window; one word lost gives under 0.3, half a pixel's shift 0.7
MAX_COLOUR_LEVELS, MAX_COLOUR_SHARE = 7.0, 0.25  # a window's hue may shift by an ink profile, not become another
MAX_TONE_LEVELS, MAX_TONE_SHARE = 10.0, 0.20
GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601 luma


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two drawings of a page are apart.

    Attributes:
        equal: The same pixels.
        spot: Ink lost or added in the worst spot, in fully black pixels, beyond a pixel's shift.
        likeness: Of the worst window that has ink, -1 to 1.
        colour: Change of hue in the worst window, relative to what is accepted (over 1: changed).
        tone: Change of brightness in the worst window, relative to what is accepted.
        changed_share: Share of the page's inked windows that any measure calls changed.
        changed: Where, one element per ``STRIDE_PX``; None when equal.
    """

    equal: bool
    spot: float = 0.0
    likeness: float = 1.0
    colour: float = 0.0
    tone: float = 0.0
    changed_share: float = 0.0

    def sentence(self) -> str:
        """For a person: what kind of change the worst is."""
        said = [
            (self.spot > MAX_SPOT, "marks are lost or added"),
            (self.likeness < MIN_LIKENESS, f"shapes differ (likeness {self.likeness:.2f})"),
            (self.colour > 1, "colours changed"),
            (self.tone > 1, "brightness changed"),
        ]
        return ", ".join(words for seen, words in said if seen) or "differs only by anti-aliasing"


SAME = Difference(equal=True)


def has_ink(picture: Picture) -> bool:
    """Tell whether anything is drawn on the page (coloured paper without marks is ink too)."""
    return bool(picture.size) and int(picture.min()) < 255 - INK_LEVELS


def difference(source: Picture, result: Picture, excused: Mask | None = None) -> Difference:
    """Measure two drawings of equal size; pixels that are *excused* are judged elsewhere.

    Only the surroundings of differing pixels are looked at, so that two equal pages cost next to nothing.
    """
    if np.array_equal(source, result):
        return SAME
    unlike = source[..., 0] != result[..., 0]  # numpy's own any() over three values takes ten times as long
    unlike |= source[..., 1] != result[..., 1]
    unlike |= source[..., 2] != result[..., 2]
    if excused is not None:
        unlike &= ~excused
    area = _surroundings(unlike)
    if area is None:
        return Difference(equal=False)
    left, right = source[area].astype(np.float32), result[area].astype(np.float32)
    if excused is not None:
        paper = excused[area]
        left[paper] = right[paper] = 255
    return _measure(left, right, _inked_windows(source))


def _surroundings(unlike: Mask) -> tuple[slice, slice] | None:
    rows, columns = np.flatnonzero(unlike.any(axis=1)), np.flatnonzero(unlike.any(axis=0))
    if not rows.size:
        return None
    return _span(rows, unlike.shape[0]), _span(columns, unlike.shape[1])


def _span(at: NDArray[np.intp], limit: int) -> slice:
    return slice(max(0, int(at[0]) - REACH_PX), min(limit, int(at[-1]) + REACH_PX + 1))


def _measure(left: NDArray[np.float32], right: NDArray[np.float32], inked_windows: int) -> Difference:
    grey_left, grey_right = (side @ GREY for side in (left, right))
    spots = _spots(grey_left, grey_right)
    likeness = _likeness(255 - grey_left, 255 - grey_right)
    tone = _shift(255 - grey_left, 255 - grey_right, MAX_TONE_LEVELS, MAX_TONE_SHARE)
    colour = np.maximum(
        *(_shift(left[..., k] - left[..., 1], right[..., k] - right[..., 1], MAX_COLOUR_LEVELS, MAX_COLOUR_SHARE) for k in (0, 2))
    )
    changed = (likeness < MIN_LIKENESS) | (tone > 1) | (colour > 1)
    count = max(int(changed.sum()), int(spots.max(initial=0) > MAX_SPOT))
    return Difference(
        equal=False,
        spot=float(spots.max(initial=0)),
        likeness=float(likeness.min(initial=1)),
        colour=float(colour.max(initial=0)),
        tone=float(tone.max(initial=0)),
        changed_share=min(1.0, count / max(1, inked_windows)),
    )


def _spots(left: Plane, right: Plane) -> Plane:
    """Ink that the other side does not have within one pixel, summed per spot; in full black pixels."""
    worst = np.zeros_like(left)
    for one, other in ((left, right), (right, left)):
        darker = np.maximum(_spread(other, np.minimum) - one, 0)
        lighter = np.maximum(one - _spread(other, np.maximum), 0)
        np.maximum(worst, np.maximum(darker, lighter), out=worst)
    worst[worst < INK_LEVELS] = 0
    return _spot_sums(worst) / np.float32(255)


def _spot_sums(plane: Plane) -> Plane:
    """Sums of the squares of ``SPOT_PX`` around every pixel; adding shifted planes is five times as fast as running sums."""
    for axis in (0, 1):
        rows = np.moveaxis(plane, axis, 0)
        span = min(SPOT_PX, len(rows))
        steps = len(rows) - span + 1
        total = rows[:steps].copy()
        for shift in range(1, span):
            total += rows[shift : shift + steps]
        plane = np.moveaxis(total, 0, axis)
    return plane


def _spread(plane: Plane, take: np.ufunc) -> Plane:
    """The smallest or largest value within one pixel."""
    for axis in (0, 1):
        rolled = np.moveaxis(plane.copy(), axis, 0)
        straight = np.moveaxis(plane, axis, 0)
        take(rolled[1:], straight[:-1], out=rolled[1:])
        take(rolled[:-1], straight[1:], out=rolled[:-1])
        plane = np.moveaxis(rolled, 0, axis)
    return plane


def _likeness(left: Plane, right: Plane) -> Plane:
    """Per window: correlation of the slightly blurred ink; 1 where both are flat."""
    left, right = _blurred(left), _blurred(right)
    mean_left, mean_right = (_window_means(side) for side in (left, right))
    variance_left, variance_right = (
        _window_means(side * side) - mean * mean for side, mean in ((left, mean_left), (right, mean_right))
    )
    covariance = _window_means(left * right) - mean_left * mean_right
    likeness = (2 * covariance + STEADY) / (variance_left + variance_right + STEADY)
    return likeness.astype(np.float32)


def _shift(left: Plane, right: Plane, levels: float, share: float) -> Plane:
    """Per window: change of the mean, relative to what is accepted."""
    mean_left, mean_right = _window_means(left), _window_means(right)
    accepted = np.maximum(levels, share * np.maximum(abs(mean_left), abs(mean_right)))
    shift = abs(mean_left - mean_right) / accepted
    return shift.astype(np.float32)


def _blurred(plane: Plane) -> Plane:
    padded = np.pad(plane, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    blurred: Plane = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / np.float32(9)
    return blurred


def _window_means(plane: Plane, size: int = WINDOW_PX, stride: int = STRIDE_PX) -> Plane:
    """Means of squares of *size*, one per *stride*, which divides it; a plane smaller than that is one window.

    Summed in squares of *stride* first: each pixel is then read once, not once for each window that it is in.
    """
    means: NDArray[np.float64] | Plane = plane
    for axis in (0, 1):
        rows = np.moveaxis(means, axis, 0)
        if len(rows) < size:
            total = rows.mean(axis=0, dtype=np.float64)[None]
        else:
            blocks = len(rows) // stride
            # 24 bits hold a block's sum; a whole window's sum of squares needs more
            summed = rows[: blocks * stride].reshape(blocks, stride, *rows.shape[1:]).sum(axis=1).astype(np.float64)
            per = size // stride
            total = sum(summed[at : blocks - per + 1 + at] for at in range(per)) / size
        means = np.moveaxis(total, 0, axis)
    return means.astype(np.float32)


def _inked_windows(picture: Picture) -> int:
    ink = picture[::4, ::4].min(axis=2) < 255 - INK_LEVELS  # every fourth pixel: only a rough count is needed
    return int((_window_means(ink.astype(np.float32), WINDOW_PX // 4, 2) > 0).sum())
