"""Which pages of a PDF have text, and what a second reader makes of the file: MuPDF's part of the PDF probe.

Answers to ``actions.probes.pdf`` only; keys with an underscore are for it, not for the record. Structure, locks and
scripts are qpdf's part and do not belong here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pymupdf

from actions.contract import Fact

SCAN_SHARE = 0.2  # of a page's area: less is a stamp or a logo on a drawing, not a scan of writing
LEGIBLE_PX = 24  # a narrower picture holds no word; a lower one may be a strip of a scan
SAMPLED_PAGES = 50  # for text and for content that can be decoded; spread over the whole file

mupdf: Any = pymupdf  # half typed
mupdf.TOOLS.mupdf_display_errors(False)
mupdf.TOOLS.mupdf_display_warnings(False)


def text_facts(source: Path) -> dict[str, Fact]:
    """MuPDF's page count, which sampled pages have text, and what it complained of in their content."""
    flaw = ""
    try:
        with mupdf.open(source, filetype="pdf") as document:
            total, repaired = len(document), bool(document.is_repaired)
            mupdf.TOOLS.mupdf_warnings(reset=True)
            kinds = set()
            for page_index in sampled(total):
                kinds.add(_page_kind(document, page_index))
                flaw = flaw or _flaw(page_index + 1, repaired=repaired)
    except Exception:  # noqa: BLE001 -- MuPDF raises its own classes, RuntimeError and ValueError on hostile bytes; no count is the finding
        return {}
    finally:
        mupdf.TOOLS.store_shrink(100)
        mupdf.TOOLS.reset_mupdf_warnings()
    facts: dict[str, Fact] = {"_pages": total, "_flaw": flaw, "repaired": repaired}
    if kinds & {"text", "image"}:
        facts["text_layer"] = "none" if "text" not in kinds else ("some" if "image" in kinds else "full")
    return facts


def _flaw(page_number: int, *, repaired: bool) -> str:
    """What the page's content suffered. Sloppy syntax in a sound file is its producer's; in a torn file it is the tear."""
    said = mupdf.TOOLS.mupdf_warnings(reset=True)
    if repaired and ("syntax error" in said or "zlib error" in said):
        return f"the file is torn, and the content of page {page_number} has errors"
    return ""


def _page_kind(document: Any, page_index: int) -> str:
    """text, image (a scan), drawing or blank; drawings and blank pages say neither yes nor no of a text layer."""
    try:
        page = document[page_index]
        if any(char.isalnum() for char in page.get_text()):
            return "text"
        if _scanned(page):
            return "image"
        return "drawing" if page.get_bboxlog() else "blank"
    except Exception:  # noqa: BLE001 -- as in ``text_facts``; a page that cannot be read says nothing of text
        return "blank"


def _scanned(page: Any) -> bool:
    """Whether pictures that could hold writing cover a part of the page that matters; scanners cut pages into strips."""
    if not page.get_images():
        return False
    covered = 0.0
    for shown in page.get_image_info():
        if shown["width"] >= LEGIBLE_PX and shown["height"] > 1:
            covered += abs((mupdf.Rect(shown["bbox"]) & page.rect).get_area())
    return covered >= SCAN_SHARE * float(abs(page.rect.get_area()))


def sampled(total: int) -> list[int]:
    """Page indices (0-based), at most ``SAMPLED_PAGES``, evenly spread, first and last among them."""
    if total <= SAMPLED_PAGES:
        return list(range(total))
    return [round(at * (total - 1) / (SAMPLED_PAGES - 1)) for at in range(SAMPLED_PAGES)]
