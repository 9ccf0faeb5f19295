"""Laws of identification: bytes before names, every voice recorded, and "unidentified" is an answer."""

from __future__ import annotations

import re
import zipfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from actions import identify
from actions.catalog import IdentifyParams
from actions.contract import Outcome, Voice
from actions.identifiers import fido, judge, siegfried
from actions.identifiers.heard import Evidence, Heard

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
SWEDISH = "Kommunstyrelsen beslöt på sammanträdet att återremittera ärendet. Övriga frågor: inga.\n"


def ask(path: Path, *, two_voices: bool = False) -> Outcome:
    return identify.run(path, path.parent, IdentifyParams(extension=path.suffix, two_voices=two_voices))


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_a_signature_settles_it_with_one_voice(tmp_path):
    """Where siegfried sees bytes, nobody else is asked; the voice names its version and its signatures' version."""
    path = tmp_path / "bild.png"
    Image.new("RGB", (3, 3)).save(path)

    outcome = ask(path)

    assert outcome.facts["mime"] == "image/png"
    assert not outcome.facts["by_extension_only"]
    assert len(outcome.voices) == 1
    assert "siegfried 1." in outcome.tool
    assert "DROID V" in outcome.tool


def test_an_empty_file_is_an_answer(tmp_path):
    outcome = ask(write(tmp_path, "tom.docx", b""))

    assert outcome.facts["puid"] is None
    assert outcome.facts["mime"] == "application/x-empty"


def test_a_corrupt_container_is_not_what_its_extension_says(tmp_path):
    """siegfried reports an error and guesses by extension: that guess is no identification."""
    for name in ("brev.docx", "kalkyl.ods", "bok.epub"):
        outcome = ask(write(tmp_path, name, b"PK\x03\x04" + b"trasig" * 40))

        assert outcome.facts["puid"] is None, name
        assert outcome.facts["mime"] == "application/zip", name
        assert len(outcome.voices) == 4, name


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-16", "utf-8-sig", "iso-8859-1", "cp850", "utf-8"])
def test_swedish_text_is_plain_text_in_any_encoding(tmp_path, encoding):
    """PRONOM has no signature for most of these; the bytes still say what they are."""
    outcome = ask(write(tmp_path, "protokoll.txt", (SWEDISH * 3).encode(encoding)))

    assert outcome.facts["puid"] == "x-fmt/111"
    assert not outcome.facts["by_extension_only"]


def test_binary_bytes_are_unidentified_not_text(tmp_path):
    outcome = ask(write(tmp_path, "okänd.txt", bytes(range(256)) * 8))

    assert outcome.facts["puid"] is None


def test_text_under_a_name_that_promises_more_is_not_called_plain_text(tmp_path):
    """A .pdf that holds words is a contradiction for a person, not a text to keep."""
    outcome = ask(write(tmp_path, "beslut.pdf", SWEDISH.encode()))

    assert outcome.facts["puid"] is None
    assert outcome.facts["mime"] == "text/plain"


def test_an_extension_borne_out_by_text_is_not_by_extension_only(tmp_path):
    """CSV, JSON and Markdown have no signature: name and text bytes together are the best evidence there is."""
    csv = ask(write(tmp_path, "tabell.csv", "namn;belopp\nÅsa;1\n".encode()))
    binary = ask(write(tmp_path, "trasig.csv", b"\x8f\0\x01\x02" * 64))

    assert csv.facts["puid"] == "x-fmt/18"
    assert not csv.facts["by_extension_only"]
    assert binary.facts["by_extension_only"]


@pytest.mark.parametrize(
    ("name", "content", "puid", "mime"),
    [
        ("a.eml", b"From: a@b.se\nTo: c@d.se\nSubject: hej\n\nhej\n", "fmt/278", "message/rfc822"),
        ("b.eml", b"DKIM-Signature: v=1;\n a=x\nFrom: a@b.se\nMIME-Version: 1.0\nDate: x\n\nhej\n", "fmt/950", "message/rfc822"),
        ("c.pdf", b" %PDF-1.4\n1 0 obj\n", "fmt/18", "application/pdf"),
        ("d.pdf", b"%PDF-1.8\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", None, "application/pdf"),
        ("e.rtf", b"{\\rtf1{\\info{\\title x}}\\ansi hej}", None, "application/rtf"),
        ("f.xml", b"<\xc3\xa4rende><id>1</id></\xc3\xa4rende>", "fmt/101", "application/xml"),
        ("g.bz2", b"BZh9\x17rE8P\x90\0\0\0\0", "x-fmt/268", "application/x-bzip2"),
    ],
)
def test_what_signatures_miss_is_read_from_the_bytes(tmp_path, name, content, puid, mime):
    outcome = ask(write(tmp_path, name, content))

    assert (outcome.facts["puid"], outcome.facts["mime"]) == (puid, mime)


