"""What a page shows is found however the page is read; what it does not show is found by no reading."""

from __future__ import annotations

from pathlib import Path

import pymupdf
import pytest

from actions.office import pages_side, passages
from actions.office.content import CUT
from actions.office.likeness import measure


def page(path: Path, *pieces: tuple[float, float, float, str]) -> Path:
    """A PDF with each piece of text at its place: left, base line, size in points."""
    with pymupdf.open() as document:
        sheet = document.new_page()
        for left, base, size, text in pieces:
            sheet.insert_text((left, base), text, fontsize=size, fontname="helv")
        document.save(path)
    return path


def width(text: str, size: float = 12) -> float:
    return pymupdf.get_text_length(text, fontname="helv", fontsize=size)


@pytest.fixture
def noted(tmp_path) -> Path:
    """A note's raised mark, glued to the word that it stands at."""
    start = 50 + width("Ett kort not")
    return page(tmp_path / "n.pdf", (50, 100, 12, "Ett kort not"), (start, 96, 7, "17"), (start + 12, 100, 12, "i ett svar"))


def test_a_raised_mark_does_not_stick_to_its_word(noted):
    assert "not" in pages_side.by_place(noted).split()
    first = noted.parent / "first.txt"
    first.write_text("Ett kort not17 i ett svar")
    alike = measure("Ett kort not i ett svar", "Ett kort not17 i ett svar", lambda: pages_side.by_place(noted))
    assert alike.missing == ()
    assert measure("Ett kort not i ett svar", "Ett kort not17 i ett svar").missing == ("not",)


def test_a_letter_from_another_font_falls_into_its_word(tmp_path):
    gap = 50 + width("Lule")
    made = page(
        tmp_path / "f.pdf", (50, 100, 12, "Lule"), (gap + 6.7, 100, 12, " kommun"), (50, 130, 12, "Nästa"), (gap, 100, 12, "å")
    )
    assert "Luleå" in pages_side.by_place(made).split()


def test_what_is_not_on_the_page_is_found_by_no_reading(noted):
    alike = measure("Ett kort not i ett svar nej", "Ett kort not17 i ett svar", lambda: pages_side.by_place(noted))
    assert alike.missing == ("nej",)


def test_a_changed_digit_is_missing_in_every_reading(noted):
    alike = measure("not 18", "not 17", lambda: pages_side.by_place(noted))
    assert not alike.has_all_numbers


def test_arabic_is_found_though_its_ligature_comes_back_turned():
    assert measure("نص للاختبار", "نص لالختبار").missing == ()
    assert measure("نص للاختبار", "نص لالختبال").missing != ()  # another letter


def test_hebrew_is_parted_from_the_number_that_it_sticks_to():
    assert measure("עם מספר 1234", "עם מספר1234").missing == ()
    assert not measure("עם מספר 1234", "עם מספר1243").has_all_numbers


def test_a_paragraph_is_whole_around_its_fields():
    source = f"Se sidan {CUT} och {CUT} samt Lunds kommun"
    assert passages.lost(source, "Se sidan 7 och Bilaga tre samt Lunds kommun") == []
    assert passages.lost(source.replace(CUT, ""), "annat helt och hållet än det som stod i källan") != []
    assert passages.lost(source, "annat helt och hållet än det som stod i källan") != []
