"""A PDF that lacks anything of its office document is never called equivalent, and a whole one is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pymupdf
import pytest

from actions import office_compare
from actions.contract import Level, Role
from actions.office import likeness
from actions.office_compare import OfficeCompareParams
from tests.actions import office_samples as samples

LACKING = ("paragraph", "table", "footnote", "picture")
SLIDES = ("Första bilden", "Andra bilden", "Tredje bilden")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Sources, and the PDFs that LibreOffice makes of them and of their mutilated copies."""
    folder = tmp_path_factory.mktemp("made")
    documents = {
        "text.fodt": samples.flat_text(),
        "digit.fodt": samples.flat_text(digits=samples.DIGITS.replace("417", "471")),
        "letters.fodt": samples.flat_text().replace("förskoleplats", "forskoleplats"),
        "empty.fodt": samples.flat_text(long=False)
        .split("<office:body>")[0]
        .replace("Sidhuvud Malmö <text:page-number>1</text:page-number>", "")
        + "<office:body><office:text><text:p/></office:text></office:body></office:document>",
        "slides.fodp": samples.flat_slides(notes=""),
        "lacks_slide.fodp": samples.flat_slides(titles=SLIDES[:2], notes=""),
        "noted.fodp": samples.flat_slides(),
    } | {f"lacks_{part}.fodt": samples.flat_text(without=part) for part in LACKING}
    for name, document in documents.items():
        (folder / name).write_text(document, encoding="utf-8")
    samples.convert(folder, "pdf", *sorted(folder.glob("*.fod?")))
    (folder / "remarks.txt").write_text("Kontrollera uppgiften\nstruken mening\nhemligstämplat\n", encoding="utf-8")
    return folder


def compare(made: Path, workdir: Path, source: str, result: str, **params):
    params.setdefault("pages", len(pymupdf.open(made / result)) if source.endswith("fodt") else 0)
    params.setdefault("comments_sidecar", str(made / "remarks.txt"))
    return office_compare.run(made / source, workdir, OfficeCompareParams(result=str(made / result), **params))


def failed(outcome) -> set[str]:
    return {check.name for check in outcome.checks if check.ok is False}


def test_a_whole_pdf_is_equivalent_and_never_identical(made, tmp_path):
    outcome = compare(made, tmp_path, "text.fodt", "text.pdf")
    assert failed(outcome) == set()
    assert outcome.level is Level.EQUIVALENT
    measured = {check.name for check in outcome.checks if check.ok}
    assert {
        "text",
        "passages",
        "numbers",
        "pages",
        "pictures",
        "comments",
        "tracked_changes",
        "hidden_text",
        "headers_footers",
    } <= measured


def test_the_first_page_is_pictured_for_a_person(made, tmp_path):
    outcome = compare(made, tmp_path, "text.fodt", "text.pdf")
    assert [(output.path, output.role, output.suffix) for output in outcome.outputs] == [
        ("page-0001-result.jpg", Role.EVIDENCE, "")
    ]
    assert (tmp_path / "page-0001-result.jpg").stat().st_size


@pytest.mark.parametrize("part", LACKING)
def test_a_lost_part_of_a_long_document_is_different(made, tmp_path, part):
    outcome = compare(made, tmp_path, "text.fodt", f"lacks_{part}.pdf")
    assert outcome.level is Level.DIFFERENT
    expected = {"picture": "pictures", "table": "numbers"}.get(part, "passages")
    assert expected in failed(outcome)


def test_one_changed_digit_is_different(made, tmp_path):
    outcome = compare(made, tmp_path, "text.fodt", "digit.pdf")
    assert "numbers" in failed(outcome)
    assert "text" not in failed(outcome), "far below two per cent"
    assert outcome.level is Level.DIFFERENT


def test_a_lost_page_is_different(made, tmp_path):
    with pymupdf.open(made / "text.pdf") as document:
        document.delete_page(-1)
        document.save(made / "short.pdf")
        pages = len(document) + 1
    outcome = compare(made, tmp_path, "text.fodt", "short.pdf", pages=pages)
    assert {"text", "pages", "passages"} <= failed(outcome)


def test_a_blank_pdf_is_different(made, tmp_path):
    with pymupdf.open() as blank:
        blank.new_page()
        blank.save(made / "blank.pdf")
    outcome = compare(made, tmp_path, "text.fodt", "blank.pdf")
    assert {"text", "blank_pages"} <= failed(outcome)
    assert outcome.level is Level.DIFFERENT


def test_swedish_letters_that_lost_their_dots_are_seen(made, tmp_path):
    outcome = compare(made, tmp_path, "text.fodt", "letters.pdf", text_recall=1.0)
    text = next(check for check in outcome.checks if check.name == "text")
    assert text.ok is False
    assert "förskoleplats" in text.why


@pytest.mark.parametrize("sidecar", ["", "empty"])
def test_remarks_that_are_nowhere_make_it_different(made, tmp_path, sidecar):
    (made / "empty").write_text("", encoding="utf-8")
    outcome = compare(made, tmp_path, "text.fodt", "text.pdf", comments_sidecar=str(made / sidecar) if sidecar else "")
    assert "comments" in failed(outcome)
    assert outcome.level is Level.DIFFERENT


