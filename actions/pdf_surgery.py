"""Make a PDF into PDF/A without redrawing it: repair what surrounds the pages, keep their content byte for byte.

The gentlest rung of the PDF ladder (design.md §6). ``pikepdf.pdfa.prepare`` does the metadata, the output
intent and the annotation flags; the families of repairs in ``actions.pdf`` do the rest, each named in the
notes. Whether the result is PDF/A is not decided here but by ``pdfa_validate``.
"""

from __future__ import annotations

from pathlib import Path

import pikepdf
from pikepdf import Pdf

from actions.catalog import PdfSurgeryParams
from actions.contract import Outcome, Output, Role
from actions.errors import DamagedError
from actions.pdf import attachments, interactive, opening
from actions.pdf.repairs import Repairs
from actions.pdf.surgeon import finish

RESULT = "out.pdf"


def run(source: Path, workdir: Path, params: PdfSurgeryParams) -> Outcome:
    """Write ``out.pdf`` with the same page content, repaired towards PDF/A.

    Raises:
        EncryptedError: It needs a password.
        RefusedError: Signed (code ``signed``) or made by XFA (code ``xfa``).
        DamagedError: Pages would be lost, or page content cannot be decoded.
    """
    repairs = Repairs()
    result = workdir / RESULT
    with opening.open_pdf(source) as pdf:
        pages = opening.check_pages(pdf, source)
        opening.refuse_signed(pdf, source.name)
        interactive.refuse_dynamic_form(pdf, source.name)
        before = opening.content_digest(pdf, source.name)
        opening.check_damage(pdf, source, repairs)
        extras = _attachments(pdf, workdir, params, repairs, source.name)
        left = finish(pdf, result, params.flavour, repairs, source.name)
    after = _prove(result, pages, before, source.name)
    unmatched = (f"no honest stand-in is installed for: {', '.join(left)}",) if left else ()
    return Outcome(
        tool=tool(),
        outputs=(Output(RESULT, Role.PRESERVATION, ".pdf"), *extras),
        notes=(*repairs.notes(), *unmatched),
        facts={
            "pages": pages,
            "content_unchanged": before == after,
            "content_sha256": after,
            "fonts_left": left,
            "extracted_attachments": len(extras),
        },
    )


def tool() -> str:
    """Name and version of what does the repairs."""
    return f"bevara PDF surgery with pikepdf {pikepdf.__version__}"


def _attachments(pdf: Pdf, workdir: Path, params: PdfSurgeryParams, repairs: Repairs, subject: str) -> list[Output]:
    if params.attachments == "embed" and params.flavour == "3b":
        attachments.complete(pdf, repairs)
        return []
    taken = attachments.extract(pdf, workdir / "attachments", subject, repairs)
    return [Output(str(one.path.relative_to(workdir)), Role.METADATA, f".attachment-{one.path.name}") for one in taken]


def _prove(result: Path, pages: int, before: str, subject: str) -> str:
    """Read the result back with both readers; it must have the same pages with the same content."""
    with opening.open_pdf(result) as written:
        count, other = len(written.pages), opening.count_pages(result)
        after = opening.content_digest(written, subject)
    if (count, other) != (pages, pages) or after != before:
        content = "the same" if after == before else "changed"
        raise DamagedError(
            f"after the repairs {count} and {other} of {pages} pages can be read, and their content is {content}",
            subject,
            "The original is kept; try another way, or convert it by hand.",
        )
    return after
