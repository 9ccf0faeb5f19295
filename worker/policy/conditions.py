"""Turn the ``match`` of a rule into arms and conditions, and say what is wrong with it.

Types are checked against ``vocabulary``: ``signed: 3`` or ``text_layer: half`` would never match anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from math import inf
from typing import TypeAlias

from pydantic import JsonValue

from worker.policy.match import Arm, Condition, Sort
from worker.policy.model import MatchFile, SizeFile
from worker.policy.problem import suggest
from worker.policy.source import Where
from worker.policy.vocabulary import FACTS, FactType, FactWord

Complain: TypeAlias = Callable[[Where, str, str], None]
"""``complain(where, what, remedy)``; *where* is relative to the rule."""

_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def arms(match: MatchFile, groups: Mapping[str, list[str]], complain: Complain) -> tuple[Arm, ...]:
    """The identities of *match*; none named: one arm that matches every file."""
    puids = set(match.puid)
    for index, name in enumerate(match.group):
        if name in groups:
            puids.update(groups[name])
        else:
            complain(("match", "group", index), f"there is no group '{name}'", suggest(name, groups))
    families = {mime.removesuffix("/*") for mime in match.mime if mime.endswith("/*")}
    exact = {mime for mime in match.mime if not mime.endswith("/*")}
    named = ((Sort.PUID, puids), (Sort.MIME, exact), (Sort.MIME_TYPE, families), (Sort.EXTENSION, set(match.extension)))
    found = tuple(Arm(sort, frozenset(values)) for sort, values in named if values)
    if match.identified:
        found = (*found, Arm(Sort.IDENTIFIED))
    return found or (Arm(Sort.ANY),)


def conditions(match: MatchFile, complain: Complain) -> tuple[Condition, ...]:
    """The conditions of *match*, by name."""
    found = [_fact(name, wanted, complain) for name, wanted in sorted(match.facts.items())]
    if match.size is not None:
        found.append(_size(match.size, complain))
    return tuple(condition for condition in found if condition is not None)


def _size(size: SizeFile, complain: Complain) -> Condition | None:
    if size.min is None and size.max is None:
        complain(("match", "size"), "'size' names neither min nor max", "Write one of them, such as {max: 10 MB}.")
        return None
    low, high = (None if end is None else _bytes(end) for end in (size.min, size.max))
    return _range("size", low, high, ("match", "size"), complain)


def _bytes(end: int | str) -> int:
    if isinstance(end, int):
        return end
    number, unit = re.fullmatch(r"([0-9.]+) ?([A-Za-z]+)", end).groups()  # type: ignore[union-attr]  # the model's pattern
    return int(float(number) * _UNITS[unit])


def _range(name: str, low: float | None, high: float | None, where: Where, complain: Complain) -> Condition | None:
    if low is not None and high is not None and low > high:
        complain(where, f"min {low} is above max {high}", "Exchange them.")
        return None
    wanted = " and ".join(
        text for text in (f"at least {low}" if low is not None else "", f"at most {high}" if high is not None else "") if text
    )
    return Condition(name, wanted, minimum=-inf if low is None else low, maximum=inf if high is None else high)


def _fact(name: str, wanted: JsonValue, complain: Complain) -> Condition | None:
    where = ("match", "facts", name)
    word = FACTS.get(name)
    if word is None:
        complain(where, f"no probe measures a fact '{name}'", suggest(name, FACTS))
        return None
    if isinstance(wanted, dict):
        return _form(name, word, wanted, complain)
    values: list[JsonValue] = list(wanted) if isinstance(wanted, list) else [wanted]
    wrong = list(_wrong(word, values))
    for what, remedy in wrong:
        complain(where, f"'{name}' {what}", remedy)
    if wrong:
        return None
    accepted = frozenset(value for value in values if isinstance(value, bool | int | float | str))
    shown = " or ".join(str(value).lower() if isinstance(value, bool) else str(value) for value in values)
    return Condition(name, shown, values=accepted, absent=accepted == {False} and word.type is FactType.FLAG)


def _form(name: str, word: FactWord, wanted: dict[str, JsonValue], complain: Complain) -> Condition | None:
    where = ("match", "facts", name)
    match wanted:
        case {"present": bool(present), **rest} if not rest:
            shown = "present" if present else "absent"
            return Condition(name, shown, values=None if present else frozenset(), absent=not present)
        case {**bounds} if word.type is FactType.COUNT and bounds and set(bounds) <= {"min", "max"}:
            low, high = bounds.get("min"), bounds.get("max")
            if all(type(end) is int or end is None for end in (low, high)):
                return _range(name, low, high, where, complain)  # type: ignore[arg-type]  # whole numbers: the line above
    allowed = "{min: 1, max: 5} or {present: true}" if word.type is FactType.COUNT else "{present: true} or {present: false}"
    complain(where, f"'{name}' cannot be {wanted}", f"Write a value, a list of values, or {allowed}.")
    return None


def _wrong(word: FactWord, values: list[JsonValue]) -> Iterator[tuple[str, str]]:
    if not values:
        yield "has an empty list, which nothing can meet", "Write a value, or leave the fact out."
    for value in values:
        fits = {FactType.FLAG: type(value) is bool, FactType.COUNT: type(value) is int, FactType.TEXT: isinstance(value, str)}
        if not fits[word.type]:
            quoted = f" Put it in quotes: '{value}'." if word.type is FactType.TEXT else ""
            yield f"is {word.type}, not {value!r}", f"It means: {word.meaning}.{quoted}"
        elif word.choices and value not in word.choices:
            yield f"is never {value!r}", suggest(str(value), word.choices)
