"""Reads PowerPoint's XML: pptx, ppsx, potx, transitional and strict, zipped and flat.

Slides are taken in the order of the presentation, with what their layout and master show behind them. A
placeholder on a master is a pattern, not text: it is left out.
Source: ECMA-376-1:2016 §19 (PresentationML), §20, §21 (DrawingML).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from actions.errors import DamagedError
from actions.office import charts, sketch
from actions.office.content import Comment, Gathering, OfficeContent
from actions.office.drawing import METAFILE_ENDINGS, diagram_text, note_metafile, note_picture
from actions.office.metafiles import is_apart
from actions.office.package import ASK, Element, Package, attribute, local

SKIPPED = frozenset({"Fallback", "extLst", "txStyles", "timing", "transition", "custDataLst"})
FURNITURE = frozenset({"dt", "ftr", "sldNum", "hdr"})  # placeholders that a page repeats
COMPUTED = ("slidenum", "datetime")
OFF = frozenset({"0", "false"})


@dataclass(slots=True)
class _Walk:
    package: Package
    gathering: Gathering
    stream: list[str]
    relations: dict[str, tuple[str, str]]
    is_pattern: bool = False  # a layout or master: its placeholders are not shown
    in_group: bool = False
    is_apart: bool = False  # inside an object whose picture is not compared


def read(package: Package, main: str) -> OfficeContent:
    """Read the presentation whose main part is *main*.

    Raises:
        DamagedError: The main part is missing or lists no slides' parts.
    """
    root = package.xml(main)
    if root is None:
        raise DamagedError("it has no presentation part", package.subject, ASK)
    gathering = Gathering("presentation", "bevara ooxml reader", slides=0)
    relations = package.relations(main)
    authors = _authors(package, relations)
    patterns: set[str] = set()
    gathering.slide_size = sketch.ooxml_size(root)
    for identifier in root.iterfind("{*}sldIdLst/{*}sldId"):
        _slide(package, gathering, relations.get(_relation_id(identifier), ("", ""))[1], authors, patterns)
    return gathering.content()


def _relation_id(element: Element) -> str:
    """``r:id``, which stands beside a plain ``id`` here."""
    return next((str(value) for key, value in element.attrib.items() if str(key).endswith("}id")), "")


def _slide(package: Package, gathering: Gathering, part: str, authors: dict[str, str], patterns: set[str]) -> None:
    gathering.slides = (gathering.slides or 0) + 1
    slide = package.xml(part)
    if slide is None:
        gathering.damage = f"slide {gathering.slides} is missing"
        return
    gathering.hidden_slides += slide.get("show", "1") in OFF
    gathering.boxes.append(sketch.ooxml(slide, gathering.slide_size))
    relations = package.relations(part)
    _visit(slide, _Walk(package, gathering, gathering.body, relations))
    gathering.body.append("\n")
    for kind, target in relations.values():
        if kind == "notesSlide":
            _notes(package, gathering, target)
        elif kind == "comments":
            _comments(package, gathering, target, authors)
        elif kind == "slideLayout":
            _pattern(package, gathering, target, patterns, shown=slide.get("showMasterSp", "1") not in OFF)


def _pattern(package: Package, gathering: Gathering, part: str, seen: set[str], *, shown: bool) -> None:
    """Gather what a layout and its master draw behind a slide, once each."""
    if part in seen or not shown:
        return
    seen.add(part)
    root = package.xml(part)
    if root is None:
        return
    relations = package.relations(part)
    _visit(root, _Walk(package, gathering, gathering.headers, relations, is_pattern=True))
    for kind, target in relations.values():
        if kind == "slideMaster":
            _pattern(package, gathering, target, seen, shown=root.get("showMasterSp", "1") not in OFF)


def _visit(element: Element, walk: _Walk) -> None:
    name = local(element)
    if not name or name in SKIPPED:
        return
    if name in {"sp", "pic", "graphicFrame", "cxnSp", "grpSp"}:
        _shape(element, walk)
    elif name == "p":
        _paragraph(element, walk)
    elif name == "blip":
        target = walk.relations.get(attribute(element, "embed"), ("", ""))[1]
        if target and not walk.is_pattern:
            has_svg = element.find(".//{*}svgBlip") is not None  # the raster beside it is only for older readers
            note_picture(walk.gathering, walk.package, target, is_vector=has_svg, is_read=not walk.is_apart)
    elif name == "graphicData" and (objects := list(element.iter("{*}oleObj"))):
        _object(element, objects, walk)
    elif name == "chart" and attribute(element, "id"):
        walk.gathering.embedded += 1
        walk.gathering.chart(charts.ooxml(walk.package, walk.relations.get(attribute(element, "id"), ("", ""))[1]))
    elif name == "relIds":
        walk.stream.append(diagram_text(walk.package, walk.relations.get(attribute(element, "dm"), ("", ""))[1]))
    else:
        walk.gathering.embedded += name == "oleObj"
        _children(element, walk)


def _object(element: Element, objects: list[Element], walk: _Walk) -> None:
    """An embedded object: its picture stands in the form for older programs, or in a drawing beside the slide."""
    before = walk.is_apart
    walk.is_apart = any(is_apart(one.get("progId", ""), as_icon=one.get("showAsIcon", "0") not in OFF) for one in objects)
    if not (walk.is_apart or walk.is_pattern):
        blips = [attribute(blip, "embed") for blip in element.iterfind(".//{*}oleObj/{*}pic/{*}blipFill/{*}blip")]
        for part in [walk.relations.get(blip, ("", ""))[1] for blip in blips] or _beside(objects, walk):
            if part.lower().endswith(METAFILE_ENDINGS):
                note_metafile(walk.gathering, walk.package, part)
    _children(element, walk)
    walk.is_apart = before


def _beside(objects: list[Element], walk: _Walk) -> Iterator[str]:
    """The pictures that files of 2007 keep in a VML drawing, by the objects' names there."""
    names = {one.get("spid", "") for one in objects}
    for kind, part in walk.relations.values():
        try:
            root = walk.package.xml(part) if kind == "vmlDrawing" else None
        except DamagedError:  # much VML is not well-formed
            continue
        pictures = walk.package.relations(part) if root is not None else {}
        for shape in root.iter("{*}shape") if root is not None else ():
            if shape.get("id", "") in names:
                yield from (pictures.get(attribute(data, "relid"), ("", ""))[1] for data in shape.iterfind("{*}imagedata"))


