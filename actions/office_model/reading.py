"""Text, comments, tracked changes and counts from the XML that LibreOffice wrote of an open document.

This is the converter reporting on itself: good for what the conversion must not lose silently, and a
fallback where no independent reader exists; never a second opinion. Headers, footers and master
slides are not in it: they repeat, and belong to the page.

Source: ODF 1.3 part 3, 5 (text), 5.5 (tracked changes), 6 (paragraph content), 10 (drawings), 14.1 (annotations).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from lxml import etree

from actions.errors import ToolFailedError
from actions.office import sketch
from actions.office_model.styles import DC, DRAW, OFFICE, PRESENTATION, TEXT, Styles

PARAGRAPHS = frozenset({f"{TEXT}p", f"{TEXT}h"})
PICTURE, OBJECTS = f"{DRAW}image", frozenset({f"{DRAW}object", f"{DRAW}object-ole"})
MEDIA = frozenset({f"{DRAW}plugin", f"{DRAW}applet", f"{PRESENTATION}sound"})
LIVE = frozenset({f"{TEXT}date", f"{TEXT}time"})
HIDDEN_FIELDS = frozenset({f"{TEXT}hidden-text", f"{TEXT}hidden-paragraph"})
SILENT = frozenset(
    {
        "{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}title",
        "{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}desc",
    }
)
ANNOTATIONS = frozenset({f"{OFFICE}annotation", "{http://openoffice.org/2009/office}annotation"})  # Impress writes the second
APART = ANNOTATIONS | {f"{TEXT}changed-region", f"{PRESENTATION}notes"}
MOST_SPACES = 1000  # of one text:s; a larger count is hostile


@dataclass(frozen=True, slots=True)
class Remark:
    """A comment or a tracked change. ``what``: comment, insertion, deletion, format-change."""

    what: str
    author: str
    date: str
    text: str


@dataclass(slots=True)
class Reading:
    """What LibreOffice holds of one document.

    Attributes:
        lines: Paragraphs of body, tables, frames, notes at the foot and end, or of the slides, in order.
        notes: Text of each slide's notes page that has any.
        hidden: Text that is there and not shown.
        beyond: Text that stands wholly beyond a slide's edge.
        fonts: Families that visible Western text asks for.
        pictures: Frames that show a picture and no embedded object.
        live_dates: Date and time fields that show the day of conversion.
    """

    lines: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)
    comments: list[Remark] = field(default_factory=list)
    changes: list[Remark] = field(default_factory=list)
    fonts: set[str] = field(default_factory=set)
    pictures: int = 0
    embedded_objects: int = 0
    media: int = 0
    hidden_slides: int = 0
    live_dates: int = 0


def read(content: Path, styles: Path, *, complete: bool = True) -> Reading:
    """Read the two parts that LibreOffice wrote.

    Args:
        complete: LibreOffice wrote them to their end; otherwise what is there is taken.

    Raises:
        ToolFailedError: What it wrote is not XML.
    """
    # what LibreOffice writes can be as large as the document; the host's memory limit holds
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True, recover=not complete)
    try:
        body, looks = etree.parse(content, parser).getroot(), etree.parse(styles, parser).getroot()
    except etree.XMLSyntaxError as broken:
        raise ToolFailedError(
            f"LibreOffice's own reading of it is not XML: {broken}", content.name, "The file may be damaged; open it by hand."
        ) from broken
    known = Styles()
    known.add(looks)
    known.add(body)
    walk = _Walk(known)
    for event, element in etree.iterwalk(body, events=("start", "end")):
        (walk.start if event == "start" else walk.end)(element)
    walk.finish()
    walk.reading.beyond += _beyond(body, looks)
    return walk.reading


def _beyond(body: etree._Element, looks: etree._Element) -> Iterator[str]:
    """The paragraphs of shapes that lie beyond the edge of their slide: an export to PDF leaves them out."""
    for page in body.iter(f"{DRAW}page"):
        size = sketch.odf_size(page, (body, looks))
        for shape in page:
            if sketch.odf_beyond(shape, size):
                yield from ("".join(str(part) for part in line.itertext()) for line in shape.iter(*PARAGRAPHS))


class _Walk:
    """One pass in document order, without recursion: a hostile file may nest deeply."""

    def __init__(self, styles: Styles) -> None:
        self.reading = Reading()
        self._styles = styles
        self._fonts = [styles.default_font()]
        self._open: list[list[str]] = []  # paragraphs begun and not ended; a text box nests in one
        self._hidden = [False]
        self._silent_depth = 0
        self._apart: list[tuple[etree._Element, list[str]]] = []  # annotation, deletion, notes page: text of its own
        self._marked: dict[str, list[str]] = {}  # body text by tracked change
        self._marking: set[str] = set()
        self._regions: dict[str, list[Remark]] = {}

    def start(self, element: etree._Element) -> None:
        """Enter *element*, then its leading text."""
        tag = element.tag
        self._fonts.append(self._styles.font(element) or self._fonts[-1])
        self._hidden.append(self._hides(element))
        self._silent_depth += tag in SILENT
        if tag in APART:
            self._apart.append((element, []))
        if tag in PARAGRAPHS:
            self._open.append([])
        self._count(element)
        self._special(element)
        self._say(element.text, element)

    def end(self, element: etree._Element) -> None:
        """Leave *element*, then the text that follows it."""
        self._fonts.pop()
        self._hidden.pop()
        self._silent_depth -= element.tag in SILENT
        if element.tag in PARAGRAPHS and self._open:
            self._line("".join(self._open.pop()))
        if self._apart and self._apart[-1][0] is element:
            self._settle(*self._apart.pop())
        self._say(element.tail, element.getparent())

    def _hides(self, element: etree._Element) -> bool:
        """Whether text in *element* is not shown: the innermost style that says anything decides; a hidden section always hides."""
        if element.tag == f"{DRAW}page":
            return False  # a hidden slide is exported all the same
        if element.tag in HIDDEN_FIELDS or (element.tag == f"{TEXT}section" and element.get(f"{TEXT}display") == "none"):
            return True
        said = self._styles.hidden(element)
        return self._hidden[-1] if said is None else said

    def _count(self, element: etree._Element) -> None:
        reading, tag = self.reading, element.tag
        if self._apart and self._apart[-1][0].tag == f"{PRESENTATION}notes":
            return  # a notes page's own picture is the slide's
        if tag == f"{DRAW}frame":
            parts = {child.tag for child in element}
            reading.embedded_objects += bool(parts & OBJECTS)
            reading.pictures += PICTURE in parts and not parts & (OBJECTS | MEDIA)
        reading.media += tag in MEDIA
        reading.hidden_slides += tag == f"{DRAW}page" and self._styles.hidden(element) is True
        reading.live_dates += tag in LIVE and element.get(f"{TEXT}fixed") != "true"

    def _special(self, element: etree._Element) -> None:
        tag = element.tag
        if tag == f"{TEXT}s":
            count = element.get(f"{TEXT}c", "1")
            self._put(" " * min(int(count) if count.isdecimal() else 1, MOST_SPACES))
        elif tag in {f"{TEXT}tab", f"{TEXT}line-break"}:
            self._put("\t" if tag.endswith("tab") else "\n")
        elif tag == f"{TEXT}change-start":
            self._marking.add(element.get(f"{TEXT}change-id", ""))
        elif tag == f"{TEXT}change-end":
            self._marking.discard(element.get(f"{TEXT}change-id", ""))

    def _say(self, text: str | None, element: etree._Element | None) -> None:
        """Take in *text*, which stands directly in *element*; only paragraphs hold text that is read."""
        if not text or not self._open or self._silent_depth or element is None:
            return
        if self._hidden[-1]:
            self.reading.hidden.append(text)
            return
        self._put(text)
        if not self._apart and any(character.isalnum() and character < "\u0590" for character in text):
            self.reading.fonts.add(self._fonts[-1])

    def _put(self, text: str) -> None:
        if self._open:
            self._open[-1].append(text)
        for change_id in self._marking:
            self._marked.setdefault(change_id, []).append(text)

    def _line(self, line: str) -> None:
        (self._apart[-1][1] if self._apart else self.reading.lines).append(line)
        for change_id in self._marking:
            self._marked.setdefault(change_id, []).append("\n")

    def _settle(self, element: etree._Element, lines: list[str]) -> None:
        """Text that stood apart goes where it belongs."""
        text = "\n".join(line for line in lines if line.strip())
        if element.tag == f"{PRESENTATION}notes":
            self.reading.notes.extend([text] if text else [])
        elif element.tag in ANNOTATIONS:
            author, date = element.findtext(f"{DC}creator", ""), element.findtext(f"{DC}date", "")
            self.reading.comments.append(Remark("comment", author, date, text))
        else:
            self._region(element, text)

    def _region(self, element: etree._Element, text: str) -> None:
        """A tracked change. Its text is in the region itself, or met later in the body: LibreOffice shows deletions there too."""
        what = next((str(child.tag).rpartition("}")[2] for child in element), "change")
        author, date = next(element.iter(f"{DC}creator"), None), next(element.iter(f"{DC}date"), None)
        who, when = (author.text or "" if author is not None else ""), (date.text or "" if date is not None else "")
        self._regions.setdefault(element.get(f"{TEXT}id", ""), []).append(Remark(what, who, when, text))

    def finish(self) -> None:
        """Join each tracked change with the body text that it marks."""
        for change_id, remarks in self._regions.items():
            marked = "".join(self._marked.get(change_id, []))
            self.reading.changes.extend(remark if remark.text else replace(remark, text=marked) for remark in remarks)
