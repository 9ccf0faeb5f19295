"""Open a PDF for surgery, refuse what must not be operated on, and measure that its pages stay the same.

Source: design.md §6 (what a repair must refuse); ISO 32000-1, 7.7.3 (page tree), 12.8 (signatures).
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pikepdf
import pymupdf
from pikepdf import Array, Dictionary, Pdf, Stream

from actions.errors import DamagedError, EncryptedError, RefusedError
from actions.pdf.repairs import Repairs, dictionaries, entry, name_of

_mupdf: Any = pymupdf  # its functions carry no types
_PAGE_TREE = re.compile(r"page tree|/?pages tree|/Kids|page object|/Type key should be /Page", re.IGNORECASE)
_GARBLED = re.compile(r"syntax error|unknown keyword|cannot find|zlib error|premature end|decoding failed", re.IGNORECASE)
_ASK_AGAIN = "Ask the producer for a sound copy; the original is kept as it is."


def open_pdf(source: Path) -> Pdf:
    """Open *source*; the caller closes it.

    Raises:
        EncryptedError: It needs a password.
        DamagedError: It is no PDF, or its page tree cannot be read.
    """
    try:
        return pikepdf.open(source)
    except pikepdf.PasswordError as locked:
        raise EncryptedError(
            "it needs a password to open", source.name, "Ask the producer for a copy without a password."
        ) from locked
    except pikepdf.PdfError as broken:
        raise DamagedError(f"it cannot be read as a PDF: {_plain(broken, source)}", source.name, _ASK_AGAIN) from broken


def check_pages(pdf: Pdf, source: Path) -> int:
    """Count the pages with two readers that share no code, and refuse where pages might be lost.

    Raises:
        DamagedError: No pages, a broken page tree, or two readers that disagree.
    """
    try:
        pages = len(pdf.pages)
    except pikepdf.PdfError as broken:
        raise DamagedError(f"its page tree cannot be read: {_plain(broken, source)}", source.name, _ASK_AGAIN) from broken
    other = count_pages(source)
    if pages == 0 and other == 0:
        raise DamagedError("it has no pages", source.name, _ASK_AGAIN)
    if pages != other:
        raise DamagedError(f"one reader finds {pages} pages, another {other}", source.name, _ASK_AGAIN)
    return pages


def check_damage(pdf: Pdf, source: Path, repairs: Repairs) -> None:
    """Where qpdf had to mend the file, look whether the pages were hit. Call it when the content has been read.

    Raises:
        DamagedError: The page tree is damaged, or a page's content is missing or has errors.
    """
    warnings = [_plain(warning, source) for warning in pdf.get_warnings()]
    for text in warnings:
        if _PAGE_TREE.search(text):
            raise DamagedError(f"its page tree is damaged: {text}", source.name, _ASK_AGAIN)
        repairs.add("file structure", "mended by qpdf", text)
    if warnings:
        _check_content(source)


def _check_content(source: Path) -> None:
    """Interpret every page, without drawing it, and listen to what MuPDF complains about.

    Content that is missing or garbled would be copied faithfully, and nothing later could notice.

    Raises:
        DamagedError: A page's content is missing or has syntax errors.
    """
    with _mupdf.open(source, filetype="pdf") as document:
        for page_index in range(document.page_count):
            _mupdf.TOOLS.reset_mupdf_warnings()
            try:
                page = document.load_page(page_index)
                _, contents = document.xref_get_key(page.xref, "Contents")
                missing = [ref for ref in map(int, re.findall(r"(\d+) \d+ R", contents)) if not _exists(document, ref)]
                page.get_displaylist()
            except (RuntimeError, ValueError) as broken:
                raise DamagedError(f"page {page_index + 1} cannot be read: {broken}", source.name, _ASK_AGAIN) from broken
            said = _mupdf.TOOLS.mupdf_warnings()
            if missing or _GARBLED.search(said):
                why = "is missing" if missing else "has errors where the file is damaged"
                raise DamagedError(f"the content of page {page_index + 1} {why}", source.name, _ASK_AGAIN)


def _exists(document: Any, reference: int) -> bool:
    return bool(0 < reference < document.xref_length() and document.xref_object(reference) != "null")


def count_pages(path: Path) -> int:
    """How many pages MuPDF finds; 0 when it cannot open the file.

    Raises:
        EncryptedError: It needs a password.
    """
    _mupdf.TOOLS.mupdf_display_errors(False)
    try:
        with _mupdf.open(path, filetype="pdf") as document:
            if document.needs_pass:
                raise EncryptedError("it needs a password to open", path.name, "Ask the producer for a copy without a password.")
            return int(document.page_count)
    except (RuntimeError, ValueError):
        return 0  # pymupdf's FileDataError and FileNotFoundError are RuntimeErrors; an empty file is a ValueError


def refuse_signed(pdf: Pdf, subject: str) -> None:
    """A signature covers the bytes: any rewriting breaks it, so an officer decides.

    Raises:
        RefusedError: code ``signed``.
    """
    for item in dictionaries(pdf):
        field = name_of(item.get("/FT")) == "Sig" and isinstance(item.get("/V"), Dictionary)
        signature = name_of(item.get("/Type")) in {"Sig", "DocTimeStamp"} and "/ByteRange" in item
        if field or signature:
            raise RefusedError("it is digitally signed, and rewriting would break the signature", subject,
                               "Keep the original with a validation report; make an unsigned copy only if the policy says so.",
                               code="signed")  # fmt: skip
    permissions = entry(pdf.Root, "/Perms")
    if permissions is not None and "/DocMDP" in permissions:
        raise RefusedError("it is certified by a signature", subject, "Keep the original with a validation report.", code="signed")


def content_digest(pdf: Pdf, subject: str) -> str:
    """SHA-256 over all pages' decoded content streams, in page order; each page and stream is told apart.

    Raises:
        DamagedError: A page's content cannot be decoded to its end.
    """
    digest = hashlib.sha256()
    for page_number, page in enumerate(pdf.pages, start=1):
        contents = page.obj.get("/Contents")
        streams = list(contents) if isinstance(contents, Array) else [contents]
        for stream in (item for item in streams if isinstance(item, Stream)):
            try:
                data = stream.read_bytes()
            except pikepdf.PdfError as broken:
                raise DamagedError(f"the content of page {page_number} is damaged", subject, _ASK_AGAIN) from broken
            digest.update(f"{page_number}:{len(data)}\n".encode())
            digest.update(data)
    return digest.hexdigest()


def _plain(problem: object, source: Path) -> str:
    """A reader's message without the path, which is no business of the record's."""
    return str(problem).replace(str(source), "").lstrip(": ").strip()[:200]
