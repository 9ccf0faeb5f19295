"""Make a PDF/A of a text document, presentation or drawing with LibreOffice.

LibreOffice redraws the record with its own layout and the fonts of this machine, so this action
reports what a comparison needs (pages of the model, fonts that are missing, what LibreOffice read)
and claims nothing itself. Spreadsheets do not belong here: a page view clips their columns.

**Comments** never become PDF annotations: LibreOffice 7.4 writes these without an appearance, which
PDF/A forbids (ISO 19005-2, 6.3.3). They go, like tracked changes and hidden text, into a text file
beside the PDF. Drawn in the margin they would make every page smaller, and a LibreOffice without its
screen parts (Debian's -nogui packages) silently draws none: so "sidecar" is the only way offered.
Tracked changes look in the PDF as LibreOffice shows them.

**Nothing is dropped by default**: hidden slides are exported, notes pages follow the slides when any
slide has notes, empty pages that the layout forces are kept, pictures are not resampled.
"""

from __future__ import annotations

import math
import mmap
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from pathlib import Path
from zipfile import is_zipfile

from pikepdf import Pdf

from actions.catalog import CATALOG, OfficeToPdfaParams
from actions.contract import Fact, Outcome, Output, Role
from actions.errors import DamagedError, PermanentError, RefusedError
from actions.office import extract, ole_mend
from actions.office_model import reading as office_reading
from actions.office_model.reading import Reading, Remark
from actions.tools import libreoffice, process
from actions.tools.libreoffice import ConversionFacts, Document, Option

FACT_OF_FILE = {"libreoffice.txt": "libreoffice_text", "comments.txt": "comments_sidecar"}  # office_compare asks by these names
FILTERS = {"text": "writer_pdf_Export", "presentation": "impress_pdf_Export", "drawing": "draw_pdf_Export"}
NOT_OFFICE = ("Text", "Text (encoded)", "HTML", "HTML (StarWriter)", "generic_HTML", "Text - txt - csv (StarCalc)")
"""Import filters by which LibreOffice opens any bytes at all: an answer from them proves nothing."""

PDFA_PART = {"1b": 1, "2b": 2}  # SelectPdfVersion
IMPOSSIBLE_DATE = b">0000-00-00T"
MADE = re.compile(r"D:(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:([+-]\d\d)'(\d\d))?")
HEAD_BYTES = 65536
NOT_CONTROLS = b"\t\n\f\r\x1a" + bytes(range(32, 256))
FLOOR_S = 5.0  # left to the tool, however little the action may use
FONT_LIST_LIMIT_S = 30.0


def run(source: Path, workdir: Path, params: OfficeToPdfaParams) -> Outcome:
    """Write ``result.pdf``, ``libreoffice.txt`` and, when there is something to tell, ``comments.txt``.

    Raises:
        EncryptedError: It needs a password.
        DamagedError: Empty, no office document to LibreOffice, or without pages.
        RefusedError: A spreadsheet or formula.
        ToolCrashedError: LibreOffice died of it.
        ToolTimeoutError: LibreOffice took too long.
    """
    _refuse_plain_text(source)
    size_bytes = source.stat().st_size
    office = libreoffice.shared()
    tool = office.version()
    spec = CATALOG["office_to_pdfa"]
    limit_s = max(FLOOR_S, 0.9 * (spec.time_limit_s + spec.time_per_mb_s * size_bytes / 1e6))  # before the host's own limit
    content, styles, target = workdir / "content.xml", workdir / "styles.xml", workdir / "result.pdf"
    deadline_s = time.monotonic() + limit_s
    with _blaming_rightly(source), _opened(office, source, workdir, deadline_s) as (document, mended):
        if document.kind not in FILTERS:
            raise RefusedError(f"is a {document.kind} document to LibreOffice", source.name, "Give its format another plan.")
        complete = document.read(content, styles)
        read = office_reading.read(content, styles, complete=complete)
        options = export_options(params, has_notes=bool(read.notes))
        facts = document.export(target, FILTERS[document.kind], options, still_media=read.media > 0)
    for part in (content, styles):
        part.unlink()
    if not facts.pages or not target.is_file():
        raise DamagedError("has no pages to LibreOffice", source.name, "Look at it by hand; ask the producer for another copy.")
    if params.flavour == "1b" or _has_impossible_dates(target):
        _correct_claims(target, params.flavour)
    with_notes = bool(options["ExportNotesPages"]) and facts.kind == "presentation"
    missing = missing_fonts(read.fonts)
    outputs = _write(workdir, target, read)
    beside: dict[str, Fact] = {FACT_OF_FILE[output.path]: output.path for output in outputs if output.path in FACT_OF_FILE}
    return Outcome(
        tool=tool,
        outputs=outputs,
        notes=(*((mended,) if mended else ()), *_notes(read, missing, complete=complete)),
        facts=_facts(facts, read, missing, with_notes=with_notes) | {"reading_complete": complete} | beside,
    )


