"""The probe sees what makes an office file special, and answers facts for whatever bytes it gets."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from actions.probes import office
from tests.actions import office_samples as samples

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def opc(path: Path, parts: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("[Content_Types].xml", "<Types/>")
        for name, text in parts.items():
            package.writestr(name, text)
    return path


def test_a_plain_docx_has_nothing_special(tmp_path):
    facts = office.probe(opc(tmp_path / "a.docx", {"word/document.xml": f"<w:document {W}><w:body/></w:document>"}))
    assert {name: value for name, value in facts.items() if value} == {}
    assert facts["encrypted"] is False
    assert facts["damaged"] is False


def test_macros_signatures_and_embedded_files_are_seen(tmp_path):
    source = opc(
        tmp_path / "a.docm",
        {"word/document.xml": "<a/>", "word/vbaProject.bin": "x", "_xmlsignatures/sig1.xml": "x", "word/embeddings/o.bin": "x"},
    )
    facts = office.probe(source)
    assert (facts["macros"], facts["signed"], facts["embedded_files"]) == (True, True, 1)


def test_changes_comments_and_hidden_text_are_counted(tmp_path):
    body = f'<w:document {W}><w:ins w:id="1"/><w:del w:id="2"/><w:instrText/><w:vanish/><w:vanish w:val="0"/></w:document>'
    facts = office.probe(
        opc(tmp_path / "a.docx", {"word/document.xml": body, "word/comments.xml": '<w:comments><w:comment w:id="0"/></w:comments>'})
    )
    assert (facts["tracked_changes"], facts["comments"], facts["hidden"]) == (2, 1, 1)


def test_links_outward_count_but_hyperlinks_do_not(tmp_path):
    def relation(kind: str) -> str:
        return f'<Relationship Id="a" Type="x/{kind}" Target="https://x" TargetMode="External"/>'

    rels = f"<Relationships>{relation('hyperlink')}{relation('image')}{relation('attachedTemplate')}</Relationships>"
    assert office.probe(opc(tmp_path / "a.docx", {"word/document.xml": "<a/>", "word/_rels/d.rels": rels}))["external_links"] == 2


def test_an_encrypted_odf_is_told_by_its_manifest(tmp_path):
    source = tmp_path / "a.odt"
    with zipfile.ZipFile(source, "w") as package:
        package.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        package.writestr("content.xml", b"\x8a\x01 cipher")
        package.writestr("META-INF/manifest.xml", "<m><manifest:encryption-data/></m>")
    assert office.probe(source)["encrypted"] is True


def test_a_flat_and_a_zipped_odf_have_the_same_counts(tmp_path):
    flat = tmp_path / "a.fodt"
    flat.write_text(samples.flat_text(), encoding="utf-8")
    zipped = samples.zipped(tmp_path / "a.odt", samples.flat_text())
    for source in (flat, zipped):
        facts = office.probe(source)
        assert (facts["tracked_changes"], facts["comments"], facts["hidden"], facts["encrypted"]) == (1, 1, 1, False)


def test_a_presentation_tells_slides_and_notes(tmp_path):
    facts = office.probe(samples.zipped(tmp_path / "a.odp", samples.flat_slides()))
    assert (facts["pages"], facts["notes"]) == (3, 1)


def test_rtf_is_damaged_when_its_end_is_missing(tmp_path):
    source = tmp_path / "a.rtf"
    source.write_bytes(rb"{\rtf1 {\b hela}}")
    assert office.probe(source)["damaged"] is False
    source.write_bytes(rb"{\rtf1 {\b halva} och")
    assert office.probe(source)["damaged"] is True


def test_rtf_styles_that_hide_do_not_count_as_hidden_text(tmp_path):
    source = tmp_path / "a.rtf"
    source.write_bytes(rb"{\rtf1{\stylesheet{\cs1\v Hidden;}}{\v g\'f6md}{\*\annotation anm}{\deleted x}}")
    facts = office.probe(source)
    assert (facts["hidden"], facts["comments"], facts["tracked_changes"]) == (1, 1, 1)


def test_an_excel_password_is_a_record_at_the_start(tmp_path):
    assert office.office_ole._excel(struct.pack("<HHHH", 0x2F, 4, 1, 0)) == {"encrypted": True}


@pytest.mark.parametrize(
    "data", [b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), b"{\\rtf1", b"<", b""]
)
def test_a_probe_never_raises(tmp_path, data):
    source = tmp_path / "a"
    source.write_bytes(data)
    assert isinstance(office.probe(source), dict)


def test_a_cut_zip_is_damaged_with_a_reason(tmp_path):
    source = opc(tmp_path / "a.docx", {"word/document.xml": "<a/>" * 200})
    source.write_bytes(source.read_bytes()[:-100])
    facts = office.probe(source)
    assert facts["damaged"] is True
    assert facts["damage"]


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus here")
def test_real_passwords_signatures_and_macros_are_seen():
    def facts(name: str) -> dict:
        return office.probe(CORPUS / name)

    for name in (
        "password.xls", "testEXCEL_protected_passtika.xls", "testODTEncrypted.odt", "testPPT_protected_passtika.pptx",
        "testWORD_protected_passtika.doc", "testWORD_protected_passtika.docx",
    ):  # fmt: skip
        assert facts(f"encrypted/{name}")["encrypted"] is True, name
    assert facts("presentation/testPPT_signed.pptx")["signed"] is True
    assert facts("presentation/testODPMacro.odp")["macros"] is True


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus here")
def test_no_real_office_file_is_called_encrypted_or_damaged():
    for family in ("office-text", "presentation", "spreadsheet"):
        for source in sorted((CORPUS / family).iterdir()):
            facts = office.probe(source)
            assert not facts.get("encrypted"), source.name
            assert not facts.get("damaged"), source.name
