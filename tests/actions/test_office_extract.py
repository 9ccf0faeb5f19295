"""Our own readers find the same record in every format that it is saved in, and survive hostile files."""

from __future__ import annotations

import re
import struct
import zipfile
from pathlib import Path

import pytest

from actions import office_compare, office_to_pdfa
from actions.catalog import OfficeCompareParams, OfficeToPdfaParams
from actions.compare.text import normalise
from actions.contract import Level
from actions.errors import DamagedError, RefusedError, TooLargeError
from actions.office import extract, passages
from actions.office.content import CUT
from tests.actions import office_samples as samples

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
TEXT_FORMATS = ("fodt", "odt", "doc", "docx", "rtf")
SLIDE_FORMATS = ("fodp", "odp", "ppt", "pptx")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    text, slides = folder / "text.fodt", folder / "slides.fodp"
    text.write_text(samples.flat_text(long=False), encoding="utf-8")
    slides.write_text(samples.flat_slides(), encoding="utf-8")
    samples.zipped(folder / "text.odt", samples.flat_text(long=False))
    samples.zipped(folder / "slides.odp", samples.flat_slides())
    for form in TEXT_FORMATS[2:]:
        samples.convert(folder, form, text)
    for form in SLIDE_FORMATS[2:]:
        samples.convert(folder, form, slides)
    return folder


@pytest.mark.parametrize("form", TEXT_FORMATS)
def test_a_text_says_the_same_in_every_format(made, form):
    content = extract.read(made / f"text.{form}")
    assert content.kind == "text"
    words = set(normalise(content.text))
    assert {"förskoleplats", "Ängelholm", "12345,67", "överklagande", "årsskiftet", "Synligt"} <= words
    assert "hemligstämplat" not in words, "hidden text is not shown"
    assert "hemligstämplat" in content.hidden
    assert "Sidhuvud Malmö" in content.headers_footers
    assert "Sidhuvud" not in words
    assert (content.pictures, content.vector_pictures) == (1, 0)


@pytest.mark.parametrize("form", TEXT_FORMATS)
def test_remarks_are_kept_apart_from_the_text(made, form):
    content = extract.read(made / f"text.{form}")
    assert [comment.text for comment in content.comments] == ["Kontrollera uppgiften"]
    assert "Kontrollera" not in content.text
    assert content.deletions >= 1
    assert "struken mening" in content.deleted
    assert "struken" not in content.text


@pytest.mark.parametrize("form", SLIDE_FORMATS)
def test_a_presentation_says_the_same_in_every_format(made, form):
    content = extract.read(made / f"slides.{form}")
    assert content.kind == "presentation"
    assert content.slides == 3
    positions = [content.text.find(title) for title in ("Första", "Andra", "Tredje")]
    assert -1 < positions[0] < positions[1] < positions[2]
    assert [note.strip() for note in content.notes] == ["Säg detta åt nämnden"]
    assert "nämnden" not in content.text


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (rb"{\rtf1\ansi\ansicpg1252 Sm\'f6rg\'e5s och \'c5\'e4}", "Smörgås och Åä"),
        (rb"{\rtf1\ansi\ansicpg1250 \'9elu\'9dou\'e8k\'fd}", "žluťoučký"),
        (rb"{\rtf1\ansi{\fonttbl{\f0\fcharset0 A;}{\f1\fcharset204 B;}}\f0 ja \f1\'e4\'e0}", "ja да"),
        (rb"{\rtf1\ansi\uc1 a\u246?b\uc2\u229\'3f\'3fc}", "aöbåc"),
        (rb"{\rtf1\ansi\u-10179?\u-8704?}", "\U0001f600"),
        (rb"{\rtf1{\upr{alt}{\*\ud{ny\u246?}}} slut}", "nyö slut"),
        (rb"{\rtf1 syns{\*\okand dold}{\v g\'f6md}}", "syns"),
        (rb"{\rtf1 f\'f6re{\field{\*\fldinst HYPERLINK \"x\"}{\fldrslt l\'e4nk}}}", "förelänk"),
        (rb"{\rtf1 a\bin4 }}{{b}", "ab"),
        (rb"{\rtf1 allt}skr\'e4p efter", "allt"),
    ],
)
def test_rtf_bytes_become_the_letters_that_they_mean(tmp_path, body, expected):
    source = tmp_path / "a.rtf"
    source.write_bytes(body)
    assert extract.read(source).text == expected


def test_rtf_counts_a_computed_page_number_apart(tmp_path):
    source = tmp_path / "a.rtf"
    source.write_bytes(rb"{\rtf1 sida {\field{\*\fldinst PAGE}{\fldrslt 7}} av}")
    content = extract.read(source)
    assert "7" not in content.text
    assert content.computed.strip() == "7"


