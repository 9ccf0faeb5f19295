"""What a reading of one copy can find. Data: a fault never stops a reading, and nothing here decides what is done about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What was found. *Unreadable* says nothing about the bytes, and is never taken for *mismatch*."""

    OK = "ok"
    MISMATCH = "mismatch"
    MISSING = "missing"
    UNEXPECTED = "unexpected"
    UNREADABLE = "unreadable"
    OVERDUE = "overdue"


BAD = frozenset({Verdict.MISMATCH, Verdict.MISSING, Verdict.UNEXPECTED})
"""Verdicts about the bytes themselves: believed only after a second reading over a new connection."""

_ORDER = (Verdict.MISMATCH, Verdict.MISSING, Verdict.UNEXPECTED, Verdict.UNREADABLE, Verdict.OVERDUE, Verdict.OK)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing in one copy that is not as it must be.

    Attributes:
        path: Below the object's folder; "" for the object as a whole.
        detail: A sentence, without names or content of records (promise P7): it goes into logs and callbacks.
        expected: SHA-512 (or SHA-256, of an external object) that belongs there; None: it is not known, or nothing belongs there.
        found: The digest that was read.
        about: ``bytes``: this copy's bytes; ``ledger``, ``premis``: it differs from the inventory, whose bytes are right;
            ``unstable``: two readings differed, which leaves it unread; ``clock``: this machine's clock went back.
    """

    path: str
    verdict: Verdict
    detail: str
    expected: str | None = None
    found: str | None = None
    about: str = "bytes"


def worst(faults: list[Fault]) -> Verdict:
    """The verdict of a copy as a whole."""
    found = {fault.verdict for fault in faults}
    return next((verdict for verdict in _ORDER if verdict in found), Verdict.OK)
