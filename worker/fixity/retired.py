"""Places that are used no more: from that moment on they owe nothing, and what they owed is taken out of the line.

That a place was retired stands in the ledger first, in one row; taking its copies out, or bringing them back when the place is
used again, may take long, and goes on after a kill. What lies in the place stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

import sqlalchemy as sa

from worker.fixity.copies import AT_ONCE
from worker.ledger import engine as database
from worker.ledger.schema_fixity import HELD, breakers, copies, findings, retirements
from worker.ledger.transactions import Transactions

_PAGE = 1000
_WHY = "its place was retired"
_BACK = "its place is used again"


def retired(transactions: Transactions, tenant: str | None = None) -> dict[tuple[str, str], str]:
    """(tenant, place) that are retired now, and since when."""
    r = retirements.c
    stmt = sa.select(retirements).where(r.ended.is_(None), *(() if tenant is None else (r.tenant == tenant,)))
    return {(row.tenant, row.place): row.since for row in transactions.read(lambda db: db.execute(stmt).all())}


def within(transactions: Transactions, tenant: str, first: str, after: str) -> dict[str, list[tuple[str, str | None]]]:
    """By place: from when to when it was retired, if that touches the days from *first* until before *after*."""
    r, found = retirements.c, dict[str, list[tuple[str, str | None]]]()
    stmt = sa.select(retirements).where(r.tenant == tenant, r.since < after, sa.or_(r.ended.is_(None), r.ended >= first))
    for row in transactions.read(lambda db: db.execute(stmt.order_by(r.since)).all()):
        found.setdefault(row.place, []).append((row.since, row.ended))
    return found


def retire(transactions: Transactions, tenants: Iterable[str], place: str, now: str) -> None:
    """Say that *place* is retired; ``settle`` does what follows."""
    rows = [{"tenant": tenant, "place": place, "since": now} for tenant in tenants]
    if rows:
        transactions.write(lambda db: db.execute(database.insert_or_ignore(transactions.engine, retirements), rows))


def settle(transactions: Transactions, used: Callable[[str], Collection[str]], now: str) -> dict[tuple[str, str], int]:
    """Take what retired places hold out of the line, and bring back what is used again; returns how many copies were moved.

    Args:
        used: Names of a tenant's places. Asked after it was read what is retired: a place that is used by then came back.
    """
    moved = {}
    for tenant, place in retired(transactions):
        if place in used(tenant):
            values = {"state": "held", "due": now, "turn": AT_ONCE, "why": _BACK, "tries": 0}
            number = _move(transactions, tenant, place, "retired", values)
            transactions.write(lambda db, t=tenant, p=place: _end(db, t, p, now))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        else:
            number = _let_go(transactions, tenant, place, now)
        if number:
            moved[tenant, place] = number
    return moved


def _let_go(transactions: Transactions, tenant: str, place: str, now: str) -> int:
    c = copies.c
    held = sa.select(c.id).where(c.tenant == tenant, c.place == place, HELD).limit(1)
    there = transactions.read(lambda db: db.scalar(held)) is not None
    gone = {"state": "retired", "worker": None, "lease_until": None, "cursor": None, "why": _WHY, "wants": None}
    number = _move(transactions, tenant, place, "held", gone) if there else 0
    transactions.write(lambda db: _close(db, tenant, place, now))
    return number


def _move(transactions: Transactions, tenant: str, place: str, state: str, values: dict[str, Any]) -> int:
    """Change a place's copies that are so, a page at a time."""
    c, after, moved = copies.c, "", 0
    while True:
        page = sa.select(c.object_id).where(c.tenant == tenant, c.place == place, c.state == state, c.object_id > after)
        names = transactions.read(lambda db, page=page: list(db.scalars(page.order_by(c.object_id).limit(_PAGE))))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        if not names:
            return moved
        mine = (c.tenant == tenant, c.place == place, c.state == state, c.object_id.in_(names))
        after = names[-1]
        moved += transactions.write(lambda db, mine=mine: int(db.execute(sa.update(copies).where(*mine).values(values)).rowcount))  # type: ignore[misc]  # as above


def _close(db: sa.Connection, tenant: str, place: str, now: str) -> None:
    """What was wanted there is not made, what is open there is told no more, and no breaker waits for a person."""
    c, f, b = copies.c, findings.c, breakers.c
    db.execute(sa.delete(copies).where(c.tenant == tenant, c.place == place, c.wants.is_not(None), c.state == "wanted"))
    still = sa.update(findings).where(f.tenant == tenant, f.place == place, f.state == "open")
    db.execute(still.values(state="vanished", ended=now, remedy=_WHY))
    stopped = sa.update(breakers).where(b.tenant == tenant, b.place == place, b.cleared.is_(None))
    db.execute(stopped.values(cleared=now, cleared_by=_WHY))


def _end(db: sa.Connection, tenant: str, place: str, now: str) -> None:
    r = retirements.c
    db.execute(sa.update(retirements).where(r.tenant == tenant, r.place == place, r.ended.is_(None)).values(ended=now))
