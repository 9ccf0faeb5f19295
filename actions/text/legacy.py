"""Weigh the eight-bit encodings of a text by the letters that each would give, with Swedish first in mind.

An eight-bit text decodes in dozens of encodings; only its words can tell which one is right. Each candidate
gets points for letters that stand where letters stand, and loses them for symbols inside words, capitals after small
letters, and control characters. Two candidates that give the same characters are one answer.
Measured on Swedish, Western, Central European and Cyrillic sentences (``tests/actions/test_text.py``).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cache

CLEAR_MEAN = 1.2  # points per letter: every other byte may be a rare letter, none may be absurd
CLEAR_LEAD = 0.5  # ahead of the next encoding that gives other characters, when there are many letters …
CLEAR_LEAD_FEW = 1.2  # … and so much more, shared by the letters there are: two letters can mislead, twenty cannot
_ARGUABLE_MEAN = 0.8  # enough for a second opinion to settle it
_MIN_MEAN = 0.0

# In the order in which an equal answer is named: the narrower standard first.
CANDIDATES = (
    "iso-8859-1", "windows-1252", "iso-8859-15", "cp850", "cp437", "cp865", "mac-roman",
    "iso-8859-2", "windows-1250", "windows-1251", "iso-8859-5", "koi8-r", "cp866",
    "iso-8859-7", "windows-1253", "iso-8859-9", "windows-1254", "iso-8859-4", "windows-1257",
)  # fmt: skip
_WINDOW = re.compile(rb"(?s)(?=(.[\x80-\xff].))")
"""A byte above 127 with its neighbours. A text repeats few of them: each is weighed once, times its number."""
_SWEDISH = frozenset("åäöÅÄÖ")
_WESTERN = frozenset("éèêëàáâãæçíìîïñóòôõøúùûüýßÉÈÀÁÆØÜÇÑÍÓÚþðœŒ")
_BALTIC = frozenset("āčēģīķļņšūžąęėįųĀČĒĪŠŪŽ")
_CENTRAL = frozenset("ąćęłńśźżĄĆĘŁŃŚŹŻčďěňřšťůžČĎĚŇŘŠŤŮŽőűŐŰăâîșşţțđĂĐ")
_GREEK_SMALL = frozenset("αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώ")
_CYRILLIC_COMMON = frozenset("оеаинтсрвлкмдпуОЕАИНТСРВЛ")
_PUNCTUATION = frozenset("“”„‘’‚–—…•€§°·×´½¼¾«»¨©®™±²³¹µ¤£¥¿¡\xa0¬ºª‹›†‰")  # noqa: RUF001 -- the very characters are meant
_TYPOGRAPHIC = frozenset("“”„‘’–—…")  # noqa: RUF001 -- the very characters are meant
_QUOTES_IN_WORDS = frozenset("’´")  # noqa: RUF001 -- the very characters are meant
# How much rarer than Western Europe's encodings in a Swedish archive; in points a letter.
_RARITY = dict.fromkeys(("cp850", "cp437", "mac-roman"), 0.1) | dict.fromkeys(("iso-8859-15", "cp865"), 0.3)
_RARITY |= dict.fromkeys(("iso-8859-4", "windows-1257", "iso-8859-9", "windows-1254"), 0.8)
_RARITY |= dict.fromkeys(("iso-8859-2", "windows-1250"), 0.4)
_BY_CODEC: dict[str, frozenset[str]] = {
    "iso-8859-2": _CENTRAL, "windows-1250": _CENTRAL, "iso-8859-4": _BALTIC, "windows-1257": _BALTIC,
    "iso-8859-9": frozenset("ğışİĞŞ"), "windows-1254": frozenset("ğışİĞŞ"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Guess:
    """The best candidate. ``clear``: well ahead of every one that would give other characters."""

    name: str
    clear: bool
    why: str


@dataclass(frozen=True, slots=True)
class _Scored:
    name: str
    mean: float
    text: str
    """All windows, decoded: equal for two encodings that give the same characters."""
    count: int


def weigh(sample: bytes, *, ask_twice: bool = True) -> Guess | None:
    """The most plausible eight-bit encoding of *sample*, which holds bytes above 127; None: none is plausible.

    Args:
        sample: Lines of the text.
        ask_twice: Whether charset-normalizer may settle a narrow lead; it costs 0.1 s.
    """
    windows = Counter(_WINDOW.findall(b"\n" + sample + b"\n"))
    scored = sorted((s for name in CANDIDATES if (s := _score(windows, name))), key=lambda s: -s.mean)
    if not scored or scored[0].mean <= _MIN_MEAN:
        return None
    best = next(s for s in sorted(scored, key=lambda s: CANDIDATES.index(s.name)) if s.text == scored[0].text)
    rival = next((s for s in scored if s.text != best.text), None)
    lead = best.mean - rival.mean if rival else best.mean
    clear = best.mean >= CLEAR_MEAN and lead >= CLEAR_LEAD + CLEAR_LEAD_FEW / best.count
    against = f", {rival.name} {rival.mean:.1f}" if rival else ""
    why = f"its letters fit {best.name} best ({best.mean:.1f} points a letter{against})"
    if ask_twice and not clear and best.mean >= _ARGUABLE_MEAN and _second_opinion(sample, best.name):
        return Guess(best.name, clear=True, why=f"{why}, and charset-normalizer gives the same characters")
    return Guess(best.name, clear, why)


def _score(windows: Counter[bytes], name: str) -> _Scored | None:
    try:
        text = b"".join(windows).decode(name)
    except UnicodeDecodeError:
        return None
    points, total = 0.0, 0
    for index, count in enumerate(windows.values()):
        at = 3 * index
        points += _points(text[at + 1], text[at], text[at + 2], name) * count
        total += count
    return _Scored(name, points / total - _RARITY.get(name, 0), text, total) if total else None


@cache
def _kind(char: str) -> str:
    return unicodedata.category(char)


def _points(char: str, before: str, after: str, name: str) -> float:  # noqa: PLR0911 -- a table of cases
    """Plausibility of one character above 127 between its neighbours, from -5 (absurd) to 3."""
    kind = _kind(char)
    if kind == "Cc":
        return -5
    if not kind.startswith("L") or char in "ªº":
        return _symbol_points(char, before, after)
    if before.islower() and char.isupper():
        return -2
    if char.isupper() and after.islower() and before.isupper():
        return -1
    alone = not (before.isalpha() or after.isalpha())
    if char in _SWEDISH:
        return 1.0 if alone and char not in "åÅ" else 3  # "å" is a word of its own
    if "CYRILLIC" in _script(char):
        return _cyrillic_points(char, before, after)
    if char in _GREEK_SMALL:
        return 2 if _same_script(char, before, after) else -1
    if char in _WESTERN or char in _BY_CODEC.get(name, ()):
        return 0 if alone else 2
    return -1.5


def _symbol_points(char: str, before: str, after: str) -> float:
    if _kind(char) == "So" and "BOX DRAWINGS" in _script(char):
        return 1.5 if "BOX DRAWINGS" in _script(before) + _script(after) else -2
    in_word = before.isalpha() and after.isalpha()
    if in_word:
        return 1.8 if char in _QUOTES_IN_WORDS else -3
    if char in _TYPOGRAPHIC and before.isspace() + after.isspace() == (2 if char in "–—" else 1):  # noqa: RUF001 -- dashes are meant
        return 1.8  # where a quotation mark or a dash belongs
    return 1 if char in _PUNCTUATION else -1.5


def _cyrillic_points(char: str, before: str, after: str) -> float:
    if not _same_script(char, before, after):
        return -1
    return 2.4 if char in _CYRILLIC_COMMON else 1.2


def _same_script(char: str, before: str, after: str) -> bool:
    script = _script(char).split(" ", 1)[0]
    return any(_script(near).startswith(script) for near in (before, after))


@cache
def _script(char: str) -> str:
    return unicodedata.name(char, "")


def _second_opinion(sample: bytes, name: str) -> bool:
    """Whether charset-normalizer, which weighs by language models, would give the same characters."""
    from charset_normalizer import from_bytes  # noqa: PLC0415 -- costs 0.1 s, and is needed for few files

    best = from_bytes(sample).best()
    if best is None:
        return False
    try:
        return sample.decode(best.encoding) == sample.decode(name)
    except (UnicodeDecodeError, LookupError):
        return False