@contextmanager
def _opened(office: libreoffice.LibreOffice, source: Path, workdir: Path, deadline_s: float) -> Iterator[tuple[Document, str]]:
    """Open *source*; where LibreOffice refuses it for a fault that can be mended, a mended copy of it, and what was mended."""
    copy = workdir / f"mended{source.suffix}"
    with ExitStack() as stack:
        stack.callback(copy.unlink, missing_ok=True)
        try:
            document, said = stack.enter_context(_open(office, source, deadline_s)), ""
        except DamagedError:
            if not (said := ole_mend.mended(source, copy)):
                raise
            document = stack.enter_context(_open(office, copy, deadline_s))
        yield document, said


def _open(office: libreoffice.LibreOffice, source: Path, deadline_s: float) -> AbstractContextManager[Document]:
    return office.open(source, timeout_s=max(FLOOR_S, deadline_s - time.monotonic()), refuse=NOT_OFFICE)


@contextmanager
def _blaming_rightly(source: Path) -> Iterator[None]:
    """Take back "damaged" where our own reader reads all of the file: then LibreOffice lacks something, not the producer.

    Raises:
        RefusedError: In place of the DamagedError.
    """
    try:
        yield
    except DamagedError as damaged:
        if is_zipfile(source):  # our reader asks for the parts that hold text, and says nothing of the others
            raise
        try:
            content = extract.read(source)
        except PermanentError:
            content = None
        if content is None or content.damage:
            raise
        whole = f"{damaged.what}; our own reader, {content.reader}, reads all of it"
        raise RefusedError(whole, source.name, "Convert it with another program, or keep the original.") from damaged


def _refuse_plain_text(source: Path) -> None:
    """Stop what no office format looks like: nothing at all, or plain text that is neither RTF nor XML.

    LibreOffice makes a new document of an empty file, and takes a short text for WordPerfect 4.2, a format
    without a signature. Every office format but RTF and flat XML has control characters in its first pages.
    """
    with source.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if not head:
        raise DamagedError("is empty", source.name, "Ask the producer for another copy.")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    wide = head.startswith((b"\xff\xfe", b"\xfe\xff"))  # UTF-16: flat XML, or text that LibreOffice names as such
    if not wide and not start.startswith((b"{\\rt", b"<")) and not head.translate(None, NOT_CONTROLS):
        raise DamagedError("is plain text, not an office document", source.name, "Look at it by hand; ask for another copy.")


def export_options(params: OfficeToPdfaParams, *, has_notes: bool) -> dict[str, Option]:
    """FilterData of LibreOffice's PDF export.

    Source: LibreOffice 7.4 help, "PDF Export Command Line Parameters"; filter/source/pdf/pdfexport.cxx.
    """
    return {
        "SelectPdfVersion": PDFA_PART[params.flavour],
        "UseTaggedPDF": True,
        "ExportBookmarks": True,
        "ExportNotes": False,
        "ExportNotesInMargin": False,
        "ExportNotesPages": params.notes_pages and has_notes,
        "ExportOnlyNotesPages": False,
        "ExportHiddenSlides": True,
        "ExportFormFields": False,  # drawn as they look; a live field is not a record
        "IsSkipEmptyPages": False,  # so that pages can be counted against the model
        "UseLosslessCompression": True,
        "ReduceImageResolution": False,
        "ExportPlaceholders": True,  # a template's «Name» is its text; empty frames of a slide stay empty
        "EmbedStandardFonts": True,
        "UseTransitionEffects": False,
    }


def _has_impossible_dates(target: Path) -> bool:
    """LibreOffice 25.2 writes the year 0 into XMP when the source names no date of its own. XMP lies uncompressed in a PDF/A."""
    with target.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.rfind(IMPOSSIBLE_DATE) >= 0


def _correct_claims(target: Path, flavour: str) -> None:
    """Make XMP say what is so.

    LibreOffice writes "A" for part 1, which nobody asked for; and since 25.2 the source's dates, which part 1 wants to be those
    of the document information (ISO 19005-1, 6.7.3), or the year 0.
    """
    with Pdf.open(target, allow_overwriting_input=True) as pdf:
        with pdf.open_metadata(set_pikepdf_as_editor=False, update_docinfo=False) as claim:
            if flavour == "1b":
                claim["pdfaid:conformance"] = "B"
            if made := MADE.match(str(pdf.docinfo.get("/CreationDate", ""))):
                year, month, day, hour, minute, second, hours, minutes = made.groups()
                zone = f"{hours}:{minutes}" if hours else "Z"
                claim["xmp:CreateDate"] = f"{year}-{month}-{day}T{hour}:{minute}:{second}{zone}"
            for name in ("xmp:ModifyDate", "xmp:MetadataDate"):
                if str(claim.get(name, "")).startswith("0000-"):
                    del claim[name]
        pdf.save(target, linearize=False)


