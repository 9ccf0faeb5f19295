"""Reads the words in a PDF's bitmaps with Tesseract, where a drawing may have become one.

LibreOffice draws the picture of an object embedded in a binary Word file as a bitmap: its words are on the page, but
not in the page's text. What is read here only answers whether words known from the source can be seen.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from actions.compare import pages
from actions.errors import PreservationError
from actions.tools import ocrmypdf, process

READ_DPI = 300  # what Tesseract was trained on
BITMAPS_MAX = 12
LIMIT_S = 25.0  # for all of them: half of what a comparison may take
LEAST_S = 1.0
SIDE_POINTS = (8.0, 900.0)  # less holds no word; more than A4 is no drawing's picture
LANGUAGES = ("swe", "eng")
ONE_THREAD = {"OMP_THREAD_LIMIT": "1"}  # on small pictures its threads wait for each other, ten times as long under load
ONE_BLOCK = "6"  # --psm: lines of one block, which finds a table's cells too


def words(result: Path) -> Iterator[str]:
    """The text of each of the first bitmaps in the PDF at *result*, read when asked for; what cannot be read is left out."""
    try:
        known = "+".join(language for language in LANGUAGES if language in ocrmypdf.languages())
    except PreservationError:  # no Tesseract: then nothing is read, and nothing proven
        return
    with pages.opened(result) as document:
        pictures = _pictures(document)
    until = time.monotonic() + LIMIT_S
    argv = ["tesseract", "-", "-", "-l", known, "--psm", ONE_BLOCK]
    for picture in pictures if known else ():
        left_s = until - time.monotonic()
        if left_s < LEAST_S:
            return
        try:
            yield process.run(argv, subject="a bitmap", timeout_s=left_s, stdin=picture, env=os.environ | ONE_THREAD).stdout
        except PreservationError:
            continue


def _pictures(document: Any) -> list[bytes]:
    """Where the pages show a bitmap, as PNG: each bitmap once, as it stands on the page."""
    seen: set[int] = set()
    drawn: list[bytes] = []
    for page_index in range(pages.page_count(document)):
        page = document.load_page(page_index)
        for info in page.get_image_info(xrefs=True):
            place = page.rect & info["bbox"]
            sides = (place.width, place.height)
            if info["xref"] in seen or min(sides) < SIDE_POINTS[0] or max(sides) > SIDE_POINTS[1]:
                continue
            seen.add(info["xref"])
            drawn.append(page.get_pixmap(dpi=READ_DPI, clip=place).tobytes("png"))
            if len(drawn) == BITMAPS_MAX:
                return drawn
    return drawn
