"""A picture of drawing orders whose words are not in the PDF is never proven, however many other words the document has."""

from __future__ import annotations

import base64
import shutil
import zipfile
from pathlib import Path

import pymupdf
import pytest

from actions import office_compare, office_to_pdfa
from actions.catalog import OfficeCompareParams, OfficeToPdfaParams
from actions.contract import Check, Level
from actions.office import extract
from tests.actions import office_samples as samples
from tests.actions.test_office_metafile import enhanced, letters
from tests.conftest import missing

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
MAIN = "http://schemas.openxmlformats.org/drawingml/2006/main"
VML = "xmlns:v='urn:schemas-microsoft-com:vml' xmlns:o='urn:schemas-microsoft-com:office:office'"
BODY = "Nämnden beslutar att bevilja ansökan om bygglov i Åhus enligt förvaltningens förslag. Karta bifogas."
SAID = ("Karta över Åhus", "Skala 1:5000", "Fastighet Gamlegården")
PICTURE = "Karta över Åhus\nSkala 1:5000\nFastighet Gamlegården"


def with_metafile(path: Path, *records: bytes, holder: str = "") -> Path:
    """A docx with ``BODY`` and a metafile."""
    shown = f"<w:drawing><a:blip xmlns:a='{MAIN}' r:embed='p1'/></w:drawing>"
    text = f"<w:p><w:r><w:t>{BODY}</w:t></w:r></w:p><w:p><w:r>{holder or shown}</w:r></w:p>"
    target = "<Relationship Id='{}' Type='" + OFFICE + "/{}' Target='{}'/>"
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("[Content_Types].xml", "<Types/>")
        for name, relation in (
            ("_rels/.rels", target.format("r1", "officeDocument", "word/document.xml")),
            ("word/_rels/document.xml.rels", target.format("p1", "image", "media/image1.emf")),
        ):
            package.writestr(name, f"<Relationships xmlns='{RELATIONS}'>{relation}</Relationships>")
        package.writestr(
            "word/document.xml", f"<w:document xmlns:w='{WORD}' xmlns:r='{OFFICE}'><w:body>{text}</w:body></w:document>"
        )
        package.writestr("word/media/image1.emf", enhanced(*(records or lines(*SAID))))
    return path


def lines(*said: str) -> list[bytes]:
    return [letters(one, y=300 * place) for place, one in enumerate(said)]


def page(path: Path, picture: str, *, as_bitmap: bool = False) -> Path:
    """A PDF with ``BODY``, and *picture* below it."""
    with pymupdf.open() as document, pymupdf.open() as beside:
        sheet = document.new_page()
        sheet.insert_textbox((50, 50, 500, 200), BODY)
        beside.new_page(width=300, height=120).insert_text((20, 30), picture.split("\n"), fontsize=14)
        if as_bitmap:
            drawing = beside[0].get_pixmap(dpi=96)
            sheet.insert_image((50, 250, 350, 370), pixmap=drawing)
        else:
            sheet.insert_text((50, 250), picture.split("\n"))
        document.save(path)
    return path


def compare(source: Path, result: Path, workdir: Path) -> tuple[Level | None, Check | None]:
    outcome = office_compare.run(source, workdir, OfficeCompareParams(result=str(result), pages=1))
    return outcome.level, next((check for check in outcome.checks if check.name == "metafile_text"), None)


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (PICTURE, Level.EQUIVALENT),
        (PICTURE.replace(" ", "\n"), Level.EQUIVALENT),  # every word set by itself
        ("", Level.DIFFERENT),
        ("Karta över Åhus", Level.DIFFERENT),
        (PICTURE.replace("5000", "500"), Level.DIFFERENT),
        (PICTURE.replace("Karta över Åhus", "över"), Level.DIFFERENT),  # the text's own words do not stand in for the picture's
    ],
)
def test_the_words_of_a_metafile_must_be_in_the_result(tmp_path, picture, expected):
    level, check = compare(with_metafile(tmp_path / "a.docx"), page(tmp_path / "a.pdf", picture), tmp_path)
    assert level is expected
    assert check is not None
    assert check.ok is (expected is Level.EQUIVALENT)


def test_a_mirrored_picture_is_not_proven_and_its_words_are_named(tmp_path):
    result = page(tmp_path / "a.pdf", "\n".join(line[::-1] for line in SAID))  # as LibreOffice sets a mirrored string
    level, check = compare(with_metafile(tmp_path / "a.docx"), result, tmp_path)
    assert level is Level.DIFFERENT
    assert check is not None
    assert "Gamlegården" in check.why


