"""Laws of text: an encoding is named with a reason or not at all, and a copy in UTF-8 has the same characters."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actions import text_check, text_compare, text_to_utf8
from actions.contract import Level, Role, Verdict
from actions.errors import DamagedError, RefusedError
from actions.probes import text as probe
from actions.text import encoding as naming
from actions.text.encoding import Confidence, name_encoding

SWEDISH = (
    "Nämnden beslutar att bifalla ansökan.\r\nSökanden: Åsa Öberg, Ängelholm. Får överklagas till länsrätten i Malmö.\r\n"
    "Återstående frågor behandlas på nästa möte; se även bilaga två.\r\n"
)
EIGHT_BIT = ["iso-8859-1", "cp850", "mac-roman"]


def write(folder, content: bytes, name="källa.txt"):
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("codec", EIGHT_BIT)
def test_swedish_letters_tell_the_eight_bit_encoding(tmp_path, codec):
    """å ä ö stand at different bytes in Windows, DOS and Macintosh texts; the words must come out right."""
    path = write(tmp_path, SWEDISH.encode(codec))

    named = name_encoding(path)

    assert path.read_bytes().decode(named.name) == SWEDISH
    assert named.confidence is Confidence.LIKELY, named.why


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("En enda accent: på.\n", "iso-8859-1"),
        ("Ärende 12", "iso-8859-1"),
        ("Han sade – “nej” – och gick…\nPriset är 5 €.\n", "windows-1252"),
        ("Zażółć gęślą jaźń. Wszystkie ustalenia są ważne.\n", "windows-1250"),
        ("Příliš žluťoučký kůň úpěl ďábelské ódy.\n", "iso-8859-2"),
        ("Все люди рождаются свободными и равными.\n", "windows-1251"),
        ("Все люди рождаются свободными и равными.\n", "koi8-r"),
        ("Résumé déjà vu, garçon, naïve, cœur.\n", "windows-1252"),
        ("│ Räkning │\n└─────────┘\n Beställt på måndag\n", "cp850"),
    ],
)
def test_other_languages_are_right_or_admittedly_uncertain(tmp_path, text, codec):
    """A wrong name may only come with "uncertain": never a wrong letter stated as likely."""
    path = write(tmp_path, text.encode(codec))

    named = name_encoding(path)

    right = named.name is not None and path.read_bytes().decode(named.name) == text
    assert right or named.confidence is Confidence.UNCERTAIN, named


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_encodings_are_seen_without_a_mark(tmp_path, codec):
    assert name_encoding(write(tmp_path, SWEDISH.encode(codec))).name == codec


def test_marks_are_reported_as_marks(tmp_path):
    facts = probe.probe(write(tmp_path, SWEDISH.encode("utf-8-sig")))

    assert facts == {"encoding": "utf-8", "encoding_confidence": "certain", "bom": True}


def test_binary_has_no_encoding(tmp_path):
    assert "encoding" not in probe.probe(write(tmp_path, bytes(range(256)) * 20))
    assert text_check.run(tmp_path / "källa.txt", tmp_path, text_check.TextCheckParams()).verdict is Verdict.INVALID


def test_the_last_byte_counts(tmp_path):
    """Valid to the last megabyte and broken there is not valid; memory does not grow with the text."""
    good = SWEDISH.encode() * 9000
    path = write(tmp_path, good + b"\xc3")

    assert len(good) > naming.CHUNK_BYTES
    assert text_check.run(path, tmp_path, text_check.TextCheckParams()).verdict is not Verdict.VALID
    path.write_bytes(good)
    outcome = text_check.run(path, tmp_path, text_check.TextCheckParams())
    assert outcome.verdict is Verdict.VALID
    assert (outcome.facts["lines"], outcome.facts["newlines"]) == (27000, "crlf")


def test_stray_bytes_in_utf8_are_not_called_another_encoding(tmp_path):
    """One Latin-1 byte in a UTF-8 text: decoding all of it as Latin-1 would spoil every other letter."""
    path = write(tmp_path, SWEDISH.encode() * 5 + "på".encode("latin-1") + b"\n")

    assert name_encoding(path).name == "utf-8"
    assert text_check.run(path, tmp_path, text_check.TextCheckParams()).verdict is Verdict.INVALID
    with pytest.raises(RefusedError) as refused:
        text_to_utf8.run(path, tmp_path, text_to_utf8.TextToUtf8Params())
    assert refused.value.reason == "encoding-uncertain"


@pytest.mark.parametrize("codec", [*EIGHT_BIT, "utf-16", "utf-16-be", "utf-8-sig"])
def test_a_copy_in_utf8_has_the_same_characters_and_a_way_back(tmp_path, codec):
    source = write(tmp_path, SWEDISH.encode(codec))
    before = source.read_bytes()

    outcome = text_to_utf8.run(source, tmp_path, text_to_utf8.TextToUtf8Params())
    (output,) = outcome.outputs
    proof = text_compare.run(source, tmp_path, text_compare.TextCompareParams(result=output.path))

    assert (output.role, output.suffix) == (Role.PRESERVATION, ".utf8.txt")
    assert (tmp_path / output.path).read_bytes() == SWEDISH.encode()
    assert proof.level is Level.IDENTICAL
    assert source.read_bytes() == before


def test_one_changed_letter_is_different(tmp_path):
    source = write(tmp_path, SWEDISH.encode("cp850"))
    write(tmp_path, SWEDISH.replace("Åsa", "Asa").encode(), "kopia.txt")

    assert text_compare.run(source, tmp_path, text_compare.TextCompareParams(result="kopia.txt")).level is Level.DIFFERENT


def test_a_named_encoding_that_does_not_fit_is_damage_and_leaves_nothing(tmp_path):
    source = write(tmp_path, SWEDISH.encode("latin-1"))

    with pytest.raises(DamagedError):
        text_to_utf8.run(source, tmp_path, text_to_utf8.TextToUtf8Params(encoding="utf-8"))
    assert [path.name for path in tmp_path.iterdir()] == ["källa.txt"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400))
def test_any_bytes_get_an_answer_and_no_lie(tmp_path, data):
    """Whatever the bytes: no exception, and VALID only for what decodes strictly as the encoding that is named."""
    path = write(tmp_path, data)

    outcome = text_check.run(path, tmp_path, text_check.TextCheckParams())

    if outcome.verdict is Verdict.VALID:
        data.decode(str(outcome.facts["encoding"]))
