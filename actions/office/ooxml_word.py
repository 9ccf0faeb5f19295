"""Reads Word's XML: docx and its kin, transitional and strict, flat OPC, and Word 2003's own XML.

Names are compared without their namespace, because the dialects differ in little else. Layout, styles beyond
"hidden", and list numbers (generated) do not belong here.
Source: ECMA-376-1:2016 §17 (WordprocessingML), §20, §21 (DrawingML); ECMA-376-3 (mc:AlternateContent).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from actions.errors import DamagedError
from actions.office.content import Comment, Gathering, OfficeContent, is_computed
from actions.office.drawing import chart_text, diagram_text, note_picture
from actions.office.ooxml_styles import UNNAMED, hidden_styles, is_on
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
CHARACTERS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "softHyphen": "\u00ad", "ptab": "\t"}


@dataclass(slots=True)
class _Field:
    """One open complex field: its instruction so far, and whether its result has begun."""

    instruction: str = ""
    in_result: bool = False


@dataclass(slots=True)
class _Walk:
    """State of one walk over one part."""

    package: Package
    gathering: Gathering
    stream: list[str]
    relations: dict[str, tuple[str, str]]
    hidden_styles: frozenset[str]
    fields: list[_Field] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=lambda: {"footnote": [], "endnote": []})
    header_ids: list[str] = field(default_factory=list)
    deleted: int = 0
    hidden_paragraph: bool = False


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
    walk = _Walk(package, gathering, gathering.body, relations, hidden_styles(package.xml(styles) if styles else root))
    _visit(body, walk)
    _notes(package, walk)
    _headers(package, walk)
    _comments(package, walk)
    return gathering.content()


def _part(relations: dict[str, tuple[str, str]], kind: str) -> str | None:
    return next((target for word, target in relations.values() if word == kind), None)


def _visit(element: Element, walk: _Walk) -> None:
    """Walk one element; the branches are the few names that mean more than "go on inside"."""
    name = local(element)
    if not name or name in SKIPPED:
        return
    handler = HANDLERS.get(name)
    if handler is not None:
        handler(element, walk)
    else:
        _children(element, walk)


def _children(element: Iterable[Element], walk: _Walk) -> None:
    for child in element:
        _visit(child, walk)


def _write(text: str, walk: _Walk, *, hidden: bool = False) -> None:
    """Put *text* into the stream that a page would show it in."""
    if any(not one.in_result for one in walk.fields):
        return
    if walk.deleted:
        walk.gathering.deleted.append(text)
    elif hidden:
        walk.gathering.aside(walk.gathering.hidden, text)
    elif any(is_computed(one.instruction) for one in walk.fields):
        walk.gathering.aside(walk.gathering.computed, text)
    else:
        walk.gathering.part_asides()
        walk.stream.append(text)


def _paragraph(element: Element, walk: _Walk) -> None:
    style = element.find("{*}pPr/{*}pStyle")
    before = walk.hidden_paragraph
    walk.hidden_paragraph = (UNNAMED if style is None else attribute(style, "val")) in walk.hidden_styles
    _children(element, walk)
    walk.hidden_paragraph = before
    walk.gathering.part_asides()
    walk.stream.append("\n")


def _run(element: Element, walk: _Walk) -> None:
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
            _write(child.text or "", walk, hidden=hidden)
        elif name in {"instrText", "delInstrText"}:
            if walk.fields and not walk.fields[-1].in_result:
                walk.fields[-1].instruction += child.text or ""
        elif name in CHARACTERS:
            _write(CHARACTERS[name], walk, hidden=hidden)
        elif name != "rPr":
            _visit(child, walk)


def _text(element: Element, walk: _Walk) -> None:
    _write(element.text or "", walk)


def _symbol(element: Element, walk: _Walk) -> None:
    """A character by code; those of symbol fonts (F000 to F0FF) have no text meaning."""
    code = int(attribute(element, "char", "0") or "0", 16) if attribute(element, "char", "0").isalnum() else 0
    if code and not 0xE000 <= code <= 0xF8FF and code < 0x110000:
        _write(chr(code), walk)


def _field_mark(element: Element, walk: _Walk) -> None:
    kind = attribute(element, "fldCharType")
    if kind == "begin":
        walk.fields.append(_Field())
    elif kind == "separate" and walk.fields:
        walk.fields[-1].in_result = True
    elif kind == "end" and walk.fields:
        walk.fields.pop()


def _simple_field(element: Element, walk: _Walk) -> None:
    walk.fields.append(_Field(attribute(element, "instr"), in_result=True))
    _children(element, walk)
    walk.fields.pop()


def _removed(element: Element, walk: _Walk) -> None:
    """A deletion with text; the mark inside paragraph or row properties counts, but holds none."""
    walk.gathering.deletions += 1
    walk.deleted += 1
    _children(element, walk)
    walk.deleted -= 1
    if not walk.deleted and len(element):
        walk.gathering.deleted.append("\n")


def _inserted(element: Element, walk: _Walk) -> None:
    walk.gathering.insertions += 1
    _children(element, walk)


def _annotation(element: Element, walk: _Walk) -> None:
    """Word 2003's comments and tracked changes share one element."""
    kind = attribute(element, "type")
    if kind == "Word.Comment":
        remark: list[str] = []
        _children(element, _side(walk, remark))
        walk.gathering.comments.append(Comment(attribute(element, "author"), "".join(remark).strip()))
    elif kind == "Word.Deletion":
        _removed(element, walk)
    elif kind == "Word.Insertion":
        _inserted(element, walk)
    elif not kind.startswith(("Word.Bookmark", "Word.Formatting")):
        _children(element, walk)


