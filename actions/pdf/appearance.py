"""Draw an annotation that carries no picture of itself, from its own entries.

Simple marks only: a line through or under the text, a frame, an ink stroke, a small note sign. Readers draw
such annotations each in their own way; PDF/A wants one drawing in the file. Colours are given as RGB.
Source: ISO 19005-2, 6.3.3; ISO 32000-1, 12.5.5 and 12.5.6.
"""

from __future__ import annotations

from pikepdf import Array, Dictionary, Name, Object, Pdf

from actions.pdf.repairs import entry, items, number

Box = tuple[float, float, float, float]


def draw(pdf: Pdf, annot: Dictionary, kind: str) -> None:
    """Give *annot* an appearance of its own rectangle's size; an unknown *kind* gets an empty one."""
    box = _rectangle(annot)
    painter = _PAINTERS.get(kind)
    content = painter(annot, box) if painter is not None else ""
    form = pdf.make_stream(content.encode("ascii"))
    form["/Type"], form["/Subtype"], form["/FormType"] = Name.XObject, Name.Form, 1
    form["/BBox"] = Array([round(value, 3) for value in box])
    form["/Matrix"] = Array([1, 0, 0, 1, round(-box[0], 3), round(-box[1], 3)])
    form["/Resources"] = Dictionary()
    field_button = kind == "Widget" and str(annot.get("/FT")) == "/Btn"
    annot["/AP"] = Dictionary(N=Dictionary(Off=form) if field_button else form)
    if field_button:
        annot["/AS"] = Name.Off


def _rectangle(annot: Dictionary) -> Box:
    values = [number(value) for value in items(annot, "/Rect")][:4]
    x0, y0, x1, y1 = values if len(values) == 4 else (0.0, 0.0, 1.0, 1.0)
    return (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))


def _colour(annot: Dictionary, key: str = "/C", *, fill: bool = False) -> str:
    parts = [number(value) for value in items(annot, key)]
    if len(parts) == 4:  # CMYK, the simple way: a mark's colour, not a record's
        parts = [(1 - parts[index]) * (1 - parts[3]) for index in range(3)]
    rgb = parts * 3 if len(parts) == 1 else parts if len(parts) == 3 else [0.0, 0.0, 0.0]
    return " ".join(f"{value:.3f}" for value in rgb) + (" rg\n" if fill else " RG\n")


def _width(annot: Dictionary) -> float:
    style = entry(annot, "/BS")
    if style is not None and "/W" in style:
        return number(style.get("/W"), 1.0)
    border = items(annot, "/Border")
    return number(border[2], 1.0) if len(border) >= 3 else 1.0


def _points(values: list[Object]) -> list[tuple[float, float]]:
    flat = [number(value) for value in values]
    return list(zip(flat[0::2], flat[1::2], strict=False))


def _quads(annot: Dictionary) -> list[list[tuple[float, float]]]:
    points = _points(items(annot, "/QuadPoints"))
    return [points[index : index + 4] for index in range(0, len(points) - 3, 4)]


def _path(points: list[tuple[float, float]]) -> str:
    return "".join(f"{x:.2f} {y:.2f} {'l' if index else 'm'}\n" for index, (x, y) in enumerate(points))


def _lines_at(annot: Dictionary, height: float) -> str:
    """A line through each marked quadrilateral: *height* 0 at its foot, 1 at its top (points: top left, top right, feet)."""
    out = _colour(annot) + "1 w\n"
    for upper_left, upper_right, lower_left, lower_right in _quads(annot):
        left = (lower_left[0], lower_left[1] + (upper_left[1] - lower_left[1]) * height)
        right = (lower_right[0], lower_right[1] + (upper_right[1] - lower_right[1]) * height)
        out += _path([left, right]) + "S\n"
    return out


def _highlight(annot: Dictionary, box: Box) -> str:
    """A frame around the words: a filled box would hide them, and multiplying is forbidden in PDF/A-1."""
    del box
    out = _colour(annot) + "1 w\n"
    for upper_left, upper_right, lower_left, lower_right in _quads(annot):
        out += _path([upper_left, upper_right, lower_right, lower_left]) + "s\n"
    return out


def _frame(annot: Dictionary, box: Box) -> str:
    inset = _width(annot) / 2
    size = f"{box[0] + inset:.2f} {box[1] + inset:.2f} {box[2] - box[0] - 2 * inset:.2f} {box[3] - box[1] - 2 * inset:.2f} re\n"
    filled = bool(items(annot, "/IC"))
    return (
        _colour(annot)
        + (_colour(annot, "/IC", fill=True) if filled else "")
        + f"{_width(annot):.2f} w\n{size}{'B' if filled else 'S'}\n"
    )


def _strokes(annot: Dictionary, lists: list[list[tuple[float, float]]], end: str) -> str:
    return _colour(annot) + f"{_width(annot):.2f} w\n" + "".join(_path(points) + f"{end}\n" for points in lists if points)


def _note(annot: Dictionary, box: Box) -> str:
    """A sheet with three lines, within 20 points from the rectangle's upper left corner."""
    side = min(20.0, box[2] - box[0], box[3] - box[1])
    left, top = box[0] + 1, box[3] - 1
    sheet = f"{left:.2f} {top - side + 2:.2f} {side - 2:.2f} {side - 2:.2f} re S\n"
    lines = "".join(
        _path([(left + side * 0.2, top - side * part), (left + side * 0.7, top - side * part)]) + "S\n"
        for part in (0.25, 0.45, 0.65)
    )
    return _colour(annot) + "1 w\n" + sheet + lines


def _ink(annot: Dictionary, box: Box) -> str:
    del box
    return _strokes(annot, [_points(list(part)) for part in items(annot, "/InkList") if isinstance(part, Array)], "S")


_PAINTERS = {
    "Text": _note,
    "FileAttachment": _note,
    "Highlight": _highlight,
    "Underline": lambda annot, _box: _lines_at(annot, 0.05),
    "Squiggly": lambda annot, _box: _lines_at(annot, 0.05),
    "StrikeOut": lambda annot, _box: _lines_at(annot, 0.45),
    "Square": _frame,
    "Circle": _frame,
    "Line": lambda annot, _box: _strokes(annot, [_points(items(annot, "/L"))], "S"),
    "PolyLine": lambda annot, _box: _strokes(annot, [_points(items(annot, "/Vertices"))], "S"),
    "Polygon": lambda annot, _box: _strokes(annot, [_points(items(annot, "/Vertices"))], "s"),
    "Ink": _ink,
}
