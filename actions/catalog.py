"""Which actions there are, what may be asked of them, and how long they may take.

What a policy is checked against. Parameters only, no craft: an action's module is imported when it first runs, and
the worker's own process never imports a parser at all. Adding an action is a module and an entry here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pydantic import Field

from actions.contract import ActionSpec, Kind
from actions.params import NoParams, Params


class IdentifyParams(Params):
    """``extension``: the original's, for the record; siegfried reads it from the file's name. ``two_voices``: always ask all."""

    extension: str = ""
    two_voices: bool = False


class ProbeParams(Params):
    """What identification said; only hints, since the bytes decide."""

    puid: str | None = None
    mime: str | None = None
    extension: str = ""


class OfficeToPdfaParams(Params):
    """How a document becomes PDF/A.

    Attributes:
        flavour: The PDF/A that is asked for; whether it became one, the validator says.
        comments: "sidecar": comments and tracked changes go into a text file beside the PDF.
        notes_pages: Export a presentation's notes pages when any slide has notes.
    """

    flavour: Literal["2b", "1b"] = "2b"
    comments: Literal["sidecar"] = "sidecar"
    notes_pages: bool = True


class OfficeCompareParams(Params):
    """What to compare with; paths are absolute or relative to the workdir.

    Attributes:
        result: The PDF.
        libreoffice_text: Where LibreOffice wrote what it read; the fallback voice.
        comments_sidecar: The text file with comments, tracked changes and hidden text, if the conversion wrote one.
        pages: Pages that LibreOffice laid out; 0: unknown, or a presentation.
        slides: Slides that LibreOffice counted; 0: unknown, or a text.
        notes_pages: Notes pages that were exported after the slides.
        fonts_missing: Fonts that the conversion had to replace.
        text_recall: Smallest share of the source's words that the result must show, 0 to 1.
    """

    result: str
    libreoffice_text: str = ""
    comments_sidecar: str = ""
    pages: int = Field(default=0, ge=0)
    slides: int = Field(default=0, ge=0)
    notes_pages: int = Field(default=0, ge=0)
    fonts_missing: tuple[str, ...] = ()
    text_recall: float = Field(default=0.98, ge=0, le=1)
    lost_passages: int = Field(default=0, ge=0, description="Paragraphs that may be missing")


class PdfSurgeryParams(Params):
    """``flavour``: which PDF/A. ``attachments``: "embed" keeps them inside, which only PDF/A-3 allows for any file."""

    flavour: Literal["1b", "2b", "3b"] = "2b"
    attachments: Literal["extract", "embed"] = "extract"


class PdfRedrawParams(Params):
    """``flavour``: which PDF/A. Attachments are always extracted: Ghostscript drops them."""

    flavour: Literal["1b", "2b"] = "2b"


class PdfOcrParams(Params):
    """``languages``: Tesseract's codes, the likeliest first; their data must be installed."""

    languages: list[str] = Field(default=["swe", "eng"], min_length=1)


class PdfCompareParams(Params):
    """What to compare with, and how much may change.

    ``result`` is absolute or relative to the workdir. ``ocr``: the result has a text layer that the source lacks, so
    text may be added (never lost). ``extracted_attachments``: so many were declared to be written beside the result.
    Shares are 0 to 1; ``max_changed_share`` is of a page's inked windows of 5.5 mm.
    """

    result: str
    render_dpi_low: int = Field(default=36, ge=18, le=110)
    render_dpi_high: int = Field(default=110, ge=72, le=300)
    fine_pages: int = Field(default=200, ge=0)
    max_changed_share: float = Field(default=0.0, ge=0, le=1)
    text_recall: float = Field(default=0.98, ge=0, le=1)
    evidence_pages: int = Field(default=1, ge=0, le=6)
    ocr: bool = False
    extracted_attachments: int = Field(default=0, ge=0)


class PdfaValidateParams(Params):
    """``flavour``: "auto" tests the file's own claim; "2b" also accepts 2u and 2a, which promise more."""

    flavour: str = Field(default="auto", pattern=r"^(auto|1[ab]|[23][abu]|4[ef]?)$")


class PictureCompareParams(Params):
    """``result``: the copy, absolute or below the workdir."""

    result: str


class TextCheckParams(Params):
    """``encoding``: what the text must be; None: what its bytes say."""

    encoding: str | None = None


class TextToUtf8Params(Params):
    """``encoding``: as a person or the policy decided; None: what the bytes say."""

    encoding: str | None = None


class TextCompareParams(Params):
    """``result``: the copy, absolute or below the workdir. ``encoding``: the source's; None: what its bytes say."""

    result: str
    encoding: str | None = None


def _spec(
    name: str, kind: Kind, params: type[Params], limit_s: float, *, per_mb_s: float = 0.0, per_page_s: float = 0.0
) -> ActionSpec:
    return ActionSpec(name, kind, f"actions.{name}", params, limit_s, per_mb_s, per_page_s)


CATALOG: Mapping[str, ActionSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            _spec("identify", Kind.IDENTIFY, IdentifyParams, 30, per_mb_s=0.2),
            _spec("probe", Kind.PROBE, ProbeParams, 30, per_mb_s=0.3),
            _spec("office_to_pdfa", Kind.CONVERT, OfficeToPdfaParams, 60.0, per_mb_s=15.0),
            _spec("office_compare", Kind.COMPARE, OfficeCompareParams, 60, per_mb_s=5, per_page_s=1),
            _spec("pdf_surgery", Kind.CONVERT, PdfSurgeryParams, 60, per_mb_s=10, per_page_s=0.5),
            _spec("pdf_redraw", Kind.CONVERT, PdfRedrawParams, 150.0, per_mb_s=20.0, per_page_s=3.0),
            _spec("pdf_ocr", Kind.OCR, PdfOcrParams, 120, per_mb_s=5, per_page_s=60),
            _spec("pdf_compare", Kind.COMPARE, PdfCompareParams, 60, per_mb_s=2, per_page_s=2),
            _spec("pdfa_validate", Kind.VALIDATE, PdfaValidateParams, 180.0, per_mb_s=10.0),
            _spec("picture_check", Kind.VALIDATE, NoParams, 60, per_mb_s=2),
            _spec("picture_to_tiff", Kind.CONVERT, NoParams, 60, per_mb_s=3),
            _spec("picture_compare", Kind.COMPARE, PictureCompareParams, 60, per_mb_s=4),
            _spec("text_check", Kind.VALIDATE, TextCheckParams, 30, per_mb_s=0.1),
            _spec("text_to_utf8", Kind.CONVERT, TextToUtf8Params, 30, per_mb_s=0.1),
            _spec("text_compare", Kind.COMPARE, TextCompareParams, 30, per_mb_s=0.2),
        )
    }
)
