"""What a PDF has beside what its pages show: links, bookmarks, annotations, form fields, attachments.

Only counts, for "nothing was lost on the way". What they say and whether they may stay is policy.
Source: ISO 32000-1:2008, 12.3.3 (outline), 12.5.6 (annotation types), 12.7 (forms), 7.11.4 (embedded files).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from actions.compare.pages import mupdf


@dataclass(frozen=True, slots=True)
class Inventory:
    """Counts over a whole document; None where the file's structure could not be followed."""

    links: int
    annotations: int
    form_fields: int
    attachments: int | None
    bookmarks: int | None


def count(document: Any, page_total: int) -> Inventory:
    """Count all of it. Popups are part of the note they belong to; an attached file's pin is its attachment."""
    kinds: Counter[int] = Counter()
    for page_index in range(page_total):
        kinds.update(_annotation_kinds(document, page_index))
    pins = kinds.pop(mupdf.PDF_ANNOT_FILE_ATTACHMENT, 0)
    links, widgets = kinds.pop(mupdf.PDF_ANNOT_LINK, 0), kinds.pop(mupdf.PDF_ANNOT_WIDGET, 0)
    kinds.pop(mupdf.PDF_ANNOT_POPUP, 0)
    named = _attachments(document)
    return Inventory(links, kinds.total(), widgets, None if named is None else named + pins, _bookmarks(document))


def _annotation_kinds(document: Any, page_index: int) -> list[int]:
    try:
        return [kind for _, kind, _ in document.page_annot_xrefs(page_index)]
    except Exception:  # noqa: BLE001 -- MuPDF's own classes on a broken page; that page is reported as not drawn
        return []


def _attachments(document: Any) -> int | None:
    try:
        return int(document.embfile_count())
    except Exception:  # noqa: BLE001 -- MuPDF's own classes on a broken name tree; None says "could not be counted"
        return None


def _bookmarks(document: Any) -> int | None:
    try:
        return len(document.get_toc(simple=True))
    except Exception:  # noqa: BLE001 -- MuPDF's own classes on a broken outline, RecursionError on a hostile one: could not be counted
        return None
