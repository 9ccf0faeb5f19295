"""Reads OpenDocument texts and presentations, zipped and flat, and OpenOffice.org 1 files (sxw, sxi).

OpenOffice.org 1 uses other namespaces with nearly the same names, so names are compared without namespace.
Styles matter only where they hide something. Spreadsheets and drawings do not belong here.
Source: OASIS ODF 1.3 part 3 §4 (text), §5.5 (tracked changes), §7 (fields), §9 (presentations), §10 (drawing), §16 (styles).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from actions.errors import DamagedError
from actions.office import charts, sketch
from actions.office.content import Comment, Gathering, OfficeContent, Struck, kept
from actions.office.drawing import note_metafile, note_picture
from actions.office.metafiles import note
from actions.office.package import ASK, Element, Package, attribute, from_base64, local

SKIPPED = frozenset(
    {"note-citation", "footnote-citation", "endnote-citation", "title", "desc", "event-listeners", "script", "forms",
     "tracked-changes", "table-of-content-source", "alphabetical-index-source", "illustration-index-source",
     "table-index-source", "object-index-source", "user-index-source", "bibliography-source", "sequence-decls",
     "variable-decls", "user-field-decls", "dde-connection-decls", "glue-point", "binary-data", "image-map",
     "ruby-text-properties", "header-decl", "footer-decl", "date-time-decl", "animations", "par", "number", "outline",
     "automatic-styles", "font-face-decls"}
)  # fmt: skip
COMPUTED = frozenset(
    {"page-number", "page-continuation", "page-count", "paragraph-count", "word-count", "character-count", "table-count",
     "image-count", "date", "time", "file-name", "chapter", "sheet-name", "template-name", "sequence", "bookmark-ref",
     "reference-ref", "sequence-ref", "note-ref", "title-field", "author-name", "author-initials", "initial-creator",
     "creator", "creation-date", "creation-time", "modification-date", "modification-time", "print-date", "print-time",
     "printed-by", "editing-cycles", "editing-duration", "subject", "keywords", "description", "user-defined", "expression",
     "variable-get", "variable-set", "variable-input", "user-field-get", "database-display", "conditional-text",
     "page-variable-get", "page-variable-set", "measure", "table-formula", "object-count"}
)  # fmt: skip
NOT_ON_SLIDES = frozenset({"notes", "header", "header-left", "header-first", "footer", "footer-left", "footer-first"})
SPACES_MAX = 1000  # text:c is a number that a hostile file can set to a billion
DRAWN = frozenset(
    {"custom-shape", "rect", "ellipse", "circle", "line", "polyline", "polygon", "path", "connector", "control", "scene"}
)
PARAGRAPHS = frozenset({"p", "h"})


@dataclass(slots=True)
class _Walk:
    package: Package
    gathering: Gathering
    stream: list[str]
    hidden_styles: frozenset[str] = frozenset()
    is_pattern: bool = False
    later: list[str] = field(default_factory=list)  # boxes and notes, set free after their paragraph
    struck: Mapping[str, str] = field(default_factory=dict)  # deleted text by the name of its change
    depth: int = 0


def read(package: Package, root: Element, styles: Element | None, kind: str) -> OfficeContent:
    """Read a document from its content *root* and, where zipped, its *styles* part.

    Args:
        kind: "text" or "presentation", from ``body_kind``.

    Raises:
        DamagedError: There is no body.
    """
    body = _body(root)
    if body is None:
        raise DamagedError("it has no document body", package.subject, ASK)
    is_slides = kind == "presentation"
    gathering = Gathering("presentation" if is_slides else "text", "bevara odf reader", slides=0 if is_slides else None)
    hidden = _hidden_styles(root) | (_hidden_styles(styles) if styles is not None else frozenset())
    struck = _tracked(package, body, gathering, hidden)
    walk = _Walk(package, gathering, gathering.body, hidden, struck=struck)
    if is_slides:
        parts = (root,) if styles is None else (root, styles)
        for page in body.iterfind("{*}page"):
            size = sketch.odf_size(page, parts)
            _page(page, walk, size)
            gathering.boxes.append(sketch.odf(page, size) if size is not None else None)
    else:
        _visit(body, walk)
    gathering.body.extend(walk.later)
    for declared in body.iter("{*}header-decl", "{*}footer-decl"):
        gathering.headers.append((declared.text or "") + "\n")
    _masters(package, (root, styles if styles is not None else root), gathering, hidden)
    return gathering.content()


def body_kind(root: Element) -> str | None:
    """What the content is: "text", "presentation", or None for what this reader does not know."""
    kind = attribute(root, "mimetype").rpartition(".")[2] or attribute(root, "class")
    for element in root.iterfind("{*}body/*"):
        if local(element) in {"text", "presentation"}:
            return local(element)
    return kind if kind in {"text", "presentation"} and root.find("{*}body") is not None else None


def _body(root: Element) -> Element | None:
    for name in ("text", "presentation"):
        found = root.find(f"{{*}}body/{{*}}{name}")
        if found is not None:
            return found
    return root.find("{*}body")


def _hidden_styles(root: Element) -> frozenset[str]:
    """Names of text and section styles with display "none", and of drawing pages set to hidden."""
    hidden = set()
    for style in root.iter("{*}style"):
        for properties in style:
            if attribute(properties, "display") == "none" or attribute(properties, "visibility") == "hidden":
                hidden.add(attribute(style, "name"))
    return frozenset(hidden)


def _page(page: Element, walk: _Walk, size: tuple[float, float] | None) -> None:
    gathering = walk.gathering
    gathering.slides = (gathering.slides or 0) + 1
    gathering.hidden_slides += attribute(page, "style-name") in walk.hidden_styles
    for child in page:
        if local(child) == "notes":
            words: list[str] = []
            side = _Walk(walk.package, gathering, words, walk.hidden_styles)
            for frame in child:
                if attribute(frame, "class") not in {"header", "footer", "date-time", "page-number", "page"}:
                    _visit(frame, side)
            gathering.notes.append("".join([*words, *side.later]).strip())
        elif sketch.odf_beyond(child, size):
            apart = _Walk(walk.package, Gathering("presentation", gathering.reader), gathering.beyond, walk.hidden_styles)
            _visit(child, apart)  # no page shows its pictures and charts either
            gathering.beyond.extend(apart.later)
        else:
            _visit(child, walk)
    walk.stream.append("\n")


def _visit(element: Element, walk: _Walk) -> None:
    name = local(element)
    if not name or name in SKIPPED:
        return
    walk.gathering.shapes += name in DRAWN and not walk.is_pattern
    if name in {"annotation", "note", "footnote", "endnote"}:
        _aside(element, walk, is_comment=name == "annotation")
    elif name in {"frame", "text-box", "custom-shape", "image", "object", "object-ole", "plugin", "rect", "ellipse", "line"}:
        _drawing(element, name, walk)
    elif name == "change":
        walk.stream.append(Struck(walk.struck.get(attribute(element, "change-id"), "")))
    elif name in COMPUTED:
        walk.gathering.field_result(walk.stream, "".join(_strings(element)) + " ")
    elif _is_hidden(element, name, walk.hidden_styles):
        walk.gathering.hidden.append("".join(_strings(element)) + "\n")
    else:
        _inside(element, name, walk)


def _is_hidden(element: Element, name: str, hidden_styles: frozenset[str]) -> bool:
    if name in {"hidden-text", "hidden-paragraph"} or attribute(element, "display") == "none":
        return True
    return name in {"span", "section", *PARAGRAPHS} and attribute(element, "style-name") in hidden_styles


def _inside(element: Element, name: str, walk: _Walk) -> None:
    """Text and children in order. Space means a space only inside a paragraph."""
    in_paragraph = name in PARAGRAPHS
    walk.depth += in_paragraph
    if name == "ruby-text" and walk.depth:
        walk.stream.append(" ")  # a reading aid stands above its base, not in the line
    if name == "s":
        count = attribute(element, "c", "1")
        walk.stream.append(" " * min(int(count) if count.isdecimal() else 1, SPACES_MAX))
    elif name in {"tab", "tab-stop", "line-break"}:
        walk.stream.append("\n" if name == "line-break" else "\t")
    elif walk.depth and element.text:
        walk.stream.append(element.text)
    for child in element:
        _visit(child, walk)
        if walk.depth and child.tail:
            walk.stream.append(child.tail)
    walk.depth -= in_paragraph
    if in_paragraph:
        walk.stream.append("\n")


def _strings(element: Element) -> list[str]:
    return [str(part) for part in element.itertext()]


def _aside(element: Element, walk: _Walk, *, is_comment: bool) -> None:
    """A comment, or a note whose text stands elsewhere on the page."""
    words: list[str] = []
    side = _Walk(walk.package, walk.gathering, words, walk.hidden_styles, struck=walk.struck)
    for child in element:
        if local(child) not in {"creator", "date", "date-string", "creator-initials", "meta-creator-initials"}:
            _visit(child, side)
    if is_comment:
        creator = element.find("{*}creator")
        author = (creator.text or "") if creator is not None else attribute(element, "author")
        walk.gathering.comments.append(Comment(author, kept(words).strip()))
    else:
        walk.later.extend(["\n", *words, *side.later, "\n"])


def _drawing(element: Element, name: str, walk: _Walk) -> None:
    gathering = walk.gathering
    if attribute(element, "placeholder") == "true" or (walk.is_pattern and attribute(element, "class")):
        return  # "click to add text": not drawn
    if name in {"object", "object-ole", "plugin"}:
        gathering.embedded += 1
        _object(element, walk)
        return
    if name == "image":
        if not walk.is_pattern:
            _picture(element, walk)
        return
    words: list[str] = []
    side = _Walk(walk.package, gathering, words, walk.hidden_styles, walk.is_pattern, struck=walk.struck)
    alternatives = [child for child in element if local(child) in {"image", "object", "object-ole", "plugin"}]
    for child in element:
        if child not in alternatives[1:]:  # a frame shows the first form that a reader can; the rest stand in for it
            _visit(child, side)
    if alternatives and local(alternatives[0]) == "object-ole" and not walk.is_pattern:
        for image in element.iterfind("{*}image"):  # nothing but this picture shows what another program keeps in the object
            note_metafile(gathering, walk.package, attribute(image, "href").removeprefix("./"))
    walk.later.extend([*words, *side.later, "\n"])


def _picture(element: Element, walk: _Walk) -> None:
    gathering, inline = walk.gathering, element.find("{*}binary-data")
    if inline is None or attribute(element, "href"):
        note_picture(gathering, walk.package, attribute(element, "href").removeprefix("./").removeprefix("#"))
        return
    known, key = len(gathering.metafiles), f"inline picture {len(gathering.pictures) + len(gathering.vectors)}"
    note(gathering, key, from_base64(inline.text or ""))
    (gathering.vectors if len(gathering.metafiles) > known else gathering.pictures).add(key)


def _object(element: Element, walk: _Walk) -> None:
    """An embedded object: a chart's words, else whatever text stands in it; in a zip it is a folder of its own."""
    folder = attribute(element, "href").removeprefix("./").strip("/")
    inside = walk.package.xml(f"{folder}/content.xml") if folder and local(element) == "object" else element
    if inside is None:
        return
    words = charts.odf(inside)
    walk.gathering.chart(words)
    if not (words.shown or words.labels):
        walk.gathering.drawn.append("\n".join(_strings(inside)) + "\n")


