"""When the auditor tries a repair again that did not come about, and what of it is news. In memory: a restart tries at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from worker.fixity.book import Entry
from worker.fixity.repair import Outcome, Repaired

_FIRST_S, _MOST_S = 30.0, 3600.0  # doubled with each try that ends the same: it reads other copies' bytes
_TRIED = frozenset({Outcome.NO_QUORUM, Outcome.UNREADABLE, Outcome.NOT_BYTES, Outcome.BUSY})
_ASKS_NOBODY = frozenset({Outcome.WAITS, Outcome.STOPPED})  # costs nothing to ask again, and is told of otherwise


@dataclass(frozen=True, slots=True)
class _Tried:
    outcome: Outcome
    wait_s: float
    next_s: float


class Retries:
    """See the module."""

    def __init__(self) -> None:
        self._tried: dict[int, _Tried] = {}

    def wait(self, entry: Entry) -> bool:
        """Whether a finding is to be left alone for now."""
        last = self._tried.get(entry.id)
        return last is not None and time.monotonic() < last.next_s

    def news(self, done: Sequence[Repaired]) -> list[Repaired]:
        """Remember how repairs ended; returns those that ended otherwise than the last time."""
        moment_s = time.monotonic()
        self._tried = {number: last for number, last in self._tried.items() if moment_s < last.next_s + _MOST_S}
        new = []
        for one in done:
            last = self._tried.pop(one.finding, None)
            same = last is not None and last.outcome is one.outcome
            if one.outcome in _TRIED:
                wait_s = min(2 * last.wait_s, _MOST_S) if last and same else _FIRST_S
                self._tried[one.finding] = _Tried(one.outcome, wait_s, moment_s + wait_s)
            if not same and one.outcome not in _ASKS_NOBODY:
                new.append(one)
        return new
