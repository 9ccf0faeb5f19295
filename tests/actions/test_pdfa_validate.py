"""Laws of the judge: it believes bytes, not claims, and its conversation with veraPDF never gets out of step."""

from __future__ import annotations

import pikepdf
import pytest
from pikepdf import pdfa

from actions import pdfa_validate
from actions.contract import Verdict
from actions.errors import ToolTimeoutError
from actions.tools import verapdf
from tests.actions.pdf_samples import CORPUS, document, need_verapdf, save


def judge(path, flavour="auto"):
    return pdfa_validate.run(path, path.parent, pdfa_validate.PdfaValidateParams(flavour=flavour))


def claiming(path, flavour="2b", content=b""):
    """A sound PDF/A without text; with *content* that breaks it, a false claim."""
    pdf = document(content)
    pdf.pages[0].obj["/Resources"] = pikepdf.Dictionary()
    pdfa.prepare(pdf, flavour)
    pdf.save(path, **pdfa.resolve_save_kwargs(flavour))
    return path


def test_a_claim_is_tested_not_believed(tmp_path, monkeypatch):
    """The same claim, once true and once false."""
    need_verapdf(monkeypatch)
    assert judge(claiming(tmp_path / "a.pdf")).verdict is Verdict.VALID
    false = judge(claiming(tmp_path / "b.pdf", content=b"1 0 0 0 k 0 0 9 9 re f"))
    assert false.verdict is Verdict.INVALID
    assert false.facts["failed_clauses"] == ["6.2.4.3"]


@pytest.mark.parametrize(
    ("claimed", "promised", "good"), [("2b", "2b", True), ("1b", "1b", True), ("1b", "2b", False), ("2b", "2u", False)]
)
def test_a_promise_of_another_part_or_level_is_not_kept(tmp_path, monkeypatch, claimed, promised, good):
    """Valid PDF/A-1b is not what was promised as 2b."""
    need_verapdf(monkeypatch)
    outcome = judge(claiming(tmp_path / "a.pdf", claimed), promised)
    assert (outcome.verdict is Verdict.VALID) is good
    assert outcome.facts["profile"] == f"PDF/A-{claimed}"


def test_no_claim_is_invalid_and_says_so(tmp_path, monkeypatch):
    """An ordinary PDF is not PDF/A, however well it is made."""
    need_verapdf(monkeypatch)
    outcome = judge(save(document(), tmp_path / "a.pdf"))
    assert outcome.verdict is Verdict.INVALID
    assert "no (sound) claim" in outcome.notes[0]


def test_strange_files_and_names_never_put_the_conversation_out_of_step(tmp_path, monkeypatch):
    """A missing file, an empty one, rubbish, line breaks in a name: each gets its own answer, or its own error."""
    need_verapdf(monkeypatch)
    good = claiming(tmp_path / "å ä\nö.bin")
    for name, data in (("empty.pdf", b""), ("rubbish.pdf", b"x" * 999), ("-f.pdf", b"%PDF-1.4\n")):
        odd = tmp_path / name
        odd.write_bytes(data)
        assert judge(odd).verdict is Verdict.INVALID
        assert judge(good).verdict is Verdict.VALID
    locked = save(document(), tmp_path / "locked.pdf", encryption=pikepdf.Encryption(owner="a", user="b"))
    assert judge(locked).facts["encrypted"] is True
    assert judge(good).verdict is Verdict.VALID


def test_after_a_timeout_or_a_death_the_next_file_is_judged(tmp_path, monkeypatch):
    """One file's trouble costs one file."""
    need_verapdf(monkeypatch)
    good = claiming(tmp_path / "a.pdf")
    server = verapdf.shared()
    with pytest.raises(ToolTimeoutError):
        server.validate(good, timeout_s=0)
    assert server.validate(good, timeout_s=60).compliant
    server._server.end()
    assert server.validate(good, timeout_s=60).compliant


def test_without_verapdf_only_an_approval_counts(tmp_path, monkeypatch):
    """pikepdf approves what it knows to conform; whatever else it says is no verdict."""
    verapdf.shared().close()
    monkeypatch.setenv(verapdf.LIB_VARIABLE, str(tmp_path / "nothing"))
    approved = judge(claiming(tmp_path / "a.pdf"))
    assert approved.verdict is Verdict.VALID
    assert approved.tool.startswith("pikepdf.pdfa ")
    assert judge(claiming(tmp_path / "b.pdf", content=b"1 0 0 0 k 0 0 9 9 re f")).verdict is Verdict.UNKNOWN
    assert judge(save(document(), tmp_path / "c.pdf")).verdict is Verdict.INVALID


def test_the_suites_verdicts_are_ours(monkeypatch):
    """veraPDF's and BFO's files say in their names what they must give."""
    need_verapdf(monkeypatch)
    files = [*sorted(CORPUS.glob("pdfa-valid/*.pdf"))[::4], *sorted(CORPUS.glob("pdfa-invalid/*.pdf"))[::4]]
    if not files:
        pytest.skip("the corpus is not here")
    wrong = [path.name for path in files if (judge(path).verdict is Verdict.VALID) != ("-pass-" in path.name)]
    assert wrong == []
