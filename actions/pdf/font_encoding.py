"""Which glyph each code of a simple font means: base encoding, differences, and names to Unicode.

Only what the document says is read; nothing is guessed from the text itself.
Source: ISO 32000-1:2008, 9.6.6 and annex D; Adobe Glyph List.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import cast

from fontTools import agl
from fontTools.encodings.MacRoman import MacRoman
from fontTools.encodings.StandardEncoding import StandardEncoding
from fontTools.ttLib import TTFont
from pikepdf import Array, Dictionary, Name, Object

from actions.pdf.repairs import name_of

NOTDEF = ".notdef"
BLANK_CODES = (9, 10, 13)  # tab and line ends that some producers show as text: they draw nothing in any font


@functools.cache
def _win_ansi() -> dict[int, str]:
    names = {0x20: "space", 0xA0: "space", 0xAD: "hyphen", 0x80: "Euro"}
    for code in range(0x21, 0x100):
        text = bytes([code]).decode("cp1252", "ignore")
        if text and code not in names:
            names[code] = agl.UV2AGL.get(ord(text), "bullet")
        names.setdefault(code, "bullet")  # annex D.2, note 3: unused codes above 40 octal are bullets
    return names


@functools.cache
def _table(base: str) -> dict[int, str]:
    if base == "WinAnsiEncoding":
        return _win_ansi()
    listed = MacRoman if base == "MacRomanEncoding" else StandardEncoding
    table = {code: name for code, name in enumerate(listed) if name != NOTDEF and code >= 0x20}
    if base == "MacRomanEncoding":
        table[0xCA] = "space"
    return table


@functools.cache
def builtin(path: Path, folders: tuple[Path, ...]) -> dict[int, str]:
    """The encoding of a font that has its own (Symbol, dingbats), code → glyph name.

    URW's OpenType Symbol has lost its encoding; the metrics file of the same name, which every package of
    these fonts ships below one of *folders*, still has it (``C 34 ; WX 713 ; N universal ; …``).
    """
    with TTFont(path, lazy=True) as font:
        listed = font["CFF "].cff.topDictIndex[0].Encoding if "CFF " in font else ()
        names = {} if isinstance(listed, str) else {code: str(name) for code, name in enumerate(listed) if name != NOTDEF}
    metrics = (found for folder in folders for found in sorted(folder.rglob(f"{path.stem}.afm")))
    first = next(metrics, None) if not names else None
    if first is not None:
        lines = re.findall(r"^C\s+(\d+)\s*;.*?\bN\s+(\S+)", first.read_text("latin-1"), re.MULTILINE)
        names = {int(code): name for code, name in lines}
    return names


def glyph_names(encoding: Object | None, own: dict[int, str] | None) -> dict[int, str]:
    """Code → glyph name. *own*: the encoding of the font program, for a font that has one; else StandardEncoding."""
    base = own
    if isinstance(encoding, Name):
        base = _named(encoding, own)
    elif isinstance(encoding, Dictionary):
        base = _named(encoding.get("/BaseEncoding"), own)
    names = dict(base if base is not None else _table("StandardEncoding"))
    if isinstance(encoding, Dictionary):
        names.update(differences(encoding))
    return names


def _named(name: object, own: dict[int, str] | None) -> dict[int, str] | None:
    known = name_of(name)
    return _table(known) if known in {"WinAnsiEncoding", "MacRomanEncoding", "StandardEncoding"} and own is None else own


def differences(encoding: Dictionary) -> dict[int, str]:
    """The codes that an encoding dictionary names itself; a malformed list is read as far as it makes sense."""
    listed = encoding.get("/Differences")
    found: dict[int, str] = {}
    code = 0
    for item in cast("list[object]", list(listed)) if isinstance(listed, Array) else ():
        if isinstance(item, int):  # pikepdf gives numbers as Python's own
            code = item
        elif isinstance(item, Name):
            if 0 <= code <= 255:
                found[code] = name_of(item)
            code += 1
    return found


def unicode_of(name: str) -> str:
    """The text that a glyph name stands for by the Adobe Glyph List; empty when the name says nothing."""
    return str(agl.toUnicode(name))
