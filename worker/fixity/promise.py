"""Holds deadlines to the promise of today: an interval that was made shorter binds copies that were read under the longer one.

A longer interval changes nothing of a deadline that stands: it was promised, and the next reading sets the new one.
"""

from __future__ import annotations

import sqlalchemy as sa

from worker.fixity.copies import AT_ONCE
from worker.fixity.rules import Rules, due_after, first_turn, turn_after
from worker.ledger import engine as database
from worker.ledger.schema_fixity import clocks, copies
from worker.ledger.transactions import Transactions

_PAGE = 1000


def keep(transactions: Transactions, tenant: str, place: str, rules: Rules, now: str) -> int:
    """Bring a place's deadlines forward when its interval is another than the last time; returns how many moved.

    Goes through all of the place's copies then, and through none of them otherwise.
    """
    name, promised = f"interval {tenant} {place}", f"{rules.interval_days:.15g} days"[:24]
    k = clocks.c
    if transactions.read(lambda db: db.scalar(sa.select(k.seen).where(k.name == name))) == promised:
        return 0
    moved = after = 0
    while rows := transactions.read(lambda db, after=after: db.execute(_page(tenant, place, after)).all()):  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        after = rows[-1].id
        nearer = [one for row in rows if (one := _nearer(row, rules, now))]
        moved += len(nearer)
        if nearer:
            transactions.write(lambda db, nearer=nearer: db.execute(_MOVE, nearer))  # type: ignore[misc]  # as above
    row = {"name": name, "seen": promised}
    transactions.write(lambda db: db.execute(database.insert_or_replace(transactions.engine, clocks), row))
    return moved


def _page(tenant: str, place: str, after: int) -> sa.Select[tuple[object, ...]]:
    c = copies.c
    mine = (c.tenant == tenant, c.place == place, c.state == "held", c.id > after)
    return sa.select(c.id, c.object_id, c.due, c.turn, c.last_checked, c.tenant, c.place).where(*mine).order_by(c.id).limit(_PAGE)


def _nearer(row: sa.Row[tuple[object, ...]], rules: Rules, now: str) -> dict[str, object] | None:
    """New deadline and turn of a copy, where the deadline comes nearer; a copy that is at the front of the line stays there."""
    key = f"{row.tenant}\n{row.place}\n{row.object_id}"
    due = due_after(row.last_checked or now, rules)
    if due >= row.due:
        return None
    turn = turn_after(row.last_checked, rules, key) if row.last_checked else first_turn(now, rules, key)
    return {"number": row.id, "was": row.due, "to": due, "line": AT_ONCE if row.turn == AT_ONCE else min(turn, row.turn)}


_MOVE = (
    sa.update(copies)
    .where(copies.c.id == sa.bindparam("number"), copies.c.due == sa.bindparam("was"))  # not one that was read meanwhile
    .values(due=sa.bindparam("to"), turn=sa.bindparam("line"))
)
