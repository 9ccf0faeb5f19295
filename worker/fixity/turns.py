"""One round of reading in the service: copies whose turn it is, store by store, within windows and the day's budgets.

``Auditor.run`` reads until nothing is left; here a round ends after a while, so that the auditor's other duties come to their
turn. What one reading is stays ``Auditor.audit``'s.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import sqlalchemy as sa

from worker.fixity.auditor import LEASE_S, Auditor
from worker.fixity.copies import Copy
from worker.fixity.known import Reading
from worker.fixity.rules import Rules
from worker.ledger.schema_fixity import readings
from worker.ledger.transactions import Transactions

PIECE_BYTES = 8 << 30  # after so much a large object is laid aside for a moment, where it can go on without loss
Told = Callable[[Copy, Reading, list[int]], None]


class Turns:
    """See the module. A run's bound (``Rules.bytes_per_run``) is a day's here: UTC, and kept over restarts by the ledger."""

    def __init__(self, transactions: Transactions, rules: Callable[[str, str], Rules]) -> None:
        self._tx, self._rules = transactions, rules
        self._day, self._spent = "", dict[tuple[str, str], int]()
        self._last: tuple[str, str] = ("", "")

    def round(self, auditor: Auditor, *, seconds: float, stop: Callable[[], bool], told: Told) -> int:
        """Read until nothing is due, or *seconds* have passed; returns how many copies were taken.

        Args:
            told: Called after each, with the numbers of new findings.
        """
        ends, taken, left = time.monotonic() + seconds, 0, self._in_turn(auditor)
        while left and not stop() and time.monotonic() < ends:
            key = left.pop(0)
            allowed = self._allowed(*key)
            copies = auditor.copies.claim(*key, auditor.name, auditor.clock.now(), lease_s=LEASE_S) if allowed else []
            if not copies:
                continue
            left.append(key)
            self._last = key
            reading, new = auditor.audit(copies[0], allowed)
            self._spent[key] = self._spent.get(key, 0) + reading.spent_bytes
            taken += 1
            told(copies[0], reading, new)
        return taken

    def _in_turn(self, auditor: Auditor) -> list[tuple[str, str]]:
        """The stores, beginning behind the one that was read last: one that always has work must not starve the others."""
        names = sorted(auditor.places)
        return [key for key in names if key > self._last] + [key for key in names if key <= self._last]

    def _allowed(self, tenant: str, place: str) -> int:
        """How many bytes may be read of it now; 0: none."""
        rules = self._rules(tenant, place)
        if not rules.open_at(datetime.now().astimezone()):
            return 0
        if not rules.bytes_per_run:
            return PIECE_BYTES
        return max(0, min(PIECE_BYTES, rules.bytes_per_run - self._today(tenant, place)))

    def _today(self, tenant: str, place: str) -> int:
        day = datetime.now(UTC).date().isoformat()
        if day != self._day:
            self._day, self._spent = day, {}
        if (tenant, place) not in self._spent:
            r = readings.c
            stmt = sa.select(r.size_bytes).where(r.tenant == tenant, r.place == place, r.day == day)
            self._spent[tenant, place] = int(self._tx.read(lambda db: db.scalar(stmt)) or 0)
        return self._spent[tenant, place]
