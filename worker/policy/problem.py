"""What is wrong with a policy, said so that an officer can mend it: file, line, what, what to do.

A policy's errors are collected and shown together: one run of ``bevara policy check`` is one round
of mending. Nothing here knows what a policy means.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from actions.errors import PermanentError


class Severity(StrEnum):
    """An error stops the policy from loading; a warning is shown and the policy loads."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong. ``line`` is 1-based; 0: the file as a whole."""

    file: str
    line: int
    what: str
    remedy: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        mark = "warning: " if self.severity is Severity.WARNING else ""
        return f"{self.file}:{self.line}: {mark}{self.what}. {self.remedy}"


class PolicyError(PermanentError):
    """A policy cannot be used; ``problems`` holds every reason, in the order of the file."""

    code = "policy"

    def __init__(self, subject: str, problems: Sequence[Problem]) -> None:
        errors = [problem for problem in problems if problem.severity is Severity.ERROR]
        super().__init__(f"{len(errors)} error(s) in the policy", subject, "Mend the lines named below and load it again.")
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join([PermanentError.__str__(self), *map(str, self.problems)])


def suggest(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return "Did you mean 'x'?" for the nearest known word, else the known words themselves.

    Args:
        word: What was written.
        known: What could have been written.
        otherwise: The remedy when nothing is near; default: a list of the known words.
    """
    choices = sorted(known)
    lowered = {choice.lower(): choice for choice in choices}
    near = get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    if near:
        return f"Did you mean '{lowered[near[0]]}'?"
    return otherwise or f"Known: {', '.join(choices) or 'none'}."
