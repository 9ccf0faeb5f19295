"""Judges what is drawn and not written: the words of charts, and slides that hold nothing but shapes.

What bars, slices and shapes look like is not compared, and each check's ``why`` says so.
"""

from __future__ import annotations

from collections import Counter

from actions.contract import Check
from actions.office import metafile_checks
from actions.office.content import OfficeContent
from actions.office.likeness import measure, tokens
from actions.office.sides import SHOWN, Sides, first

CHART_GONE = 0.5  # a legend may be cut; half a chart's titles and legend never is
CHART_WHY = "a chart's words; its bars and slices are drawn anew, and not compared"


def checks_of(sides: Sides, content: OfficeContent) -> list[Check | None]:
    """The checks of charts, of slides without words, and of metafiles."""
    return [*_charts(sides, content), _drawings(sides, content), metafile_checks.check_of(sides, content)]


def _drawings(sides: Sides, content: OfficeContent) -> Check | None:
    """For slides with nothing but drawings: ink where the source has its shapes, and nowhere else."""
    says_more = content.text.strip() or content.pictures or content.charts or content.chart_labels
    boxes = [one for one in content.boxes if one is not None]
    if says_more or len(boxes) != content.slides or not any(boxes):
        return None
    wrong = sides.misplaced(boxes)
    why = f"other ink on slides {', '.join(wrong[:SHOWN])}" if wrong else "ink where the source has its shapes, and nowhere else"
    return Check("drawings", sum(map(len, boxes)), None, None if wrong else True, why)


def _charts(sides: Sides, content: OfficeContent) -> list[Check]:
    """A chart's titles and legend must be there; its labels as far as the axis has room, so they only count when all are."""
    found = []
    taken = Counter(tokens(content.text))
    left = "\n".join((Counter(tokens(sides.shown.text)) - taken).elements())
    for name, words in (("chart_text", content.charts), ("chart_labels", content.chart_labels)):
        if tokens(words):
            alike = measure(words, left, sides.reread)
            is_whole = not alike.missing
            is_gone = name == "chart_text" and alike.recall < CHART_GONE
            why = CHART_WHY if is_whole else first("not found", alike.missing)
            found.append(Check(name, 1.0, round(alike.recall, 4), True if is_whole else False if is_gone else None, why))
    return found
