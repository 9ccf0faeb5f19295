"""The slow round over all packages of a tenant: it registers copies that nobody told of, and finds those that fell behind.

News tell of what is committed (``worker.ledger.news``), so that this need not hurry: a bounded piece each time, from where the
last one ended, which the ledger remembers. It does hurry until it has once gone over all packages with the stores that there
are now: a store that was added is filled soon.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from worker.fixity.auditor import Auditor
from worker.fixity.copies import AT_ONCE
from worker.fixity.replicate import register
from worker.fixity.rules import Rules
from worker.fixity.verdicts import Verdict
from worker.ledger import engine as database
from worker.ledger.schema import packages
from worker.ledger.schema_fixity import copies, news, sweeps
from worker.ledger.transactions import Transactions

PAGE = 500
PIECE = 10  # pages a time: 10,000,000 packages in 9 hours of a look every 15 s
HURRY_S = 20.0
_FELL_BEHIND = "it holds an older version than the package has"


class Sweep:
    """See the module."""

    def __init__(self, transactions: Transactions) -> None:
        self._tx = transactions

    def go_on(self, auditor: Auditor, tenant: str, primary: str, rules: Rules) -> int:
        """Do a piece of the round; returns how many copies were new."""
        stores = json.dumps(stores_of(auditor, tenant, primary))
        after, hurries = self._tx.write(lambda db: self._begin(db, tenant, stores))
        new, pages, until_s = 0, 0, time.monotonic() + HURRY_S
        while (time.monotonic() < until_s) if hurries else (pages < PIECE):
            pages += 1
            last, fresh = self._page(auditor, tenant, primary, rules, after)
            new, after = new + fresh, last or 0
            self._tx.write(lambda db, after=after: _keep(db, tenant, stores, after))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            if not after:
                break
        return new

    def whole(self, auditor: Auditor, tenant: str, primary: str, rules: Rules) -> int:
        """A round of its own over everything, now; returns how many copies were new."""
        last, new = self._page(auditor, tenant, primary, rules, 0)
        while last is not None:
            last, fresh = self._page(auditor, tenant, primary, rules, last)
            new += fresh
        return new

    def _begin(self, db: sa.Connection, tenant: str, stores: str) -> tuple[int, bool]:
        """Where to go on, and whether in a hurry."""
        s = sweeps.c
        row = db.execute(sa.select(sweeps).where(s.tenant == tenant).with_for_update()).one_or_none()
        if row is None:  # what was there before the first look is spread over the interval, news or not
            db.execute(sa.delete(news).where(news.c.tenant == tenant))
            db.execute(database.insert_or_ignore(self._tx.engine, sweeps), {"tenant": tenant, "after": 0, "stores": stores})
            return 0, True
        if row.stores != stores:
            db.execute(sa.update(sweeps).where(s.tenant == tenant).values(after=0, stores=stores))
            return 0, True
        return row.after, row.done != stores

    def _page(self, auditor: Auditor, tenant: str, primary: str, rules: Rules, after: int) -> tuple[int | None, int]:
        """The last number of the page, None: there was none; and how many copies were new."""
        p, names = packages.c, stores_of(auditor, tenant, primary)
        stmt = sa.select(p.id, p.object_id, p.version).where(p.tenant == tenant, p.id > after).order_by(p.id).limit(PAGE)
        rows = self._tx.read(lambda db: db.execute(stmt).all())
        if not rows:
            return None, 0 if after else register(auditor, tenant, primary, iter(()), rules)
        heads = {row.object_id: row.version for row in rows if row.version}
        known = self._known(tenant, names, list(heads))
        missing = [name for name in heads if any((name, place) not in known for place in names)]
        new = register(auditor, tenant, primary, iter(missing), rules) if missing or not after else 0
        behind = {name for (name, _), version in known.items() if 0 < version < heads[name]}
        if behind:
            self._tx.write(lambda db: _bring(db, tenant, names, sorted(behind)))
        return rows[-1].id, new

    def _known(self, tenant: str, places: Sequence[str], names: Sequence[str]) -> dict[tuple[str, str], int]:
        c = copies.c
        stmt = sa.select(c.object_id, c.place, c.version).where(c.tenant == tenant, c.place.in_(places), c.object_id.in_(names))
        return {(row.object_id, row.place): row.version for row in self._tx.read(lambda db: db.execute(stmt).all())}


def newer() -> sa.ColumnElement[bool]:
    """Of a copy: the package has a newer version."""
    return sa.exists(sa.select(1).where(packages.c.object_id == copies.c.object_id, packages.c.version > copies.c.version))


def want(db: sa.Connection, tenant: str, places: Sequence[str], names: Sequence[str]) -> None:
    """Say of these objects' copies in *places*, without the primary, which version they lack, if they do."""
    c = copies.c
    head = sa.select(packages.c.version).where(packages.c.object_id == c.object_id).scalar_subquery()
    mine = sa.update(copies).where(c.tenant == tenant, c.place.in_(places), c.object_id.in_(names), c.state == "held")
    db.execute(mine.where(newer()).values(wants=head))


def _bring(db: sa.Connection, tenant: str, places: Sequence[str], names: Sequence[str]) -> None:
    """What was read and found bad is told already, and is not read again and again for it."""
    c = copies.c
    mine = (c.tenant == tenant, c.place == places[0], c.object_id.in_(names), c.state == "held", c.turn != AT_ONCE, c.tries == 0)
    sound = sa.or_(c.last_verdict.is_(None), c.last_verdict == Verdict.OK.value)
    db.execute(sa.update(copies).where(*mine, sound, newer()).values(turn=AT_ONCE, why=_FELL_BEHIND))
    want(db, tenant, places[1:], names)


def _keep(db: sa.Connection, tenant: str, stores: str, after: int) -> None:
    s = sweeps.c
    values: dict[str, Any] = {"after": after} if after else {"after": 0, "done": stores}
    db.execute(sa.update(sweeps).where(s.tenant == tenant, s.stores == stores).values(values))


def stores_of(auditor: Auditor, tenant: str, primary: str) -> list[str]:
    """A tenant's stores, the primary first."""
    return [primary, *sorted(place for owner, place in auditor.places if owner == tenant and place != primary)]
