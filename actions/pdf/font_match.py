"""Which installed font may stand in for one that a PDF names but does not carry.

A PDF without the font's program already makes every reader choose a stand-in; the derivative carries the
choice, so that all readers show the same. Metric-compatible families come first; another text font may be
replaced by one of its class (serif, sans, fixed pitch), stretched to the widths that the document gives. A
symbol font that we do not know is never guessed at: another font's signs would say something else.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

FONT_FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))

FIXED_PITCH, SERIF, SYMBOLIC, NONSYMBOLIC, ITALIC, FORCE_BOLD = 1, 2, 4, 32, 64, 1 << 18  # ISO 32000-1, table 123
BOLD_WEIGHT = 600


@dataclass(frozen=True, slots=True)
class Substitute:
    """A stand-in: ``files`` are asked for a glyph in order, the first is the one that counts.

    ``metric``: its advance widths are those of the font named. ``builtin``: "symbol" or "dingbats" when the
    font has an encoding of its own.
    """

    face: str
    files: tuple[Path, ...]
    metric: bool
    flags: int
    builtin: str = ""


@dataclass(frozen=True, slots=True)
class _Family:
    pattern: re.Pattern[str]
    stems: tuple[tuple[str, str, str, str], ...]  # each: regular, bold, italic, bold italic
    flags: int
    builtin: str = ""


def _styles(stem: str, regular: str, bold: str, italic: str, both: str) -> tuple[str, str, str, str]:
    return (f"{stem}-{regular}", f"{stem}-{bold}", f"{stem}-{italic}", f"{stem}-{both}")


_SANS = (
    _styles("NimbusSans", "Regular", "Bold", "Italic", "BoldItalic"),
    _styles("LiberationSans", "Regular", "Bold", "Italic", "BoldItalic"),
)
_ROMAN = (
    _styles("NimbusRoman", "Regular", "Bold", "Italic", "BoldItalic"),
    _styles("LiberationSerif", "Regular", "Bold", "Italic", "BoldItalic"),
)
_MONO = (
    _styles("NimbusMonoPS", "Regular", "Bold", "Italic", "BoldItalic"),
    _styles("LiberationMono", "Regular", "Bold", "Italic", "BoldItalic"),
)
_NARROW = (
    _styles("NimbusSansNarrow", "Regular", "Bold", "Oblique", "BoldOblique"),
    _styles("LiberationSansNarrow", "Regular", "Bold", "Italic", "BoldItalic"),
)


def _family(pattern: str, stems: tuple[tuple[str, str, str, str], ...], flags: int, builtin: str = "") -> _Family:
    return _Family(re.compile(pattern), stems, flags, builtin)


# Source: the families of the 35 PostScript base fonts and their clones (fonts-urw-base35), and the fonts
# made with the same advance widths as Microsoft's (Liberation, Carlito, Caladea). First match wins.
_METRIC = (
    _family(r"(helvetica|arial)(ltstd)?[-, ]?(narrow|condensed)", _NARROW, 0),
    _family(r"(helvetica|arial|nimbussanl|nimbussans|liberationsans)(ltstd|neue)?(roman)?$", _SANS, 0),
    _family(r"(times|timesnewroman|timesroman|timesltstd|nimbusromno9l|nimbusroman|liberationserif|tinos)(roman)?$", _ROMAN, SERIF),
    _family(
        r"(courier|couriernew|courierstd|nimbusmonl|nimbusmonops|nimbusmonops|liberationmono|cousine)$", _MONO, SERIF | FIXED_PITCH
    ),
    _family(
        r"(palatino|palatinolinotype|bookantiqua|p052|palladio)", (_styles("P052", "Roman", "Bold", "Italic", "BoldItalic"),), SERIF
    ),
    _family(r"(bookman|urwbookman)", (_styles("URWBookman", "Light", "Demi", "LightItalic", "DemiItalic"),), SERIF),
    _family(
        r"(newcenturyschlbk|centuryschoolbook|newcenturyschoolbook|c059)",
        (_styles("C059", "Roman", "Bold", "Italic", "BdIta"),),
        SERIF,
    ),
    _family(
        r"(avantgarde|itcavantgarde|urwgothic|centurygothic)",
        (_styles("URWGothic", "Book", "Demi", "BookOblique", "DemiOblique"),),
        0,
    ),
    _family(r"(zapfchancery|monotypecorsiva|itczapfchancery)", (("Z003-MediumItalic",) * 4,), ITALIC),
    _family(r"(calibri|carlito)$", (_styles("Carlito", "Regular", "Bold", "Italic", "BoldItalic"),), 0),
    _family(r"(cambria|caladea)$", (_styles("Caladea", "Regular", "Bold", "Italic", "BoldItalic"),), SERIF),
    _family(r"(symbol|standardsymbols)", (("StandardSymbolsPS",) * 4,), SYMBOLIC, "symbol"),
    _family(r"(zapfdingbats|itczapfdingbats|dingbats|d050000l)", (("D050000L",) * 4,), SYMBOLIC, "dingbats"),
)
_COVERAGE = (("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),)
_TAG = re.compile(r"^[A-Z]{6}\+")
_STYLE_WORDS = re.compile(r"(semi|demi|extra|ultra)?(bold|black|heavy|italic|oblique|ital|regular|normal|book|medium|mt|ps|it|bd)")


def match(base_font: str, flags: int, weight: float, *, has_widths: bool) -> Substitute | None:
    """The stand-in for the font that a PDF calls *base_font*, or None when none would be honest.

    Args:
        flags: Of the font descriptor (ISO 32000-1, table 123); 0 without one.
        weight: ``FontWeight`` of the descriptor; 0 when unknown.
        has_widths: Without the document's widths, only a metric-compatible font keeps the lines where they are.
    """
    plain = re.sub(r"[^a-z0-9]", "", _TAG.sub("", base_font).lower())
    style = _style(plain, flags, weight)
    family_name = _STYLE_WORDS.sub("", plain)
    for family in _METRIC:
        if family.pattern.match(family_name) or family.pattern.fullmatch(plain):
            return _resolve(family, style, metric=True)
    if not has_widths or not flags or (flags & SYMBOLIC and not flags & NONSYMBOLIC):
        return None
    if flags & FIXED_PITCH:
        return _resolve(_family("", _MONO, SERIF | FIXED_PITCH), style, metric=False)
    return _resolve(_family("", _ROMAN if flags & SERIF else _SANS, flags & SERIF), style, metric=False)


def _style(plain: str, flags: int, weight: float) -> int:
    """0 regular, 1 bold, 2 italic, 3 both."""
    bold = bool(re.search(r"bold|black|heavy|demi", plain)) or bool(flags & FORCE_BOLD) or weight >= BOLD_WEIGHT
    italic = bool(re.search(r"ital|oblique", plain)) or bool(flags & ITALIC)
    return bold + 2 * italic


def _resolve(family: _Family, style: int, *, metric: bool) -> Substitute | None:
    installed = _installed()
    wanted = [stems[style] for stems in (*family.stems, *(() if family.builtin else _COVERAGE))]
    files = tuple(installed[stem] for stem in wanted if stem in installed)
    if not files or (metric and files[0].stem not in {stems[style] for stems in family.stems}):
        return None
    flags = (family.flags | (SYMBOLIC if family.builtin else NONSYMBOLIC) | (ITALIC if style & 2 else 0)) & ~(
        NONSYMBOLIC if family.builtin else 0
    )
    return Substitute(files[0].stem, files, metric, flags, family.builtin)


@functools.cache
def _installed() -> dict[str, Path]:
    """Font files by stem; OpenType before Type 1 and TrueType of the same name does not occur on Debian."""
    found: dict[str, Path] = {}
    for folder in FONT_FOLDERS:
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".otf", ".ttf"}:
                found.setdefault(path.stem, path)
    return found
