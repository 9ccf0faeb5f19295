"""File names and tools' words made safe to show; the exact name is in report.json.

A name is bytes that someone else chose: a newline forges a second line, an escape sequence moves the
terminal's cursor, and U+202E makes "txt.exe" read "exe.txt". Here such characters become visible.
"""

from __future__ import annotations

import unicodedata

_JOINERS = "\u200c\u200d"  # part of emoji and of Persian spelling: harmless, and needed to read the name
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def visible(text: str) -> str:
    r"""Return *text* with controls, bidi overrides and lone surrogates written as ``\n``, ``\u202e``, ``\udc80``."""
    if text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def one_line(text: str) -> str:
    """Return a tool's *text* as one line: white space joined, everything else as ``visible`` shows it."""
    return visible(" ".join(text.split()))


def shorten(text: str, limit: int) -> str:
    """Return *text* with at most *limit* characters, an ellipsis in place of what was cut."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def shorten_path(path: str, limit: int) -> str:
    """Return *path* with at most *limit* characters; the end is kept, since it tells files apart."""
    return path if len(path) <= limit else "…" + path[len(path) - limit + 1 :]


def _shown(character: str) -> str:
    if character in _JOINERS or unicodedata.category(character) not in _HIDDEN:
        return character
    return character.encode("unicode_escape").decode("ascii")
