"""Samples that the project makes itself, for the demo and the tests: what a municipality delivers on a good and on a bad day.

Real tools make them (LibreOffice, PyMuPDF, Pillow); the text is known, so that a test can look for it.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from pathlib import Path

import pikepdf
import pymupdf
from PIL import Image, ImageDraw

PARAGRAPHS = (
    "Slutbetyg för elev vid Östra skolan i Höör. Ämnesprov i svenska, matematik och engelska är genomförda under vårterminen.",
    "Bygglovet gäller tillbyggnad av enbostadshus på fastigheten Åkarp 7:58. Nämnden beviljar lov med stöd av plan- och bygglagen.",
    "Protokollet justerades den 14 juni. Närvarande: Åsa Öberg, Märta Sjögren och Göran Lindström. Ärendet bordlades.",
    "Förvaltningen föreslår att nämnden beslutar enligt tjänsteutlåtandet, dnr 2019-0417, och översänder ärendet till fullmäktige.",
)
TABLE = (("Ämne", "Betyg", "Poäng"), ("Svenska", "VG", "150"), ("Matematik", "MVG", "200"), ("Historia", "G", "100"))


def html(title: str, *, pages: int = 2) -> str:
    """A letter with headings, a table, a list and a page break, as HTML that LibreOffice reads."""
    rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in TABLE)
    parts = []
    for page in range(pages):
        breaks = ' style="page-break-before: always"' if page else ""
        body = "".join(f"<p>{text}</p>" for text in PARAGRAPHS)
        parts.append(
            f"<h1{breaks}>{title}, del {page + 1}</h1>{body}<table border=1>{rows}</table><ul><li>Å</li><li>Ä</li><li>Ö</li></ul>"
        )
    return f'<html><head><meta charset="utf-8"><title>{title}</title></head><body>{"".join(parts)}</body></html>'


def slides(title: str, count: int = 3) -> str:
    """A presentation as flat ODF, with speaker notes on the first slide."""
    pages = []
    for number in range(1, count + 1):
        body = _frame(3, 2, f"{title} {number}") + _frame(9, 6, PARAGRAPHS[number % len(PARAGRAPHS)])
        if number == 1:
            notes = _frame(12, 14, "Anteckning: hälsa alla välkomna.", ' presentation:class="notes"')
            body += f"<presentation:notes>{notes}</presentation:notes>"
        pages.append(f'<draw:page draw:name="Bild {number}">{body}</draw:page>')
    spaces = " ".join(
        f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for prefix, name in (
            ("office", "office"),
            ("draw", "drawing"),
            ("text", "text"),
            ("presentation", "presentation"),
            ("svg", "svg-compatible"),
        )
    )
    mime = "application/vnd.oasis.opendocument.presentation"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document {spaces} office:version="1.2" office:mimetype="{mime}">'
        f"<office:body><office:presentation>{''.join(pages)}</office:presentation></office:body></office:document>"
    )


def _frame(height_cm: int, top_cm: int, text: str, more: str = "") -> str:
    place = f'svg:width="22cm" svg:height="{height_cm}cm" svg:x="2cm" svg:y="{top_cm}cm"'
    return f"<draw:frame {place}{more}><draw:text-box><text:p>{text}</text:p></draw:text-box></draw:frame>"


def convert(sources: list[Path], target: Path, form: str) -> None:
    """Let a cold LibreOffice of its own make *form* of each source, as another program would have written it."""
    with tempfile.TemporaryDirectory(prefix="samples.") as profile:
        command = [
            "soffice",
            f"-env:UserInstallation=file://{profile}",
            "--headless",
            "--convert-to",
            form,
            "--outdir",
            str(target),
        ]
        subprocess.run([*command, *map(str, sources)], check=True, capture_output=True, timeout=180)


def born_digital_pdf(title: str, *, pages: int = 3, fonts: tuple[str, ...] = ("helv", "tiro", "cour")) -> bytes:
    """A PDF as reports write it: standard fonts that are not embedded, links, bookmarks, a picture, lines and colours."""
    made = pymupdf.open()
    outline = []
    for number in range(1, pages + 1):
        page = made.new_page(width=595, height=842)
        page.insert_text((72, 90), f"{title}, sida {number}", fontsize=20, fontname=fonts[0], color=(0.1, 0.2, 0.5))
        for line, text in enumerate(PARAGRAPHS):
            box = pymupdf.Rect(72, 120 + line * 90, 520, 200 + line * 90)
            page.insert_textbox(box, text, fontsize=11, fontname=fonts[line % len(fonts)])
        page.draw_rect(pymupdf.Rect(72, 500, 300, 560), color=(0.7, 0, 0), fill=(0.95, 0.9, 0.8))
        page.insert_image(pymupdf.Rect(320, 500, 420, 600), stream=picture(200, 200))
        page.insert_link({"kind": pymupdf.LINK_URI, "from": pymupdf.Rect(72, 70, 300, 95), "uri": "https://example.invalid/"})
        outline.append([1, f"Sida {number}", number])
    made.set_toc(outline)
    made.set_metadata({"title": title, "author": "Åsa Öberg"})
    return made.tobytes(deflate=True)


def scan_pdf(*, pages: int = 1, dpi: int = 200) -> bytes:
    """A scan: pictures of known text, no text layer."""
    source = pymupdf.open(stream=born_digital_pdf("Inskannad handling", pages=pages, fonts=("helv",)))
    made = pymupdf.open()
    for page in source:
        shot = page.get_pixmap(dpi=dpi, colorspace=pymupdf.csGRAY)
        made.new_page(width=595, height=842).insert_image(pymupdf.Rect(0, 0, 595, 842), stream=shot.tobytes("jpeg", jpg_quality=85))
    return made.tobytes()


def encrypted_pdf() -> bytes:
    """A PDF that needs a password to open."""
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(born_digital_pdf("Hemlig"))) as pdf:
        pdf.save(out, encryption=pikepdf.Encryption(user="hemligt", owner="ägare", R=6))
    return out.getvalue()


def picture(width: int, height: int, form: str = "PNG", mode: str = "RGB") -> bytes:
    """A drawing with gradients and lines, so that a lost pixel shows."""
    drawn = Image.linear_gradient("L").resize((width, height)).convert(mode)
    pen = ImageDraw.Draw(drawn)
    pen.ellipse((width // 8, height // 8, width // 2, height // 2), fill="red" if mode == "RGB" else 0)
    pen.line((0, 0, width, height), fill="blue" if mode == "RGB" else 255, width=3)
    out = io.BytesIO()
    drawn.save(out, form)
    return out.getvalue()


def tiff(frames: int) -> bytes:
    """A TIFF of several pages."""
    pages = [Image.open(io.BytesIO(picture(300 + 20 * number, 200))) for number in range(frames)]
    out = io.BytesIO()
    pages[0].save(out, "TIFF", save_all=True, append_images=pages[1:], compression="tiff_deflate")
    return out.getvalue()


def make(folder: Path) -> Path:
    """Fill *folder* with the demo's samples; returns it. Takes some seconds, LibreOffice's."""
    shutil.rmtree(folder, ignore_errors=True)
    work = folder / "Bygglov åäö"
    school, pictures = folder / "Skola", folder / "Bilder"
    for path in (work, school, pictures):
        path.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="samples.") as raw:
        letter, talk = Path(raw, "Slutbetyg.html"), Path(raw, "Föredragning.fodp")
        letter.write_text(html("Slutbetyg"), "utf-8")
        talk.write_text(slides("Medborgardialog"), "utf-8")
        for form in ("odt:writer8", "docx:MS Word 2007 XML", "doc:MS Word 97", "rtf:Rich Text Format"):
            convert([letter], school, form)
        for form in ("odp", "pptx", "ppt"):
            convert([talk], school, form)
    (work / "Ritning.pdf").write_bytes(born_digital_pdf("Situationsplan"))
    (work / "Inskannat beslut.pdf").write_bytes(scan_pdf())
    (work / "Låst bilaga.pdf").write_bytes(encrypted_pdf())
    (work / "Avbruten överföring.pdf").write_bytes(born_digital_pdf("Kapad")[:900])
    (work / "Tom fil.docx").write_bytes(b"")
    (work / "Anteckning.txt").write_text("\n".join(PARAGRAPHS), "utf-8")
    (work / "Gammal anteckning.txt").write_bytes("\r\n".join(PARAGRAPHS).encode("windows-1252"))
    for name, form in (("Fasad.png", "PNG"), ("Fasad.jpg", "JPEG"), ("Karta.bmp", "BMP"), ("Logotyp.tga", "TGA")):
        (pictures / name).write_bytes(picture(640, 480, form))
    (pictures / "Planritningar.tif").write_bytes(tiff(3))
    return folder
