"""What is measured on: the shared corpus where it stands beside the project, else samples of the same kinds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pymupdf

from tests import samples

PROJECT = Path(__file__).resolve().parents[2]
SHARED = PROJECT.parent / "shared"
CORPUS = SHARED / "corpus"
COUNT = 40  # documents a row


def office(folder: Path) -> Path:
    """Forty office documents: three of five text, two of five presentations."""
    if CORPUS.is_dir():
        texts = sorted((CORPUS / "office-text").iterdir())[: COUNT * 3 // 5]
        talks = sorted((CORPUS / "presentation").iterdir())[: COUNT * 2 // 5]
        return _copied(folder, [*texts, *talks])
    folder.mkdir(parents=True)
    raw = folder.with_name("raw")
    raw.mkdir()
    sources = []
    for number in range(COUNT // 4):
        path = raw / f"Beslut {number}.html"
        path.write_text(samples.html(f"Beslut {number}", pages=1 + number % 4), "utf-8")
        sources.append(path)
    for form in ("odt:writer8", "docx:MS Word 2007 XML", "doc:MS Word 97", "rtf:Rich Text Format"):
        samples.convert(sources, folder, form)
    return folder


def pdfs(folder: Path) -> Path:
    """Forty born-digital PDFs: those of the corpus without a scanned page, filled up with samples of one to eight pages."""
    found = [path for path in sorted((CORPUS / "pdf").iterdir()) if not _scanned(path)][:COUNT] if CORPUS.is_dir() else []
    _copied(folder, found)
    for number in range(COUNT - len(found)):
        (folder / f"Rapport {number}.pdf").write_bytes(samples.born_digital_pdf(f"Rapport {number}", pages=1 + number % 8))
    return folder


def mixed_pdfs(folder: Path) -> Path:
    """The PDFs of the corpus as they come, scanned pages among them (forty at most)."""
    return _copied(folder, sorted((CORPUS / "pdf").iterdir())[:COUNT]) if CORPUS.is_dir() else samples.make(folder)


def mix(folder: Path) -> Path:
    """A real mix for identification."""
    return CORPUS if CORPUS.is_dir() else samples.make(folder)


def small(folder: Path, count: int) -> Path:
    """Small files that are kept: text, PNG and JPEG, all different, a hundred to a folder."""
    png, jpeg = samples.picture(64, 48), samples.picture(64, 48, "JPEG")
    for number in range(count):
        below = folder / f"{number // 100:04d}"
        if number % 100 == 0:
            below.mkdir(parents=True)
        if number % 4 == 0:
            (below / f"{number}.png").write_bytes(_marked_png(png, number))
        elif number % 4 == 1:
            (below / f"{number}.jpg").write_bytes(_marked_jpeg(jpeg, number))
        else:
            (below / f"{number}.txt").write_text(f"Löpnummer {number}\n" + "\n".join(samples.PARAGRAPHS), "utf-8")
    return folder


def _marked_png(png: bytes, number: int) -> bytes:
    """The picture with a comment of its own (PNG 1.2 section 4.2.3: tEXt), so that no two files are alike."""
    import struct
    import zlib

    body = b"tEXtComment\0" + str(number).encode()
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:33] + chunk + png[33:]


def _marked_jpeg(jpeg: bytes, number: int) -> bytes:
    """The picture with a comment of its own (ISO 10918-1 B.2.4.5: COM)."""
    text = str(number).encode()
    return jpeg[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + jpeg[2:]


def large(path: Path, size_bytes: int) -> Path:
    """A large file of bytes that do not repeat within a gigabyte's compression window."""
    block = bytearray(1 << 20)
    with path.open("wb") as out:
        for number in range(size_bytes >> 20):
            block[:8] = number.to_bytes(8, "big")
            out.write(block)
    return path


def _scanned(path: Path) -> bool:
    """Whether a page of the PDF has a picture and not one character, as MuPDF reads it; a PDF it cannot open has none."""
    pymupdf.TOOLS.mupdf_display_errors(False)
    try:
        with pymupdf.open(path) as document:
            return any(page.get_images() and not page.get_text().strip() for page in document)
    except Exception:  # noqa: BLE001 -- MuPDF has its own family of errors beside these, and a file it cannot read has no scans
        return False


def _copied(folder: Path, files: list[Path]) -> Path:
    folder.mkdir(parents=True)
    for path in files:
        shutil.copyfile(path, folder / path.name)
    return folder