def _side(walk: _Walk, stream: list[str], relations: dict[str, tuple[str, str]] | None = None) -> _Walk:
    """A fresh walk for text that stands apart: a note, a header, a comment."""
    return _Walk(walk.package, walk.gathering, stream, walk.relations if relations is None else relations, walk.hidden_styles)


def _text_box(element: Element, walk: _Walk) -> None:
    """A box may be anchored in the middle of a word or field: its text goes in lines of its own, after the paragraph."""
    inside = _side(walk, [])
    _children(element, inside)
    walk.notes.setdefault("box", []).extend(["\n", *inside.stream, "\n"])
    for kind, references in inside.notes.items():
        walk.notes.setdefault(kind, []).extend(references)


def _reference(element: Element, walk: _Walk) -> None:
    walk.notes[local(element).removesuffix("Reference")].append(attribute(element, "id"))


def _inline_note(element: Element, walk: _Walk) -> None:
    _text_box(element, walk)


def _section(element: Element, walk: _Walk) -> None:
    for child in element:
        name = local(child)
        if name in {"headerReference", "footerReference"}:
            walk.header_ids.append(attribute(child, "id"))
        elif name in {"hdr", "ftr"}:
            _children(child, _side(walk, walk.gathering.headers))


def _blip(element: Element, walk: _Walk) -> None:
    identifier = attribute(element, "embed") or attribute(element, "id") or attribute(element, "src")
    if identifier and not walk.deleted and walk.stream is not walk.gathering.headers:
        has_svg = element.find(".//{*}svgBlip") is not None  # the raster beside it is only for older readers
        note_picture(walk.gathering, walk.package, walk.relations.get(identifier, ("", identifier))[1], is_vector=has_svg)


def _chart(element: Element, walk: _Walk) -> None:
    target = walk.relations.get(attribute(element, "id"), ("", ""))[1]
    walk.gathering.embedded += 1
    walk.gathering.drawn.append(chart_text(walk.package, target))


def _diagram(element: Element, walk: _Walk) -> None:
    target = walk.relations.get(attribute(element, "dm"), ("", ""))[1]
    walk.stream.append(diagram_text(walk.package, target))


def _formula(element: Element, walk: _Walk) -> None:
    walk.gathering.drawn.append("".join(part.text or "" for part in element.iter("{*}t")) + "\n")


def _object(element: Element, walk: _Walk) -> None:
    walk.gathering.embedded += 1
    _children(element, walk)


def _word_art(element: Element, walk: _Walk) -> None:
    walk.gathering.drawn.append(attribute(element, "string") + "\n")


HANDLERS = {
    "p": _paragraph, "r": _run, "t": _text, "sym": _symbol, "fldChar": _field_mark, "fldSimple": _simple_field,
    "del": _removed, "moveFrom": _removed, "ins": _inserted, "moveTo": _inserted, "annotation": _annotation,
    "txbxContent": _text_box, "footnoteReference": _reference, "endnoteReference": _reference,
    "footnote": _inline_note, "endnote": _inline_note, "sectPr": _section, "blip": _blip, "imagedata": _blip,
    "chart": _chart, "relIds": _diagram, "oMath": _formula, "object": _object, "textpath": _word_art,
}  # fmt: skip


def _notes(package: Package, walk: _Walk) -> None:
    """Text boxes, then the footnotes and endnotes that the body refers to."""
    walk.stream.extend(walk.notes.pop("box", []))
    for kind in ("footnote", "endnote"):
        part = _part(walk.relations, kind + "s")
        root = package.xml(part) if part else None
        wanted = set(walk.notes[kind])
        inside = _side(walk, walk.stream, package.relations(part) if part else {})
        for note in root if root is not None else ():
            if attribute(note, "id") in wanted:
                _children(note, inside)
        walk.stream.extend(inside.notes.pop("box", []))


def _headers(package: Package, walk: _Walk) -> None:
    for identifier in dict.fromkeys(walk.header_ids):
        part = walk.relations.get(identifier, ("", ""))[1]
        root = package.xml(part)
        if root is not None:
            inside = _side(walk, walk.gathering.headers, package.relations(part))
            _children(root, inside)
            walk.gathering.headers.extend(inside.notes.pop("box", []))


def _comments(package: Package, walk: _Walk) -> None:
    part = _part(walk.relations, "comments")
    root = package.xml(part) if part else None
    for comment in root if root is not None else ():
        text: list[str] = []
        _children(comment, _side(walk, text))
        walk.gathering.comments.append(Comment(attribute(comment, "author"), "".join(text).strip()))
