"""The repairs in their order, and the saving: what surgery and redrawing share.

The order matters: attachments before anything counts keys, fonts before colours (a drawn appearance brings
both), ``pikepdf.pdfa.prepare`` last because it writes the claim.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pikepdf
from pikepdf import Pdf, pdfa

from actions.errors import DamagedError
from actions.pdf import colour, interactive, structure
from actions.pdf.font_embed import embed_simple_fonts
from actions.pdf.font_repair import mend_fonts
from actions.pdf.repairs import Repairs

MAX_VERSION = (1, 7)  # PDF/A-2 and -3 are based on ISO 32000-1


def finish(pdf: Pdf, result: Path, flavour: str, repairs: Repairs, subject: str) -> list[str]:
    """Repair an open document towards *flavour* and write it; returns the fonts left without a program.

    Raises:
        DamagedError: An object that a repair needs cannot be read.
    """
    try:
        left = _repair(pdf, flavour, repairs)
        for said in write(pdf, result, **_save_settings(pdf, flavour, repairs)):
            repairs.add("file structure", "noticed while writing", said)
    except pikepdf.PdfError as broken:
        raise DamagedError(f"its objects cannot be read: {broken}", subject, "Ask the producer for a sound copy.") from broken
    return left


def write(pdf: Pdf, target: Path, **settings: Any) -> list[str]:
    """Save, and return what pikepdf warns of (form fields that no form lists …) in place of printing it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pdf.save(target, **settings)
    return [str(warning.message) for warning in caught]


def _repair(pdf: Pdf, flavour: str, repairs: Repairs) -> list[str]:
    part = int(flavour[0])
    if pdf.is_encrypted:
        repairs.add("encryption", "removed the owner's restrictions, which need no password to open")
    interactive.settle_forms(pdf, repairs)
    interactive.remove_actions(pdf, part, repairs)
    interactive.mend_annotations(pdf, part, repairs)
    structure.remove_forbidden_keys(pdf, repairs)
    mend_fonts(pdf, part, repairs)
    left = embed_simple_fonts(pdf, repairs)
    found = colour.usage(pdf)
    intent = colour.choose_intent(found)
    colour.add_defaults(pdf, found, intent, repairs)
    prepared = pdfa.prepare(pdf, flavour, output_intent=intent.profile or "sRGB")
    for _, sentence in prepared.messages():
        repairs.add("pikepdf.pdfa", sentence)
    return left


def _save_settings(pdf: Pdf, flavour: str, repairs: Repairs) -> dict[str, Any]:
    settings = pdfa.resolve_save_kwargs(flavour)
    version = tuple(int(part) for part in pdf.pdf_version.split(".") if part.isdigit())
    if flavour != "1b" and version > MAX_VERSION:
        settings["force_version"] = "1.7"
        repairs.add("file structure", f"header version {pdf.pdf_version} became 1.7")
    return settings