def missing_fonts(asked: set[str]) -> list[str]:
    """The families among *asked* that this machine does not have: their text is set in another face."""
    return sorted(name for name in asked if name and name.casefold() not in _installed())


@cache
def _installed() -> frozenset[str]:
    """Family names that fontconfig knows; does not change while a host lives."""
    listed = process.run(["fc-list", ":", "family"], subject="fonts", timeout_s=FONT_LIST_LIMIT_S).stdout
    return frozenset(name.strip().replace("\\-", "-").casefold() for line in listed.splitlines() for name in line.split(","))


def _facts(facts: ConversionFacts, read: Reading, missing: list[str], *, with_notes: bool) -> dict[str, Fact]:
    known: dict[str, Fact] = {
        "kind": facts.kind,
        "import_filter": facts.import_filter,
        "comments": len(read.comments),
        "tracked_changes": len(read.changes),
        "embedded_objects": read.embedded_objects,
        "pictures": read.pictures,
        "media": read.media,
        "hidden": len(read.hidden),
        "live_dates": read.live_dates,
        "fonts": sorted(read.fonts - {""}),
        "fonts_missing": missing,
    }
    if facts.kind == "presentation":
        slides = {"slides": facts.pages, "notes_pages": facts.pages if with_notes else 0, "notes": len(read.notes)}
        return known | slides | {"hidden_slides": read.hidden_slides}
    return known | {"pages": facts.pages}


def _notes(read: Reading, missing: list[str], *, complete: bool) -> tuple[str, ...]:
    """What a person should know."""
    said = (
        (not complete, "LibreOffice reported errors while it told what it had read"),
        (missing, f"fonts not on this machine, set in others: {', '.join(missing)}"),
        (read.comments, f"{len(read.comments)} comments are in the text file beside the PDF"),
        (
            read.changes,
            f"{len(read.changes)} tracked changes: shown in the PDF as LibreOffice marks them, and listed in the text file",
        ),
        (read.hidden, "hidden text is not in the PDF; it is in the text file beside it"),
        (read.beyond, "text beyond a slide's edge is not in the PDF; it is in the text file beside it"),
        (read.hidden_slides, f"{read.hidden_slides} hidden slides were exported like the others"),
        (read.embedded_objects, f"{read.embedded_objects} embedded objects are shown by their picture only"),
        (read.media, f"{read.media} sounds or films cannot be in PDF/A; their still pictures are"),
        (read.live_dates, f"{read.live_dates} date or time fields show the day of conversion"),
    )
    return tuple(sentence for present, sentence in said if present)


def _write(workdir: Path, target: Path, read: Reading) -> tuple[Output, ...]:
    outputs = [Output(target.name, Role.PRESERVATION, ".pdf")]
    text = "\n".join([*read.lines, *read.notes]) + "\n"
    (workdir / "libreoffice.txt").write_text(text, encoding="utf-8")
    outputs.append(Output("libreoffice.txt", Role.EVIDENCE, ""))
    if sidecar := sidecar_text(read):
        (workdir / "comments.txt").write_text(sidecar, encoding="utf-8")
        outputs.append(Output("comments.txt", Role.METADATA, ".comments.txt"))
    return tuple(outputs)


def sidecar_text(read: Reading) -> str:
    """Comments, tracked changes, hidden text and text beyond the edge for people, in UTF-8; "" when there are none."""
    parts = []
    for title, remarks in (("Kommentarer / Comments", read.comments), ("Spårade ändringar / Tracked changes", read.changes)):
        if remarks:
            parts.append(f"{title}: {len(remarks)}\n\n" + "\n".join(_remarks(remarks)))
    if read.hidden:
        parts.append("Dold text / Hidden text:\n\n" + "\n".join(f"    {line}" for line in read.hidden) + "\n")
    if read.beyond:
        title = "Text utanför bildens kant / Text beyond the slide's edge"
        parts.append(f"{title}:\n\n" + "\n".join(f"    {line}" for line in read.beyond) + "\n")
    return "\n".join(parts)


def _remarks(remarks: Sequence[Remark]) -> list[str]:
    width = int(math.log10(len(remarks))) + 1
    lines = []
    for number, remark in enumerate(remarks, 1):
        head = "  ".join(part for part in (remark.what, remark.date, remark.author) if part)
        body = "".join(f"    {line}\n" for line in remark.text.splitlines())
        lines.append(f"[{number:0{width}}] {head}\n{body}")
    return lines
