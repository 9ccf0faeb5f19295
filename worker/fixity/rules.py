"""What a tenant promises about its copies, and what an audit may do by itself: plain numbers with their defaults."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Any, ClassVar

from actions.errors import PermanentError

DAY_S = 86_400.0


class RulesError(PermanentError):
    """The audit's settings are wrong."""

    code: ClassVar[str] = "audit-rules"


class RepairMode(StrEnum):
    """Who decides that a copy is repaired."""

    AUTOMATIC = "automatic"
    OFFICER = "officer"
    TWO = "two"

    @property
    def approvals(self) -> int:
        """How many people must agree."""
        return {"automatic": 0, "officer": 1, "two": 2}[self.value]


@dataclass(frozen=True, slots=True)
class Rules:
    """Of one tenant, or of one of its places.

    Attributes:
        interval_days: Each copy is read in full at least so often.
        bytes_per_s: At most so much is read of a place; 0: no bound.
        bytes_per_run: A run ends after so much; 0: no bound.
        windows: Hours in which a place may be read, ``HH:MM-HH:MM`` of local time; empty: always.
        repair: See ``RepairMode``.
        breaker_objects: Repair of a place stops when more objects than this were found bad within a week,
        breaker_share: or a larger share than this of those that were read (once 20 were).
    """

    interval_days: float = 90.0
    bytes_per_s: int = 0
    bytes_per_run: int = 0
    windows: tuple[str, ...] = ()
    repair: RepairMode = RepairMode.OFFICER
    breaker_objects: int = 10
    breaker_share: float = 0.05

    @classmethod
    def of(cls, settings: str) -> Rules:
        """From a tenant's settings: the object under ``audit``.

        Raises:
            RulesError: A name is unknown, or a value is not one.
        """
        given: dict[str, Any] = json.loads(settings or "{}").get("audit", {})
        if not isinstance(given, dict):
            raise RulesError("are no object", "the audit's settings", 'Write {"interval_days": 90}, for example.')
        known = {field.name for field in fields(cls)}
        if strange := sorted(given.keys() - known):
            raise RulesError(f"{strange[0]!r} is not known", "the audit's settings", f"Known are: {', '.join(sorted(known))}.")
        for name in sorted(given.keys() & _NUMBERS):
            value = given[name]
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
                raise RulesError(f"{name} is {value!r}", "the audit's settings", "Give a number from 0 on, without quotes.")
        try:
            if "repair" in given:
                given["repair"] = RepairMode(given["repair"])
            windows = given.get("windows", ())
            if isinstance(windows, str):
                raise ValueError(f"windows is {windows!r}, and must be a list")  # noqa: TRY004, TRY301 -- told as the others
            rules = cls(**{**given, "windows": tuple(windows)})
            for window in rules.windows:
                _window(window)
        except (TypeError, ValueError, AttributeError) as wrong:
            raise RulesError(f"are wrong: {wrong}", "the audit's settings", "Correct them, and try again.") from wrong
        if not 0 < rules.interval_days <= 36_500:
            raise RulesError(f"interval_days is {rules.interval_days}", "the audit's settings", "Choose from 1 to 36500.")
        return rules

    def open_at(self, moment: datetime) -> bool:
        """Whether the place may be read at this local time."""
        now = moment.time()
        for window in self.windows:
            begin, end = _window(window)
            if (begin <= now < end) if begin < end else (now >= begin or now < end):
                return True
        return not self.windows


_NUMBERS = frozenset({"interval_days", "bytes_per_s", "bytes_per_run", "breaker_objects", "breaker_share"})


def _window(text: str) -> tuple[time, time]:
    begin, _, end = text.partition("-")
    return time.fromisoformat(begin.strip()), time.fromisoformat(end.strip())


def due_after(began: str, rules: Rules) -> str:
    """The deadline of a copy that was read at *began*."""
    return _plus(began, rules.interval_days * DAY_S)


def turn_after(began: str, rules: Rules, key: str) -> str:
    """When it is taken next: between four fifths of the interval and nearly all of it, always the same for one copy.

    The spread keeps the load flat, also when a whole store was filled in one day; the rest is room for tries that fail.
    """
    return _plus(began, rules.interval_days * DAY_S * (0.80 + 0.15 * share(key)))


def first_turn(now: str, rules: Rules, key: str) -> str:
    """When a copy that was never read is taken: spread over nearly the whole interval."""
    return _plus(now, rules.interval_days * DAY_S * 0.95 * share(key))


def share(key: str) -> float:
    """A number from 0 to 1 that looks random and is always the same for *key*."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64


def _plus(moment: str, seconds: float) -> str:
    later = datetime.fromisoformat(moment) + timedelta(seconds=seconds)
    return later.strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] + "Z"
