"""What an office document says, as our own readers found it, apart from who converts it.

A conversion is compared against this. Text is kept in separate streams, because a page shows them in
different ways: a header comes back on each page, a page number is counted anew, hidden text is not drawn
at all. Reading any format does not belong here (one module per family does that), nor does judging.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from actions.office.charts import ChartWords
from actions.office.metafile import Metafile
from actions.office.sketch import Box

Kind = Literal["text", "presentation"]

CUT = "\ufffc"  # Unicode's object replacement character: a computed field stood here
BLANK = f" \t\r\n\xa0{CUT}"

# Fields whose result the converter works out anew: page numbers, dates, names of the file and its people.
COMPUTED_FIELDS = frozenset(
    [
        "PAGE",
        "NUMPAGES",
        "SECTIONPAGES",
        "SECTION",
        "PAGEREF",
        "DATE",
        "TIME",
        "CREATEDATE",
        "SAVEDATE",
        "PRINTDATE",
        "EDITTIME",
        "FILENAME",
        "FILESIZE",
        "AUTHOR",
        "LASTSAVEDBY",
        "USERNAME",
        "USERINITIALS",
        "USERADDRESS",
        "NUMWORDS",
        "NUMCHARS",
        "REVNUM",
        "TEMPLATE",
        "TITLE",
        "SUBJECT",
        "KEYWORDS",
        "COMMENTS",
        "INFO",
        "DOCPROPERTY",
        "STYLEREF",
        "SEQ",
        "AUTONUM",
        "AUTONUMLGL",
        "AUTONUMOUT",
        "REF",
        "NOTEREF",
        "=",
        "FORMDROPDOWN",
        "IF",
        "ASK",
        "FILLIN",
        "SET",
        "INDEX",
        "EQ",
    ]
)


def is_computed(instruction: str) -> bool:
    """Tell whether a Word field with this *instruction* shows what the converter works out, not what the file holds."""
    words = instruction.split()
    return bool(words) and (words[0].upper() in COMPUTED_FIELDS or words[0].startswith("="))


class Struck(str):
    """Deleted text where it stood: a program that marks changes shows it there, grown together with what is kept."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Comment:
    """A reader's remark; ``author`` may be empty."""

    author: str
    text: str


@dataclass(frozen=True, slots=True)
class OfficeContent:
    """What a source document holds.

    Attributes:
        reader: Which of our readers spoke, for the report.
        text: Body in reading order, a line per paragraph: tables, text boxes, foot- and endnotes included.
            Generated list numbers are not in it.
        marked: The body once more with tracked deletions where they stood; empty without any.
        headers_footers: Repeated on pages, and master text of slides.
        computed: Field results that a converter works out anew.
        drawn: Formula and form labels and word art, redrawn.
        charts: Titles and legends of charts.
        chart_labels: Categories and data labels of charts: an axis shows those that have room.
        hidden: Text that is set not to be shown.
        beyond: Text that stands wholly beyond a slide's edge: no page shows it.
        deleted: Text of tracked deletions.
        insertions: Tracked insertions.
        deletions: Tracked deletions.
        slides: None for texts.
        hidden_slides: Part of ``slides``.
        notes: Speaker's notes, one for each slide that has any.
        pictures: Distinct raster pictures shown in the body.
        vector_pictures: Distinct metafiles and SVG shown in the body: a PDF has them as lines, not as a picture.
        metafiles: What each metafile shown in the body says, as far as it was read.
        embedded: Embedded objects: workbooks, equations, charts, packages.
        shapes: Drawn shapes in the body, as far as the reader sees them: a blank page does not show them.
        boxes: Where each slide's shapes stand; None for a slide whose geometry was not read.
        damage: What the reader had to leave out; empty when it read all.
    """

    kind: Kind
    reader: str
    text: str = ""
    marked: str = ""
    headers_footers: str = ""
    computed: str = ""
    drawn: str = ""
    charts: str = ""
    chart_labels: str = ""
    hidden: str = ""
    beyond: str = ""
    deleted: str = ""
    insertions: int = 0
    deletions: int = 0
    comments: tuple[Comment, ...] = ()
    slides: int | None = None
    hidden_slides: int = 0
    notes: tuple[str, ...] = ()
    pictures: int = 0
    vector_pictures: int = 0
    metafiles: tuple[Metafile, ...] = ()
    embedded: int = 0
    shapes: int = 0
    boxes: tuple[tuple[Box, ...] | None, ...] = ()
    damage: str = ""


