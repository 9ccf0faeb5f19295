"""What the PDF that was made of a document shows: words, pictures, fonts, pages without ink.

Read by MuPDF, which neither LibreOffice nor our readers use. Judging belongs to ``actions.office_compare``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pymupdf

from actions.compare import pages
from actions.compare.pixels import Picture, has_ink

LOOK_DPI = 20  # enough to see whether a page has any ink
THUMBNAIL_DPI = 50  # an A4 page is then as wide as ``evidence`` shows it, and need not be scaled
SHRINK_EVERY = 50  # pages: see ``pdf_compare``
REREAD_PAGES = 500  # 20 ms each; a longer document is judged by its first reading alone beyond this
LEVEL = 0.99  # cosine of the writing's direction
SAME_LINE_EM = 0.08  # a raised mark stands 0.3 em above, a stand-in font's letter on the line itself
GAP_EM = 0.18  # a word space is 0.25 em wide, narrower in a justified line


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


class _Letter(NamedTuple):
    """One letter and where it stands, in points; sorts from the page's top."""

    base: float
    left: float
    right: float
    size: float
    text: str


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


def by_place(result: Path) -> str:
    """The text of the PDF at *result* a second time: letters on one base line from left to right, words parted by gaps.

    A raised mark has a base line of its own, so it does not stick to its word; a letter from a stand-in font falls
    into its place. Right to left is not turned back.

    Raises:
        UnreadableError: MuPDF cannot open it.
    """
    lines: list[str] = []
    with pages.opened(result) as document:
        for page_index in range(min(pages.page_count(document), REREAD_PAGES)):
            lines += _lines(document.load_page(page_index).get_text("rawdict", flags=pymupdf.TEXTFLAGS_TEXT))
            if page_index % SHRINK_EVERY == SHRINK_EVERY - 1:
                pages.free_cache()
    return "\n".join(lines)


def _lines(page: Any) -> list[str]:
    """The page's level writing, line by line: letters whose base lines differ by less than a raised mark's do."""
    letters = [
        _Letter(char["origin"][1], char["origin"][0], char["bbox"][2], span["size"], char["c"])
        for block in page["blocks"]
        for line in block.get("lines", ())
        if line["dir"][0] > LEVEL
        for span in line["spans"]
        for char in span["chars"]
        if not char["c"].isspace()
    ]
    letters.sort()
    lines: list[list[_Letter]] = []
    for letter in letters:
        if not lines or letter.base - lines[-1][0].base > SAME_LINE_EM * letter.size:
            lines.append([])
        lines[-1].append(letter)
    return ["".join(_spaced(sorted(line, key=_left_edge))) for line in lines]


def _left_edge(letter: _Letter) -> float:
    return letter.left


def _spaced(line: list[_Letter]) -> Iterator[str]:
    """The letters of one line with a space for each gap; the reader's own spaces were left out, it guesses some."""
    right = line[0].left
    for letter in line:
        if letter.left - right > GAP_EM * letter.size:
            yield " "
        yield letter.text
        right = max(right, letter.right)
