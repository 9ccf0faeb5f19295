"""Prove that a derived PDF is the same record as its source: page by page, by words, by pixels, by what hangs on it.

Says what was measured and nothing else: ``different`` when a check fails, ``unproven`` when something could not be
measured, ``identical`` only for equal pixels and equal words on every page. How a page is drawn, read and judged is
in ``actions.compare``; validity as PDF/A is another action's question.
Source: design.md promise P2 and §6; Library of Congress and DPC guidance name the same significant properties.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pikepdf
import pymupdf

from actions.catalog import PdfCompareParams
from actions.compare import evidence, inventory, pages
from actions.compare.pages import UnreadableError
from actions.compare.pdf_checks import checks_of, level_of
from actions.compare.pdf_page import Limits, PageProof, compare_page
from actions.contract import Check, Level, Outcome, Output

MAX_PICTURED = 6  # pages: a person sees after two what kind of difference it is
MAX_PICTURES = 3 * MAX_PICTURED  # source, result, difference
SHRINK_EVERY = 50  # pages: a colour scan keeps 25 MB a page in MuPDF's cache
NOTED = 5  # complaints of the renderer: the sixth says nothing that the first did not


def run(source: Path, workdir: Path, params: PdfCompareParams) -> Outcome:
    """Compare *source* with ``params.result``; write thumbnails of page 1 and of pages that differ into *workdir*.

    A document that cannot be opened is an answer, not an exception: the source ``unproven``, the result ``different``.
    """
    pages.complaints()  # an earlier file's must not be told of this one
    result = workdir / params.result
    try:
        with pages.opened(source) as left:
            try:
                with pages.opened(result) as right:
                    return _compare(left, right, source, workdir, params)
            except UnreadableError as broken:
                return _unopened(Level.DIFFERENT, pages.page_count(left), f"the result {broken}")
    except UnreadableError as broken:
        return _unopened(Level.UNPROVEN, None, f"the source {broken}")


def _compare(left: Any, right: Any, source: Path, workdir: Path, params: PdfCompareParams) -> Outcome:
    limits = Limits(params.text_recall, params.max_changed_share, params.ocr, params.extracted_attachments)
    totals = pages.page_count(left), pages.page_count(right)
    proofs, outputs = _all_pages(left, right, workdir, params, limits)
    counts = inventory.count(left, totals[0]), inventory.count(right, totals[1])
    checks = checks_of(totals, _pages_by_qpdf(source), proofs, counts, limits)
    return Outcome(
        tool=_tool(),
        outputs=outputs,
        notes=_notes(left, right),
        facts={"pages": totals[0], "pages_drawn_fine": sum(proof.fine for proof in proofs), "repaired": bool(left.is_repaired)},
        checks=checks,
        level=level_of(checks, proofs, limits),
    )


def _all_pages(
    left: Any, right: Any, workdir: Path, params: PdfCompareParams, limits: Limits
) -> tuple[list[PageProof], tuple[Output, ...]]:
    """One page at a time; MuPDF's cache is emptied on the way, so that ten thousand pages take the memory of fifty."""
    proofs: list[PageProof] = []
    outputs: list[Output] = []
    page_total = min(pages.page_count(left), pages.page_count(right))
    coarse_dpi = params.render_dpi_low if page_total > params.fine_pages else None
    for page_index in range(page_total):
        sheets = pages.sheet(left, page_index), pages.sheet(right, page_index)
        proof, pictures = compare_page(
            page_index + 1, *sheets, coarse_dpi=coarse_dpi, fine_dpi=params.render_dpi_high, limits=limits
        )
        proofs.append(proof)
        if page_index < params.evidence_pages or (not proof.ok and len(outputs) < MAX_PICTURES):
            outputs += evidence.save(workdir, page_index + 1, *pictures)
        if page_index % SHRINK_EVERY == SHRINK_EVERY - 1:
            pages.free_cache()
    return proofs, tuple(outputs)


def _pages_by_qpdf(source: Path) -> int | None:
    """A second reader's count: MuPDF may repair a broken page tree into a shorter document. None when it cannot say."""
    try:
        with pikepdf.open(source) as document:
            return len(document.pages)
    except (pikepdf.PdfError, ValueError, OSError):
        return None


def _notes(left: Any, right: Any) -> tuple[str, ...]:
    repaired = [
        f"the {side} is damaged: MuPDF repaired it while reading"
        for side, it in (("source", left), ("result", right))
        if it.is_repaired
    ]
    return (*repaired, *(f"renderer: {line}" for line in pages.complaints()[:NOTED]))


def _unopened(level: Level, source_pages: int | None, why: str) -> Outcome:
    ok = False if level is Level.DIFFERENT else None
    return Outcome(tool=_tool(), checks=(Check("pages", source_pages, None, ok, why),), level=level)


def _tool() -> str:
    return f"PyMuPDF {pymupdf.VersionBind}"
