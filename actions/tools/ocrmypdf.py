"""OCRmyPDF with Tesseract: adds an invisible text layer to pages that have none. Knows options and exit codes.

It runs as a child process: started inside a long-lived host it would fork pools and keep loggers. ``--output-type pdf``
and the pypdfium rasteriser keep Ghostscript out (OCRmyPDF refuses Debian 12's 10.0.0), ``--optimize 0`` keeps it off the
images. Whether the result may be kept is not decided here.
Source: OCRmyPDF 17 documentation, "Advanced features" (exit codes); Tesseract hOCR: ``x_wconf`` is a word's confidence in %.
"""

from __future__ import annotations

import html
import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from actions.errors import DamagedError, EncryptedError, RefusedError, ToolFailedError, ToolMissingError
from actions.tools import process

OK = 0
INPUT_FILE = 2  # damaged, or signed, or not a PDF; standard error says which
MISSING = 3
CHILD_FAILED = 7
ENCRYPTED = 8
EXPLAINED = frozenset({OK, INPUT_FILE, MISSING, CHILD_FAILED, ENCRYPTED})
PAGE_LIMIT_S = 150  # then Tesseract leaves a page without text; the caller sees it among the pages without words

_WORD = re.compile(r"<span class=['\"]ocrx_word['\"][^>]*?x_wconf (\d+)[^>]*>(.*?)</span>", re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
_CHATTER = re.compile(
    r"\d+ skipping all processing|Parsing \d+ pages|Postprocessing|Image optimization ratio|Total file size ratio"
    r"|.*emporary (work )?f|The input's creation date has no time zone|This PDF contains structural markup"
)
_PAGE = re.compile(r"^(\d{6})_ocr_hocr\.hocr$")


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a run gave.

    Attributes:
        pages: 1-based numbers of the pages that were read.
        silent_pages: Those of them where no word was found: blank, a picture, or out of time.
        confidences: Of each word, 0 to 100.
        warnings: The program's own words.
    """

    pages: tuple[int, ...]
    silent_pages: tuple[int, ...]
    confidences: tuple[int, ...]
    warnings: tuple[str, ...]


@cache
def engine() -> str:
    """The recogniser and its version, e.g. ``"Tesseract 5.3.0"``.

    Raises:
        ToolMissingError: Tesseract is not on this machine.
    """
    done = process.run(["tesseract", "--version"], subject="tesseract", timeout_s=30)
    found = re.search(r"tesseract\s+v?(\d[\w.-]*)", done.stdout + done.stderr)
    return f"Tesseract {found[1] if found else 'of unknown version'}"


@cache
def languages() -> frozenset[str]:
    """Languages that Tesseract has data for.

    Raises:
        ToolMissingError: Tesseract is not on this machine.
    """
    done = process.run(["tesseract", "--list-langs"], subject="tesseract", timeout_s=30)
    return frozenset(line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip().isidentifier())


def version() -> str:
    """This wrapper's program, e.g. ``"OCRmyPDF 17.13.0"``."""
    return f"OCRmyPDF {metadata.version('ocrmypdf')}"


def recognise(source: Path, target: Path, sidecar: Path, scratch: Path, wanted: Sequence[str], *, timeout_s: float) -> Recognised:
    """Write *source* with a text layer to *target* and its plain text to *sidecar*.

    Args:
        source: A PDF that needs no password and has no signature.
        target: Where the PDF goes.
        sidecar: Where the text goes; pages that had text are named in it as skipped.
        scratch: An empty folder for page pictures (25 MB a page at 300 dpi); removed at the end.
        wanted: Tesseract's language codes, the likeliest first.
        timeout_s: For the whole document.

    Raises:
        ToolMissingError: OCRmyPDF, Tesseract or a language's data is not on this machine.
        EncryptedError: It needs a password.
        DamagedError: OCRmyPDF cannot read it.
        RefusedError: It is signed (code ``signed``).
        ToolFailedError: OCRmyPDF or Tesseract failed.
        ToolTimeoutError: Not finished after *timeout_s*.
    """
    _require(wanted)
    scratch.mkdir(parents=True, exist_ok=True)
    argv: list[str | Path] = [
        sys.executable,
        "-m",
        "ocrmypdf",
        "--mode",
        "skip",
        "--output-type",
        "pdf",
        "--rasterizer",
        "pypdfium",
    ]
    argv += ["--optimize", "0", "--jobs", "1", "--tesseract-timeout", str(PAGE_LIMIT_S), "--language", "+".join(wanted)]
    argv += [
        "--tagged-pdf-mode",
        "ignore",
        "--no-progress-bar",
        "--keep-temporary-files",
        "--sidecar",
        sidecar,
        "--",
        source,
        "-",  # to a file it would decode every image again to check it, and fail on ink colours that it cannot decode
    ]
    env = {**os.environ, "TMPDIR": str(scratch), "OMP_THREAD_LIMIT": "1"}  # one worker is one core; two threads gain 10 %
    try:
        with target.open("wb") as out:
            done = process.run(argv, subject=source.name, timeout_s=timeout_s, accept=EXPLAINED, env=env, stdout=out)
        _explain(done, source.name)
        return _read_words(scratch, done.stderr)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _require(wanted: Sequence[str]) -> None:
    missing = [language for language in wanted if language not in languages()]
    if missing:
        packages = " ".join(f"tesseract-ocr-{language}" for language in missing)
        raise ToolMissingError(
            f"has no data for {', '.join(missing)}", "Tesseract", f"Install {packages}, or name other languages."
        )


def _explain(done: process.Done, subject: str) -> None:
    """Raise what the exit code says."""
    tail = done.stderr.strip()[-process.STDERR_TAIL_CHARS :]
    if done.code == ENCRYPTED:
        raise EncryptedError("needs a password", subject, "Ask the producer for a copy without one.")
    if done.code == INPUT_FILE and "signature" in tail.lower():
        raise RefusedError(
            "is digitally signed, and a text layer would break the signature", subject, "Keep it as it is.", code="signed"
        )
    if done.code == INPUT_FILE:
        raise DamagedError(f"OCRmyPDF cannot read it: {tail}", subject, "Ask the producer for a sound copy.")
    if done.code == MISSING:
        raise ToolMissingError(f"something that it needs is not on this machine: {tail}", "OCRmyPDF", "Run `bevara doctor`.")
    if done.code != OK:
        raise ToolFailedError(f"OCRmyPDF exited {done.code}: {tail}", subject, "Run ocrmypdf by hand on this file.")


def _read_words(scratch: Path, stderr: str) -> Recognised:
    """Read the words' confidences from the hOCR pages of the same recognition, which OCRmyPDF leaves behind."""
    pages: list[int] = []
    silent: list[int] = []
    confidences: list[int] = []
    for path in sorted(scratch.glob("ocrmypdf.io.*/*_ocr_hocr.hocr")):
        if named := _PAGE.match(path.name):
            found = [
                int(sure)
                for sure, word in _WORD.findall(path.read_text("utf-8", "replace"))
                if html.unescape(_TAG.sub("", word)).strip()
            ]
            pages.append(int(named[1]))
            confidences += found
            if not found:
                silent.append(int(named[1]))
    lines = [line.strip() for line in stderr.splitlines()]
    warnings = tuple(line for line in lines if line and str(scratch) not in line and not _CHATTER.match(line))
    return Recognised(tuple(pages), tuple(silent), tuple(confidences), warnings)
