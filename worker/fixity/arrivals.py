"""What the auditor must learn of by itself: packages that were committed since, new versions, and evidence that was signed.

A new package is noted as held by its tenant's primary store and as wanted by the others. What a job has just committed, new or
a new version, comes to the front of the line: it is read again soon, and not only by whoever wrote it. What nobody told of is
found by ``sweep``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from worker.fixity.auditor import Auditor
from worker.fixity.copies import AT_ONCE
from worker.fixity.replicate import register
from worker.fixity.rules import Rules
from worker.fixity.sweep import Sweep, newer, stores_of, want
from worker.ledger import news
from worker.ledger.schema_fixity import copies
from worker.ledger.transactions import Transactions

_AT_ONCE = 500  # names in one statement
_NEW_PACKAGE, _NEW_VERSION = "a package was committed", "a new version was committed"


class Arrivals:
    """See the module. Holds nothing: what was not seen to stands in the ledger, and several may look at once."""

    def __init__(self, transactions: Transactions) -> None:
        self._tx, self._sweep = transactions, Sweep(transactions)

    def look(self, auditor: Auditor, tenant: str, primary: str, rules: Rules) -> int:
        """Note what came, and go on with the slow round; returns how many copies were new."""
        new = self._sweep.go_on(auditor, tenant, primary, rules)
        return new + self._news(auditor, tenant, primary, rules)

    def _news(self, auditor: Auditor, tenant: str, primary: str, rules: Rules) -> int:
        new, after, places = 0, 0, stores_of(auditor, tenant, primary)
        while some := self._tx.read(lambda db, after=after: news.some(db, tenant, after=after, limit=_AT_ONCE)):  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            after = some[-1].package_id
            new += register(auditor, tenant, primary, (one.object_id for one in some if one.object_id), rules)
            self._tx.write(lambda db, some=some: _see_to(db, tenant, places, some, self._tx.clock.now()))  # type: ignore[misc]  # as above
        return new


def _see_to(db: sa.Connection, tenant: str, places: Sequence[str], some: Sequence[news.News], now: sa.ColumnElement[str]) -> None:
    """Bring them to where they are read or copied. One that is being read waits: it may be the version before that is read.

    Args:
        places: The primary first.
    """
    c, names = copies.c, [one.object_id for one in some if one.object_id]
    mine = (c.tenant == tenant, c.place == places[0], c.object_id.in_(names), c.state == "held")
    in_hand = set(db.scalars(sa.select(c.object_id).where(*mine, c.lease_until >= now)))
    # what could not be read has its next try set already
    lined_up = sa.update(copies).where(*mine, c.object_id.not_in(in_hand), newer(), c.tries == 0)
    db.execute(lined_up.values(turn=AT_ONCE, why=sa.case((c.version == 0, _NEW_PACKAGE), else_=_NEW_VERSION)))
    want(db, tenant, places[1:], names)
    news.seen(db, [one for one in some if one.object_id not in in_hand])


def note_everywhere(auditor: Auditor, tenant: str, object_ids: Iterator[str], rules: Rules) -> None:
    """Note objects that every store of the tenant was given at once."""
    names, now = list(object_ids), auditor.clock.now()
    for owner, place in auditor.places:
        if owner == tenant and names:
            auditor.copies.note(tenant, place, [(name, "held") for name in names], now=now, rules=rules)
