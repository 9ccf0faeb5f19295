"""Judges whether the words of a document's metafiles are in the result: a picture drawn mirrored or cut lacks them.

A metafile stands as lines and letters in a PDF, so its words can be looked for; those of the document itself are set
off first, or a word that the text has too would stand in for the picture's. Its lines and colours are not compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice

from actions.contract import Check
from actions.office.content import CUT, OfficeContent
from actions.office.likeness import measure, tokens
from actions.office.sides import Sides, first

FOUND = 0.95  # of one picture's words: a letter of a stand-in font may read differently
READ = 0.8  # of the words in a bitmap: recognition errs, but finds next to nothing in a mirrored picture
ALIKE, GUESSED_CHARS, GUESSED_MAX = 0.75, 4, 100
STRETCH_CHARS = 5  # shorter ones stand in other words by chance
NAME = "metafile_text"


def check_of(sides: Sides, content: OfficeContent) -> Check | None:
    """The words of each metafile must be there; strings that cannot be read, or not be told from the text, are only counted."""
    said = [one.text for one in content.metafiles if tokens(one.text)]
    unread = sum(1 for one in content.metafiles if one.unread)
    unsaid = f"{unread} pictures have strings that name glyphs and no letters, or cannot be read" if unread else ""
    cut = sum(one.cut for one in content.metafiles)
    unsaid += f"{'; ' if unsaid else ''}{cut} strings are cut off by the pictures themselves" if cut else ""
    if not said:
        return Check(NAME, None, None, None, unsaid) if unsaid else None
    own = "\n".join((content.text.replace(CUT, " "), content.headers_footers, content.charts, content.chart_labels))
    own += "\n" + "\n".join(content.notes)
    seen = _seen(sides, own, said)
    lost = [_lost(text, seen) for text in said]
    as_bitmap = _in_bitmaps(sides, content, said, lost)
    lost = [Counter() if place in as_bitmap else gone for place, gone in enumerate(lost)]
    total = sum(len(tokens(text)) for text in said)
    recall = 1 - sum(gone.total() for gone in lost) / total
    is_whole = all(_is_enough(text, gone) for text, gone in zip(said, lost, strict=True))
    read = f"{len(as_bitmap)} became bitmaps, in which Tesseract reads their words" if as_bitmap else ""
    why = "; ".join(part for part in (first("not found", [word for gone in lost for word in gone]), read, unsaid) if part)
    return Check(NAME, 1.0, round(recall, 4), is_whole, why)


def _is_enough(text: str, gone: Counter[str]) -> bool:
    return gone.total() <= (1 - FOUND) * len(tokens(text))


def _in_bitmaps(sides: Sides, content: OfficeContent, said: list[str], lost: list[Counter[str]]) -> set[int]:
    """The pictures that lack words in the result's text, but stand in it as a bitmap where these words can be read.

    Only where the result has more bitmaps than the source has pictures: one of the source's own proves nothing.
    """
    lacking = [place for place, gone in enumerate(lost) if not _is_enough(said[place], gone)]
    if not lacking or sides.shown.pictures <= content.pictures:
        return set()
    found: set[int] = set()
    for read in sides.bitmaps():
        words = tokens(read, fold_case=True)
        found |= {place for place in lacking if _legible(tokens(said[place], fold_case=True), words) >= READ}
        if len(found) == len(lacking):
            break
    return found


def _legible(wanted: list[str], read: list[str]) -> float:
    """The share of *wanted* that was read; a figure as it is, a longer word with a letter or two taken for others."""
    left = Counter(read)
    sure = Counter(wanted) & left
    found = sure.total()
    left -= sure
    for word in islice((Counter(wanted) - sure).elements(), GUESSED_MAX):
        if len(word) >= GUESSED_CHARS and not any(map(str.isdigit, word)) and (near := get_close_matches(word, left, 1, ALIKE)):
            left -= Counter(near)
            found += 1
    return found / len(wanted)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The result's letters and the document's own, without spaces, and the words that the result lacks."""

    shown: tuple[str, str]
    own: str
    lacking: frozenset[str]
    is_folded: bool


def _seen(sides: Sides, own: str, said: list[str]) -> _Seen:
    """What the result lacks of the document and its pictures together, without what it lacks of the document alone."""
    pictures = "\n".join(said)
    together = measure(f"{own}\n{pictures}", sides.shown.text, sides.reread)
    lacking = set(together.missing)
    if lacking:
        alone = measure(own, sides.shown.text, sides.reread)
        lacking -= set(alone.missing) - set(measure(pictures, sides.shown.text, sides.reread).missing)
    by_place = sides.reread() if lacking else ""
    shown = tuple("".join(tokens(text, fold_case=True)) for text in (sides.shown.text, by_place))
    return _Seen((shown[0], shown[1]), "".join(tokens(own, fold_case=True)), frozenset(lacking), together.folded)


def _lost(text: str, seen: _Seen) -> Counter[str]:
    """The words of one picture that are nowhere, neither whole nor as pieces that a drawing program set one by one."""
    words = tokens(text, fold_case=seen.is_folded)
    doubtful = [place for place, word in enumerate(words) if word in seen.lacking]
    small = [word.casefold() for word in words]
    return Counter(words[place] for place in doubtful if not any(_is_seen(one, seen) for one in _stretches(small, place)))


def _stretches(words: list[str], place: int) -> Iterator[str]:
    """The word at *place* grown together with its neighbours, as short as a stretch may be."""
    for start in range(max(0, place - STRETCH_CHARS), place + 1):
        grown = ""
        for end in range(start, min(start + 2 * STRETCH_CHARS, len(words))):
            grown += words[end]
            if end >= place and len(grown) >= STRETCH_CHARS:
                yield grown
                break


def _is_seen(stretch: str, seen: _Seen) -> bool:
    return any(shown.count(stretch) > seen.own.count(stretch) for shown in seen.shown)
