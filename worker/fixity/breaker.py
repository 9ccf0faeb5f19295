"""Stops all repair of a place that is sick as a whole: then it is the store, a controller or a person, not the files.

Trips by itself, and is cleared by a person only.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from worker.fixity.rules import DAY_S, Rules
from worker.fixity.verdicts import BAD
from worker.ledger import engine as database
from worker.ledger.clock import later
from worker.ledger.schema_fixity import breakers, copies, findings
from worker.ledger.transactions import Transactions

_RECENT_S = 7 * DAY_S
_ENOUGH = 20  # copies that must have been read before a share of them says anything
_FEW = 2  # bad objects are no sickness of a store, whatever the share
_MANY_FILES = 20  # bad ones in few objects: fewer are no sickness either


@dataclass(frozen=True, slots=True)
class Tripped:
    """A breaker that stands open."""

    tenant: str
    place: str
    since: str
    why: str


class Breaker:
    """See the module."""

    def __init__(self, transactions: Transactions) -> None:
        self._tx = transactions

    def check(self, tenant: str, place: str, rules: Rules, now: str, *, dry: bool = False) -> Tripped | None:
        """Whether repair of this place is stopped; trips it when it must be, unless it is only asked (*dry*)."""
        if dry:
            return self._tx.read(lambda db: self._check(db, tenant, place, rules, now))
        return self._tx.write(lambda db: self._trip(db, self._check(db, tenant, place, rules, now)))

    def _trip(self, db: sa.Connection, found: Tripped | None) -> Tripped | None:
        if found is not None:
            values = {"tenant": found.tenant, "place": found.place, "since": found.since, "why": found.why}
            new = values | {"cleared": None, "cleared_by": None}
            db.execute(database.insert_or_replace(self._tx.engine, breakers), new)
        return found

    def _check(self, db: sa.Connection, tenant: str, place: str, rules: Rules, now: str) -> Tripped | None:
        b, f, c = breakers.c, findings.c, copies.c
        row = db.execute(sa.select(breakers).where(b.tenant == tenant, b.place == place)).one_or_none()
        if row is not None and row.cleared is None:
            return Tripped(tenant, place, row.since, row.why)
        since = max(later(now, -_RECENT_S), row.cleared if row is not None else "")
        mine = (
            f.tenant == tenant,
            f.place == place,
            f.verdict.in_([verdict.value for verdict in BAD]),
            f.about == "bytes",
            f.first_seen > since,
        )
        bad = db.execute(sa.select(sa.func.count(f.object_id.distinct()), sa.func.count()).where(*mine)).one()
        counted = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(c.files), 0))
        read = db.execute(counted.where(c.tenant == tenant, c.place == place, c.last_checked > since)).one()
        (objects, files), (total, all_files) = bad, (int(read[0]), int(read[1]))
        too_many = objects > rules.breaker_objects
        too_large = total >= _ENOUGH and objects > _FEW and objects > rules.breaker_share * total
        # A sick store shows in few objects, too, where they hold many files.
        too_full = files > _MANY_FILES and files > rules.breaker_share * all_files
        if not (too_many or too_large or too_full):
            return None
        what = f"{objects} of {total} objects" if too_many or too_large else f"{files} of {all_files} files"
        return Tripped(tenant, place, now, f"{what} that were read within a week are bad: the store is sick, not its files")

    def clear(self, tenant: str, place: str, who: str, now: str) -> bool:
        """A person has looked at the store: repair may go on. What was found until now does not count again."""
        b = breakers.c
        stmt = sa.update(breakers).where(b.tenant == tenant, b.place == place, b.cleared.is_(None))
        return bool(self._tx.write(lambda db: db.execute(stmt.values(cleared=now, cleared_by=who)).rowcount))

    def tripped(self) -> list[Tripped]:
        """All that stand open."""
        stmt = sa.select(breakers).where(breakers.c.cleared.is_(None))
        return [Tripped(r.tenant, r.place, r.since, r.why) for r in self._tx.read(lambda db: db.execute(stmt).all())]
