"""Laws of the PDF probe: what it must see, and that no bytes make it raise."""

from __future__ import annotations

import random
from pathlib import Path

import pikepdf
import pymupdf
import pytest
from pikepdf import Array, Dictionary, Name, String

from actions.probes.pdf import probe

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"

XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
    ' xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">{}</rdf:RDF></x:xmpmeta>'
)


def write(path: Path, pages: int = 1, text: str = "Ärendet återremitteras") -> Path:
    document = pymupdf.open()
    for _ in range(pages):
        document.new_page().insert_text((50, 60), text)
    document.save(path)
    return path


def scan_page(document: pymupdf.Document) -> None:
    with pymupdf.open() as letter:
        letter.new_page().insert_text((50, 60), "Läs mig")
        page = document.new_page()
        page.insert_image(page.rect, stream=letter[0].get_pixmap(dpi=50).tobytes("png"))


def change(path: Path, how) -> Path:
    with pikepdf.open(path, allow_overwriting_input=True) as pdf:
        how(pdf)
        pdf.save(path)
    return path


def test_a_plain_letter_has_nothing_to_decide(tmp_path) -> None:
    """The usual file: sound, open, searchable."""
    facts = probe(write(tmp_path / "a.pdf", pages=3))

    assert (facts["pages"], facts["text_layer"], facts["forms"]) == (3, "full", "none")
    assert not any(
        facts[name] for name in ("encrypted", "restricted", "signed", "javascript", "embedded_files", "portfolio", "damaged")
    )
    assert "pdfa_claim" not in facts


def test_a_password_and_a_restriction_are_not_the_same(tmp_path) -> None:
    """One needs the producer, the other only says what its owner did not want."""
    source = write(tmp_path / "a.pdf")
    with pikepdf.open(source) as pdf:
        pdf.save(tmp_path / "locked.pdf", encryption=pikepdf.Encryption(user="hemligt", owner="ägare"))
        pdf.save(
            tmp_path / "owned.pdf", encryption=pikepdf.Encryption(user="", owner="ägare", allow=pikepdf.Permissions(extract=False))
        )

    locked, owned = probe(tmp_path / "locked.pdf"), probe(tmp_path / "owned.pdf")

    assert locked["encrypted"] is True
    assert "damaged" not in locked
    assert (owned["encrypted"], owned["restricted"], owned["pages"]) == (False, True, 1)


def signature_field(pdf: pikepdf.Pdf, *, filled: bool, nested: bool = False) -> None:
    field = Dictionary(T=String("Underskrift"), FT=Name.Sig)
    if filled:
        field.V = pdf.make_indirect(Dictionary(Type=Name.Sig, Filter=Name("/Adobe.PPKLite"), ByteRange=Array([0, 10, 20, 30])))
    if nested:
        del field.FT
        field = Dictionary(T=String("Grupp"), FT=Name.Sig, Kids=Array([pdf.make_indirect(field)]))
        field = pdf.make_indirect(field)
        field.Kids[0].Parent = field
    pdf.Root.AcroForm = Dictionary(Fields=Array([pdf.make_indirect(field) if not field.is_indirect else field]), SigFlags=3)


@pytest.mark.parametrize("nested", [False, True])
def test_a_signature_is_a_filled_field(tmp_path, nested) -> None:
    """A place to sign is no signature; a signed field stays one inside a group."""
    empty = change(write(tmp_path / "a.pdf"), lambda pdf: signature_field(pdf, filled=False, nested=nested))
    signed = change(write(tmp_path / "b.pdf"), lambda pdf: signature_field(pdf, filled=True, nested=nested))

    assert probe(empty)["signed"] is False
    assert probe(signed)["signed"] is True


def by_open_action(pdf: pikepdf.Pdf) -> None:
    pdf.Root.OpenAction = Dictionary(S=Name.JavaScript, JS=String("app.alert('hej')"))


def by_name(pdf: pikepdf.Pdf) -> None:
    script = Dictionary(S=Name.JavaScript, JS=String("1"))
    pdf.Root.Names = Dictionary(JavaScript=Dictionary(Kids=Array([Dictionary(Names=Array([String("a"), script]))])))


def by_link(pdf: pikepdf.Pdf) -> None:
    chained = Dictionary(S=Name.GoTo, Next=Dictionary(S=Name.JavaScript, JS=String("1")))
    pdf.pages[0].Annots = Array([Dictionary(Type=Name.Annot, Subtype=Name.Link, Rect=Array([0, 0, 9, 9]), A=chained)])


