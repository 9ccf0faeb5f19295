"""Laws of OCR: it finds Swedish words, leaves the scan as it was, and claims nothing that it did not read."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pikepdf
import pymupdf
import pytest

from actions import pdf_compare, pdf_ocr
from actions.catalog import PdfCompareParams, PdfOcrParams
from actions.compare import pdf_images
from actions.compare.text import normalise, similarity
from actions.contract import Level, Role
from actions.errors import DamagedError, EncryptedError, RefusedError, ToolMissingError

LINES = [
    "Protokoll fört vid sammanträde med kommunstyrelsen i Lund den 14 mars 2019.",
    "Närvarande: Åsa Öberg, Pär Ängström, Kerstin Sjögren och Håkan Bäck.",
    "Beslut: Att bevilja 12 345 kronor för arkivförvaltningens flytt till nya lokaler.",
    "Ärendet återremitteras inte. Skånes övriga kommuner följer frågan med intresse.",
]

if shutil.which("tesseract") is None:
    if os.environ.get("CI"):
        pytest.fail("tesseract is missing")
    pytest.skip("tesseract is missing", allow_module_level=True)


def write_scan(path: Path) -> Path:
    """One page as a scanner delivers it (200 dpi, JPEG), and one that has text already."""
    document, letter = pymupdf.open(), pymupdf.open()
    page = letter.new_page()
    for number, line in enumerate(LINES):
        page.insert_text((60, 80 + 22 * number), line, fontsize=11.5)
    scan = document.new_page()
    scan.insert_image(scan.rect, stream=page.get_pixmap(dpi=200, colorspace=pymupdf.csGRAY).tobytes("jpeg", jpg_quality=85))
    document.new_page().insert_text((60, 80), "Denna sida har redan text")
    document.save(path)
    return path


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ocr")
    source = write_scan(folder / "skannat protokoll.pdf")
    before = source.read_bytes()
    workdir = folder / "work"
    workdir.mkdir()
    outcome = pdf_ocr.run(source, workdir, PdfOcrParams())
    assert source.read_bytes() == before
    return source, workdir, outcome


def test_swedish_words_are_found(done) -> None:
    """Nine of ten words, and å ä ö among them, in the PDF and in the text beside it."""
    _, workdir, outcome = done
    with pymupdf.open(workdir / "out.pdf") as result:
        layer = result[0].get_text()

    wanted = normalise(" ".join(LINES))

    assert similarity(wanted, normalise(layer)).recall >= 0.9
    assert similarity(wanted, normalise((workdir / "out.ocr.txt").read_text("utf-8"))).recall >= 0.9
    assert {"å", "ä", "ö"} <= set(layer)
    assert [(output.role, output.suffix) for output in outcome.outputs] == [
        (Role.PRESERVATION, ".pdf"),
        (Role.METADATA, ".ocr.txt"),
    ]


def test_what_was_read_is_told_with_its_confidence(done) -> None:
    """Engine, languages, pages and a mean over the words of the same recognition."""
    facts = done[2].facts

    assert str(facts["ocr_engine"]).startswith("Tesseract ")
    assert facts["ocr_languages"] == ["swe", "eng"]
    assert (facts["pages"], facts["pages_ocred"], facts["pages_without_words"]) == (2, 1, 0)
    assert facts["words"] >= 35
    assert 60 < facts["mean_confidence"] <= 100


def test_the_scan_is_the_same_data_and_looks_the_same(done, tmp_path) -> None:
    """A text layer is added; nothing else."""
    source, workdir, outcome = done
    proof = pdf_compare.run(source, tmp_path, PdfCompareParams(result=str(workdir / "out.pdf"), ocr=True))

    assert outcome.facts["images_unchanged"] is True
    assert pdf_images.digests(source) == pdf_images.digests(workdir / "out.pdf")
    assert proof.level is Level.EQUIVALENT


def test_nothing_is_left_behind(done) -> None:
    """Page pictures of a record must not stay in a scratch folder."""
    assert sorted(path.name for path in done[1].iterdir()) == ["out.ocr.txt", "out.pdf"]


def test_a_recoded_image_is_noticed(done, tmp_path) -> None:
    """Same picture, other bytes: the digest must tell, or "unchanged" would mean nothing."""
    source = done[0]
    with pikepdf.open(source) as pdf:
        image = pdf.pages[0].resources.XObject[next(name for name, _ in pdf.pages[0].resources.XObject.items())]
        again = pymupdf.Pixmap(image.read_raw_bytes()).tobytes("jpeg", jpg_quality=60)
        image.write(again, filter=pikepdf.Name.DCTDecode)
        pdf.save(tmp_path / "recoded.pdf")

    assert pdf_images.digests(source) != pdf_images.digests(tmp_path / "recoded.pdf")
    with pytest.raises(RefusedError) as refused:
        pdf_ocr._unchanged_images(source, tmp_path / "recoded.pdf", "a.pdf")
    assert refused.value.reason == "image-changed"


def test_what_cannot_be_read_is_refused_with_its_reason(tmp_path) -> None:
    """A password, a torn file, a language without data: three sentences, three remedies."""
    source = write_scan(tmp_path / "a.pdf")
    with pikepdf.open(source) as pdf:
        pdf.save(tmp_path / "locked.pdf", encryption=pikepdf.Encryption(user="hemligt", owner="ägare"))
    (tmp_path / "torn.pdf").write_bytes(b"%PDF-1.4 nothing")

    with pytest.raises(EncryptedError):
        pdf_ocr.run(tmp_path / "locked.pdf", tmp_path, PdfOcrParams())
    with pytest.raises(DamagedError):
        pdf_ocr.run(tmp_path / "torn.pdf", tmp_path, PdfOcrParams())
    with pytest.raises(ToolMissingError, match="tesseract-ocr-xxx"):
        pdf_ocr.run(source, tmp_path, PdfOcrParams(languages=["xxx"]))