def test_a_whole_presentation_is_equivalent(made, tmp_path):
    outcome = compare(made, tmp_path, "slides.fodp", "slides.pdf", slides=3)
    assert outcome.level is Level.EQUIVALENT


def test_a_lost_slide_is_different(made, tmp_path):
    outcome = compare(made, tmp_path, "slides.fodp", "lacks_slide.pdf", slides=2)
    assert "slides" in failed(outcome)
    assert outcome.level is Level.DIFFERENT


def test_lost_notes_are_different(made, tmp_path):
    outcome = compare(made, tmp_path, "noted.fodp", "slides.pdf", slides=3)
    assert failed(outcome) == {"notes"}


def test_an_empty_document_with_an_empty_page_is_equivalent(made, tmp_path):
    outcome = compare(made, tmp_path, "empty.fodt", "empty.pdf")
    assert outcome.level is Level.EQUIVALENT


def test_without_a_reader_of_our_own_the_check_says_who_spoke(made, tmp_path):
    source = made / "old.wri"
    source.write_bytes(b"1\xbe\0\0 an old format")
    (made / "lo.txt").write_text("Första bilden med ämnet höst", encoding="utf-8")
    params = OfficeCompareParams(result=str(made / "slides.pdf"), libreoffice_text=str(made / "lo.txt"), pages=3)
    outcome = office_compare.run(source, tmp_path, params)
    assert outcome.level is Level.EQUIVALENT
    assert "LibreOffice" in next(check.why for check in outcome.checks if check.name == "text")


def test_nothing_known_of_the_source_is_unproven(made, tmp_path):
    source = made / "unknown.wri"
    source.write_bytes(b"1\xbe\0\0 an old format")
    assert office_compare.run(source, tmp_path, OfficeCompareParams(result=str(made / "slides.pdf"))).level is Level.UNPROVEN


def test_a_damaged_source_is_never_equivalent_by_libreoffices_word_alone(made, tmp_path):
    source = made / "broken.odt"
    source.write_bytes(b"PK\x03\x04" + bytes(200))
    (made / "lo.txt").write_text("Första bilden med ämnet höst", encoding="utf-8")
    params = OfficeCompareParams(result=str(made / "slides.pdf"), libreoffice_text=str(made / "lo.txt"), pages=3)
    assert office_compare.run(source, tmp_path, params).level is Level.UNPROVEN


def test_a_result_that_is_no_pdf_is_different(made, tmp_path):
    (made / "no.pdf").write_bytes(b"not a PDF")
    assert (
        office_compare.run(made / "text.fodt", tmp_path, OfficeCompareParams(result=str(made / "no.pdf"))).level is Level.DIFFERENT
    )


def test_the_source_is_not_touched(made, tmp_path):
    before = (made / "text.fodt").read_bytes()
    shutil.copy(made / "text.pdf", tmp_path / "result.pdf")
    office_compare.run(made / "text.fodt", tmp_path, OfficeCompareParams(result="result.pdf"))
    assert (made / "text.fodt").read_bytes() == before


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("Nämnden avslogbiföll ansökan om bygglov i Åhus", Level.EQUIVALENT),  # as LibreOffice marks changes
        ("Nämnden biföll ansökan om bygglov i Åhus", Level.EQUIVALENT),
        ("Nämnden avslogbiföll ansökan om bygglov", Level.DIFFERENT),
        ("Nämnden avslog ansökan om bygglov i Åhus", Level.DIFFERENT),
    ],
)
def test_a_deletion_shown_in_its_place_does_not_hide_a_lost_word(tmp_path, shown, expected):
    region = samples.TRACKED.replace("struken mening", "avslog")
    body = f"{region}<text:p>Nämnden <text:change text:change-id='ct1'/>biföll ansökan om bygglov i Åhus</text:p>"
    flat = samples.flat_text(long=False).split("<office:body>")[0]
    flat = flat.replace("Sidhuvud Malmö <text:page-number>1</text:page-number>", "")
    (tmp_path / "a.fodt").write_text(
        f"{flat}<office:body><office:text>{body}</office:text></office:body></office:document>", "utf-8"
    )
    (tmp_path / "remarks.txt").write_text("avslog", encoding="utf-8")
    with pymupdf.open() as document:
        document.new_page().insert_textbox((50, 50, 500, 500), shown)
        document.save(tmp_path / "a.pdf")
    params = OfficeCompareParams(result=str(tmp_path / "a.pdf"), pages=1, comments_sidecar=str(tmp_path / "remarks.txt"))
    assert office_compare.run(tmp_path / "a.fodt", tmp_path, params).level is expected


@pytest.mark.parametrize(
    ("source", "result", "missing"),
    [
        ("punkt\tett två", "punktett två", ()),  # a tabulator too narrow to see
        ("rad ett två", "radtvå ett", ("rad", "två")),  # not neighbours
        ("rad 12\t3 slut", "rad 123 slut", ()),  # all figures in their order: judged as a stream
        ("ja\tnej ja", "janej", ("ja",)),
    ],
)
def test_words_that_stick_together_are_found_only_where_they_are_neighbours(source, result, missing):
    assert sorted(likeness.measure(source, result).missing) == sorted(missing)