def test_words_that_are_set_letter_by_letter_are_found(tmp_path):
    pieces = [
        letters(piece, x=place * 50, y=row * 300) for row, one in enumerate(SAID) for place, piece in enumerate(one) if piece != " "
    ]
    level, _ = compare(with_metafile(tmp_path / "a.docx", *pieces), page(tmp_path / "a.pdf", PICTURE), tmp_path)
    assert level is Level.EQUIVALENT


def test_glyph_numbers_are_said_to_be_unread_and_do_not_fail(tmp_path):
    source = with_metafile(tmp_path / "a.docx", letters("abc", options=0x10))
    level, check = compare(source, page(tmp_path / "a.pdf", ""), tmp_path)
    assert level is Level.EQUIVALENT
    assert check is not None
    assert check.ok is None
    assert "glyphs" in check.why


@pytest.mark.parametrize(
    ("program", "aspect", "expected"),
    [
        ("Excel.Sheet.12", "Content", Level.DIFFERENT),
        ("Excel.Sheet.12", "Icon", Level.EQUIVALENT),
        ("Equation.3", "Content", Level.EQUIVALENT),  # set anew by the converter
    ],
)
def test_an_embedded_objects_picture_counts_where_it_shows_content(tmp_path, program, aspect, expected):
    shape = "<v:shape><v:imagedata r:id='p1'/></v:shape>"
    holder = f"<w:object {VML}>{shape}<o:OLEObject ProgID='{program}' DrawAspect='{aspect}'/></w:object>"
    level, _ = compare(with_metafile(tmp_path / "a.docx", holder=holder), page(tmp_path / "a.pdf", ""), tmp_path)
    assert level is expected


@pytest.mark.parametrize(("picture", "expected"), [(PICTURE, Level.EQUIVALENT), ("Karta saknas\nhelt och hållet", Level.DIFFERENT)])
def test_a_drawing_that_became_a_bitmap_is_read_there(tmp_path, picture, expected):
    if shutil.which("tesseract") is None:
        missing("tesseract")
    level, check = compare(with_metafile(tmp_path / "a.docx"), page(tmp_path / "a.pdf", picture, as_bitmap=True), tmp_path)
    assert level is expected
    assert check is not None
    assert ("bitmap" in check.why) is (expected is Level.EQUIVALENT)


def flat(kind: str) -> str:
    """A flat document with the metafile inline."""
    data = base64.b64encode(enhanced(*lines(*SAID))).decode()
    box = "svg:x='3cm' svg:y='6cm' svg:width='9cm' svg:height='4cm'"
    image = f"<draw:image><office:binary-data>{data}</office:binary-data></draw:image>"
    frame = f"<draw:frame text:anchor-type='as-char' {box}>{image}</draw:frame>"
    if kind == "text":
        return samples.flat_text(long=False).replace("</office:text>", f"<text:p>{frame}</text:p></office:text>")
    return samples.flat_slides(titles=("x",), notes="").replace("</draw:page>", frame + "</draw:page>")


@pytest.mark.parametrize("form", ["odt", "docx", "doc", "rtf", "odp", "pptx", "ppt"])
def test_every_kind_of_document_gives_its_metafiles(tmp_path, form):
    flat_form = "fodp" if form in {"odp", "pptx", "ppt"} else "fodt"
    (tmp_path / f"a.{flat_form}").write_text(flat("presentation" if flat_form == "fodp" else "text"), encoding="utf-8")
    samples.convert(tmp_path / "made", form, tmp_path / f"a.{flat_form}")
    content = extract.read(tmp_path / "made" / f"a.{form}")
    assert content is not None
    assert content.vector_pictures == 1
    assert [one.text for one in content.metafiles] == [PICTURE]


def test_what_libreoffice_draws_of_a_metafile_is_found(tmp_path):
    samples.needs_office()
    (tmp_path / "a.fodt").write_text(flat("text"), encoding="utf-8")
    office_to_pdfa.run(tmp_path / "a.fodt", tmp_path, OfficeToPdfaParams())
    _, check = compare(tmp_path / "a.fodt", tmp_path / "result.pdf", tmp_path)
    assert check is not None
    assert check.ok is True