def by_page_event(pdf: pikepdf.Pdf) -> None:
    pdf.pages[0].AA = Dictionary(O=Dictionary(S=Name.JavaScript, JS=String("1")))


@pytest.mark.parametrize("how", [by_open_action, by_name, by_link, by_page_event])
def test_javascript_is_found_where_it_hides(tmp_path, how) -> None:
    """On opening, by name, behind a link, on a page's event."""
    assert probe(change(write(tmp_path / "a.pdf"), how))["javascript"] is True


def test_a_form_is_told_from_an_xfa_form(tmp_path) -> None:
    """XFA cannot be preserved by drawing; a plain form can."""
    plain = change(
        write(tmp_path / "a.pdf"),
        lambda pdf: setattr(pdf.Root, "AcroForm", Dictionary(Fields=Array([Dictionary(FT=Name.Tx, T=String("namn"))]))),
    )
    xfa = change(
        write(tmp_path / "b.pdf"),
        lambda pdf: setattr(pdf.Root, "AcroForm", Dictionary(Fields=Array([]), XFA=pdf.make_stream(b"<xdp/>"))),
    )

    assert (probe(plain)["forms"], probe(xfa)["forms"]) == ("acroform", "xfa")


def test_attachments_pins_links_and_bookmarks_are_counted(tmp_path) -> None:
    """What hangs on a PDF is part of the record."""
    document = pymupdf.open()
    page = document.new_page()
    page.insert_text((50, 60), "Bilagor")
    page.insert_link({"kind": pymupdf.LINK_URI, "from": pymupdf.Rect(0, 0, 9, 9), "uri": "https://lund.se/"})
    page.add_file_annot((90, 90), b"innehall", "fil.txt")
    page.add_highlight_annot(pymupdf.Rect(50, 50, 90, 62))
    document.set_toc([[1, "Ett", 1], [2, "Två", 1]])
    document.embfile_add("a.txt", b"1")
    document.save(tmp_path / "a.pdf")

    facts = probe(tmp_path / "a.pdf")

    counted = {name: facts[name] for name in ("embedded_files", "links", "external_links", "bookmarks", "comments")}
    assert counted == {"embedded_files": 2, "links": 1, "external_links": 1, "bookmarks": 2, "comments": 1}


def test_the_text_layer_is_none_some_or_full(tmp_path) -> None:
    """A blank page says nothing; a scanned one among written ones says some."""
    for name, kinds in {"none": "ii", "some": "tib", "full": "tbt"}.items():
        document = pymupdf.open()
        for kind in kinds:
            if kind == "i":
                scan_page(document)
            else:
                page = document.new_page()
                if kind == "t":
                    page.insert_text((50, 60), "Läs mig")
        document.save(tmp_path / f"{name}.pdf")
        assert probe(tmp_path / f"{name}.pdf")["text_layer"] == name
    blank = pymupdf.open()
    blank.new_page()
    blank.save(tmp_path / "blank.pdf")
    assert "text_layer" not in probe(tmp_path / "blank.pdf")


def test_a_drawing_with_a_stamp_is_no_scan(tmp_path) -> None:
    """OCR is for writing that was photographed; strips of a scan are one."""
    stamp = pymupdf.Pixmap(pymupdf.csGRAY, (0, 0, 200, 200))
    stamp.clear_with(120)
    for name, boxes in {"stamp": [(50, 50, 150, 150)], "strips": [(0, y, 595, y + 60) for y in range(0, 840, 60)]}.items():
        document = pymupdf.open()
        page = document.new_page()
        page.draw_line((10, 10), (500, 700))
        for box in boxes:
            page.insert_image(pymupdf.Rect(box), pixmap=stamp, keep_proportion=False)
        document.save(tmp_path / f"{name}.pdf")

    assert "text_layer" not in probe(tmp_path / "stamp.pdf")
    assert probe(tmp_path / "strips.pdf")["text_layer"] == "none"


