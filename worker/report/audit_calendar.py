"""The coverage picture: a calendar in which each day is as dark as many copies were last read in full on it.

What lies before the deadline is overdue and marked as such, and so is what was never read. Numbers only; how it is drawn is
the template's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

WEEKS = 53  # columns of one calendar: a year, whatever day it begins on
_BLOCKS = 3  # years that are shown; what is older is counted beside them
_LEVELS = 4


@dataclass(frozen=True, slots=True)
class Cell:
    """One day. ``level``: 0 (no copy) to 4; ``late``: whoever was last read then is overdue now; ``within``: of the period."""

    day: str
    week: int
    weekday: int
    copies: int
    level: int
    late: bool
    within: bool


@dataclass(frozen=True, slots=True)
class Block:
    """One calendar of at most a year. ``months``: (week, year and month) of each month that begins in it."""

    cells: tuple[Cell, ...]
    months: tuple[tuple[int, str], ...]

    @property
    def weeks(self) -> int:
        """Columns."""
        return self.cells[-1].week + 1


@dataclass(frozen=True, slots=True)
class Band:
    """Copies whose last full reading is from *least* to *most* days old; ``most`` None: older, and overdue."""

    least: int
    most: int | None
    copies: int


@dataclass(frozen=True, slots=True)
class Calendar:
    """The picture of one store. ``earlier``: copies that were last read before its first day; ``never``: not at all."""

    blocks: tuple[Block, ...]
    bands: tuple[Band, ...]
    earlier: int
    never: int
    total: int


def calendar(checked: Mapping[str, int], *, first: str, last: str, today: str, interval_days: float, overdue: int) -> Calendar:
    """Make it of the copies by day of their last full reading.

    Args:
        checked: "" counts those that were never read.
        first: Of the period, as *last*.
        today: When *checked* was asked.
        interval_days: The promise.
        overdue: Copies that are beyond it, to the second; days alone do not tell.
    """
    end = date.fromisoformat(today)
    deadline = end - timedelta(days=int(interval_days))
    known = sorted(day for day in checked if day)
    begin = min(date.fromisoformat(first), date.fromisoformat(known[0]) if known else end, deadline)
    begin = max(begin, end - timedelta(weeks=WEEKS * _BLOCKS - 1))
    begin -= timedelta(days=begin.weekday())
    most = max((number for day, number in checked.items() if day), default=0)
    cells = []
    for number in range((end - begin).days + 1):
        day = begin + timedelta(days=number)
        copies = checked.get(day.isoformat(), 0)
        level = -(-_LEVELS * copies // most) if copies else 0
        within = first <= day.isoformat() <= last
        cells.append(Cell(day.isoformat(), number // 7, day.weekday(), copies, level, day < deadline, within))
    earlier = sum(number for day, number in checked.items() if day and day < begin.isoformat())
    bands = _bands(checked, end, int(interval_days), overdue)
    return Calendar(_blocks(cells), bands, earlier, checked.get("", 0), sum(checked.values()))


def _blocks(cells: list[Cell]) -> tuple[Block, ...]:
    made, weeks = [], cells[-1].week + 1
    for start in range(0, weeks, WEEKS):
        mine = tuple(cell for cell in cells if start <= cell.week < start + WEEKS)
        begun = [(cell.week - start, cell.day[:7]) for cell in mine if cell.day.endswith("-01")]
        months = tuple(one for one in begun if one[0] < WEEKS - 1)
        made.append(Block(tuple(_moved(cell, start) for cell in mine), months))
    return tuple(made)


def _moved(cell: Cell, weeks: int) -> Cell:
    return Cell(cell.day, cell.week - weeks, cell.weekday, cell.copies, cell.level, cell.late, cell.within)


def _bands(checked: Mapping[str, int], end: date, interval_days: int, overdue: int) -> tuple[Band, ...]:
    """Four quarters of the interval, and what is older."""
    ages = [((end - date.fromisoformat(day)).days, number) for day, number in checked.items() if day]
    made, least = [], 0
    for quarter in range(1, 5):
        most = max(least, interval_days * quarter // 4)
        made.append(Band(least, most, sum(number for age, number in ages if least <= age <= most)))
        least = most + 1
    older = sum(number for age, number in ages if age >= least)
    today = sum(number for age, number in ages if age == least - 1)  # some of these are beyond it, by hours
    late = min(max(older, overdue), older + today)
    made[-1] = Band(made[-1].least, made[-1].most, made[-1].copies - (late - older))
    return (*made, Band(least, None, late))
