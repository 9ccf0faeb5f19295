"""Where a slide's shapes stand, by the source's own numbers, and whether the result has ink there and nowhere else.

For slides without words or pictures this is all that can be measured without a second program that draws. A slide
whose geometry is turned, inherited or grouped in another scale is not measured. What a shape looks like inside its
box is not seen.
Source: ECMA-376-1:2016 §20.1.7.6 (xfrm), §19.2.1.39 (sldSz); OASIS ODF 1.3 part 3 §19.570-19.575 (svg:x … svg:height).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from actions.compare import pages
from actions.office.package import Element, attribute, local

LOOK_DPI = 40
MARGIN = 0.02  # of the page: an outline's width, a shadow
PAPER = 250  # of 255
SLIDES_MAX = 300
_LENGTH = re.compile(r"(-?\d+(?:\.\d+)?)(cm|mm|in|pt)")
_POINTS = {"cm": 72 / 2.54, "mm": 72 / 25.4, "in": 72.0, "pt": 1.0}
_UNDRAWN = frozenset({"notes", "forms", "par", "animations", "title", "desc", ""})
_SHAPES = frozenset({"sp", "pic", "graphicFrame", "cxnSp"})

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as shares of the slide."""


def ooxml(slide: Element, size: tuple[float, float] | None) -> tuple[Box, ...] | None:
    """The boxes of a PowerPoint slide's shapes; None when one cannot be told. Empty placeholders draw nothing."""
    if size is None:
        return None
    boxes: list[Box] = []
    for shape in slide.iterfind("{*}cSld/{*}spTree/*"):
        kind = local(shape)
        box = _xfrm(shape, size) if kind in _SHAPES else None
        if kind == "sp" and shape.find("*/{*}nvPr/{*}ph") is not None:
            continue
        if kind in {"grpSp", "AlternateContent"} or (kind in _SHAPES and box is None):
            return None
        if box is not None and not is_beyond(box):
            boxes.append(box)
    return tuple(boxes)


def is_beyond(box: Box) -> bool:
    """Tell whether *box* lies wholly beyond the slide's edge: nobody who looks at the slide sees what is in it."""
    left, top, right, bottom = box
    return right <= 0 or bottom <= 0 or left >= 1 or top >= 1


def ooxml_beyond(shape: Element, size: tuple[float, float] | None) -> bool:
    """Whether a shape or group of a PowerPoint slide is known to lie beyond its edge."""
    box = _xfrm(shape, size) if size is not None else None
    return box is not None and is_beyond(box)


def _xfrm(shape: Element, size: tuple[float, float]) -> Box | None:
    places = ("{*}spPr/{*}xfrm", "{*}grpSpPr/{*}xfrm", "{*}xfrm")
    frame = next((found for found in map(shape.find, places) if found is not None), None)
    if frame is None or frame.get("rot", "0") != "0":
        return None
    corner, extent = frame.find("{*}off"), frame.find("{*}ext")
    if corner is None or extent is None:
        return None
    try:
        left, top, width, height = (
            float(part.get(key, "")) for part, keys in ((corner, "xy"), (extent, ("cx", "cy"))) for key in keys
        )
    except ValueError:
        return None
    return left / size[0], top / size[1], (left + width) / size[0], (top + height) / size[1]


def ooxml_size(root: Element) -> tuple[float, float] | None:
    """The slides' size in the file's own unit."""
    found = root.find("{*}sldSz")
    try:
        size = (float(found.get("cx", "")), float(found.get("cy", ""))) if found is not None else None
    except ValueError:
        return None
    return size if size is not None and min(size) > 0 else None


def odf(page: Element, size: tuple[float, float]) -> tuple[Box, ...] | None:
    """The boxes of an OpenDocument slide's shapes; None when one cannot be told."""
    boxes: list[Box] = []
    for shape in page:
        if local(shape) in _UNDRAWN or attribute(shape, "placeholder") == "true":
            continue
        box = _odf_box(shape, size)
        if box is None:
            return None
        if not is_beyond(box):
            boxes.append(box)
    return tuple(boxes)


def _odf_box(shape: Element, size: tuple[float, float]) -> Box | None:
    corners = _corners(shape)
    if local(shape) == "g" or attribute(shape, "transform") or len(corners) < 4:
        return None
    left, top, right, bottom = corners
    width, height = size
    return min(left, right) / width, min(top, bottom) / height, max(left, right) / width, max(top, bottom) / height


def odf_beyond(shape: Element, size: tuple[float, float] | None) -> bool:
    """Whether a shape or group of an OpenDocument slide is known to lie beyond its edge."""
    if local(shape) == "g":
        members = [member for member in shape if local(member) not in _UNDRAWN]
        return bool(members) and all(odf_beyond(member, size) for member in members)
    box = _odf_box(shape, size) if size is not None else None
    return box is not None and is_beyond(box)


def _corners(shape: Element) -> list[float]:
    if attribute(shape, "x1"):
        found = [_points(attribute(shape, name)) for name in ("x1", "y1", "x2", "y2")]
        return [one for one in found if one is not None]
    left, top, width, height = (_points(attribute(shape, name)) for name in ("x", "y", "width", "height"))
    if left is None or top is None or width is None or height is None:
        return []
    return [left, top, left + width, top + height]


def odf_size(page: Element, parts: Iterable[Element]) -> tuple[float, float] | None:
    """The slide's size in points, from its master's page layout."""
    master = attribute(page, "master-page-name")
    everything = [element for part in parts for element in part.iter("{*}master-page", "{*}page-layout")]
    layout = next((attribute(one, "page-layout-name") for one in everything if attribute(one, "name") == master), None)
    for one in everything:
        if local(one) == "page-layout" and attribute(one, "name") == layout:
            for properties in one:
                width, height = (_points(attribute(properties, f"page-{side}")) for side in ("width", "height"))
                if width and height:
                    return width, height
    return None


def _points(length: str) -> float | None:
    found = _LENGTH.fullmatch(length)
    return float(found[1]) * _POINTS[found[2]] if found else None


def misplaced(result: Path, slides: Sequence[tuple[Box, ...]]) -> list[str]:
    """The slides (1-based) of which a shape has no ink in its place, or where ink stands outside all of them."""
    wrong = []
    with pages.opened(result) as document:
        for number, boxes in enumerate(slides[:SLIDES_MAX], 1):
            sheet = pages.sheet(document, number - 1) if number <= pages.page_count(document) else None
            if sheet is None or not _fits(sheet.picture(LOOK_DPI).min(axis=2) < PAPER, boxes):
                wrong.append(str(number))
    return wrong


def _fits(ink: np.ndarray, boxes: tuple[Box, ...]) -> bool:
    outside = np.ones_like(ink)
    for place in _pixels(boxes, ink.shape):
        if not ink[place].any():
            return False
        outside[place] = False
    return not (ink & outside).any()


def _pixels(boxes: tuple[Box, ...], shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    rows, columns = shape[:2]
    for left, top, right, bottom in boxes:
        yield (
            slice(max(0, int((top - MARGIN) * rows)), max(0, int((bottom + MARGIN) * rows) + 1)),
            slice(max(0, int((left - MARGIN) * columns)), max(0, int((right + MARGIN) * columns) + 1)),
        )
