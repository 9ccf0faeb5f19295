"""Reads Word's XML: docx and its kin, transitional and strict, flat OPC, and Word 2003's own XML.

Names are compared without their namespace, because the dialects differ in little else. Layout, styles beyond
"hidden", and list numbers (generated) do not belong here.
Source: ECMA-376-1:2016 §17 (WordprocessingML), §20, §21 (DrawingML); ECMA-376-3 (mc:AlternateContent).
"""

from __future__ import annotations

from collections.abc import Iterable

from actions.errors import DamagedError
from actions.office import charts
from actions.office.content import Comment, Gathering, OfficeContent, kept
from actions.office.drawing import diagram_text, note_picture
from actions.office.metafiles import is_apart
from actions.office.ooxml_styles import UNNAMED, hidden_styles, is_on
from actions.office.ooxml_walk import Field, Walk
from actions.office.package import ASK, Element, Package, attribute, local

SKIPPED = frozenset(
    {
        "Fallback",
        "instrText",
        "delInstrText",
        "sdtPr",
        "sdtEndPr",
        "tblPr",
        "tblGrid",
        "docPartObj",
        "annotationRef",
        "binData",
        "rubyPr",
    }
)
SHAPES = ("wsp", "shape", "rect", "roundrect", "oval", "line", "polyline", "arc", "curve")  # DrawingML's one, then VML's
CHARACTERS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "softHyphen": "\u00ad", "ptab": "\t"}


def read(package: Package, main: str) -> OfficeContent:
    """Read the document whose main part is *main*.

    Raises:
        DamagedError: The main part is missing or has no body.
    """
    root = package.xml(main)
    body = None if root is None else next((child for child in root if local(child) == "body"), None)
    if body is None:
        raise DamagedError("it has no document body", package.subject, ASK)
    gathering = Gathering("text", "bevara ooxml reader")
    relations = package.relations(main)
    styles = _part(relations, "styles")  # a 2003 document carries its styles itself
    walk = Walk(package, gathering, gathering.body, relations, hidden_styles(package.xml(styles) if styles else root))
    _visit(body, walk)
    _notes(package, walk)
    _headers(package, walk)
    _comments(package, walk)
    if walk.fields:
        gathering.damage = "a field is not closed: text after it may be taken for the field's"
    return gathering.content()


def _part(relations: dict[str, tuple[str, str]], kind: str) -> str | None:
    return next((target for word, target in relations.values() if word == kind), None)


def _visit(element: Element, walk: Walk) -> None:
    """Walk one element; the branches are the few names that mean more than "go on inside"."""
    name = local(element)
    if not name or name in SKIPPED:
        return
    handler = HANDLERS.get(name)
    if handler is not None:
        handler(element, walk)
    else:
        _children(element, walk)


def _children(element: Iterable[Element], walk: Walk) -> None:
    for child in element:
        _visit(child, walk)


def _paragraph(element: Element, walk: Walk) -> None:
    style = element.find("{*}pPr/{*}pStyle")
    before = walk.hidden_paragraph
    walk.hidden_paragraph = (UNNAMED if style is None else attribute(style, "val")) in walk.hidden_styles
    _children(element, walk)
    walk.hidden_paragraph = before
    walk.gathering.part_asides()
    walk.stream.append("\n")


def _run(element: Element, walk: Walk) -> None:
    hidden = walk.hidden_paragraph
    properties = element.find("{*}rPr")
    if properties is not None:
        style = properties.find("{*}rStyle")
        hidden = hidden or (style is not None and attribute(style, "val") in walk.hidden_styles)
        vanish = is_on(properties.find("{*}vanish"))
        hidden = hidden if vanish is None else vanish
    for child in element:
        name = local(child)
        if name in {"t", "delText"}:
            walk.write(child.text or "", hidden=hidden)
        elif name in {"instrText", "delInstrText"}:
            if walk.fields and not walk.fields[-1].in_result:
                walk.fields[-1].instruction += child.text or ""
        elif name in CHARACTERS:
            walk.write(CHARACTERS[name], hidden=hidden)
        elif name != "rPr":
            _visit(child, walk)


def _text(element: Element, walk: Walk) -> None:
    walk.write(element.text or "")


def _symbol(element: Element, walk: Walk) -> None:
    """A character by code; those of symbol fonts (F000 to F0FF) have no text meaning."""
    try:
        code = int(attribute(element, "char"), 16)
    except ValueError:
        return
    if 0 < code < 0xD800 or 0xF900 <= code < 0x110000:
        walk.write(chr(code))


def _field_mark(element: Element, walk: Walk) -> None:
    kind = attribute(element, "fldCharType")
    if kind == "begin":
        walk.fields.append(Field())
    elif kind == "separate" and walk.fields:
        walk.fields[-1].in_result = True
    elif kind == "end" and walk.fields:
        walk.fields.pop()


def _simple_field(element: Element, walk: Walk) -> None:
    walk.fields.append(Field(attribute(element, "instr"), in_result=True))
    _children(element, walk)
    walk.fields.pop()


def _removed(element: Element, walk: Walk) -> None:
    """A deletion with text; the mark inside paragraph or row properties counts, but holds none."""
    walk.gathering.deletions += 1
    walk.deleted += 1
    _children(element, walk)
    walk.deleted -= 1
    if not walk.deleted and len(element):
        walk.gathering.deleted.append("\n")


def _inserted(element: Element, walk: Walk) -> None:
    walk.gathering.insertions += 1
    _children(element, walk)


