"""Office documents to PDF/A: nothing vanishes silently, and garbage does not become a record."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pikepdf
import pymupdf
import pytest
from PIL import Image

from actions import office_to_pdfa
from actions.contract import Outcome, Role
from actions.errors import DamagedError, RefusedError, ToolMissingError
from actions.office_to_pdfa import OfficeToPdfaParams
from actions.tools import libreoffice

SPACES = (
    " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{rest}:1.0"'
        for name, rest in {
            "office": "office",
            "text": "text",
            "style": "style",
            "draw": "drawing",
            "svg": "svg-compatible",
            "fo": "xsl-fo-compatible",
            "presentation": "presentation",
            "table": "table",
        }.items()
    )
    + ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xlink="http://www.w3.org/1999/xlink"'
)
COMMENT = (
    "<office:annotation><dc:creator>Åsa Öberg</dc:creator><dc:date>2019-05-06T12:00:00</dc:date>"
    "<text:p>{}</text:p></office:annotation>"
)
FRAME = (
    '<draw:frame {} svg:width="10cm" svg:height="2cm" svg:x="1cm" svg:y="1cm">'
    "<draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame>"
)
CHANGES = """<text:tracked-changes>
<text:changed-region text:id="c1"><text:insertion><office:change-info><dc:creator>Åsa Öberg</dc:creator>
<dc:date>2019-05-06T12:00:00</dc:date></office:change-info></text:insertion></text:changed-region>
<text:changed-region text:id="c2"><text:deletion><office:change-info><dc:creator>Nils Ek</dc:creator>
<dc:date>2019-05-07T12:00:00</dc:date></office:change-info><text:p>struken mening</text:p></text:deletion></text:changed-region>
</text:tracked-changes>"""


@pytest.fixture(scope="module", autouse=True)
def _needs_libreoffice() -> None:
    try:
        libreoffice.program()
    except ToolMissingError as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


def flat(folder: Path, body: str, *, kind: str = "text", styles: str = "") -> Path:
    """A flat ODF document: text (.fodt) or presentation (.fodp)."""
    path = folder / f"source.fod{kind[0]}"
    path.write_text(
        f'<?xml version="1.0" encoding="UTF-8"?><office:document {SPACES} office:version="1.2"'
        f' office:mimetype="application/vnd.oasis.opendocument.{kind}"><office:automatic-styles>{styles}</office:automatic-styles>'
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document>",
        encoding="utf-8",
    )
    return path


def run(source: Path, folder: Path, **params: object) -> Outcome:
    workdir = folder / "out"
    workdir.mkdir()
    return office_to_pdfa.run(source, workdir, OfficeToPdfaParams.model_validate(params))


def pdf_text(folder: Path) -> str:
    with pymupdf.open(folder / "out" / "result.pdf") as pdf:
        return "\n".join(page.get_text() for page in pdf)


def sidecar(folder: Path) -> str:
    return (folder / "out" / "comments.txt").read_text(encoding="utf-8")


def test_swedish_text_and_page_count_survive(tmp_path: Path) -> None:
    """The model's pages are the PDF's pages, forced empty ones included, and letters are letters."""
    styles = (
        '<style:style style:name="new" style:family="paragraph"><style:paragraph-properties fo:break-before="page"/></style:style>'
    )
    outcome = run(
        flat(tmp_path, '<text:p>Ärende ett</text:p><text:p text:style-name="new">Ålderdomshemmet i Höör</text:p>', styles=styles),
        tmp_path,
    )

    assert outcome.facts["pages"] == 2
    with pymupdf.open(tmp_path / "out" / "result.pdf") as pdf:
        assert pdf.page_count == 2
    assert "Ålderdomshemmet i Höör" in pdf_text(tmp_path)
    assert "Ärende ett\nÅlderdomshemmet i Höör" in (tmp_path / "out" / "libreoffice.txt").read_text(encoding="utf-8")
    assert outcome.tool.startswith("LibreOffice ")


@pytest.mark.parametrize(("flavour", "part"), [("2b", "2"), ("1b", "1")])
def test_the_claim_is_what_was_asked_for(tmp_path: Path, flavour: str, part: str) -> None:
    """LibreOffice writes "A" for part 1, which nobody validates here."""
    run(flat(tmp_path, "<text:p>x</text:p>"), tmp_path, flavour=flavour)
    with pikepdf.open(tmp_path / "out" / "result.pdf") as pdf:
        claim = pdf.open_metadata()
        assert (claim["pdfaid:part"], claim["pdfaid:conformance"]) == (part, "B")


@pytest.mark.parametrize("flavour", ["2b", "1b"])
def test_a_document_without_dates_gets_none_that_cannot_be(tmp_path: Path, flavour: str) -> None:
    """LibreOffice 25.2 writes the year 0; part 1 wants XMP to say what the document information says (6.7.3)."""
    run(flat(tmp_path, "<text:p>x</text:p>"), tmp_path, flavour=flavour)
    with pikepdf.open(tmp_path / "out" / "result.pdf") as pdf:
        claim, made = pdf.open_metadata(), str(pdf.docinfo["/CreationDate"])
        assert claim["xmp:CreateDate"].translate(str.maketrans("", "", "-:T"))[:14] == made[2:16]
        assert not any(str(claim.get(name, "")).startswith("0000") for name in ("xmp:ModifyDate", "xmp:MetadataDate"))


def test_comments_leave_the_pages_for_the_sidecar(tmp_path: Path) -> None:
    """As annotations they would break PDF/A (6.3.3); lost they would break the promise."""
    outcome = run(flat(tmp_path, f"<text:p>Före{COMMENT.format('Stämmer detta?')} efter</text:p>"), tmp_path)

    assert outcome.facts["comments"] == 1
    assert "Åsa Öberg" in sidecar(tmp_path)
    assert "Stämmer detta?" in sidecar(tmp_path)
    assert [output.role for output in outcome.outputs if output.suffix == ".comments.txt"] == [Role.METADATA]
    with pymupdf.open(tmp_path / "out" / "result.pdf") as pdf:
        assert not list(pdf[0].annots())
    assert "Före efter" in pdf_text(tmp_path).replace("\n", "")


def test_tracked_changes_are_shown_and_listed(tmp_path: Path) -> None:
    """A deletion that an official saw in the record must still be seen."""
    body = (
        f'{CHANGES}<text:p>Kvar <text:change-start text:change-id="c1"/>tillagd<text:change-end text:change-id="c1"/>'
        ' och <text:change text:change-id="c2"/>slut</text:p>'
    )
    outcome = run(flat(tmp_path, body), tmp_path)

    assert outcome.facts["tracked_changes"] == 2
    for expected in ("insertion", "tillagd", "deletion", "struken mening", "Nils Ek"):
        assert expected in sidecar(tmp_path)
    assert "struken" in pdf_text(tmp_path)


def test_hidden_text_is_reported_not_lost(tmp_path: Path) -> None:
    """Hidden text is part of the record although no page shows it."""
    styles = '<style:style style:name="hid" style:family="text"><style:text-properties text:display="none"/></style:style>'
    outcome = run(
        flat(tmp_path, '<text:p>synlig <text:span text:style-name="hid">hemlig åtgärd</text:span></text:p>', styles=styles),
        tmp_path,
    )

    assert outcome.facts["hidden"] == 1
    assert "hemlig åtgärd" in sidecar(tmp_path)
    assert "hemlig" not in pdf_text(tmp_path)
    assert "hemlig" not in (tmp_path / "out" / "libreoffice.txt").read_text(encoding="utf-8")


def test_a_missing_font_is_named(tmp_path: Path) -> None:
    """Text set in another face may look different: the archivist must know which was wanted."""
    styles = (
        '<style:style style:name="f" style:family="text"><style:text-properties fo:font-family="Kommunsans Åtta"/></style:style>'
    )
    body = '<text:p><text:span text:style-name="f">rubrik</text:span> <text:span> </text:span></text:p>'
    outcome = run(flat(tmp_path, body, styles=styles), tmp_path)

    assert "Kommunsans Åtta" in outcome.facts["fonts_missing"]
    assert any("Kommunsans Åtta" in note for note in outcome.notes)


def test_a_photograph_keeps_its_pixels(tmp_path: Path) -> None:
    """Encoding a JPEG again loses quality for good."""
    photo = io.BytesIO()
    Image.effect_noise((160, 120), 60).convert("RGB").save(photo, "JPEG", quality=80)
    package = tmp_path / "source.odt"
    frame = '<draw:frame text:anchor-type="as-char" svg:width="4cm" svg:height="3cm">'
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document-content {SPACES} office:version="1.2"><office:body><office:text>'
        f'<text:p>{frame}<draw:image xlink:href="Pictures/a.jpg"/></draw:frame></text:p>'
        "</office:text></office:body></office:document-content>"
    )
    entries = (("/", "application/vnd.oasis.opendocument.text"), ("content.xml", "text/xml"), ("Pictures/a.jpg", "image/jpeg"))
    listed = "".join(f'<manifest:file-entry manifest:full-path="{path}" manifest:media-type="{mime}"/>' for path, mime in entries)
    with zipfile.ZipFile(package, "w") as parts:
        parts.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        parts.writestr("content.xml", content)
        parts.writestr("Pictures/a.jpg", photo.getvalue())
        parts.writestr(
            "META-INF/manifest.xml",
            f'<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">{listed}</manifest:manifest>',
        )
    outcome = run(package, tmp_path)

    assert outcome.facts["pictures"] == 1
    with pikepdf.open(tmp_path / "out" / "result.pdf") as pdf:
        (picture,) = pdf.pages[0].get_images().values()
        shown = pikepdf.PdfImage(picture).as_pil_image().convert("RGB")
    assert shown.tobytes() == Image.open(photo).convert("RGB").tobytes()


def slides(*, notes: str = "") -> str:
    """Two slides, the second hidden, with a comment on the first."""
    note = FRAME.format('presentation:class="notes"', notes)
    spoken = f"<presentation:notes>{note}</presentation:notes>" if notes else ""
    first = COMMENT.format("Byt bild") + FRAME.format("", "Första bilden") + spoken
    second = FRAME.format("", "Dold bild")
    return f'<draw:page draw:name="ett">{first}</draw:page><draw:page draw:name="två" draw:style-name="hid">{second}</draw:page>'


HIDDEN_SLIDE = (
    '<style:style style:name="hid" style:family="drawing-page">'
    '<style:drawing-page-properties presentation:visibility="hidden"/></style:style>'
)


def test_hidden_slides_and_slide_comments_stay(tmp_path: Path) -> None:
    """A show may skip a slide; an archive may not."""
    outcome = run(flat(tmp_path, slides(), kind="presentation", styles=HIDDEN_SLIDE), tmp_path)

    assert (outcome.facts["slides"], outcome.facts["hidden_slides"], outcome.facts["notes_pages"]) == (2, 1, 0)
    assert "Dold bild" in pdf_text(tmp_path)
    assert "Byt bild" in sidecar(tmp_path)
    with pymupdf.open(tmp_path / "out" / "result.pdf") as pdf:
        assert pdf.page_count == 2


@pytest.mark.parametrize("wanted", [True, False])
def test_notes_pages_follow_the_slides_when_there_are_notes(tmp_path: Path, *, wanted: bool) -> None:
    """What the speaker said is often the only text of the record."""
    source = flat(tmp_path, slides(notes="Hälsa nämnden välkommen"), kind="presentation", styles=HIDDEN_SLIDE)
    outcome = run(source, tmp_path, notes_pages=wanted)

    assert outcome.facts["notes"] == 1
    assert outcome.facts["notes_pages"] == (2 if wanted else 0)
    with pymupdf.open(tmp_path / "out" / "result.pdf") as pdf:
        assert pdf.page_count == (4 if wanted else 2)
    assert ("Hälsa nämnden" in pdf_text(tmp_path)) is wanted


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("source.docx", bytes(range(256)) * 20),
        ("source.doc", b"<html><body>404 Not Found</body></html>"),
        ("source.doc", "bara vanlig text, åäö".encode()),
        ("source.odt", b""),
    ],
)
def test_garbage_does_not_become_a_record(tmp_path: Path, name: str, content: bytes) -> None:
    """LibreOffice opens any bytes as text or as a new document; a neat PDF of them would be a lie."""
    source = tmp_path / name
    source.write_bytes(content)

    with pytest.raises(DamagedError):
        run(source, tmp_path)
    assert not list((tmp_path / "out").glob("*.pdf"))


def test_a_spreadsheet_is_not_clipped_into_pages(tmp_path: Path) -> None:
    """Spreadsheets need another plan; a page view loses columns."""
    with pytest.raises(RefusedError, match="spreadsheet"):
        run(flat(tmp_path, '<table:table table:name="A"/>', kind="spreadsheet"), tmp_path)


def test_another_file_of_the_machine_is_not_pulled_in(tmp_path: Path) -> None:
    """A linked section or picture may name any path: promise P6 covers what a document asks for."""
    secret = tmp_path / "secret.txt"
    secret.write_text("HEMLIGHET", encoding="utf-8")
    link = f'<text:section-source xlink:href="{secret.as_uri()}" text:filter-name="Text"/>'
    body = f'<text:section text:name="s">{link}<text:p>platshållare</text:p></text:section>'
    run(flat(tmp_path, body), tmp_path)

    assert "HEMLIGHET" not in pdf_text(tmp_path)
    assert "platshållare" in pdf_text(tmp_path)


def test_nothing_else_is_left_in_the_workdir(tmp_path: Path) -> None:
    """What is not an output is not kept, so it must not be there."""
    outcome = run(flat(tmp_path, "<text:p>x</text:p>"), tmp_path)

    assert {output.path for output in outcome.outputs} == {path.name for path in (tmp_path / "out").iterdir()}
