"""Ghostscript's ``pdfwrite``: draws a PDF anew as PDF/A. Knows options and versions, judges nothing.

Ghostscript must never see a file that needs a password (it ignores one in a batch run and writes an empty
page), nor one whose pages were not counted: the caller does both (field.md, design.md §6).
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

from actions.tools import process

PROGRAM = "gs"
FIRST_SOUND = (10, 3, 0)  # OCRmyPDF refuses 10.0.0 to 10.02.0 for corrupted text
FIRST_FAULTY = (10, 0, 0)

# Ghostscript reads this before the document: the profile that gives device colours their meaning.
# Source: Ghostscript, doc/VectorDevices, "Creating a PDF/A document".
_DEFINITION = """%!
/ICCProfile ({profile}) def
[/_objdef {{icc_PDFA}} /type /stream /OBJ pdfmark
[{{icc_PDFA}} << /N 3 >> /PUT pdfmark
[{{icc_PDFA}} ICCProfile (r) file /PUT pdfmark
[/_objdef {{OutputIntent_PDFA}} /type /dict /OBJ pdfmark
[{{OutputIntent_PDFA}} << /Type /OutputIntent /S /GTS_PDFA1 /DestOutputProfile {{icc_PDFA}}
 /OutputConditionIdentifier (sRGB) >> /PUT pdfmark
[{{Catalog}} <</OutputIntents [ {{OutputIntent_PDFA}} ]>> /PUT pdfmark
"""


@functools.cache
def number() -> tuple[int, int, int]:
    """The version as numbers, e.g. ``(10, 0, 0)``.

    Raises:
        ToolMissingError: Ghostscript is not on this machine.
    """
    said = process.run([PROGRAM, "--version"], subject=PROGRAM, timeout_s=30).stdout
    parts = [int(part) for part in re.findall(r"\d+", said)[:3]]
    major, minor, patch = (*parts, 0, 0, 0)[:3]
    return major, minor, patch


def version() -> str:
    """``"Ghostscript 10.0.0"``."""
    return "Ghostscript " + ".".join(map(str, number()))


def known_fault() -> str:
    """A sentence when this version is known to corrupt text; empty otherwise."""
    if FIRST_FAULTY <= number() < FIRST_SOUND:
        return f"{version()} has known text faults: used only because the comparison must pass"
    return ""


def to_pdfa(source: Path, target: Path, scratch: Path, *, part: int, profile: Path, timeout_s: float) -> tuple[str, ...]:
    """Draw *source* anew as PDF/A at *target*; returns what Ghostscript complained about, for the record.

    Policy 1: a construct that PDF/A forbids is dropped and named in the answer; policy 2 would stop at a mere
    overprint hint (measured: 6 of 14 sound files), and policy 0 gives up PDF/A. An error in the input stops it.
    """
    definition = scratch / "pdfa_def.ps"
    definition.write_text(_DEFINITION.format(profile=_ps_string(profile)), "utf-8")
    argv: list[str | Path] = [
        PROGRAM, "-dBATCH", "-dNOPAUSE", "-dQUIET", "-dSAFER", f"--permit-file-read={profile}", "-sDEVICE=pdfwrite",
        f"-dPDFA={part}", "-dPDFACompatibilityPolicy=1",
        "-sColorConversionStrategy=RGB", "-dEmbedAllFonts=true", "-dSubsetFonts=true",
        "-dAutoRotatePages=/None",
        "-dAutoFilterColorImages=false", "-dAutoFilterGrayImages=false", "-dDownsampleColorImages=false",
        "-dDownsampleGrayImages=false", "-dDownsampleMonoImages=false",
        "-dColorImageFilter=/FlateEncode", "-dGrayImageFilter=/FlateEncode",
        "-dPassThroughJPEGImages=true", "-dPreserveAnnots=true", "-dPrinted=false", "-dPDFSTOPONERROR",
        f"-sOutputFile={str(target).replace('%', '%%')}", definition, source,
    ]  # fmt: skip
    done = process.run(argv, subject=source.name, timeout_s=timeout_s, cwd=scratch)
    lines = (done.stdout + done.stderr).replace(f"GPL Ghostscript {'.'.join(map(str, number()))}", "").splitlines()
    return tuple(dict.fromkeys(line.strip(" :") for line in lines if line.strip()))


def _ps_string(path: Path) -> str:
    return re.sub(r"([\\()])", r"\\\1", str(path))
