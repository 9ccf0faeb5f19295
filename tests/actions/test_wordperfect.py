"""WordPerfect 4: known by the form of its codes alone, read by ourselves, and never proven where it was not read."""

from __future__ import annotations

import random

import pymupdf
import pytest

from actions import office_compare, office_to_pdfa
from actions.catalog import IdentifyParams, OfficeCompareParams, OfficeToPdfaParams
from actions.contract import Level
from actions.identify import run as identify
from actions.office import extract, wordperfect
from tests.actions import office_samples as samples

FONT = b"\xcb\x0a\x01\xf6\x01\xcb"
MARGINS = b"\xc0\x0a\x4a\x09\x4a\xc0"
BODY = (
    b"Protokoll f\xe1\x94\xe1rt den 14 mars 2024.\rN\xe1\x84\xe1mnden beslutar att bevilja ans\xe1\x94\xe1kan.\n"
    b"\x9dFet\x9c rad om 417 kr.\n"
)
SAID = "Protokoll fört den 14 mars 2024. Nämnden beslutar att bevilja ansökan.\nFet rad om 417 kr."
NOTE = b"\xe2\x01\x00\x00\x01\x00\xff\x0a\x4aEn not om j\xe1\x84\xe1v.\xe2"


def written(folder, content: bytes, name: str = "PROTOKOL.DOC"):
    (folder / name).write_bytes(content)
    return folder / name


def test_its_text_is_read_with_its_letters(tmp_path):
    content = extract.read(written(tmp_path, FONT + MARGINS + BODY))
    assert (content.text, content.damage) == (SAID, "")


def test_it_is_known_whatever_it_is_called(tmp_path):
    for name in ("A.DOC", "B", "C.WP", "D.txt"):
        facts = identify(written(tmp_path, FONT + MARGINS + BODY, name), tmp_path, IdentifyParams()).facts
        assert facts["puid"] == "fmt/949", name


@pytest.mark.parametrize(
    "content",
    [
        "Le café fermé était animé. ".encode("latin-1") * 40,
        "Ärendet återremitteras på grund av jäv. ".encode("latin-1") * 40,
        "Ärendet återremitteras på grund av jäv. ".encode() * 40,
        "Ärendet återremitteras på grund av jäv. ".encode("cp437") * 40,
        "Дело возвращается на доработку. ".encode("cp1251") * 40,
        FONT + MARGINS[:-1],
        FONT + MARGINS + b"\x00" + BODY,
        FONT * 40,
        b"",
    ],
)
def test_other_bytes_are_not_taken_for_it(tmp_path, content):
    assert not wordperfect.keeps_to_it(content)
    assert extract.read(written(tmp_path, content)) is None


def test_random_bytes_are_never_taken_for_it():
    chance = random.Random(42)
    assert not any(wordperfect.keeps_to_it(chance.randbytes(chance.randrange(8, 400))) for _ in range(3000))


def test_a_file_cut_within_a_code_is_known_by_its_beginning_only():
    content = FONT + MARGINS + BODY + FONT[:3]
    assert wordperfect.keeps_to_it(content, cut=True)
    assert not wordperfect.keeps_to_it(content)


@pytest.mark.parametrize("unread", [NOTE, b"\xd1\x01\xff\xffSidhuvud\xff\xd1", b"\xfa\x01ord\xfa"])
def test_what_was_not_read_is_not_proven(tmp_path, unread):
    source = written(tmp_path, FONT + MARGINS + BODY + unread)
    assert extract.read(source).damage
    (tmp_path / "work").mkdir()
    assert _level(source, tmp_path / "work") is not Level.EQUIVALENT


def test_a_conversion_is_proven_by_our_own_reading_and_a_lost_line_is_seen(tmp_path):
    source = written(tmp_path, FONT + MARGINS + BODY)
    (work := tmp_path / "work").mkdir()
    assert _level(source, work) is Level.EQUIVALENT
    with pymupdf.open(work / "result.pdf") as document:
        document[0].add_redact_annot(document[0].search_for("417 kr")[0])
        document[0].apply_redactions()
        document.save(work / "lost.pdf")
    assert office_compare.run(source, work, OfficeCompareParams(result="lost.pdf", pages=1)).level is Level.DIFFERENT


def _level(source, work) -> Level | None:
    samples.needs_office()
    made = office_to_pdfa.run(source, work, OfficeToPdfaParams())
    return office_compare.run(source, work, OfficeCompareParams(result="result.pdf", pages=made.facts["pages"])).level
