"""What the PDF that was made of a document shows: words, pictures, fonts, pages without ink.

Read by MuPDF, which neither LibreOffice nor our readers use. Judging belongs to ``actions.office_compare``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actions.compare import pages
from actions.compare.pixels import Picture, has_ink

LOOK_DPI = 20  # enough to see whether a page has any ink
THUMBNAIL_DPI = 60
SHRINK_EVERY = 50  # pages: see ``pdf_compare``


@dataclass(frozen=True, slots=True)
class Shown:
    """The result as a reader sees it. ``blank_pages`` are 1-based; ``first`` is page 1's picture."""

    pages: int
    text: str
    pictures: int
    fonts: tuple[str, ...]
    blank_pages: tuple[int, ...]
    unreadable_pages: tuple[int, ...]
    first: Picture | None


def read(result: Path) -> Shown:
    """Read the PDF at *result*, one page at a time.

    Raises:
        UnreadableError: MuPDF cannot open it, or it needs a password.
    """
    words: list[str] = []
    pictures: set[int] = set()
    fonts: set[str] = set()
    blank: list[int] = []
    unreadable: list[int] = []
    first: Picture | None = None
    with pages.opened(result) as document:
        total = pages.page_count(document)
        for page_index in range(total):
            sheet = pages.sheet(document, page_index)
            if sheet is None:
                unreadable.append(page_index + 1)
                continue
            text = sheet.text()
            words.append(text)
            shown = _resources(document, page_index, pictures, fonts)
            if not (text.strip() or shown) and not has_ink(sheet.picture(LOOK_DPI)):
                blank.append(page_index + 1)
            first = sheet.picture(THUMBNAIL_DPI) if page_index == 0 else first
            if page_index % SHRINK_EVERY == SHRINK_EVERY - 1:
                pages.free_cache()
    return Shown(total, "\n".join(words), len(pictures), tuple(sorted(fonts)), tuple(blank), tuple(unreadable), first)


def _resources(document: Any, page_index: int, pictures: set[int], fonts: set[str]) -> bool:
    """Add the page's pictures and fonts; tell whether it has any picture."""
    images: Iterable[tuple[int, ...]] = document.get_page_images(page_index)
    numbers = {image[0] for image in images}
    pictures |= numbers
    fonts |= {name.partition("+")[2] or name for _, _, _, name, *_ in document.get_page_fonts(page_index)}
    return bool(numbers)
