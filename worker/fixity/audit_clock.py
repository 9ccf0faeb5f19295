"""The audit's time: this machine's clock, distrusted. What was ever seen is kept, so that a clock that went back shows.

Moved back, a clock would quietly put every deadline off. Then whatever was due by the time seen before, and whatever claims
to have been read in what is now the future, is read at once, and the fact is recorded.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from worker.fixity.copies import AT_ONCE
from worker.ledger import engine as database
from worker.ledger.clock import later, seconds_between
from worker.ledger.events import now as machine_now
from worker.ledger.schema_fixity import clocks, copies
from worker.ledger.transactions import Transactions

CLOCK_BACK = "the clock went back"
"""``copies.why`` of a copy that it puts in doubt."""
_NAME = "audit"
_DAY_S = 86_400.0
_TOLERATED_S = 300.0  # what NTP and two machines may differ by


class AuditClock:
    """See the module.

    Args:
        machine: The clock; given by tests.
    """

    def __init__(self, transactions: Transactions, machine: Callable[[], str] = machine_now) -> None:
        self._tx, self._machine = transactions, machine

    def now(self) -> str:
        """The time, without a look back."""
        return self._machine()

    def check(self) -> str | None:
        """Compare with the latest time seen; a sentence when the clock went back, and copies were brought forward for it."""
        return self._tx.write(self._check)

    def _check(self, db: sa.Connection) -> str | None:
        now = self._machine()
        seen = db.scalar(sa.select(clocks.c.seen).where(clocks.c.name == _NAME))
        if seen is None:
            db.execute(database.insert_or_ignore(self._tx.engine, clocks), {"name": _NAME, "seen": now})
            return None
        back_s = seconds_between(now, seen)
        if back_s <= _TOLERATED_S:
            if now > seen:
                db.execute(sa.update(clocks).where(clocks.c.name == _NAME).values(seen=now))
            return None
        c = copies.c
        doubted = sa.or_(c.due <= seen, c.last_checked > later(now, _TOLERATED_S))
        if back_s > _DAY_S:  # one that was never read has a deadline that was counted from a later now
            doubted = sa.or_(doubted, c.last_checked.is_(None))
        moved = db.execute(sa.update(copies).where(c.state == "held", doubted).values(turn=AT_ONCE, why=CLOCK_BACK)).rowcount
        db.execute(sa.update(clocks).where(clocks.c.name == _NAME).values(seen=now))
        return (
            f"the clock of this machine went back by {back_s / _DAY_S:.1f} days, from {seen} to {now}:"
            f" {moved} copies whose deadline or last reading it puts in doubt are read at once"
        )
