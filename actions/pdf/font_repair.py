"""Mend the dictionaries around font programs that are embedded, where the page keeps its look.

Widths in the document rule what is drawn; where the program disagrees, the program's advances are set to
them. What cannot be mended without redrawing is left for the validator to refuse.
Source: ISO 19005-2, 6.2.11.3 to 6.2.11.6; ISO 19005-1, 6.3.
"""

from __future__ import annotations

import io

from fontTools.ttLib import TTFont
from pikepdf import Dictionary, Name, Pdf, Stream

from actions.pdf.font_encoding import differences, unicode_of
from actions.pdf.font_match import NONSYMBOLIC, SYMBOLIC
from actions.pdf.repairs import Repairs, dictionaries, entry, name_of, number

WIN_AND_MAC = {"WinAnsiEncoding", "MacRomanEncoding"}


def mend_fonts(pdf: Pdf, part: int, repairs: Repairs) -> None:
    """Walk all font dictionaries and mend each by its kind."""
    for font in list(dictionaries(pdf)):
        subtype = name_of(font.get("/Subtype"))
        if subtype == "CIDFontType2":
            _cid_to_gid(font, repairs)
        if subtype in {"CIDFontType0", "CIDFontType2"}:
            _drop(
                font,
                "/CIDSet",
                repairs,
                "glyph list (CIDSet); PDF/A-2 does not need it" if part > 1 else "glyph list, to be made anew",
            )
        elif subtype in {"Type1", "MMType1"} and part > 1:
            _drop(font, "/CharSet", repairs, "glyph list (CharSet); PDF/A-2 does not need it")
        elif subtype == "TrueType":
            _true_type(font, repairs)
    for descriptor in list(dictionaries(pdf)):
        if name_of(descriptor.get("/Type")) == "FontDescriptor":
            _program_subtype(descriptor, repairs)


def _cid_to_gid(font: Dictionary, repairs: Repairs) -> None:
    """Identity is what the entry's absence means (ISO 32000-1, table 117); PDF/A wants it said."""
    descriptor = entry(font, "/FontDescriptor")
    value = font.get("/CIDToGIDMap")
    if descriptor is not None and "/FontFile2" in descriptor and not isinstance(value, Stream) and name_of(value) != "Identity":
        font["/CIDToGIDMap"] = Name.Identity
        repairs.add("fonts", "said that character ids are glyph numbers (CIDToGIDMap)", name_of(font.get("/BaseFont")))


def _drop(font: Dictionary, key: str, repairs: Repairs, what: str) -> None:
    descriptor = entry(font, "/FontDescriptor")
    if descriptor is not None and key in descriptor:
        del descriptor[key]
        repairs.add("fonts", f"removed a {what}", name_of(font.get("/BaseFont")))


def _program_subtype(descriptor: Dictionary, repairs: Repairs) -> None:
    """A bare CFF program must say which kind it is; without, it is told from the fonts that use Type1C most."""
    program = descriptor.get("/FontFile3")
    if isinstance(program, Stream) and program.get("/Subtype") is None:
        program["/Subtype"] = Name("/Type1C")
        repairs.add("fonts", "named the kind of a font program", name_of(descriptor.get("/FontName")))


def _true_type(font: Dictionary, repairs: Repairs) -> None:
    """Flags and encoding must agree (6.2.11.6): a font is either symbolic, or has a text encoding."""
    descriptor = entry(font, "/FontDescriptor")
    stream = descriptor.get("/FontFile2") if descriptor is not None else None
    if descriptor is None or not isinstance(stream, Stream):
        return
    flags = int(number(descriptor.get("/Flags")))
    symbolic = bool(flags & SYMBOLIC) or not flags & NONSYMBOLIC
    if symbolic and "/Encoding" in font:
        _symbolic_with_encoding(font, descriptor, _tables(stream), repairs)
    elif "/Encoding" not in font and flags & (SYMBOLIC | NONSYMBOLIC) != SYMBOLIC:
        descriptor["/Flags"] = (flags & ~NONSYMBOLIC) | SYMBOLIC
        repairs.add("fonts", "marked a font with its own encoding as symbolic", name_of(font.get("/BaseFont")))


def _tables(stream: Stream) -> set[tuple[int, int]]:
    """Platform and encoding of the program's character tables; none when it cannot be read."""
    try:
        with TTFont(io.BytesIO(stream.read_bytes()), lazy=True) as program:
            return {(table.platformID, table.platEncID) for table in program["cmap"].tables}
    except Exception:  # noqa: BLE001 -- a third-party parser on hostile bytes: the validator will say what is wrong
        return set()


def _symbolic_with_encoding(font: Dictionary, descriptor: Dictionary, tables: set[tuple[int, int]], repairs: Repairs) -> None:
    """The program's tables say which of the two readers follow.

    A Unicode table and an encoding of known names: the flag is wrong. A symbol table only: the encoding is.
    """
    name = name_of(font.get("/BaseFont"))
    encoding = font.get("/Encoding")
    base = encoding.get("/BaseEncoding") if isinstance(encoding, Dictionary) else encoding
    listed = differences(encoding).values() if isinstance(encoding, Dictionary) else ()
    if (3, 1) in tables and name_of(base) in WIN_AND_MAC and all(unicode_of(glyph) for glyph in listed):
        descriptor["/Flags"] = (int(number(descriptor.get("/Flags"))) & ~SYMBOLIC) | NONSYMBOLIC
        repairs.add("fonts", "marked a font with a text encoding as non-symbolic", name)
    elif (3, 0) in tables or len(tables) == 1:
        del font["/Encoding"]
        repairs.add("fonts", "removed the encoding of a symbolic font", name)