@dataclass(slots=True)
class Gathering:
    """Where a reader collects while it walks a document; ``content`` freezes it."""

    kind: Kind
    reader: str
    body: list[str] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    computed: list[str] = field(default_factory=list)
    drawn: list[str] = field(default_factory=list)
    charts: list[str] = field(default_factory=list)
    chart_labels: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pictures: set[str] = field(default_factory=set)
    vectors: set[str] = field(default_factory=set)
    metafiles: dict[str, Metafile] = field(default_factory=dict)
    metafile_bytes: int = 0
    insertions: int = 0
    deletions: int = 0
    slides: int | None = None
    hidden_slides: int = 0
    embedded: int = 0
    shapes: int = 0
    boxes: list[tuple[Box, ...] | None] = field(default_factory=list)
    damage: str = ""
    slide_size: tuple[float, float] | None = None
    aside_is_open: bool = False

    def aside(self, stream: list[str], text: str) -> None:
        """Put *text* into ``hidden``, ``computed`` or ``deleted``; a word may come in pieces, so nothing is put between them."""
        stream.append(text)
        self.aside_is_open = True

    def strike(self, stream: list[str], text: str) -> None:
        """Deleted *text* goes aside, and is remembered in *stream* where it stood."""
        self.aside(self.deleted, text)
        stream.append(Struck(text))

    def part_asides(self) -> None:
        """Shown text follows: what was put aside so far is one passage."""
        if self.aside_is_open:
            self.hidden.append("\n")
            self.computed.append("\n")
            self.deleted.append("\n")
            self.aside_is_open = False

    def chart(self, words: ChartWords) -> None:
        """Take in a chart's words."""
        self.charts.extend(words.shown)
        self.chart_labels.extend(words.labels)

    def field_result(self, stream: list[str], text: str) -> None:
        """A computed field's *text* goes aside; a mark stays in *stream*, so that words around it are not taken for neighbours."""
        self.aside(self.computed, text)
        if stream[-1:] != [CUT]:
            stream.append(CUT)

    def content(self) -> OfficeContent:
        """Return what was gathered."""
        return OfficeContent(
            kind=self.kind,
            reader=self.reader,
            text=_joined(self.body),
            marked=_marked(self.body),
            headers_footers=_joined(self.headers),
            computed=_joined(self.computed),
            drawn=_joined(self.drawn),
            charts="\n".join(self.charts),
            chart_labels="\n".join(self.chart_labels),
            hidden=_joined(self.hidden),
            beyond=_joined(self.beyond),
            deleted=_joined(self.deleted),
            insertions=self.insertions,
            deletions=self.deletions,
            comments=tuple(self.comments),
            slides=self.slides,
            hidden_slides=self.hidden_slides,
            notes=tuple(note for note in self.notes if note.strip()),
            pictures=len(self.pictures),
            vector_pictures=len(self.vectors),
            metafiles=tuple(self.metafiles.values()),
            embedded=self.embedded,
            shapes=self.shapes,
            boxes=tuple(self.boxes),
            damage=self.damage,
        )


def kept(parts: Iterable[str]) -> str:
    """A stream's text without what was struck out."""
    return "".join(part for part in parts if not isinstance(part, Struck))


def _joined(parts: list[str]) -> str:
    """The stream as lines without empty ones: empty paragraphs say nothing to a comparison."""
    return _lines(kept(parts))


def _marked(parts: list[str]) -> str:
    return _lines("".join(parts)) if any(isinstance(part, Struck) for part in parts) else ""


def _lines(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if line.strip(BLANK))
