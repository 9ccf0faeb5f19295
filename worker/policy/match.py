"""When a rule matches, and which of two matching rules is the more specific.

A rule's *identity* is one or more arms: it matches when **any** arm does (one of its PUIDs, or one of its media
types, or one of its extensions; none named: every file). Its *conditions* on facts and size must **all** hold.

Specificity, most significant first:

1. a gate comes before every other rule;
2. more conditions before fewer;
3. the arm that matched: PUID, exact media type, ``type/*``, extension, any identified file, any file;
4. ``before``: an officer's word, where two rules are equally specific and both can match.

The order of a file is never looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from math import inf

from actions.contract import Fact


class Sort(IntEnum):
    """What an arm looks at; the higher the more specific."""

    ANY = 0
    IDENTIFIED = 1
    """Every file that has a PUID, whichever."""
    EXTENSION = 2
    MIME_TYPE = 3
    """``image/*``"""
    MIME = 4
    PUID = 5


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to match a file's identity. ``values`` of MIME_TYPE are the part before the slash."""

    sort: Sort
    values: frozenset[str] = frozenset()

    def common(self, other: Arm) -> str | None:
        """An example that both arms match at the same specificity; None: there is none."""
        if self.sort is not other.sort:
            return None
        if self.sort in {Sort.ANY, Sort.IDENTIFIED}:
            return "any file"
        both = self.values & other.values
        suffix = "/*" if self.sort is Sort.MIME_TYPE else ""
        return f"{min(both)}{suffix}" if both else None

    def covers(self, other: Arm) -> bool:
        """Whether this arm matches every file that *other* matches."""
        if self.sort is Sort.ANY or (self.sort is Sort.IDENTIFIED and other.sort is Sort.PUID):
            return True
        if self.sort is Sort.MIME_TYPE and other.sort is Sort.MIME:
            return {value.partition("/")[0] for value in other.values} <= self.values
        return self.sort is other.sort and other.values <= self.values


@dataclass(frozen=True, slots=True)
class Condition:
    """What one fact, or the size, must be.

    A fact that was not measured, or does not apply, is absent. ``false`` also accepts absence: what no
    probe saw is not there. Every other value needs the fact to be present.

    Attributes:
        values: The accepted values; None: any value within the bounds.
        absent: Whether absence is accepted.
        wanted: The condition in words, for explanations.
    """

    name: str
    wanted: str
    values: frozenset[bool | int | float | str] | None = None
    minimum: float = -inf
    maximum: float = inf
    absent: bool = False

    def holds(self, value: Fact) -> bool:
        """Whether *value* meets the condition. A list meets it when one of its items does."""
        if value is None:
            return self.absent
        if isinstance(value, list):
            return any(self.holds(item) for item in value)
        if self.values is not None:
            return value in self.values
        if self.minimum == -inf and self.maximum == inf:
            return True
        return isinstance(value, int | float) and self.minimum <= value <= self.maximum

    def overlaps(self, other: Condition) -> bool:
        """Whether some value, or absence, meets both conditions."""
        if self.absent and other.absent:
            return True
        if self.values is not None:
            return any(other.holds(value) for value in self.values)
        if other.values is not None:
            return any(self.holds(value) for value in other.values)
        return max(self.minimum, other.minimum) <= min(self.maximum, other.maximum)

    def covers(self, other: Condition) -> bool:
        """Whether whatever meets *other* also meets this condition."""
        if other.absent and not self.absent:
            return False
        if other.values is not None:
            return all(self.holds(value) for value in other.values)
        return self.values is None and self.minimum <= other.minimum and self.maximum >= other.maximum
