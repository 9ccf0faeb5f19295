"""Make a PDF into PDF/A by drawing every page anew with Ghostscript: the rung after surgery.

Redrawing can lose or change anything, so this action only refuses what Ghostscript would silently spoil
(passwords, signatures, lost pages); whether the result is the same record is for the comparison to say.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from importlib import resources
from pathlib import Path

from pikepdf import Dictionary, Pdf, Stream, String, pdfa

from actions.catalog import PdfRedrawParams
from actions.contract import Outcome, Output, Role
from actions.errors import DamagedError, RefusedError, ToolFailedError
from actions.pdf import attachments, interactive, opening
from actions.pdf.repairs import Repairs, items, name_of
from actions.pdf.surgeon import finish, write
from actions.tools import ghostscript

RESULT = "out.pdf"
DRAWN = "drawn.pdf"
MAX_LINES = 10  # of what Ghostscript said
TIME_LIMIT_S = 120.0
TIME_PER_MB_S = 20.0
TIME_PER_PAGE_S = 3.0


def run(source: Path, workdir: Path, params: PdfRedrawParams) -> Outcome:
    """Write ``out.pdf``: the pages as Ghostscript drew them, then the repairs of surgery for what it leaves.

    Raises:
        EncryptedError: It needs a password.
        RefusedError: Signed (``signed``), made by XFA (``xfa``), or Ghostscript cannot do it without a loss.
        DamagedError: Pages would be lost.
        ToolTimeoutError: Ghostscript was still running.
    """
    repairs = Repairs()
    result = workdir / RESULT
    with tempfile.TemporaryDirectory(prefix="redraw-") as folder, opening.open_pdf(source) as pdf:
        scratch = Path(folder)
        pages = opening.check_pages(pdf, source)
        opening.refuse_signed(pdf, source.name)
        interactive.refuse_dynamic_form(pdf, source.name)
        opening.check_damage(pdf, source, repairs)
        flags = pdfa.repair_annotation_flags(pdf)  # Ghostscript drops what lacks the Print flag
        for kind, count in flags.removed.items():
            repairs.add("annotations", "removed a hidden annotation", kind, count)
        taken = attachments.extract(pdf, workdir / "attachments", source.name, repairs)
        said = _draw(pdf, scratch, params, pages, source)
        _same_pages(scratch / DRAWN, pages, source.name)
        with opening.open_pdf(scratch / DRAWN) as drawn:
            _same_annotations(pdf, drawn, source.name)
            _restore_metadata(pdf, drawn)
            left = finish(drawn, result, params.flavour, repairs, source.name)
    _same_pages(result, pages, source.name)
    notes = (ghostscript.known_fault(), *(f"Ghostscript: {line}" for line in said[:MAX_LINES]), *repairs.notes())
    extras = (Output(str(one.path.relative_to(workdir)), Role.METADATA, f".attachment-{one.path.name}") for one in taken)
    return Outcome(
        tool=ghostscript.version(),
        outputs=(Output(RESULT, Role.PRESERVATION, ".pdf"), *extras),
        notes=tuple(note for note in notes if note),
        facts={"pages": pages, "content_unchanged": False, "fonts_left": left, "extracted_attachments": len(taken)},
    )


def _draw(pdf: Pdf, scratch: Path, params: PdfRedrawParams, pages: int, source: Path) -> tuple[str, ...]:
    """Have Ghostscript draw a copy that qpdf has put in order, without the metadata that Ghostscript trips over."""
    copy = scratch / "copy.pdf"
    write(pdf, copy)  # a second step, because deleting from *pdf* would lose what is restored later
    with opening.open_pdf(copy) as plain:
        # Ghostscript 10.0.0 stops at a title that it cannot put into XMP, and without any Info loses all bookmarks.
        plain.trailer["/Info"] = plain.make_indirect(Dictionary(Producer=String("bevara")))
        if "/Metadata" in plain.Root:
            del plain.Root["/Metadata"]
        write(plain, scratch / "plain.pdf")
    timeout_s = TIME_LIMIT_S + TIME_PER_MB_S * source.stat().st_size / 1_000_000 + TIME_PER_PAGE_S * pages
    part = int(params.flavour[0])
    with resources.as_file(resources.files("pikepdf.pdfa").joinpath("data", "sRGB.icc")) as profile:
        try:
            return ghostscript.to_pdfa(
                scratch / "plain.pdf", scratch / DRAWN, scratch, part=part, profile=profile, timeout_s=timeout_s
            )
        except ToolFailedError as refused:
            raise RefusedError(
                f"Ghostscript will not draw it as PDF/A-{params.flavour}: {refused.what}",
                source.name,
                "Convert it by hand, or keep the original only.",
            ) from refused


def _restore_metadata(pdf: Pdf, drawn: Pdf) -> None:
    """Title, author, dates and XMP are the record's, not Ghostscript's."""
    if "/Info" in drawn.trailer:
        del drawn.trailer["/Info"]
    info = pdf.trailer.get("/Info")
    if isinstance(info, Dictionary):
        for key in info.keys():  # noqa: SIM118 -- a pikepdf Dictionary is no dict
            if isinstance(info.get(key), String):
                drawn.docinfo[key] = String(str(info[key]))
    metadata = pdf.Root.get("/Metadata")
    if isinstance(metadata, Stream):
        drawn.Root["/Metadata"] = drawn.copy_foreign(metadata)
    elif "/Metadata" in drawn.Root:
        del drawn.Root["/Metadata"]


def _same_annotations(pdf: Pdf, drawn: Pdf, subject: str) -> None:
    """Ghostscript drops what it cannot keep without a word; a lost comment must not go unseen.

    Raises:
        RefusedError: A kind of annotation became rarer.
    """
    before, after = _annotations(pdf), _annotations(drawn)
    lost = [f"{kind} {before[kind]} → {after[kind]}" for kind in sorted(before) if after[kind] < before[kind] and kind != "Popup"]
    if lost:
        raise RefusedError(f"Ghostscript dropped annotations: {', '.join(lost)}", subject, "Convert it by hand.")


def _annotations(pdf: Pdf) -> Counter[str]:
    return Counter(
        name_of(annot.get("/Subtype"))
        for page in pdf.pages
        for annot in items(page.obj, "/Annots")
        if isinstance(annot, Dictionary)
    )


def _same_pages(path: Path, pages: int, subject: str) -> None:
    found = opening.count_pages(path)
    if found != pages:
        raise DamagedError(f"of {pages} pages {found} were drawn", subject, "The original is kept; convert it by hand.")