def test_two_voices_asks_everyone(tmp_path):
    path = tmp_path / "bild.jpg"
    Image.new("RGB", (9, 9)).save(path)

    outcome = ask(path, two_voices=True)

    assert [voice.identifier.split(" ")[0] for voice in outcome.voices] == ["siegfried", "bevara", "libmagic", "fido"]
    assert not outcome.facts["disagreement"]


def heard(who: str, puid: str, mime: str) -> Heard:
    return Heard(Voice(who, puid, mime, "bytes"), Evidence.BYTES, candidates=(puid,))


def test_finer_and_coarser_answers_do_not_disagree_but_two_kinds_do():
    zipped = heard("fido 1", "x-fmt/263", "application/zip")
    document = heard("siegfried 1", "fmt/412", "application/vnd.openxmlformats-officedocument.wordprocessingml.document")
    picture = heard("libmagic 1", "fmt/43", "image/jpeg")
    pdf = heard("siegfried 1", "fmt/18", "application/pdf")

    assert judge.judge(document, None, (zipped,)).disagreement == ""
    assert judge.judge(pdf, None, (picture,)).disagreement == "siegfried: fmt/18 against libmagic: fmt/43"


def test_our_loop_over_fidos_signatures_gives_fidos_answers(tmp_path):
    """The fast loop is fido's matching, only faster: the same PUIDs on every sample."""
    from fido import fido as original

    samples = (
        [path for path in sorted(CORPUS.glob("*/*")) if path.is_file() and path.stat().st_size][::12] if CORPUS.is_dir() else []
    )
    Image.new("P", (4, 4)).save(tmp_path / "a.gif")
    Image.new("RGB", (4, 4)).save(tmp_path / "a.bmp")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "å")
    theirs = original.Fido(quiet=True, format_files=["formats-v109.xml", "format_extensions.xml"])
    for path in [*samples, *sorted(tmp_path.iterdir())]:
        with path.open("rb") as stream:
            head, tail, _ = theirs.get_buffers(stream, path.stat().st_size, seekable=True)
        ours = [form.puid for form in fido._match(fido._library().formats, *fido._buffers(path))]

        assert (head, tail) == fido._buffers(path)
        assert ours == [form.find("puid").text for form, _ in dict.fromkeys(theirs.match_formats(head, tail))], path.name


def test_siegfried_prefers_bytes_to_an_extension(tmp_path):
    path = tmp_path / "egentligen.txt"
    Image.new("RGB", (3, 3)).save(path, "PNG")

    assert siegfried.ask(path).voice.mime == "image/png"
    assert siegfried.ask(path).evidence is Evidence.BYTES


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the shared corpus is not on this machine")
def test_no_file_of_the_corpus_is_called_plain_text_by_a_guess():
    """Binary and damaged files stay unidentified rather than become text."""
    for name in ("T01_004_header_invalid-syntax-no-dash.pdf", "T01_006_header-invalid-syntax-no-pdf.pdf"):
        assert ask(CORPUS / "damaged" / name).facts["puid"] is None


@settings(deadline=None, max_examples=400)
@given(data=st.data())
def test_the_shortcut_before_a_signature_never_misses_a_match(data: st.DataObject) -> None:
    """What matches a signature of fido's passes the cheap look at its literal, at any place the signature allows."""
    regex = data.draw(st.sampled_from(_start_signatures()))
    content = data.draw(st.from_regex(regex))
    if re.match(regex, content):
        pattern = fido._Pattern(regex, None, at_start=True, at_end=False)
        assert pattern.matches(content, content), (regex, content)


@pytest.mark.parametrize(
    ("regex", "required"),
    [
        (rb"(?s)\A.{4}ftyp", (b"ftyp", 8)),
        (rb"(?s)\A.{0,512}%PDF", (b"%PDF", 516)),
        (rb"(?s)\AABC?D", (b"AB", 2)),
        (rb"(?s)\A[ab]{2}\x00\x01x{3}\x02\x03\x04\x05", (b"\x02\x03\x04\x05", 11)),
        (rb"(?s)\A(ab|c)defg", (b"defg", None)),
        (rb"(?s)\A.*end", (b"end", None)),
        (rb"(?s)\Aabc|de", (b"", None)),
    ],
)
def test_the_literal_a_signature_asks_for_and_where_it_ends(regex: bytes, required: tuple[bytes, int | None]) -> None:
    assert fido._required(regex) == required


@cache
def _start_signatures() -> list[bytes]:
    """Those bound to the file's beginning, without the few whose gaps of kilobytes Hypothesis cannot fill."""
    patterns = (part for form in fido._library().formats for signature in form.signatures for part in signature)
    found = {part.regex for part in patterns if part.at_start and not re.search(rb"\{\d*,?\d{3,}\}", part.regex)}
    return sorted(regex for regex in found if fido._compiled(regex) is not None)