def _annotation(element: Element, walk: Walk) -> None:
    """Word 2003's comments and tracked changes share one element."""
    kind = attribute(element, "type")
    if kind == "Word.Comment":
        remark: list[str] = []
        _children(element, walk.side(remark))
        walk.gathering.comments.append(Comment(attribute(element, "author"), kept(remark).strip()))
    elif kind == "Word.Deletion":
        _removed(element, walk)
    elif kind == "Word.Insertion":
        _inserted(element, walk)
    elif not kind.startswith(("Word.Bookmark", "Word.Formatting")):
        _children(element, walk)


def _text_box(element: Element, walk: Walk) -> None:
    """A box may be anchored in the middle of a word or field: its text goes in lines of its own, after the paragraph."""
    inside = walk.side([])
    _children(element, inside)
    walk.notes.setdefault("box", []).extend(["\n", *inside.stream, "\n"])
    for kind, references in inside.notes.items():
        walk.notes.setdefault(kind, []).extend(references)


def _reference(element: Element, walk: Walk) -> None:
    walk.notes[local(element).removesuffix("Reference")].append(attribute(element, "id"))


def _section(element: Element, walk: Walk) -> None:
    for child in element:
        name = local(child)
        if name in {"headerReference", "footerReference"}:
            walk.header_ids.append(attribute(child, "id"))
        elif name in {"hdr", "ftr"}:
            _children(child, walk.side(walk.gathering.headers))


def _blip(element: Element, walk: Walk) -> None:
    identifier = attribute(element, "embed") or attribute(element, "id") or attribute(element, "src")
    if identifier and not walk.deleted and walk.stream is not walk.gathering.headers:
        has_svg = element.find(".//{*}svgBlip") is not None  # the raster beside it is only for older readers
        part = walk.relations.get(identifier, ("", identifier))[1]
        note_picture(walk.gathering, walk.package, part, is_vector=has_svg, is_read=not walk.is_apart)


def _chart(element: Element, walk: Walk) -> None:
    target = walk.relations.get(attribute(element, "id"), ("", ""))[1]
    walk.gathering.embedded += 1
    walk.gathering.chart(charts.ooxml(walk.package, target))


def _diagram(element: Element, walk: Walk) -> None:
    target = walk.relations.get(attribute(element, "dm"), ("", ""))[1]
    walk.stream.append(diagram_text(walk.package, target))


def _formula(element: Element, walk: Walk) -> None:
    walk.gathering.drawn.append("".join(part.text or "" for part in element.iter("{*}t")) + "\n")


def _object(element: Element, walk: Walk) -> None:
    walk.gathering.embedded += 1
    before = walk.is_apart
    objects = element.iterfind("{*}OLEObject")
    walk.is_apart = any(is_apart(attribute(one, "ProgID"), as_icon=attribute(one, "DrawAspect") == "Icon") for one in objects)
    _children(element, walk)
    walk.is_apart = before


def _shape(element: Element, walk: Walk) -> None:
    walk.gathering.shapes += walk.stream is not walk.gathering.headers and not walk.deleted
    _children(element, walk)


def _ruby(element: Element, walk: Walk) -> None:
    """A reading aid stands above its base, not in the line."""
    for child in element:
        _visit(child, walk)
        walk.write(" ")


def _word_art(element: Element, walk: Walk) -> None:
    walk.gathering.drawn.append(attribute(element, "string") + "\n")


HANDLERS = {
    "p": _paragraph, "r": _run, "t": _text, "sym": _symbol, "fldChar": _field_mark, "fldSimple": _simple_field,
    "del": _removed, "moveFrom": _removed, "ins": _inserted, "moveTo": _inserted, "annotation": _annotation,
    "txbxContent": _text_box, "footnoteReference": _reference, "endnoteReference": _reference,
    "footnote": _text_box, "endnote": _text_box, "sectPr": _section, "blip": _blip, "imagedata": _blip,
    "chart": _chart, "relIds": _diagram, "oMath": _formula, "object": _object, "textpath": _word_art, "ruby": _ruby,
    **dict.fromkeys(SHAPES, _shape),
}  # fmt: skip


def _notes(package: Package, walk: Walk) -> None:
    """Text boxes, then the footnotes and endnotes that the body refers to."""
    walk.stream.extend(walk.notes.pop("box", []))
    for kind in ("footnote", "endnote"):
        part = _part(walk.relations, kind + "s")
        root = package.xml(part) if part else None
        wanted = set(walk.notes[kind])
        inside = walk.side(walk.stream, package.relations(part) if part else {})
        for note in root if root is not None else ():
            if attribute(note, "id") in wanted:
                _children(note, inside)
        walk.stream.extend(inside.notes.pop("box", []))


def _headers(package: Package, walk: Walk) -> None:
    for identifier in dict.fromkeys(walk.header_ids):
        part = walk.relations.get(identifier, ("", ""))[1]
        root = package.xml(part)
        if root is not None:
            inside = walk.side(walk.gathering.headers, package.relations(part))
            _children(root, inside)
            walk.gathering.headers.extend(inside.notes.pop("box", []))


def _comments(package: Package, walk: Walk) -> None:
    part = _part(walk.relations, "comments")
    root = package.xml(part) if part else None
    for comment in root if root is not None else ():
        text: list[str] = []
        _children(comment, walk.side(text))
        walk.gathering.comments.append(Comment(attribute(comment, "author"), kept(text).strip()))
