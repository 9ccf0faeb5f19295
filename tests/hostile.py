"""Makers of hostile files: what breaks, hangs, kills or deceives the programs that open it.

Each is small on disk or quick to make, and says what it does to whom. Seen on Debian 12 with LibreOffice 7.4 and MuPDF 1.28.
"""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pikepdf
from pikepdf import Array, Dictionary, Name, String

from tests import samples

_ODF = ("office:office", "text:text", "draw:drawing", "svg:svg-compatible")
_SPACES = " ".join(f'xmlns:{p}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"' for p, n in (pair.split(":") for pair in _ODF))
_ODT = "application/vnd.oasis.opendocument.text"


def noise(size: int, seed: int) -> bytes:
    """Bytes that mean nothing, the same in every run."""
    return random.Random(seed).randbytes(size)


def odt(body: str) -> bytes:
    """An OpenDocument text with *body*, as small as LibreOffice accepts it."""
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document-content {_SPACES} office:version="1.2">'
        f"<office:body><office:text>{body}</office:text></office:body></office:document-content>"
    )
    entries = "".join(
        f'<manifest:file-entry manifest:full-path="{path}" manifest:media-type="{mime}"/>'
        for path, mime in (("/", _ODT), ("content.xml", "text/xml"))
    )
    space = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
    manifest = f'<manifest:manifest xmlns:manifest="{space}" manifest:version="1.2">{entries}</manifest:manifest>'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("mimetype", _ODT, zipfile.ZIP_STORED)
        package.writestr("content.xml", content)
        package.writestr("META-INF/manifest.xml", manifest)
    return out.getvalue()


def hanging_odt(depth: int = 50_000) -> bytes:
    """Groups of shapes in groups of shapes: LibreOffice adds up their frames again and again. About 2 kB."""
    shape = '<draw:rect svg:width="1cm" svg:height="1cm"/>'
    return odt(f"<text:p>{'<draw:g>' * depth}{shape}{'</draw:g>' * depth}</text:p>")


def pdf(objects: list[bytes]) -> bytes:
    """A PDF of these objects, the first of them the catalog; what they say is the caller's fault."""
    out, places = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(out)


def _stream(body: bytes, head: bytes = b"") -> bytes:
    return b"<<%s/Length %d>>stream\n%s\nendstream" % (head, len(body), body)


def hanging_pdf(doublings: int = 40) -> bytes:
    """Each form draws the next one twice: 2^40 drawings out of 7 kB."""
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Resources<</XObject<</F 5 0 R>>>>/Contents 4 0 R>>"
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 1/Kids[3 0 R]>>", page, _stream(b"/F Do")]
    for _ in range(doublings):
        head = b"/Type/XObject/Subtype/Form/BBox[0 0 99 99]/Resources<</XObject<</F %d 0 R>>>>" % (len(objects) + 2)
        objects.append(_stream(b"/F Do\n/F Do", head))
    objects.append(_stream(b"0 0 9 9 re f", b"/Type/XObject/Subtype/Form/BBox[0 0 99 99]"))
    return pdf(objects)


def killing_pdf(depth: int = 300_000) -> bytes:
    """Bookmarks in bookmarks: MuPDF follows them by recursion until its stack is used up (SIGSEGV in the action host)."""
    objects = [
        b"<</Type/Catalog/Pages 2 0 R/Outlines 4 0 R>>",
        b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>",
        b"<</Type/Outlines/First 5 0 R/Last 5 0 R/Count 1>>",
    ]
    entry = b"<</Title(x)/Parent %d 0 R/First %d 0 R/Last %d 0 R/Count 1>>"
    objects += [entry % (me - 1, me + 1, me + 1) for me in range(5, 5 + depth)]
    objects.append(b"<</Title(x)/Parent %d 0 R>>" % (4 + depth))
    return pdf(objects)


def broken_page_tree() -> bytes:
    """The catalog's page tree names a page that is no page: Ghostscript made an empty document out of such a file."""
    return pdf([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 3/Kids[3 0 R 9 0 R 3 0 R]>>", b"<</Type/Font>>"])


def torn_page_tree() -> bytes:
    """A real document whose page tree's root lost its list."""
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(samples.born_digital_pdf("Trasigt sidträd"))) as made:
        made.Root.Pages.Kids = Array([])
        made.save(out)
    return out.getvalue()


def signed_pdf() -> bytes:
    """A PDF with a filled signature field and a byte range (ISO 32000-1, 12.8.1); the signature itself is made up."""
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(samples.born_digital_pdf("Undertecknat beslut", pages=1))) as made:
        signature = made.make_indirect(
            Dictionary(
                Type=Name.Sig, Filter=Name("/Adobe.PPKLite"), SubFilter=Name("/adbe.pkcs7.detached"), M=String("D:20240614120000Z"),
                ByteRange=Array([0, 1000, 9192, 2000]), Contents=String(noise(2048, 3)), Name=String("Åsa Öberg"),
            )
        )  # fmt: skip
        field = made.make_indirect(
            Dictionary(
                Type=Name.Annot, Subtype=Name.Widget, FT=Name.Sig, T=String("Underskrift 1"), V=signature, F=132,
                Rect=Array([72, 72, 272, 122]), P=made.pages[0].obj,
            )
        )  # fmt: skip
        made.pages[0].Annots = Array([field])
        made.Root.AcroForm = Dictionary(Fields=Array([field]), SigFlags=3)
        made.save(out)
    return out.getvalue()


