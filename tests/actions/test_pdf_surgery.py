"""Laws of the gentlest rung: what it repairs is PDF/A by veraPDF, what it touches is never a page's content."""

from __future__ import annotations

from pathlib import Path

import pikepdf
import pymupdf
import pytest
from pikepdf import Array, Dictionary, Name, String

from actions import pdf_surgery, pdfa_validate
from actions.contract import Role, Verdict
from actions.errors import DamagedError, EncryptedError, RefusedError
from tests.actions.pdf_samples import CORPUS, TEXT, annotation, attach, document, font, need_verapdf, save, show


def operate(source: Path, tmp_path: Path, **params):
    out = tmp_path / "work"
    out.mkdir(exist_ok=True)
    outcome = pdf_surgery.run(source, out, pdf_surgery.PdfSurgeryParams(**params))
    return out / outcome.outputs[0].path, outcome


def assert_pdfa(path, flavour="2b"):
    outcome = pdfa_validate.run(path, path.parent, pdfa_validate.PdfaValidateParams(flavour=flavour))
    assert outcome.verdict is Verdict.VALID, outcome.notes


def contents(path):
    with pikepdf.open(path) as pdf:
        return [page.obj["/Contents"].read_bytes() for page in pdf.pages]


def text(path):
    with pymupdf.open(path) as pdf:
        return "".join(page.get_text() for page in pdf)


def pixels(path):
    with pymupdf.open(path) as pdf:
        return pdf[0].get_pixmap(dpi=72).samples


def difference(path_a, path_b):
    """Mean difference of two renderings, in grey levels of 255."""
    a, b = pixels(path_a), pixels(path_b)
    return sum(abs(x - y) for x, y in zip(a, b, strict=True)) / len(a)


@pytest.mark.parametrize("flavour", ["1b", "2b", "3b"])
@pytest.mark.parametrize(
    "base",
    ["Helvetica-BoldOblique", "Times-Roman", "Courier", "ArialMT", "TimesNewRoman,Italic", "CourierNewPS-BoldMT", "Palatino-Roman"],
)
def test_a_standard_font_is_embedded_and_the_page_keeps_its_bytes(tmp_path, monkeypatch, base, flavour):
    """Most old PDFs carry no fonts; the derivative must, without a changed byte of content or a lost å."""
    need_verapdf(monkeypatch)
    source = save(document(fonts={"/F1": font(base, "TrueType" if "MT" in base or "," in base else "Type1")}), tmp_path / "a.pdf")
    result, outcome = operate(source, tmp_path, flavour=flavour)

    assert_pdfa(result, flavour)
    assert contents(source) == contents(result)
    assert outcome.facts["content_unchanged"] is True
    assert TEXT in text(result)
    assert any(note.startswith("repair: fonts: embedded a stand-in") and base in note for note in outcome.notes)


def test_symbols_and_differences_keep_their_meaning(tmp_path, monkeypatch):
    """Symbol, dingbats and renamed codes show the same signs after embedding."""
    need_verapdf(monkeypatch)
    renamed = Dictionary(Type=Name.Encoding, BaseEncoding=Name.WinAnsiEncoding, Differences=Array([65, Name.aring, Name.Euro]))
    fonts = {"/F1": font("Symbol"), "/F2": font("ZapfDingbats"), "/F3": font("Helvetica", **{"/Encoding": renamed})}
    for key in ("/F1", "/F2"):
        del fonts[key]["/Encoding"]
    content = show("abc", resource="F1") + show("abc", at=(20, 100), resource="F2") + show("ABC", at=(20, 50), resource="F3")
    source = save(document(content, fonts), tmp_path / "a.pdf")
    result, _ = operate(source, tmp_path)

    assert_pdfa(result)
    assert "αβχ" in text(result)
    assert "å€C" in text(result)
    assert difference(source, result) < 1