def _tracked(package: Package, body: Element, gathering: Gathering, hidden: frozenset[str]) -> dict[str, str]:
    """Count the tracked changes and put deleted text aside; the name of each deletion, and its text."""
    struck: dict[str, str] = {}
    for region in body.iterfind("{*}tracked-changes/{*}changed-region"):
        for change in region:
            gathering.insertions += local(change) == "insertion"
            if local(change) == "deletion":
                gathering.deletions += 1
                words: list[str] = []
                for child in change:
                    if local(child) != "change-info":
                        _visit(child, _Walk(package, gathering, words, hidden))
                gathering.deleted.extend([*words, "\n"])
                struck[attribute(region, "id")] = "".join(words).removesuffix("\n")  # its last paragraph goes on in the text
    return struck


def _masters(package: Package, parts: tuple[Element, Element], gathering: Gathering, hidden: frozenset[str]) -> None:
    """Headers and footers of the page styles in use; what a slide's master draws behind it."""
    root, styles = parts
    left_out = {"notes"} if gathering.slides is None else NOT_ON_SLIDES
    named = [*root.iter("{*}page"), *root.iter("{*}style"), *styles.iter("{*}style")]
    used = {attribute(element, "master-page-name") for element in named}
    pages = list(styles.iterfind("{*}master-styles/{*}master-page"))
    if gathering.slides is None:
        used |= {attribute(page, "next-style-name") for page in pages if attribute(page, "name") in used}
        used.add("Standard")
    for page in pages:
        if attribute(page, "name") in used:
            walk = _Walk(package, gathering, gathering.headers, hidden, is_pattern=True)
            for child in page:
                if local(child) not in left_out and attribute(child, "display") != "false":
                    _visit(child, walk)
            gathering.headers.extend(walk.later)
