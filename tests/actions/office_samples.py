"""Office documents for the tests, made here: flat ODF by hand, every other format by LibreOffice from it."""

from __future__ import annotations

import base64
import io
import os
import shutil
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from actions.tools import process

NAMESPACES = " ".join(
    f'xmlns:{prefix}="{address}"'
    for prefix, address in {
        "office": "urn:oasis:names:tc:opendocument:xmlns:office:1.0",
        "text": "urn:oasis:names:tc:opendocument:xmlns:text:1.0",
        "table": "urn:oasis:names:tc:opendocument:xmlns:table:1.0",
        "draw": "urn:oasis:names:tc:opendocument:xmlns:drawing:1.0",
        "style": "urn:oasis:names:tc:opendocument:xmlns:style:1.0",
        "fo": "urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0",
        "svg": "urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0",
        "xlink": "http://www.w3.org/1999/xlink",
        "dc": "http://purl.org/dc/elements/1.1/",
        "presentation": "urn:oasis:names:tc:opendocument:xmlns:presentation:1.0",
    }.items()
)
STYLES = """<office:styles><style:style style:name="Standard" style:family="paragraph"/></office:styles>
<office:automatic-styles>
<style:style style:name="Hidden" style:family="text"><style:text-properties text:display="none"/></style:style>
<style:page-layout style:name="pm1"><style:page-layout-properties fo:page-width="21cm" fo:page-height="29.7cm" fo:margin="2cm"/>
<style:header-style/></style:page-layout></office:automatic-styles>
<office:master-styles><style:master-page style:name="Standard" style:page-layout-name="pm1"><style:header>
<text:p>Sidhuvud Malmö <text:page-number>1</text:page-number></text:p></style:header></style:master-page></office:master-styles>"""
TRACKED = """<text:tracked-changes><text:changed-region text:id="ct1"><text:deletion>
<office:change-info><dc:creator>Åsa</dc:creator><dc:date>2024-01-01T00:00:00</dc:date></office:change-info>
<text:p>struken mening</text:p></text:deletion></text:changed-region></text:tracked-changes>"""
PARTS = {
    "paragraph": "<text:p>Nämnden beslutar att bevilja ansökan om förskoleplats enligt förslaget från förvaltningen.</text:p>",
    "table": (
        "<table:table><table:table-column table:number-columns-repeated='2'/><table:table-row>"
        "<table:table-cell><text:p>Ängelholm bokslut</text:p></table:table-cell>"
        "<table:table-cell><text:p>12345,67</text:p></table:table-cell>"
        "</table:table-row></table:table>"
    ),
    "footnote": (
        "<text:p>Se noten<text:note text:id='n1' text:note-class='footnote'>"
        "<text:note-citation>1</text:note-citation><text:note-body>"
        "<text:p>Fotnotens text om överklagande inom tre veckor från delgivningen.</text:p>"
        "</text:note-body></text:note> härvid.</text:p>"
    ),
    "remarks": (
        "<text:p>Här står<text:change text:change-id='ct1'/> något<office:annotation><dc:creator>Örjan</dc:creator>"
        "<dc:date>2024-01-02T00:00:00</dc:date><text:p>Kontrollera uppgiften</text:p></office:annotation> kvar.</text:p>"
    ),
    "hidden": "<text:p>Synligt <text:span text:style-name='Hidden'>hemligstämplat</text:span> ord</text:p>",
}
DIGITS = "<text:p>Diarienummer KS 2024/417 gäller från årsskiftet.</text:p>"


def picture(colour: str = "red") -> str:
    """A frame with a PNG of its own."""
    stream = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").resize((60, 40)).save(stream, "PNG")
    data = base64.b64encode(stream.getvalue()).decode()
    frame = "<draw:frame draw:name='b' text:anchor-type='as-char' svg:width='4cm' svg:height='3cm'>"
    return f"<text:p>{frame}<draw:image><office:binary-data>{data}</office:binary-data></draw:image></draw:frame></text:p>"


def filler(count: int = 120) -> str:
    """So much text that one lost paragraph is below two per cent of it."""
    words = ["sjöstad", "ärende", "åtgärd", "förslag", "kommun", "rapport", "skola", "miljö", "väg", "bostad", "samråd"]
    lines = (" ".join(words[(row * 7 + column * (row + 1)) % 11] + str(row) for column in range(9)) for row in range(count))
    return "".join(f"<text:p>{line}</text:p>" for line in lines)


def flat_text(*, without: str = "", digits: str = DIGITS, long: bool = True) -> str:
    """A text document with every kind of part, save one."""
    parts = PARTS | {"picture": picture()}
    body = "".join(part for name, part in parts.items() if name != without) + digits + (filler() if long else "")
    return _document("text", TRACKED + body)


def flat_slides(
    *, titles: tuple[str, ...] = ("Första bilden", "Andra bilden", "Tredje bilden"), notes: str = "Säg detta åt nämnden"
) -> str:
    """A presentation with a text frame a slide and notes on the first."""
    pages = []
    for number, title in enumerate(titles):
        box = "svg:x='2cm' svg:y='2cm' svg:width='18cm' svg:height='3cm'"
        frame = f"<draw:frame {box}><draw:text-box><text:p>{title} med ämnet höst</text:p></draw:text-box></draw:frame>"
        note = f"<draw:frame presentation:class='notes' {box}><draw:text-box><text:p>{notes}</text:p></draw:text-box></draw:frame>"
        notes_page = f"<presentation:notes>{note}</presentation:notes>" if notes and not number else ""
        pages.append(f"<draw:page draw:name='s{number}' draw:master-page-name='Standard'>{frame}{notes_page}</draw:page>")
    return _document("presentation", "".join(pages))


def _document(kind: str, body: str) -> str:
    mime = f"application/vnd.oasis.opendocument.{kind}"
    head = f'<?xml version="1.0" encoding="UTF-8"?><office:document {NAMESPACES} office:version="1.3" office:mimetype="{mime}">'
    return f"{head}{STYLES}<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document>"


def zipped(path: Path, flat: str) -> Path:
    """The same document as an ODF zip, without a separate styles part."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("mimetype", "application/vnd.oasis.opendocument")
        package.writestr("content.xml", flat)
        package.writestr("META-INF/manifest.xml", "<manifest/>")
    return path


def needs_office() -> None:
    """Skip where LibreOffice is not installed; in CI that is a fault."""
    if shutil.which("soffice") is None:
        if os.environ.get("CI"):
            pytest.fail("LibreOffice is missing")
        pytest.skip("LibreOffice is missing")


def convert(folder: Path, form: str, *sources: Path) -> None:
    """Let LibreOffice make each of *sources* a file of *form* in *folder*."""
    needs_office()
    profile = (folder.parent / "profile").as_uri()
    argv = [
        "soffice",
        "--headless",
        "--norestore",
        f"-env:UserInstallation={profile}",
        "--convert-to",
        form,
        "--outdir",
        folder,
        *sources,
    ]
    process.run(argv, subject="samples", timeout_s=120)