def test_the_documents_own_widths_rule(tmp_path, monkeypatch):
    """A stand-in that is only similar is fitted to the widths given, so that no line moves; and it is said."""
    need_verapdf(monkeypatch)
    descriptor = Dictionary(Type=Name.FontDescriptor, FontName=Name.Tahoma, Flags=32, FontBBox=Array([0, -200, 1000, 900]),
                            ItalicAngle=0, Ascent=900, Descent=-200, CapHeight=700, StemV=80)  # fmt: skip
    widths = Array([610.5] * 224)
    entries = {"/FirstChar": 32, "/LastChar": 255, "/Widths": widths, "/FontDescriptor": descriptor}
    source = save(document(fonts={"/F1": font("Tahoma", "TrueType", **entries)}), tmp_path / "a.pdf")
    result, outcome = operate(source, tmp_path)

    assert_pdfa(result)
    assert any("similar only" in note and "Tahoma" in note for note in outcome.notes)
    with pymupdf.open(result) as pdf:
        right = max(word[2] for word in pdf[0].get_text("words"))
    assert right == pytest.approx(20 + len(TEXT) * 0.6105 * 18, abs=1)


def test_an_unknown_symbol_font_is_never_guessed(tmp_path, monkeypatch):
    """Another font's signs would say something else: it stays without a program, and the validator refuses."""
    need_verapdf(monkeypatch)
    descriptor = Dictionary(Type=Name.FontDescriptor, FontName=Name("/MT-Extra"), Flags=4)
    widths = {"/FirstChar": 65, "/LastChar": 67, "/Widths": Array([500] * 3), "/FontDescriptor": descriptor}
    source = save(document(show("ABC"), {"/F1": font("MT-Extra", "TrueType", **widths)}), tmp_path / "a.pdf")
    result, outcome = operate(source, tmp_path)

    assert outcome.facts["fonts_left"] == ["MT-Extra"]
    judged = pdfa_validate.run(result, tmp_path, pdfa_validate.PdfaValidateParams(flavour="2b"))
    assert judged.verdict is Verdict.INVALID


@pytest.mark.parametrize("colours", [b"0 0.5 1 0 k 9 9 50 50 re f\n", b"1 0 0 rg 5 5 9 9 re f 0 0.5 1 0 k 9 9 50 50 re f\n"])
def test_device_colours_get_a_meaning(tmp_path, monkeypatch, colours):
    """CMYK alone and CMYK beside RGB both end as PDF/A, with the numbers untouched."""
    need_verapdf(monkeypatch)
    source = save(document(colours + show()), tmp_path / "a.pdf")
    result, _ = operate(source, tmp_path)

    assert_pdfa(result)
    assert contents(source) == contents(result)


def test_forbidden_actions_go_and_are_named_while_links_stay(tmp_path, monkeypatch):
    """A launched program and a script cannot be preserved; a web address can."""
    need_verapdf(monkeypatch)
    pdf = document()
    annotation(pdf, "Link", **{"/A": Dictionary(S=Name.Launch, F=String("installera.exe"))})
    annotation(pdf, "Link", **{"/A": Dictionary(S=Name.URI, URI=String("https://lund.se/"))})
    pdf.Root["/OpenAction"] = Dictionary(S=Name.JavaScript, JS=String("app.alert(1)"))
    pdf.Root["/AA"] = Dictionary(WC=Dictionary(S=Name.JavaScript, JS=String("app.alert(2)")))
    result, outcome = operate(save(pdf, tmp_path / "a.pdf"), tmp_path)

    assert_pdfa(result)
    said = "\n".join(outcome.notes)
    assert "Launch" in said
    assert "installera.exe" in said
    assert "JavaScript" in said
    with pymupdf.open(result) as after:
        assert [link["uri"] for link in after[0].get_links() if "uri" in link] == ["https://lund.se/"]


