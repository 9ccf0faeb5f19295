"""One file on one host: every action on it goes through here, and every attempt is written down.

What a plan means is ``act``'s; here are time limits, the second try after a crash, and the record.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actions.catalog import CATALOG
from actions.contract import Fact, Outcome, Output, Role
from actions.errors import PreservationError, ToolCrashedError, ToolTimeoutError
from worker.pipeline.hosts import Host, Result
from worker.record import AttemptRecord

CRASHES_ALLOWED = 2  # design.md §5: a file that kills hosts twice is set aside
WHY_CHARS = 600  # of a reason in the record: a sentence, not a tool's whole output
ENDED: Mapping[type[PreservationError], str] = {ToolCrashedError: "crashed", ToolTimeoutError: "timeout"}


class StepFailedError(Exception):
    """An action did not give an outcome; the attempt is written down. ``ended``: refused, crashed or timeout."""

    def __init__(self, error: PreservationError, ended: str) -> None:
        super().__init__(str(error))
        self.error, self.ended = error, ended


@dataclass(slots=True)
class Bench:
    """A file in a host, and what was tried with it."""

    host: Host
    source: Path  # the host's link to the original
    size_bytes: int
    attempts: list[AttemptRecord] = field(default_factory=list)
    pages: int = 0
    time_factor: float = 1.0  # of every limit: Settings.time_factor
    _known: dict[str, Result | StepFailedError] = field(default_factory=dict)

    def once(self, action: str, source: Path, params: Mapping[str, Any]) -> Result:
        """As ``step``, but what an earlier rung has done with the same input is not done again: OCR takes minutes."""
        key = json.dumps([action, str(source), params], sort_keys=True, default=str)
        if key not in self._known:
            try:
                self._known[key] = self.step(action, source, params)
            except StepFailedError as no:
                self._known[key] = no
        known = self._known[key]
        if isinstance(known, StepFailedError):
            raise known
        return known

    def step(self, action: str, source: Path, params: Mapping[str, Any], *, record: bool = True) -> Result:
        """Run *action*; a crash is tried once more in a new host.

        Raises:
            StepFailedError: Refused, crashed twice, or ran out of time.
        """
        crashes = 0
        while True:
            started = time.monotonic()
            try:
                result = self.host.call(action, source, params, timeout_s=self._limit_s(action))
            except PreservationError as error:
                ended = ENDED.get(type(error), "refused")
                self._write(started, AttemptRecord(action=action, tool=action, outcome=ended, why=error.what))
                crashes += ended == "crashed"
                if ended == "crashed" and crashes < CRASHES_ALLOWED:
                    continue
                raise StepFailedError(error, ended) from error
            if record:
                outcome = result.outcome
                self._write(started, AttemptRecord(action=action, tool=outcome.tool, outcome="accepted", notes=list(outcome.notes)))
            return result

    def refuse(self, why: str) -> None:
        """The last attempt gave an outcome, and the outcome is not good enough."""
        last = self.attempts[-1]
        last.outcome, last.why = "refused", why[:WHY_CHARS]

    def _write(self, started: float, attempt: AttemptRecord) -> None:
        attempt.seconds = round(time.monotonic() - started, 3)
        attempt.why, attempt.sandbox = attempt.why[:WHY_CHARS], self.host.sandbox
        self.attempts.append(attempt)

    def _limit_s(self, action: str) -> float:
        spec = CATALOG[action]
        limit_s = spec.time_limit_s + spec.time_per_mb_s * self.size_bytes / 1e6 + spec.time_per_page_s * self.pages
        return limit_s * self.time_factor


def main_output(result: Result) -> Output | None:
    """The derivative that a conversion wrote."""
    return next((output for output in result.outcome.outputs if output.role in (Role.PRESERVATION, Role.ACCESS)), None)


def hand_over(result: Result, wanted: frozenset[str]) -> dict[str, Any]:
    """What a conversion measured, for the comparison that asks for it by the same name.

    A fact that names one of the conversion's outputs becomes that file's path.
    """
    outcome: Outcome = result.outcome
    files = _files(outcome)
    found: dict[str, Fact | Path] = {name: value for name, value in outcome.facts.items() if name in wanted}
    return {name: result.folder / value if isinstance(value, str) and value in files else value for name, value in found.items()}


def measured(result: Result) -> dict[str, Fact]:
    """A conversion's facts without those that only name its files."""
    files = _files(result.outcome)
    return {name: value for name, value in result.outcome.facts.items() if value not in files}


def _files(outcome: Outcome) -> list[Fact]:
    return [output.path for output in outcome.outputs]
