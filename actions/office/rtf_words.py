"""RTF's vocabulary as far as its text needs it: code pages, characters by name, and where a destination's text goes.

Source: Rich Text Format Specification 1.9.1 (Microsoft, 2008), "Character Set", "Font Table", "Special Characters",
"Destinations" of each chapter.
"""

from __future__ import annotations

from typing import Final

# Font character sets (\fcharset) as Python codecs; 0 and 1 mean the document's own code page, 2 is a symbol font.
CHARSETS: Final = {
    77: "mac_roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gb18030", 136: "cp950",
    161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255",
    178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250", 254: "cp437", 255: "cp850",
}  # fmt: skip
SYMBOL_CHARSET: Final = 2
CODEPAGES: Final = {10000: "mac_roman", 10007: "mac_cyrillic", 10029: "mac_latin2", 936: "gb18030", 65001: "utf-8"}

CHARACTERS: Final = {
    "par": "\n", "line": "\n", "sect": "\n", "page": "\n", "column": "\n", "row": "\n", "nestrow": "\n", "softline": "\n",
    "cell": "\n", "nestcell": "\n", "tab": "\t", "emdash": "\u2014", "endash": "\u2013", "bullet": "\u2022", "lquote": "\u2018",
    "rquote": "\u2019", "ldblquote": "\u201c", "rdblquote": "\u201d", "emspace": " ", "enspace": " ", "qmspace": " ",
}  # fmt: skip
SYMBOLS: Final = {b"~": "\u00a0", b"_": "-", b"-": "\u00ad", b"{": "{", b"}": "}", b"\\": "\\", b"\n": "\n", b"\r": "\n"}

BODY: Final = "body"
HEADERS: Final = "headers"
COMMENT: Final = "comment"
AUTHOR: Final = "author"
INSTRUCTION: Final = "instruction"
PICTURE: Final = "picture"
FONTS: Final = "fonts"
PROPERTY_NAME: Final = "property name"
OBJECT_CLASS: Final = "object class"
PROPERTY: Final = "property"  # of a shape in the body: no text, but its picture
PICTURE_PROPERTY: Final = "pib"
SKIP: Final = "skip"
OUTER: Final = "outer"  # whatever the group around it has: these are containers, or the form of two that we read

DESTINATIONS: Final = {
    **dict.fromkeys(("header", "headerl", "headerr", "headerf", "footer", "footerl", "footerr", "footerf"), HEADERS),
    **dict.fromkeys(("footnote", "shptxt", "dptxbxtext"), BODY),
    **dict.fromkeys(("shppict", "shpinst", "shp", "do", "ud", "result", "fldrslt", "field", "object", "shpgrp"), OUTER),
    **dict.fromkeys(
        ("stylesheet", "colortbl", "info", "nonshppict", "objdata", "objname", "objalias", "pntext", "listtext",
         "upr", "xe", "tc", "tcn", "shprslt", "bkmkstart", "bkmkend", "filetbl", "listtable", "listoverridetable",
         "revtbl", "rsidtbl", "generator", "private", "atnid", "atnref", "atndate", "atntime", "atnicn", "atnparent", "atnstart",
         "ftnsep", "ftnsepc", "ftncn", "aftnsep", "aftnsepc", "aftncn", "nonesttables", "themedata", "datastore", "falt",
         "template", "pntxta", "pntxtb", "rxe", "txe", "pgdsctbl", "background", "nextfile"), SKIP),
    "objclass": OBJECT_CLASS, "sn": PROPERTY_NAME, "sv": PROPERTY,
    "annotation": COMMENT, "atnauthor": AUTHOR, "fldinst": INSTRUCTION, "pict": PICTURE, "fonttbl": FONTS,
}  # fmt: skip
NOT_HEX: Final = bytes(code for code in range(256) if code not in b"0123456789abcdefABCDEF")
RASTERS: Final = frozenset({"pngblip", "jpegblip", "dibitmap", "wbitmap"})
VECTORS: Final = frozenset({"emfblip", "wmetafile", "macpict"})


def from_hex(data: bytes) -> bytes:
    """A picture's bytes, which RTF writes as hexadecimal digits; what is none is passed over."""
    digits = data.translate(None, NOT_HEX)
    return bytes.fromhex(digits[: len(digits) & ~1].decode())


def codec(page: int) -> str:
    """The Python codec of a Windows or Macintosh code page; Windows 1252 where there is none."""
    name = CODEPAGES.get(page, f"cp{page}")
    try:
        b"".decode(name)
    except LookupError:
        return "cp1252"
    return name
