"""What the auditor must learn of by itself: packages that were committed since, new versions, and evidence that was signed.

A new package is noted as held by its tenant's primary store and as wanted by the others. What a job has just committed, new or
a new version, comes to the front of the line: it is read again soon, and not only by whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from worker.fixity.auditor import Auditor
from worker.fixity.copies import AT_ONCE
from worker.fixity.replicate import register
from worker.fixity.rules import Rules
from worker.ledger.schema import packages
from worker.ledger.schema_fixity import copies
from worker.ledger.transactions import Transactions

_NEW_PACKAGE = "a package was committed"
_AT_ONCE = 500  # names in one statement
_NEW_VERSION = "a new version was committed"


class Arrivals:
    """See the module. Looks at what came since it looked last; at everything the first time, and when stores were added."""

    def __init__(self, transactions: Transactions) -> None:
        self._tx = transactions
        self._seen: dict[str, int] = {}
        self._open: dict[str, set[int]] = {}

    def forget(self) -> None:
        """Look at everything anew."""
        self._seen, self._open = {}, {}

    def look(self, auditor: Auditor, tenant: str, primary: str, rules: Rules) -> int:
        """Note what came; returns how many copies were new."""
        first = tenant not in self._seen
        found = self._new(tenant)
        new = register(auditor, tenant, primary, iter(found), rules)
        c = copies.c
        if not first and found:  # what was there before is spread over the interval
            for names in batched(found):
                mine = (c.tenant == tenant, c.place == primary, c.object_id.in_(names), c.last_checked.is_(None))
                auditor.copies.forward(_NEW_PACKAGE, *mine)
        self._forward(tenant, primary)
        return new

    def _new(self, tenant: str) -> list[str]:
        """Objects that have a first version now, of packages behind the last one seen, and of those that had none then."""
        p, seen, still = packages.c, self._seen.get(tenant, 0), self._open.get(tenant, set())
        behind = sa.or_(p.id > seen, p.id.in_(sorted(still))) if still else p.id > seen
        stmt = sa.select(p.id, p.object_id, p.version).where(p.tenant == tenant, behind).order_by(p.id)
        found = []
        for row in self._tx.stream(stmt):
            seen = max(seen, row.id)
            if row.version:
                found.append(row.object_id)
                still.discard(row.id)
            else:
                still.add(row.id)
        self._seen[tenant], self._open[tenant] = seen, still
        return found

    def _forward(self, tenant: str, primary: str) -> None:
        c, p = copies.c, packages.c
        newer = sa.exists(sa.select(1).where(p.object_id == c.object_id, p.version > c.version))
        mine = (c.tenant == tenant, c.place == primary, c.kind == "object", c.state == "held", c.version > 0, c.turn != AT_ONCE)
        moved = sa.update(copies).where(*mine, newer).values(turn=AT_ONCE, why=_NEW_VERSION)
        self._tx.write(lambda db: db.execute(moved))


def batched(names: list[str]) -> Iterator[list[str]]:
    """*names* a few at a time."""
    for begin in range(0, len(names), _AT_ONCE):
        yield names[begin : begin + _AT_ONCE]


def note_everywhere(auditor: Auditor, tenant: str, object_ids: Iterator[str], rules: Rules) -> None:
    """Note objects that every store of the tenant was given at once."""
    names, now = list(object_ids), auditor.clock.now()
    for owner, place in auditor.places:
        if owner == tenant and names:
            auditor.copies.note(tenant, place, [(name, "held") for name in names], now=now, rules=rules)