@pytest.mark.parametrize(("part", "level", "claim"), [("2", "B", "2b"), ("1", "A", "1a"), ("4", "", "4")])
def test_the_pdfa_claim_is_read_as_element_and_attribute(tmp_path, part, level, claim) -> None:
    """XMP may write it both ways; it is a claim, whatever the validator will say."""
    element = f"<rdf:Description rdf:about=''><pdfaid:part>{part}</pdfaid:part>"
    element += (f"<pdfaid:conformance>{level}</pdfaid:conformance>" if level else "") + "</rdf:Description>"
    attribute = f"<rdf:Description rdf:about='' pdfaid:part='{part}'" + (f" pdfaid:conformance='{level}'/>" if level else "/>")
    for number, claimed in enumerate([element, attribute]):
        xmp = XMP.format(claimed).encode("utf-16" if number else "utf-8")
        path = write(tmp_path / f"{number}.pdf")
        with pymupdf.open(path) as document:
            document.set_xml_metadata("x")
            document.update_stream(int(document.xref_get_key(document.pdf_catalog(), "Metadata")[1].split()[0]), xmp)
            document.saveIncr()
        assert probe(path)["pdfa_claim"] == claim


def test_pages_that_are_lost_or_cannot_be_decoded_are_damage(tmp_path) -> None:
    """A broken page tree, a torn content stream, no pages: said, not repaired in silence."""
    torn = write(tmp_path / "torn.pdf", text="Torn " * 40)
    with pikepdf.open(torn) as pdf:
        pdf.pages[0].Contents = pdf.make_stream(b"BT ET")
        pdf.save(tmp_path / "b.pdf", compress_streams=False)
    data = (tmp_path / "b.pdf").read_bytes().replace(b"/Length 5", b"/Filter /FlateDecode /Length 5")
    (tmp_path / "b.pdf").write_bytes(data)
    none = change(
        write(tmp_path / "none.pdf"), lambda pdf: (setattr(pdf.Root.Pages, "Kids", Array([])), setattr(pdf.Root.Pages, "Count", 0))
    )

    for path in (tmp_path / "b.pdf", none):
        facts = probe(path)
        assert facts["damaged"] is True, path
        assert facts["damage"]
        assert str(tmp_path) not in str(facts["damage"])


def test_no_bytes_make_it_raise(tmp_path) -> None:
    """Cut, overwritten and invented files are normal input."""
    good = bytearray(write(tmp_path / "a.pdf", pages=2).read_bytes())
    noise = random.Random(1969)
    samples = [b"", b"%PDF-1.7", b"\x00" * 400, bytes(good[: len(good) // 2]), bytes(good[200:])]
    for _ in range(40):
        torn = bytearray(good)
        for _ in range(30):
            torn[noise.randrange(len(torn))] = noise.randrange(256)
        samples.append(bytes(torn))
    for data in samples:
        (tmp_path / "x.pdf").write_bytes(data)
        facts = probe(tmp_path / "x.pdf")
        assert facts.get("encrypted") or "damaged" in facts


def test_rings_in_trees_end(tmp_path) -> None:
    """An outline, a field tree and a name tree that point at themselves are counted once."""

    def ring(pdf: pikepdf.Pdf) -> None:
        item = pdf.make_indirect(Dictionary(Title=String("a")))
        item.Next, item.First = item, item
        pdf.Root.Outlines = Dictionary(First=item)
        field = pdf.make_indirect(Dictionary(T=String("f")))
        field.Kids, field.Parent = Array([field]), field
        pdf.Root.AcroForm = Dictionary(Fields=Array([field]))

    facts = probe(change(write(tmp_path / "a.pdf"), ring))

    assert (facts["bookmarks"], facts["forms"], facts["signed"]) == (1, "acroform", False)


def test_the_corpus_says_what_its_names_say() -> None:
    """Files that other projects collected as examples of one thing each."""
    if not CORPUS.is_dir():
        pytest.skip("no corpus beside this clone")
    for name in ("encryption_openpassword", "simple-open-password", "libreoffice-writer-password"):
        assert probe(CORPUS / "encrypted" / f"{name}.pdf")["encrypted"] is True
    assert probe(CORPUS / "encrypted" / "encryption_noprinting.pdf")["restricted"] is True
    assert probe(CORPUS / "pdf" / "T02-02_005_page-tree-no-kids.pdf")["damaged"] is True
    assert probe(CORPUS / "pdf" / "testPDFPackage.pdf")["portfolio"] is True
    for path in (CORPUS / "pdfa-valid").glob("*.pdf"):
        facts = probe(path)
        assert facts["damaged"] is False, path.name
        assert str(facts["pdfa_claim"])[0] in "1234", path.name
