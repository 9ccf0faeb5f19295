"""Give simple fonts without a program (the standard 14, Arial, Times New Roman …) one that PDF/A accepts.

Codes, encoding and widths stay those of the document; only the program is added, and the font's name becomes
that of the stand-in, because "Helvetica" would be untrue. Fonts that already carry a program are the matter
of ``font_repair``, composite fonts that of ``font_composite``.
Source: ISO 19005-2, 6.2.11.4.1; ISO 32000-1, 9.6 and 9.8.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pikepdf import Array, Dictionary, Name, Object, Pdf

from actions.pdf import font_program
from actions.pdf.font_encoding import BLANK_CODES, NOTDEF, builtin, glyph_names
from actions.pdf.font_match import FIXED_PITCH, FONT_FOLDERS, NONSYMBOLIC, SERIF, Substitute, match
from actions.pdf.font_program import Glyph, Program
from actions.pdf.repairs import Repairs, dictionaries, entry, items, name_of, number

PROGRAM_KEYS = ("/FontFile", "/FontFile2", "/FontFile3")
SIMPLE = {"Type1", "TrueType", "MMType1"}
MAX_CODE = 255
STEM_V = {False: 80, True: 140}  # typical for regular and bold; no reader draws with it


@dataclass(frozen=True, slots=True)
class _Plan:
    """A font's glyphs by name and its codes' names and widths, ready to be written."""

    names: dict[int, str]
    widths: dict[int, float]
    glyphs: dict[str, tuple[Glyph | None, float]]


def embed_simple_fonts(pdf: Pdf, repairs: Repairs) -> list[str]:
    """Embed a stand-in for every simple font without a program; return the names of those left without.

    A font left as it was makes the validator refuse, and the ladder goes on.
    """
    left: list[str] = []
    for font in [item for item in dictionaries(pdf) if _is_bare(item)]:
        base = name_of(font.get("/BaseFont")) or "(unnamed)"
        descriptor = entry(font, "/FontDescriptor") or Dictionary()
        flags = int(number(descriptor.get("/Flags")))
        has_widths = bool(items(font, "/Widths"))
        substitute = match(base, flags, number(descriptor.get("/FontWeight")), has_widths=has_widths)
        if substitute is None:
            left.append(base)
            continue
        program = _embed(pdf, font, substitute, descriptor)
        kind = (
            "same advance widths"
            if substitute.metric
            else f"similar only, {program.stretched} glyphs fitted to the document's widths"
        )
        repairs.add("fonts", f"embedded a stand-in ({kind})", f"{base} → {substitute.face}")
    return sorted(set(left))


def _is_bare(item: Dictionary) -> bool:
    if name_of(item.get("/Type")) not in {"Font", ""} or name_of(item.get("/Subtype")) not in SIMPLE or "/BaseFont" not in item:
        return False
    descriptor = entry(item, "/FontDescriptor")
    return descriptor is None or not any(key in descriptor for key in PROGRAM_KEYS)


def _embed(pdf: Pdf, font: Dictionary, substitute: Substitute, descriptor: Dictionary) -> Program:
    plan = _plan(font, substitute, descriptor)
    key = hashlib.sha256(repr((substitute.face, sorted(plan.names.items()), sorted(plan.widths.items()))).encode()).digest()
    ps_name = "".join(chr(ord("A") + byte % 26) for byte in key[:6]) + f"+{substitute.face}"
    program = font_program.build(ps_name, plan.glyphs, substitute.files[0])
    stream = pdf.make_stream(program.cff)
    stream["/Subtype"] = Name("/Type1C")
    font["/Subtype"] = Name("/Type1")
    font["/BaseFont"] = Name(f"/{ps_name}")
    font["/FirstChar"], font["/LastChar"] = 0, MAX_CODE
    font["/Widths"] = Array([_pdf_number(plan.widths.get(code, 0.0)) for code in range(MAX_CODE + 1)])
    font["/Encoding"] = _encoding(plan.names)
    flags = int(number(descriptor.get("/Flags"))) or substitute.flags
    if substitute.builtin == "":  # our program's encoding is by standard names, whatever the flags said
        flags = (flags & ~4) | NONSYMBOLIC
    described = _descriptor(program, substitute, flags, plan)
    described["/FontName"], described["/FontFile3"] = Name(f"/{ps_name}"), stream
    font["/FontDescriptor"] = pdf.make_indirect(described)
    return program


def _plan(font: Dictionary, substitute: Substitute, descriptor: Dictionary) -> _Plan:
    """Decide for each code: name, width, shape. A name wanted with two widths gets an alternate glyph."""
    own = builtin(substitute.files[0], FONT_FOLDERS) if substitute.builtin else None
    names = glyph_names(font.get("/Encoding"), own)
    given = _given_widths(font)
    missing = number(descriptor.get("/MissingWidth"), -1.0) if given else -1.0
    plan = _Plan({}, {}, {NOTDEF: (None, max(missing, 0.0))})
    for code in range(MAX_CODE + 1):
        glyph = font_program.find(names[code], substitute.files) if code in names else None
        blank = glyph is None and code in BLANK_CODES and code not in names
        width = given.get(code, missing)
        if width < 0 or (width == 0 and code not in given):
            width = glyph.advance if glyph else 0.0
        plan.widths[code] = width
        if glyph is None and not blank:
            continue
        name = f"space.c{code}" if blank else names[code]
        if name in plan.glyphs and abs(plan.glyphs[name][1] - width) >= 1:
            name = f"{name}.c{code}"
        plan.names[code] = name
        plan.glyphs[name] = (glyph, width)
    return plan


def _given_widths(font: Dictionary) -> dict[int, float]:
    first = int(number(font.get("/FirstChar")))
    return {first + index: number(width) for index, width in enumerate(items(font, "/Widths")) if 0 <= first + index <= MAX_CODE}


def _encoding(names: dict[int, str]) -> Dictionary:
    """All codes by name, so that no reader needs to know a base encoding or the program's own."""
    listed: list[Object | int] = []
    expected = -1
    for code in sorted(names):
        if code != expected:
            listed.append(code)
        listed.append(Name(f"/{names[code]}"))
        expected = code + 1
    return Dictionary(Type=Name.Encoding, Differences=Array(listed))


def _descriptor(program: Program, substitute: Substitute, flags: int, plan: _Plan) -> Dictionary:
    style = substitute.flags & (SERIF | FIXED_PITCH)
    return Dictionary({
        "/Type": Name.FontDescriptor,
        "/Flags": (flags & ~(SERIF | FIXED_PITCH)) | style,
        "/FontBBox": Array(list(program.bbox)),
        "/ItalicAngle": _pdf_number(program.italic_angle),
        "/Ascent": program.ascent,
        "/Descent": program.descent,
        "/CapHeight": program.cap_height,
        "/StemV": STEM_V["Bold" in substitute.face],
        "/MissingWidth": _pdf_number(plan.glyphs[NOTDEF][1]),
        "/CharSet": "".join(f"/{name}" for name in plan.glyphs if name != NOTDEF),
    })  # fmt: skip


def _pdf_number(value: float) -> int | float:
    return int(value) if value == int(value) else round(value, 3)
