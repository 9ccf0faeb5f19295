"""The words of a chart: what its drawing must show (titles, legend), and what it may leave out (labels on an axis).

Values become bars and slices, which are not compared; where a label shows one, it is among the labels. Names are
compared without namespace. Where a chart stands in its document belongs to the readers.
Source: ECMA-376-1:2016 §21.2 (c:title, c:legend, c:ser, c:cat, c:dLbls); OASIS ODF 1.3 part 3 §11 (chart), §11.3 (local table).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from actions.office.package import Element, Package, attribute, local

OFF = frozenset({"0", "false"})
ROUND = frozenset({"pieChart", "pie3DChart", "doughnutChart", "ofPieChart"})  # their legend names the categories
NAMES_MAX = 2000  # of one chart: a sheet's worth of categories says no more


@dataclass(frozen=True, slots=True)
class ChartWords:
    """``shown``: titles and legend. ``labels``: categories and labels, which an axis skips where they would overlap."""

    shown: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


def ooxml(package: Package, part: str) -> ChartWords:
    """Read the chart part of a Word or PowerPoint file; nothing when it is not there."""
    root = package.xml(part)
    if root is None:
        return ChartWords()
    titles = [_run_text(title) or " ".join(_cached(title)) for title in root.iter("{*}title")]
    series = [_Series(one) for one in root.iter("{*}ser")]
    labels = [_run_text(label) for label in root.iter("{*}dLbl")]
    labels += [name for one in series for name in (*one.categories, one.name)]
    return ChartWords(_few([*titles, *_legend(root, series)]), _few(labels))


class _Series:
    """One series of a chart: its name, its categories, and whether its slices are named one by one."""

    def __init__(self, element: Element) -> None:
        name, categories, order = (element.find(f"{{*}}{tag}") for tag in ("tx", "cat", "idx"))
        parent = element.getparent()
        self.name = " ".join(_cached(name)) if name is not None else ""
        self.categories = _cached(categories) if categories is not None and categories.find(".//{*}strCache") is not None else []
        self.index = attribute(order, "val") if order is not None else ""
        self.is_round = parent is not None and local(parent) in ROUND


def _legend(root: Element, series: list[_Series]) -> Iterator[str]:
    """What the legend names, without the entries that were deleted from it."""
    legend = root.find("{*}chart/{*}legend")
    if legend is None:
        return
    entries = [(entry.find("{*}idx"), entry.find("{*}delete")) for entry in legend.iterfind("{*}legendEntry")]
    gone = {attribute(index, "val") for index, delete in entries if index is not None and delete is not None}
    for one in series:
        if one.is_round:
            yield from (name for place, name in enumerate(one.categories) if str(place) not in gone)
            return  # a ring of several series has one legend
        if one.index not in gone:
            yield one.name


def _run_text(element: Element) -> str:
    return "".join(part.text or "" for part in element.iter("{*}t"))


def _cached(element: Element) -> list[str]:
    """The cached cells that a reference shows, or the literal value."""
    return [part.text or "" for part in element.iter("{*}v")]


def odf(root: Element) -> ChartWords:
    """Read the chart in *root*, an embedded object's content; nothing when it is no chart."""
    chart = next(root.iter("{*}chart"), None)
    if chart is None or chart.find("{*}plot-area") is None:
        return ChartWords()
    titles = [" ".join(_paragraphs(title)) for tag in ("title", "subtitle", "footer") for title in chart.iter(f"{{*}}{tag}")]
    rows = [row for table in chart.iterfind("{*}table") for row in table.iter("{*}table-row")]
    cells = [[" ".join(_paragraphs(cell)) for cell in row.iterfind("{*}table-cell")] for row in rows]
    names = cells[0][1:] if cells else []
    categories = [row[0] for row in cells[1:] if row]
    if chart.find("{*}legend") is None:
        return ChartWords(_few(titles), _few([*categories, *names]))
    is_round = attribute(chart, "class").rpartition(":")[2] in {"circle", "ring"}
    legend, rest = (categories, names) if is_round else (names, categories)
    return ChartWords(_few([*titles, *legend]), _few(rest))


def _paragraphs(element: Element) -> list[str]:
    return ["".join(str(part) for part in paragraph.itertext()) for paragraph in element.iter("{*}p")]


def _few(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))[:NAMES_MAX]