def long_pdf(pages: int) -> bytes:
    """Very many small pages, each with its own line of text."""
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (pages, b" ".join(b"%d 0 R" % (4 + 2 * at) for at in range(pages))),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ]
    for number in range(1, pages + 1):
        body = f"BT /F 9 Tf 20 50 Td (Sida {number} av {pages}, ärendet bordlades.) Tj ET".encode("cp1252")
        page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Resources<</Font<</F 3 0 R>>>>/Contents %d 0 R>>"
        objects += [page % (len(objects) + 2), _stream(body)]
    return pdf(objects)


def huge_png(width: int = 30_000, height: int = 30_000) -> bytes:
    """One bit a pixel, all white: 110 kB on disk, 900 million pixels when decoded."""
    packer, row = zlib.compressobj(9), b"\0" + b"\xff" * ((width + 7) // 8)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in ((b"IHDR", header), (b"IDAT", data), (b"IEND", b"")))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def lying_bmp(width: int = 30_000, height: int = 30_000) -> bytes:
    """A header that promises 2.7 GB of pixels, and a hundred bytes of them."""
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + width * height * 3, 0, 0, 54) + info + b"\x55" * 100


def bomb_odt(megabytes: int = 1500) -> bytes:
    """A document whose text unpacks to more than a gigabyte, out of 7 MB."""
    source, out = zipfile.ZipFile(io.BytesIO(odt("<text:p>@</text:p>"))), io.BytesIO()
    before, _, after = source.read("content.xml").partition(b"@")
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as package:
        package.writestr("mimetype", _ODT, zipfile.ZIP_STORED)
        with package.open("content.xml", "w", force_zip64=True) as text:
            text.write(before)
            for _ in range(megabytes):
                text.write(b"a" * 1_000_000)
            text.write(after)
        package.writestr("META-INF/manifest.xml", source.read("META-INF/manifest.xml"))
    return out.getvalue()


_LOCKING = r"""
import os, pathlib, signal, subprocess, sys, time, uno
from com.sun.star.beans import PropertyValue
from com.sun.star.connection import NoConnectException
program, home, target = sys.argv[1:]
def option(name, value):
    made = PropertyValue(); made.Name, made.Value = name, value; return made
def connected(context):
    resolver = context.ServiceManager.createInstance("com.sun.star.bridge.UnoUrlResolver")
    for attempt in range(600):
        try: return resolver.resolve(f"uno:pipe,name={pipe};urp;StarOffice.ComponentContext")
        except NoConnectException: time.sleep(0.1)
pipe = pathlib.Path(home).name.replace(".", "")
command = [program + "/soffice", "--headless", "--norestore", f"-env:UserInstallation=file://{home}/p"]
office = subprocess.Popen([*command, f"--accept=pipe,name={pipe};urp;StarOffice.ComponentContext"], start_new_session=True)
try:
    context = connected(uno.getComponentContext())
    desktop = context.ServiceManager.createInstance("com.sun.star.frame.Desktop")
    text = desktop.loadComponentFromURL("private:factory/swriter", "_blank", 0, (option("Hidden", True),))
    text.Text.setString("Sekretess: Åsa Öberg")
    for path, name in (("laast.odt", "writer8"), ("laast.doc", "MS Word 97")):
        text.storeToURL(pathlib.Path(target, path).as_uri(), (option("FilterName", name), option("Password", "hemligt")))
finally:
    os.killpg(office.pid, signal.SIGKILL); office.wait()
"""


def locked_office(folder: Path, program: Path) -> dict[str, bytes]:
    """ODT and DOC that LibreOffice itself has saved with a password; *program* is its folder."""
    with tempfile.TemporaryDirectory(prefix="hostile.") as home:
        python = next(path for path in (program / "python", Path("/usr/bin/python3")) if path.exists())
        command = [python, "-c", _LOCKING, program, home, folder]
        subprocess.run(command, check=True, timeout=120, capture_output=True, env={"HOME": home, "PATH": "/usr/bin:/bin"})
    return {path.name: path.read_bytes() for path in sorted(folder.glob("laast.*"))}


def names() -> Iterator[bytes]:
    """File names that have broken archives: each is legal on Linux."""
    yield from (
        "räksmörgås å ä ö.txt".encode(),
        "Ra\u0308kor.txt".encode(),  # ä as two code points: another name than the next
        "R\u00e4kor.txt".encode(),
        "🐘 elefant.txt".encode(),
        b"rad\nbryt\r\t.txt",
        b"a" * 251 + b".txt",
        ("ö" * 125 + "x.txt").encode(),  # 255 bytes of two each
        b"\xe5\xe4\xf6 latin-1.txt",
        b"\xff" * 255,  # escaped, 765 characters
        b"punkt.",
        b"mellanslag ",
        b" ",
        b"-rf",
        b"--archive",
        b"..foo",
        b"...",
        b"%41.txt",
        b"A.txt",
        b"%2e%2e%2fetc%2fpasswd",
        "\u202egnp.txt".encode(),
        b"\x1b[2J\x1b]0;titel\x07.txt",
        b"<img src=x onerror=alert(1)>.txt",
        b"a\\b.txt",
        b"CON",
        b"*?[x]{y}$(z)`w`;'\".txt",
        b"inventory.json",
        b"0=ocfl_object_1.1",
        b"\xed\xa0\x80.txt",  # a surrogate in UTF-8, which is not UTF-8
    )


if __name__ == "__main__":  # `python -m tests.hostile NAME > FILE`, to look at one by hand
    sys.stdout.buffer.write(globals()[sys.argv[1]]())