def _children(element: Element, walk: _Walk) -> None:
    for child in element:
        _visit(child, walk)


def _shape(element: Element, walk: _Walk) -> None:
    """One shape: hidden ones say nothing on the page; a pattern's placeholders are not drawn."""
    properties = element.find("*/{*}cNvPr")
    placeholder = element.find("*/{*}nvPr/{*}ph")
    stream = walk.stream
    if walk.is_pattern and placeholder is not None:
        return
    if not walk.in_group and sketch.ooxml_beyond(element, walk.gathering.slide_size):
        apart = Gathering("presentation", walk.gathering.reader)  # no page shows its pictures and charts either
        _children(element, _Walk(walk.package, apart, walk.gathering.beyond, walk.relations, in_group=True))
        return
    was_in_group = walk.in_group
    walk.in_group = was_in_group or local(element) == "grpSp"  # a group has a scale of its own
    if properties is not None and properties.get("hidden", "0") not in {"0", "false"}:
        walk.stream = walk.gathering.hidden
    elif placeholder is not None and placeholder.get("type", "") in FURNITURE:
        walk.stream = walk.gathering.headers
    _children(element, walk)
    walk.stream, walk.in_group = stream, was_in_group


def _paragraph(element: Element, walk: _Walk) -> None:
    for child in element:
        name = local(child)
        text = "".join(part.text or "" for part in child.iterfind("{*}t"))
        if name == "fld" and child.get("type", "").startswith(COMPUTED):
            walk.gathering.computed.append(text + " ")
        elif name in {"r", "fld"}:
            walk.stream.append(text)
        elif name in {"br", "tab"}:
            walk.stream.append("\n")
        elif name in {"m", "oMath", "oMathPara", "AlternateContent"}:
            walk.gathering.drawn.append("".join(part.text or "" for part in child.iter("{*}t")) + "\n")
    walk.stream.append("\n")


def _notes(package: Package, gathering: Gathering, part: str) -> None:
    """The notes' body; the slide's picture and the page's furniture on it are no notes."""
    root = package.xml(part)
    words: list[str] = []
    for shape in root.iter("{*}sp") if root is not None else ():
        placeholder = shape.find("*/{*}nvPr/{*}ph")
        if placeholder is None or placeholder.get("type", "obj") not in FURNITURE | {"sldImg"}:
            _children(shape, _Walk(package, gathering, words, {}))
    gathering.notes.append("".join(words).strip())


def _authors(package: Package, relations: dict[str, tuple[str, str]]) -> dict[str, str]:
    names = {}
    for kind, part in relations.values():
        root = package.xml(part) if kind in {"commentAuthors", "authors"} else None
        for author in root if root is not None else ():
            names[author.get("id", "")] = author.get("name", "")
    return names


def _comments(package: Package, gathering: Gathering, part: str, authors: dict[str, str]) -> None:
    """Classic comments keep plain text, the threaded ones of 2018 paragraphs; replies count too."""
    root = package.xml(part)
    for comment in root.iter("{*}cm", "{*}reply") if root is not None else ():
        own = [child for child in comment if local(child) in {"text", "txBody"}]
        text = "".join(part.text or "" for child in own for part in (child.iter("{*}t") if len(child) else [child]))
        gathering.comments.append(Comment(authors.get(comment.get("authorId", ""), ""), text.strip()))