@pytest.mark.parametrize("subtype", ["Text", "Square", "Highlight", "Ink", "StrikeOut", "Line", "Stamp"])
def test_an_annotation_without_a_picture_is_drawn_never_dropped(tmp_path, monkeypatch, subtype):
    """A comment is part of the record."""
    need_verapdf(monkeypatch)
    pdf = document()
    box = Array([20, 60, 60, 60, 20, 20, 60, 20])
    extra = {"/QuadPoints": box, "/InkList": Array([box]), "/L": Array([20, 20, 60, 60]), "/Contents": String("Granskat av Åsa")}
    annotation(pdf, subtype, **extra)
    result, outcome = operate(save(pdf, tmp_path / "a.pdf"), tmp_path)

    assert_pdfa(result)
    assert any("drew an annotation" in note and subtype in note for note in outcome.notes)
    with pikepdf.open(result) as after:
        assert [str(annot["/Contents"]) for annot in after.pages[0].obj["/Annots"]] == ["Granskat av Åsa"]


def test_attachments_are_moved_out_whole_and_never_outside_the_workdir(tmp_path, monkeypatch):
    """Not lost, and not written where a hostile name points."""
    need_verapdf(monkeypatch)
    pdf, data = document(), "höjdkurvor;1,5\n".encode()
    attach(pdf, "../../kartor/höjd.csv", data)
    result, outcome = operate(save(pdf, tmp_path / "a.pdf"), tmp_path)

    assert_pdfa(result)
    (extra,) = [output for output in outcome.outputs if output.role is Role.METADATA]
    written = (result.parent / extra.path).resolve()
    assert written.is_relative_to(result.parent.resolve())
    assert written.read_bytes() == data
    assert extra.suffix.endswith("höjd.csv")
    assert any("höjd.csv" in note for note in outcome.notes)


def test_attachments_can_stay_in_pdfa_3(tmp_path, monkeypatch):
    """PDF/A-3 may carry any file, once type and relation are stated."""
    need_verapdf(monkeypatch)
    pdf = document()
    attach(pdf, "data.csv", b"1;2\n")
    result, outcome = operate(save(pdf, tmp_path / "a.pdf"), tmp_path, flavour="3b", attachments="embed")

    assert_pdfa(result, "3b")
    assert len(outcome.outputs) == 1
    with pymupdf.open(result) as after:
        assert after.embfile_get(0) == b"1;2\n"


def test_form_fields_are_drawn_and_keep_their_values(tmp_path, monkeypatch):
    """A field that only its reader would draw shows its value to every reader; one that no form lists stays too."""
    need_verapdf(monkeypatch)
    pdf = document()
    entries = {
        "/FT": Name.Tx,
        "/T": String("namn"),
        "/V": String("Åsa Öberg"),
        "/DA": String("/F1 12 Tf 0 g"),
        "/Rect": Array([20, 20, 200, 60]),
    }
    field = annotation(pdf, "Widget", **entries)
    fonts = Dictionary(Font=Dictionary(F1=pdf.make_indirect(font("Helvetica"))))
    pdf.Root["/AcroForm"] = Dictionary(Fields=Array([field]), NeedAppearances=True, DR=fonts)
    result, _ = operate(save(pdf, tmp_path / "a.pdf"), tmp_path)

    assert_pdfa(result)
    with pymupdf.open(result) as after:
        assert [widget.field_value for widget in after[0].widgets()] == ["Åsa Öberg"]
    with pikepdf.open(result) as after:
        assert b"Tj" in after.pages[0].obj["/Annots"][0]["/AP"]["/N"].read_bytes()


def test_an_inverting_transfer_function_is_left_for_the_validator(tmp_path, monkeypatch):
    """Identity may go; a function that turns black to white is part of the picture."""
    need_verapdf(monkeypatch)
    for name, function, good in (
        ("i", Name.Identity, True),
        ("n", Dictionary(FunctionType=2, N=1, Domain=Array([0, 1]), C0=Array([1]), C1=Array([0])), False),
    ):
        pdf = document(b"/G gs\n" + show())
        pdf.pages[0].obj["/Resources"]["/ExtGState"] = Dictionary(G=Dictionary(Type=Name.ExtGState, TR=function))
        result, _ = operate(save(pdf, tmp_path / f"{name}.pdf"), tmp_path)
        judged = pdfa_validate.run(result, tmp_path, pdfa_validate.PdfaValidateParams(flavour="2b"))
        assert (judged.verdict is Verdict.VALID) is good, judged.notes


