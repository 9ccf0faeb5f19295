"""Make a scanned PDF searchable: add what Tesseract reads as invisible text, and leave every picture as it was.

Pages that have text keep it and are skipped. The result is not yet PDF/A (``pdf_surgery`` follows), and whether it
still looks the same is asked by ``pdf_compare``; that the image data is the same, bit by bit, is proven here.
"""

from __future__ import annotations

from pathlib import Path

import pikepdf

from actions.catalog import CATALOG, PdfOcrParams
from actions.compare import pdf_images
from actions.contract import Fact, Outcome, Output, Role
from actions.errors import DamagedError, EncryptedError, RefusedError
from actions.tools import ocrmypdf

RESULT, SIDECAR, UNLOCKED, SCRATCH = "out.pdf", "out.ocr.txt", "unlocked.pdf", "ocr-scratch"
SURE_BELOW = 60  # per cent; Tesseract's words under it are mostly wrong
NOTED = 5


def run(source: Path, workdir: Path, params: PdfOcrParams) -> Outcome:
    """Write ``out.pdf`` with a text layer and ``out.ocr.txt`` with its text.

    Raises:
        EncryptedError: It needs a password.
        DamagedError: It cannot be read.
        RefusedError: Signed (code ``signed``), or image data would have changed (code ``image-changed``).
        ToolMissingError: OCRmyPDF, Tesseract or a language is not on this machine.
        ToolFailedError: OCRmyPDF ended with an error that it does not explain.
        ToolTimeoutError: Out of time.
    """
    readable, pages, notes = _readable(source, workdir)
    result = workdir / RESULT
    timeout_s = CATALOG["pdf_ocr"].time_limit_s + CATALOG["pdf_ocr"].time_per_page_s * pages
    found = ocrmypdf.recognise(readable, result, workdir / SIDECAR, workdir / SCRATCH, params.languages, timeout_s=timeout_s)
    images = _unchanged_images(readable, result, source.name)
    outputs = [Output(RESULT, Role.PRESERVATION, ".pdf")]
    if found.confidences:  # otherwise the sidecar only says which pages were skipped
        outputs.append(Output(SIDECAR, Role.METADATA, ".ocr.txt"))
    (workdir / UNLOCKED).unlink(missing_ok=True)
    return Outcome(
        tool=f"{ocrmypdf.version()} with {ocrmypdf.engine()}",
        outputs=tuple(outputs),
        notes=(*notes, *_silent(found), *found.warnings[:NOTED]),
        facts=_facts(found, params) | {"pages": pages, "images": images, "images_unchanged": True},
    )


def _readable(source: Path, workdir: Path) -> tuple[Path, int, tuple[str, ...]]:
    """The source, or a copy without its owner's restrictions: OCRmyPDF takes no encrypted file, even one that opens."""
    try:
        with pikepdf.open(source) as pdf:
            if not pdf.is_encrypted:
                return source, len(pdf.pages), ()
            pdf.save(workdir / UNLOCKED, encryption=False)
            return workdir / UNLOCKED, len(pdf.pages), ("removed the owner's restrictions, which need no password to open",)
    except pikepdf.PasswordError as locked:
        raise EncryptedError("needs a password", source.name, "Ask the producer for a copy without one.") from locked
    except pikepdf.PdfError as broken:
        raise DamagedError("cannot be read as a PDF", source.name, "Ask the producer for a sound copy.") from broken


def _unchanged_images(before: Path, after: Path, subject: str) -> int:
    """Count the images; each must be in the result with the same data.

    Raises:
        DamagedError: An image cannot be read.
        RefusedError: One changed or is gone.
    """
    try:
        source, result = pdf_images.digests(before), pdf_images.digests(after)
    except pikepdf.PdfError as broken:
        raise DamagedError("one of its images cannot be read", subject, "Ask the producer for a sound copy.") from broken
    if source != result:
        changed = (source - result).total() + (result - source).total()
        raise RefusedError(f"recognition changed {changed} images", subject, "Keep it without a text layer.", code="image-changed")
    return source.total()


def _facts(found: ocrmypdf.Recognised, params: PdfOcrParams) -> dict[str, Fact]:
    """Confidence is left out where no word was read: a mean of nothing is not zero."""
    facts: dict[str, Fact] = {
        "ocr_engine": ocrmypdf.engine(),
        "ocr_languages": list(params.languages),
        "pages_ocred": len(found.pages),
        "pages_without_words": len(found.silent_pages),
        "words": len(found.confidences),
    }
    if found.confidences:
        facts["mean_confidence"] = round(sum(found.confidences) / len(found.confidences), 1)
        facts["unsure_words"] = sum(sure < SURE_BELOW for sure in found.confidences)
    return facts


def _silent(found: ocrmypdf.Recognised) -> tuple[str, ...]:
    if not found.silent_pages:
        return ()
    listed = ", ".join(map(str, found.silent_pages[:20]))
    return (f"no words were read on page {listed}: blank, a picture only, or out of time",)
