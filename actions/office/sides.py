"""The two sides of a comparison, what may be missing, and the second looks at the result that a doubt asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from actions.office.content import OfficeContent
from actions.office.likeness import Reread, nothing
from actions.office.pages_side import Shown
from actions.office.sketch import Box

SHOWN = 8  # words or numbers that a check's sentence names

Misplaced = Callable[[Sequence[tuple[Box, ...]]], list[str]]


def nowhere(_slides: Sequence[tuple[Box, ...]]) -> list[str]:
    """Where there is no result to look at."""
    return ["all"]


Bitmaps = Callable[[], Iterable[str]]


def no_bitmaps() -> tuple[str, ...]:
    """Where nothing reads bitmaps."""
    return ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be missing, and what the conversion said of itself (0: it did not say)."""

    text_recall: float
    lost_passages: int
    expected_pages: int
    notes_pages: int
    fonts_missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides.

    Attributes:
        beside: Text kept beside the PDF.
        why: Who speaks for the source when not our own reader.
        reread: The PDF's text by place.
        misplaced: The slides whose ink does not stand where the source has its shapes.
        bitmaps: The words that can be read in each of the result's bitmaps.
    """

    content: OfficeContent | None
    shown: Shown
    beside: str
    independent: bool
    why: str
    reread: Reread = nothing
    misplaced: Misplaced = nowhere
    bitmaps: Bitmaps = no_bitmaps


def first(label: str, items: Sequence[str]) -> str:
    """A sentence's part that names a few of *items*; empty without any."""
    return f"{label}: {', '.join(items[:SHOWN])}" if items else ""