def _signed():
    pdf = document()
    signature = Dictionary(Type=Name.Sig, Filter=Name("/Adobe.PPKLite"), ByteRange=Array([0, 1, 2, 3]), Contents=String("x"))
    field = annotation(pdf, "Widget", **{"/FT": Name.Sig, "/T": String("s"), "/V": pdf.make_indirect(signature)})
    pdf.Root["/AcroForm"] = Dictionary(Fields=Array([field]), SigFlags=3)
    return pdf


def _xfa():
    pdf = document()
    pdf.Root["/NeedsRendering"] = True
    pdf.Root["/AcroForm"] = Dictionary(Fields=Array(), XFA=String("<xdp/>"))
    return pdf


@pytest.mark.parametrize(("make", "settings", "error", "code"), [
    (_signed, {}, RefusedError, "signed"),
    (_xfa, {}, RefusedError, "xfa"),
    (document, {"encryption": pikepdf.Encryption(owner="a", user="b")}, EncryptedError, "encrypted"),
])  # fmt: skip
def test_what_must_not_be_operated_on_is_refused_with_its_code(tmp_path, make, settings, error, code):
    """A policy routes by the code."""
    with pytest.raises(error) as refused:
        operate(save(make(), tmp_path / "a.pdf", **settings), tmp_path)
    assert refused.value.reason == code


def test_owner_restrictions_alone_do_not_stop_and_are_named(tmp_path, monkeypatch):
    """A PDF that anyone can open but not print is not secret; that the lock went is part of the history."""
    need_verapdf(monkeypatch)
    source = save(document(), tmp_path / "a.pdf", encryption=pikepdf.Encryption(owner="a", user=""))
    result, outcome = operate(source, tmp_path)
    assert_pdfa(result)
    assert any(note.startswith("repair: encryption") for note in outcome.notes)


@pytest.mark.parametrize("damage", [
    lambda _: b"",
    lambda _: b"%PDF-1.4 nothing else",
    lambda data: data[: len(data) // 3],
    lambda data: data.replace(b"/Count 3", b"/Count 3").replace(b"/Kids", b"/Kjds"),
    lambda data: data.replace(b"startxref", b"startxxxx").replace(b") Tj", b" 7] Tj"),
])  # fmt: skip
def test_damage_is_refused_rather_than_covered_up(tmp_path, damage):
    """An empty or shortened document must not come out as a valid one."""
    source = save(
        document(pages=3), tmp_path / "a.pdf", object_stream_mode=pikepdf.ObjectStreamMode.disable, compress_streams=False
    )
    source.write_bytes(damage(source.read_bytes()))
    with pytest.raises(DamagedError):
        operate(source, tmp_path)


def test_real_documents_keep_content_and_most_become_pdfa(tmp_path, monkeypatch):
    """Over the corpus: no result without the same content; the honest share by veraPDF stays above three quarters."""
    need_verapdf(monkeypatch)
    sources = [path for path in sorted(CORPUS.glob("pdf/*.pdf")) if path.stat().st_size < 60_000]
    if not sources:
        pytest.skip("the corpus is not here")
    valid = 0
    for source in sources:
        try:
            result, outcome = operate(source, tmp_path)
        except RefusedError:
            continue
        assert outcome.facts["content_unchanged"] is True
        valid += pdfa_validate.run(result, tmp_path, pdfa_validate.PdfaValidateParams(flavour="2b")).verdict is Verdict.VALID
    assert valid >= 0.75 * len(sources)
