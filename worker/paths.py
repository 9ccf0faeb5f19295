"""Turns a file's raw name into a path that an archive can carry for decades, and back.

On Linux a name is bytes; XML 1.0, JSON and OCFL carry Unicode text. What cannot be carried is written
as ``%XX`` per byte, and nothing else is touched: no normalisation, no transliteration, because a name is part
of the record. Where files end up on disk is the store's matter, not decided here.
"""

from __future__ import annotations

import re
from itertools import pairwise

_UNCARRIED = "[\x00-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]"
"""Controls (C0, DEL, C1), two non-characters, and what ``surrogateescape`` makes of bytes that are not UTF-8.

Source: XML 1.0 (5th ed.), production [2] Char; RFC 3629 section 3 for the bytes.
"""
_ESCAPE = re.compile(f"{_UNCARRIED}|%(?=[0-9A-Fa-f]{{2}})")
_PLAIN_IS_WRONG = re.compile(f"{_ESCAPE.pattern}|(?:^|/)\\.{{0,2}}(?:/|$)")
_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")


def archival_path(raw: bytes) -> str:
    """The path to keep *raw* under: valid UTF-8 without control characters stays as it is.

    The answer has no component ``.``, ``..`` or ``""``; ``raw_path`` gives *raw* back.

    Raises:
        ValueError: *raw* is empty: there is nothing to name.
    """
    if not raw:
        raise ValueError("a file's path cannot be empty")
    text = raw.decode("utf-8", "surrogateescape")
    if not _PLAIN_IS_WRONG.search(text):
        return text
    parts = text.split("/")
    out = [_component(parts[0])]
    for before, part in pairwise(parts):
        # A slash beside nothing would make an empty component: it is kept as an escaped byte instead.
        out.append("/" if before and part else "%2F")
        out.append(_component(part))
    return "".join(out)


def raw_path(path: str) -> bytes:
    """The bytes that ``archival_path`` was given."""
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), path.encode("utf-8"))


def _component(text: str) -> str:
    if text in (".", ".."):
        return "%2E" * len(text)
    return _ESCAPE.sub(_percent, text)


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogateescape"))
