"""Documents of charts, shapes and signs: equivalent by what can be measured of them, and never when that is missing."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pymupdf
import pytest

from actions import office_compare, office_to_pdfa
from actions.catalog import OfficeCompareParams, OfficeToPdfaParams
from actions.contract import Level
from actions.errors import DamagedError
from actions.office import extract
from tests.actions import office_samples as samples

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
RECTANGLE = "<draw:rect svg:x='2cm' svg:y='{y}cm' svg:width='5cm' svg:height='2cm'/>"


def strings(tag: str, *names: str) -> str:
    points = "".join(f"<c:pt idx='{place}'><c:v>{name}</c:v></c:pt>" for place, name in enumerate(names))
    return f"<c:{tag}><c:strRef><c:strCache>{points}</c:strCache></c:strRef></c:{tag}>"


def chart(*, legend: bool = True) -> str:
    series = "".join(
        f"<c:ser><c:idx val='{place}'/>{strings('tx', name)}{strings('cat', 'Höör', 'Åstorp', 'Ängelholm')}</c:ser>"
        for place, name in enumerate(("Kvinnor", "Män"))
    )
    title = "<c:title><c:tx><c:rich><a:p><a:r><a:t>Invånare per ort</a:t></a:r></a:p></c:rich></c:tx></c:title>"
    tail = "<c:legend/>" if legend else ""
    plot = f"<c:plotArea><c:barChart>{series}</c:barChart></c:plotArea>"
    return f"<c:chartSpace xmlns:c='{DRAWING}/chart' xmlns:a='{DRAWING}/main'><c:chart>{title}{plot}{tail}</c:chart></c:chartSpace>"


def with_chart(path: Path, body: str = "", **kinds: bool) -> Path:
    """A docx with nothing but a chart, and *body*."""
    holder = f"<w:p><w:r><w:drawing><c:chart xmlns:c='{DRAWING}/chart' r:id='c1'/></w:drawing></w:r></w:p>"
    target = "<Relationship Id='{}' Type='" + OFFICE + "/{}' Target='{}'/>"
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("[Content_Types].xml", "<Types/>")
        for name, relation in (
            ("_rels/.rels", target.format("r1", "officeDocument", "word/document.xml")),
            ("word/_rels/document.xml.rels", target.format("c1", "chart", "charts/chart1.xml")),
        ):
            package.writestr(name, f"<Relationships xmlns='{RELATIONS}'>{relation}</Relationships>")
        document = f"<w:document xmlns:w='{WORD}' xmlns:r='{OFFICE}'><w:body>{body}{holder}</w:body></w:document>"
        package.writestr("word/document.xml", document)
        package.writestr("word/charts/chart1.xml", chart(**kinds))
    return path


def drawn(path: Path, text: str, *boxes: tuple[float, float, float, float]) -> Path:
    """A PDF of one page, 28 by 21 cm, with *text* and filled boxes (in centimetres)."""
    with pymupdf.open() as document:
        sheet = document.new_page(width=28 * 72 / 2.54, height=21 * 72 / 2.54)
        sheet.insert_textbox((50, 300, 500, 580), text, fontname="helv")
        for box in boxes:
            sheet.draw_rect([edge * 72 / 2.54 for edge in box], fill=(0, 0.4, 0.8))
        document.save(path)
    return path


def level(source: Path, result: Path, workdir: Path, **params) -> Level | None:
    return office_compare.run(source, workdir, OfficeCompareParams(result=str(result), **params)).level


LABELS = "Höör Åstorp Ängelholm 20 40 60"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"Invånare per ort\nKvinnor Män\n{LABELS}", Level.EQUIVALENT),
        ("Invånare per ort\nKvinnor Män\nHöör Ängelholm", Level.EQUIVALENT),  # an axis skips what has no room
        (f"Invånare per stad\nKvinnor Män\n{LABELS}", Level.UNPROVEN),
        (f"Invånare per ort\nKvinnor\n{LABELS}", Level.UNPROVEN),
        ("20 40 60", Level.DIFFERENT),
    ],
)
def test_a_chart_is_compared_by_its_titles_and_legend(tmp_path, text, expected):
    source, result = with_chart(tmp_path / "a.docx"), drawn(tmp_path / "a.pdf", text, (2, 2, 9, 6))
    assert level(source, result, tmp_path, pages=1) is expected


def test_a_chart_without_legend_does_not_ask_for_one(tmp_path):
    source, result = with_chart(tmp_path / "a.docx", legend=False), drawn(tmp_path / "a.pdf", "Invånare per ort", (2, 2, 9, 6))
    assert level(source, result, tmp_path, pages=1) is Level.EQUIVALENT


def test_a_chart_that_vanished_from_a_text_is_different(tmp_path):
    words = "Nämnden beslutar att bevilja ansökan om bygglov i Åhus"
    source = with_chart(tmp_path / "a.docx", f"<w:p><w:r><w:t>{words}</w:t></w:r></w:p>")
    assert level(source, drawn(tmp_path / "a.pdf", words), tmp_path, pages=1) is Level.DIFFERENT
    whole = drawn(tmp_path / "b.pdf", f"{words}\nInvånare per ort Kvinnor Män {LABELS}")
    assert level(source, whole, tmp_path, pages=1) is Level.EQUIVALENT


@pytest.fixture
def slides(tmp_path) -> Path:
    """Two boxes on one slide, 28 by 21 cm, and no word."""
    shapes = RECTANGLE.format(y=3) + RECTANGLE.format(y=10)
    flat = samples.flat_slides(titles=("x",), notes="")
    size = "fo:page-width='28cm' fo:page-height='21cm'"
    flat = flat.replace('fo:page-width="21cm" fo:page-height="29.7cm"', size).replace("Sidhuvud Malmö", "")
    head, _, rest = flat.partition("<draw:frame")
    (tmp_path / "s.fodp").write_text(head + shapes + rest.partition("</draw:frame>")[2], encoding="utf-8")
    return tmp_path / "s.fodp"


BOXES = ((2, 3, 7, 5), (2, 10, 7, 12))


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        (BOXES, Level.EQUIVALENT),
        (BOXES[:1], Level.UNPROVEN),  # one is lost
        ((*BOXES, (15, 15, 20, 18)), Level.UNPROVEN),  # one too many
        ((BOXES[0], (12, 10, 17, 12)), Level.UNPROVEN),  # moved
        ((), Level.UNPROVEN),
    ],
)
def test_slides_of_shapes_are_compared_by_where_their_ink_is(slides, tmp_path, boxes, expected):
    assert level(slides, drawn(tmp_path / "s.pdf", "", *boxes), tmp_path, slides=1) is expected


@pytest.mark.parametrize(("signs", "expected"), [(". . . - - *", Level.EQUIVALENT), (". . . - -", Level.UNPROVEN)])
def test_a_body_of_signs_is_compared_by_its_signs(tmp_path, signs, expected):
    flat = samples.flat_text().split("<office:body>")[0].replace("Sidhuvud Malmö <text:page-number>1</text:page-number>", "")
    flat += "<office:body><office:text><text:p>. . . - - *</text:p></office:text></office:body></office:document>"
    (tmp_path / "a.fodt").write_text(flat, encoding="utf-8")
    assert level(tmp_path / "a.fodt", drawn(tmp_path / "a.pdf", signs), tmp_path, pages=1) is expected


def test_a_zip_that_lost_a_byte_stays_damaged_though_its_text_can_be_read(tmp_path):
    samples.needs_office()
    (tmp_path / "a.fodt").write_text(samples.flat_text(), encoding="utf-8")
    samples.convert(tmp_path / "made", "odt", tmp_path / "a.fodt")
    whole = (tmp_path / "made" / "a.odt").read_bytes()
    (tmp_path / "b.odt").write_bytes(whole[:60] + whole[61:])
    assert extract.read(tmp_path / "b.odt") is not None
    with pytest.raises(DamagedError):
        office_to_pdfa.run(tmp_path / "b.odt", tmp_path, OfficeToPdfaParams())


def test_a_templates_placeholder_is_on_the_page(tmp_path):
    samples.needs_office()
    body = "<text:p>Till <text:placeholder text:placeholder-type='text'>&lt;Mottagare&gt;</text:placeholder> i Lund</text:p>"
    flat = samples.flat_text(digits=body, long=False)
    (tmp_path / "a.fodt").write_text(flat, encoding="utf-8")
    office_to_pdfa.run(tmp_path / "a.fodt", tmp_path, OfficeToPdfaParams())
    with pymupdf.open(tmp_path / "result.pdf") as made:
        assert "mottagare" in made[0].get_text().lower()  # LibreOffice sets it in small capitals


@pytest.mark.parametrize("form", ["odt", "docx", "doc", "rtf"])
def test_a_text_of_nothing_but_a_shape_is_not_taken_for_an_empty_one(tmp_path, form):
    shape = "<draw:rect text:anchor-type='paragraph' svg:x='1cm' svg:y='3cm' svg:width='5cm' svg:height='2cm'/>"
    flat = samples.flat_text().split("<office:body>")[0].replace("Sidhuvud Malmö <text:page-number>1</text:page-number>", "")
    flat += f"<office:body><office:text><text:p>{shape}</text:p></office:text></office:body></office:document>"
    (tmp_path / "a.fodt").write_text(flat, encoding="utf-8")
    samples.convert(tmp_path / "made", form, tmp_path / "a.fodt")
    blank = drawn(tmp_path / "a.pdf", "")
    assert level(tmp_path / "made" / f"a.{form}", blank, tmp_path, pages=1) is Level.UNPROVEN
