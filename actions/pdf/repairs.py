"""The words in which PDF repairs report themselves, and how they walk a document.

Every repair names what it did and how often, because the event keeps it. No repair lives here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias, cast

from pikepdf import Array, Dictionary, Name, Object, Pdf, Stream

Key: TypeAlias = tuple[int, int] | int
"""Identity of an object: its number and generation, or for a direct one Python's own."""

MAX_NAMES = 8  # in one note: an officer reads them; the rest is counted


@dataclass(slots=True)
class Repairs:
    """What was repaired, in order; ``note`` makes the sentences of ``Outcome.notes``."""

    _done: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)

    def add(self, name: str, what: str, subject: str = "", count: int = 1) -> None:
        """Count one repair *name* (fonts, actions …) of kind *what*, done to *subject* when that has a name."""
        if count:
            self._done.setdefault((name, what), Counter())[subject] += count

    def notes(self) -> tuple[str, ...]:
        """``"repair: actions: removed a Launch action (2): setup.exe, readme.txt"``, one per kind of repair."""
        return tuple(_note(name, what, subjects) for (name, what), subjects in self._done.items())


def _note(name: str, what: str, subjects: Counter[str]) -> str:
    named = [subject for subject in subjects if subject]
    shown = ", ".join(named[:MAX_NAMES]) + (f" and {len(named) - MAX_NAMES} more" if len(named) > MAX_NAMES else "")
    return f"repair: {name}: {what} ({subjects.total()})" + (f": {shown}" if shown else "")


def dictionaries(pdf: Pdf) -> Iterator[Dictionary]:
    """Every dictionary of the document, stream dictionaries and directly nested ones included, each once.

    Walks the indirect objects and, without recursion, what lies directly inside each.
    """
    for top in pdf.objects:
        pending: list[Object] = [top]
        while pending:
            item = pending.pop()
            if isinstance(item, Dictionary | Stream):
                yield cast("Dictionary", item)
                children = [item.get(key) for key in item.keys()]  # noqa: SIM118 -- pikepdf iterates a stream's bytes otherwise
            elif isinstance(item, Array):
                children = list(item)
            else:
                continue
            pending += [child for child in children if isinstance(child, Array | Dictionary) and not child.is_indirect]


def entry(holder: Object, key: str) -> Dictionary | None:
    """The dictionary under *key*, or None when there is none or something else stands there."""
    value = holder.get(key)
    return value if isinstance(value, Dictionary) and not isinstance(value, Stream) else None


def items(holder: Object, key: str) -> list[Object]:
    """The members of the array under *key*; empty when there is no array."""
    value = holder.get(key)
    return list(value) if isinstance(value, Array) else []


def identity(item: Object) -> Key:
    """A key that says whether two Python objects are the same PDF object."""
    return item.objgen if item.is_indirect else id(item)


def name_of(value: object) -> str:
    """A PDF name without its slash; empty for anything else, and for a name that is no UTF-8 kept readable."""
    if not isinstance(value, Name):
        return ""
    try:
        return str(value)[1:]
    except UnicodeDecodeError:
        return value.unparse().decode("ascii", "replace")[1:]


def number(value: object, default: float = 0.0) -> float:
    """A PDF number as a float; *default* for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return default
    return float(value)
