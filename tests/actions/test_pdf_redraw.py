"""Laws of the redrawing rung: it refuses what Ghostscript would spoil without a word."""

from __future__ import annotations

import os
import shutil

import pikepdf
import pymupdf
import pytest
from pikepdf import Dictionary, Name, String

from actions import pdf_redraw, pdfa_validate
from actions.contract import Role, Verdict
from actions.errors import EncryptedError
from tests.actions.pdf_samples import TEXT, annotation, attach, document, need_verapdf, save


@pytest.fixture(autouse=True)
def _ghostscript():
    if shutil.which("gs") is None:
        if os.environ.get("CI"):
            pytest.fail("Ghostscript is missing in CI")
        pytest.skip("Ghostscript is not on this machine")


def redraw(source, tmp_path, flavour="2b"):
    out = tmp_path / "work"
    out.mkdir(exist_ok=True)
    return out, pdf_redraw.run(source, out, pdf_redraw.PdfRedrawParams(flavour=flavour))


@pytest.mark.parametrize("flavour", ["1b", "2b"])
def test_text_title_bookmarks_links_and_attachments_survive(tmp_path, monkeypatch, flavour):
    """Each of these is something that Ghostscript drops, garbles or stops at when it is left alone."""
    need_verapdf(monkeypatch)
    pdf = document(pages=2)
    pdf.docinfo["/Title"] = String("Ärende 42 – Ödegårdens översiktsplan")
    annotation(pdf, "Link", **{"/A": Dictionary(S=Name.URI, URI=String("https://lund.se/"))})
    with pdf.open_outline() as outline:
        outline.root.append(pikepdf.OutlineItem("Sida två", 1))
    attach(pdf, "bilaga.csv", b"1;2\n")
    out, outcome = redraw(save(pdf, tmp_path / "a.pdf"), tmp_path, flavour)

    result = out / outcome.outputs[0].path
    judged = pdfa_validate.run(result, out, pdfa_validate.PdfaValidateParams(flavour=flavour))
    assert judged.verdict is Verdict.VALID, judged.notes
    with pymupdf.open(result) as after:
        assert TEXT in after[0].get_text()
        assert after.metadata["title"] == "Ärende 42 – Ödegårdens översiktsplan"
        assert [entry[1] for entry in after.get_toc()] == ["Sida två"]
        assert [link["uri"] for link in after[0].get_links()] == ["https://lund.se/"]
    assert [(out / one.path).read_bytes() for one in outcome.outputs if one.role is Role.METADATA] == [b"1;2\n"]


def test_a_password_is_not_ignored(tmp_path):
    """Ghostscript draws an empty page in place of a locked one."""
    source = save(document(), tmp_path / "a.pdf", encryption=pikepdf.Encryption(owner="a", user="b"))
    with pytest.raises(EncryptedError):
        redraw(source, tmp_path)


def test_a_version_with_known_faults_is_named(tmp_path):
    """The event says so (design.md §6)."""
    _, outcome = redraw(save(document(), tmp_path / "a.pdf"), tmp_path)
    from actions.tools import ghostscript

    assert bool(ghostscript.known_fault()) == any("known text faults" in note for note in outcome.notes)
    assert outcome.tool == ghostscript.version()