def docx(path: Path, body: str, **parts: str) -> Path:
    namespace = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("[Content_Types].xml", "<Types/>")
        package.writestr("_rels/.rels", f'<R><Relationship Id="a" Type="{kind}/officeDocument" Target="word/document.xml"/></R>')
        package.writestr("word/document.xml", f"<w:document {namespace}><w:body>{body}</w:body></w:document>")
        for name, text in parts.items():
            package.writestr(f"word/{name}.xml", text)
    return path


def test_the_result_of_a_field_is_text_unless_it_is_computed(tmp_path):
    def field(instruction: str, result: str) -> str:
        marks = [f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>' for kind in ("begin", "separate", "end")]
        return f"{marks[0]}<w:r><w:instrText>{instruction}</w:instrText></w:r>{marks[1]}<w:r><w:t>{result}</w:t></w:r>{marks[2]}"

    content = extract.read(docx(tmp_path / "a.docx", f"<w:p>{field('HYPERLINK x', 'länken')}{field('NUMPAGES', '9')}</w:p>"))
    assert content.text == f"länken{CUT}"
    assert content.computed.strip() == "9"


def test_the_fallback_of_an_alternative_is_not_read_twice(tmp_path):
    forms = "".join(f"<mc:{form}><w:t>en gång</w:t></mc:{form}>" for form in ("Choice", "Fallback"))
    both = f'<mc:AlternateContent xmlns:mc="m">{forms}</mc:AlternateContent>'
    assert extract.read(docx(tmp_path / "a.docx", f"<w:p><w:r>{both}</w:r></w:p>")).text == "en gång"


@pytest.mark.parametrize("hostile", ["<w:p>" * 400 + "</w:p>" * 400, "<w:p><w:r><w:t>avbruten"])
def test_broken_xml_is_an_understood_failure(tmp_path, hostile):
    with pytest.raises(DamagedError):
        extract.read(docx(tmp_path / "a.docx", hostile))


def test_an_entity_is_never_fetched(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("hemlighet")
    source = tmp_path / "a.fodt"
    document = samples.flat_text(long=False).replace("härvid", "&x;")
    source.write_text(document.replace("?>", f'?><!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]>', 1), encoding="utf-8")
    assert "hemlighet" not in extract.read(source).text


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    with pytest.raises(TooLargeError):
        extract.read(docx(tmp_path / "a.docx", "<w:p/>" + " " * 60_000_000))


@pytest.mark.parametrize("form", ["doc", "ppt", "docx", "odt", "rtf"])
def test_a_file_cut_anywhere_never_raises_a_bug(made, tmp_path, form):
    stem = "slides" if form == "ppt" else "text"
    whole = (made / f"{stem}.{form}").read_bytes()
    for share in (0.05, 0.3, 0.5, 0.8, 0.95):
        source = tmp_path / f"{share}.{form}"
        source.write_bytes(whole[: int(len(whole) * share)])
        try:
            extract.read(source)
        except RefusedError:
            continue


@pytest.mark.parametrize("form", ["doc", "ppt"])
def test_wild_numbers_in_a_binary_file_never_raise_a_bug(made, tmp_path, form):
    whole = bytearray((made / f"{'slides' if form == 'ppt' else 'text'}.{form}").read_bytes())
    for start in range(512, len(whole) - 4, len(whole) // 60):
        changed = bytearray(whole)
        changed[start : start + 4] = struct.pack("<I", 0xFFFFFFF0)
        source = tmp_path / f"a.{form}"
        source.write_bytes(changed)
        try:
            extract.read(source)
        except RefusedError:
            continue


def test_what_we_cannot_read_is_none_not_an_error(tmp_path):
    for name, data in (("a.wps", b"\x01\xfe2 works"), ("a.txt", "vanlig text å".encode()), ("a.bin", bytes(64))):
        (tmp_path / name).write_bytes(data)
        assert extract.read(tmp_path / name) is None


def test_each_lost_paragraph_is_found_however_long_the_record():
    lines = [f"Ärende {number} rör frågan om väg {number * 7} i kommunens östra del" for number in range(500)]
    assert passages.lost("\n".join(lines), "\n".join(lines)) == []
    without = [line for number, line in enumerate(lines) if number != 250]
    assert len(passages.lost("\n".join(lines), "\n".join(without))) == 1
    assert passages.lost("\n".join(lines), "\n".join(lines).replace("frågan om", "frågan3 om\nSida 5\n")) == [], (
        "a note's mark and a page break"
    )


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus here")
@pytest.mark.parametrize("family", ["office-text", "presentation", "encrypted", "damaged"])
def test_real_files_are_read_or_refused(family):
    for source in sorted((CORPUS / family).iterdir()):
        try:
            content = extract.read(source)
        except RefusedError:
            continue
        assert content is None or content.reader


def test_a_field_that_never_ends_is_told_because_it_swallows_text(tmp_path):
    begin = '<w:r><w:fldChar w:fldCharType="begin"/></w:r>'
    content = extract.read(docx(tmp_path / "a.docx", f"<w:p>{begin}</w:p><w:p><w:r><w:t>slukad</w:t></w:r></w:p>"))
    assert content.damage


@pytest.mark.parametrize("form", ["fodt", "odt", "docx", "doc", "rtf"])
def test_deleted_words_are_remembered_where_they_stood(made, form):
    content = extract.read(next(made.rglob(f"text.{form}")))
    assert "Här står något kvar." in content.text
    assert "Här ståstruken mening" not in content.text
    assert "Här stårstruken mening något kvar." in content.marked


def test_a_reading_aid_is_not_part_of_the_word_below_it(tmp_path):
    ruby = "<text:ruby><text:ruby-base>漢字</text:ruby-base><text:ruby-text>かんじ</text:ruby-text></text:ruby>"
    (tmp_path / "a.fodt").write_text(samples.flat_text(digits=f"<text:p>{ruby}</text:p>"), encoding="utf-8")
    assert "漢字 かんじ" in extract.read(tmp_path / "a.fodt").text
    parts = "".join(f"<w:{tag}><w:r><w:t>{text}</w:t></w:r></w:{tag}>" for tag, text in (("rt", "かんじ"), ("rubyBase", "漢字")))
    assert extract.read(docx(tmp_path / "a.docx", f"<w:p><w:r><w:ruby>{parts}</w:ruby></w:r></w:p>")).text.split() == [
        "かんじ",
        "漢字",
    ]


@pytest.mark.parametrize(
    ("body", "pictures"),
    [
        (rb"{\shp{\*\shpinst{\sp{\sn pib}{\sv {\pict\pngblip 8950}}}}}", 1),
        (rb"{\shp{\*\shpinst{\sp{\sn fillBlip}{\sv {\pict\pngblip 8950}}}}}", 0),  # a pattern, not a picture
        (rb"{\header{\shp{\*\shpinst{\sp{\sn pib}{\sv {\pict\pngblip 8950}}}}}}", 0),
    ],
)
def test_rtf_counts_the_picture_of_a_floating_frame(tmp_path, body, pictures):
    (tmp_path / "a.rtf").write_bytes(rb"{\rtf1 ord" + body + rb" efter}")
    content = extract.read(tmp_path / "a.rtf")
    assert (content.text, content.pictures) == ("ord efter", pictures)


BEYOND = (
    "<draw:frame svg:x='40cm' svg:y='2cm' svg:width='9cm' svg:height='3cm'>"
    "<draw:text-box><text:p>Parkerad lapp</text:p></draw:text-box></draw:frame>"
)


@pytest.fixture(scope="module")
def parked(tmp_path_factory):
    """A presentation with a box beside its slide, in every format."""
    folder = tmp_path_factory.mktemp("parked")
    flat = samples.flat_slides(notes="").replace("</draw:page>", f"{BEYOND}</draw:page>", 1)
    layout = '<style:page-layout style:name="pm1"><style:page-layout-properties fo:page-width="28cm" fo:page-height="21cm"/>'
    (folder / "a.fodp").write_text(re.sub(r'<style:page-layout style:name="pm1">.*?/>', layout, flat, count=1), encoding="utf-8")
    for form in ("odp", "ppt", "pptx"):
        samples.convert(folder / "made", form, folder / "a.fodp")
    return folder


@pytest.mark.parametrize("form", ["fodp", "odp", "ppt", "pptx"])
def test_text_beyond_the_edge_of_a_slide_is_kept_apart(parked, form):
    content = extract.read(next(parked.rglob(f"a.{form}")))
    assert content.beyond.split() == ["Parkerad", "lapp"]
    assert "Parkerad" not in content.text
    assert "Första bilden" in content.text


@pytest.mark.parametrize("form", ["fodp", "ppt"])
def test_text_beyond_the_edge_must_be_beside_the_pdf(parked, tmp_path, form):
    """An export to PDF leaves it out: with the text file the record is whole, without it a part is gone."""
    source = next(parked.rglob(f"a.{form}"))
    facts = office_to_pdfa.run(source, tmp_path, OfficeToPdfaParams()).facts
    given = {"result": "result.pdf", "slides": facts["slides"]}
    beside = office_compare.run(source, tmp_path, OfficeCompareParams(**given, comments_sidecar=str(facts["comments_sidecar"])))
    alone = office_compare.run(source, tmp_path, OfficeCompareParams(**given))
    assert beside.level is Level.EQUIVALENT
    assert alone.level is Level.DIFFERENT
