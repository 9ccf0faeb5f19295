"""Prove that a PDF made of an office document is the same record: its words, pages, pictures, notes and remarks.

The source is read by our own readers (``actions.office``), the result by MuPDF: neither shares code with the
LibreOffice that converted. Where we have no reader for a format, LibreOffice's own reading is the source's voice,
and the check says so. Layout is never compared: another program lays out anew, so the level is never ``identical``.

What this cannot see: formulas, charts and metafiles are drawn lines in a PDF (their words are compared, not their
lines; the words of formulas, and of metafiles that name glyphs and no letters, are only counted); short
paragraphs are judged together, not one by one; whether a font that replaced another looks as it should.
Source: design.md promise P2; InSPECT, "Significant properties of e-mails, documents" (2009).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import pymupdf

from actions.catalog import OfficeCompareParams
from actions.compare import evidence
from actions.compare.pages import UnreadableError
from actions.contract import Check, Level, Outcome
from actions.errors import RefusedError
from actions.office import bitmaps, checks, extract, pages_side, sketch
from actions.office.content import OfficeContent
from actions.office.sides import Limits, Sides

SIDECAR_BYTES = 50_000_000


@dataclass(frozen=True, slots=True)
class _Voice:
    """The source's content, who told it, and what went wrong with our own reader."""

    content: OfficeContent | None
    is_independent: bool
    why: str = ""
    is_refused: bool = False


def run(source: Path, workdir: Path, params: OfficeCompareParams) -> Outcome:
    """Compare *source* with ``params.result``; write a thumbnail of the result's first page into *workdir*.

    A source or result that cannot be read is an answer, not an exception.
    """
    voice = _voice(source, workdir, params)
    try:
        shown = pages_side.read(workdir / params.result)
    except UnreadableError as broken:
        return Outcome(_tool(), checks=(Check("pages", None, None, ok=False, why=f"the result {broken}"),), level=Level.DIFFERENT)
    beside = _sidecar(workdir, params.comments_sidecar)
    expected = params.slides or params.pages
    limits = Limits(params.text_recall, params.lost_passages, expected, params.notes_pages, params.fonts_missing)
    reread = cache(lambda: pages_side.by_place(workdir / params.result))
    result = workdir / params.result
    second_looks = (reread, partial(sketch.misplaced, result), partial(bitmaps.words, result))
    sides = Sides(voice.content, shown, beside, voice.is_independent, voice.why, *second_looks)
    made = checks.checks_of(sides, limits)
    outputs = evidence.save(workdir, 1, None, shown.first)
    notes: tuple[str, ...] = (voice.why,) if voice.why else ()
    if voice.content is not None and voice.content.damage:
        notes += (f"our reader could not read all of the source: {voice.content.damage}",)
    level = checks.level_of(sides, made, refused=voice.is_refused)
    return Outcome(_tool(), outputs=outputs, notes=notes, facts=checks.facts_of(sides), checks=made, level=level)


def _voice(source: Path, workdir: Path, params: OfficeCompareParams) -> _Voice:
    """Our own reader; else LibreOffice's word for it; else none."""
    try:
        content = extract.read(source)
    except RefusedError as refused:
        return _Voice(_second_hand(workdir, params), is_independent=False, why=f"our own reader: {refused.what}", is_refused=True)
    if content is not None:
        return _Voice(content, is_independent=True)
    why = "no independent reader for this format: compared with what LibreOffice itself read"
    return _Voice(_second_hand(workdir, params), is_independent=False, why=why)


def _second_hand(workdir: Path, params: OfficeCompareParams) -> OfficeContent | None:
    if not params.libreoffice_text:
        return None
    text = (workdir / params.libreoffice_text).read_text(encoding="utf-8", errors="replace")
    slides = params.slides or None
    return OfficeContent("presentation" if slides else "text", "LibreOffice", text=text, slides=slides)


def _sidecar(workdir: Path, name: str) -> str:
    if not name:
        return ""
    with (workdir / name).open(encoding="utf-8", errors="replace") as stream:
        return stream.read(SIDECAR_BYTES)


def _tool() -> str:
    return f"bevara office readers 1, PyMuPDF {pymupdf.VersionBind}"
