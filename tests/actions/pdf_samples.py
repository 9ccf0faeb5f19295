"""Small PDFs made on the spot, each with one thing that PDF/A forbids; and how tests reach veraPDF."""

from __future__ import annotations

import os
from pathlib import Path

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name, Pdf, String

PROJECT = Path(__file__).resolve().parents[2]
CORPUS = PROJECT.parent / "shared" / "corpus"
TEXT = "Räksmörgås, Åke och Öland"


def need_verapdf(monkeypatch):
    """Point at veraPDF's jars, or skip; in CI a missing validator is a failure."""
    from actions.tools import verapdf

    built = PROJECT / "build" / "verapdf" / "lib"
    if verapdf.LIB_VARIABLE not in os.environ and built.is_dir():
        monkeypatch.setenv(verapdf.LIB_VARIABLE, str(built))
    if not verapdf.available():
        if os.environ.get("CI"):
            pytest.fail("veraPDF is missing in CI")
        pytest.skip("veraPDF is not on this machine")


def font(base, subtype="Type1", **entries):
    basic = {"/Type": Name.Font, "/Subtype": Name(f"/{subtype}"), "/BaseFont": Name(f"/{base}")}
    return Dictionary({**basic, "/Encoding": Name.WinAnsiEncoding, **entries})


def show(text=TEXT, size=18, at=(20, 150), resource="F1"):
    return f"BT /{resource} {size} Tf {at[0]} {at[1]} Td ({text}) Tj ET\n".encode("cp1252")


def document(content=None, fonts=None, pages=1):
    """A PDF with *pages* pages of one line of text; without a claim, without an output intent."""
    pdf = Pdf.new()
    fonts = fonts or {"/F1": font("Helvetica")}
    for _ in range(pages):
        page = Dictionary(
            Type=Name.Page,
            MediaBox=Array([0, 0, 300, 200]),
            Resources=Dictionary(Font=Dictionary(fonts)),
            Contents=pdf.make_stream(content if content is not None else show()),
        )
        pdf.pages.append(pikepdf.Page(pdf.make_indirect(page)))
    return pdf


def annotation(pdf, subtype, **entries):
    """Add an annotation to the first page, as careless producers write it: no appearance, no flags."""
    annot = pdf.make_indirect(
        Dictionary({"/Type": Name.Annot, "/Subtype": Name(f"/{subtype}"), "/Rect": Array([20, 20, 60, 60]), **entries})
    )
    page = pdf.pages[0].obj
    if "/Annots" not in page:
        page["/Annots"] = Array()
    page["/Annots"].append(annot)
    return annot


def save(pdf, path, **settings):
    pdf.save(path, **settings)
    return path


def attach(pdf, name, data):
    """Embed a file the old way: name tree, no MIME type, no relation."""
    stream = pdf.make_stream(data)
    spec = Dictionary(Type=Name.Filespec, F=String(name), EF=Dictionary(F=stream))
    pdf.Root["/Names"] = Dictionary(EmbeddedFiles=Dictionary(Names=Array([String(name), spec])))
