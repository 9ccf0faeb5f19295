"""How every store stood at the end of each day, kept for reports: a copy itself tells of its last reading only.

The newest state of a day takes the place of the day's earlier ones, so that what stands at last is the day's end, or nearly.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from worker.fixity.copies import Copies, PlaceState
from worker.fixity.rules import Rules
from worker.ledger import engine as database
from worker.ledger.schema_fixity import copies, coverage
from worker.ledger.transactions import Transactions


@dataclass(frozen=True, slots=True)
class Standing:
    """How a store stood.

    Attributes:
        at: When.
        state: ``overdue`` counts to the end of the day that was asked for.
        interval_days: What was promised then.
        checked: Copies by the day of their last full reading; "": never.
    """

    at: str
    state: PlaceState
    interval_days: float
    checked: Mapping[str, int]


def keep(transactions: Transactions, tenant: str, now: str, rules: Callable[[str], Rules]) -> None:
    """Keep how each of the tenant's stores stands now. Reads all of its copies' rows: not for every round."""
    for state in Copies(transactions).states(now, tenant):
        row: dict[str, Any] = {"tenant": tenant, "place": state.place, "day": now[:10], "at": now}
        row |= {"held": state.held, "wanted": state.wanted, "size_bytes": state.size_bytes, "never": state.never}
        row |= {"oldest": state.oldest, "interval_days": rules(state.place).interval_days}
        for name, column in (("checked", copies.c.last_checked), ("due", copies.c.due)):
            row[name] = json.dumps(by_day(transactions, tenant, state.place, column), sort_keys=True)
        insert = database.insert_or_replace(transactions.engine, coverage, coverage.c.at <= now)
        transactions.write(lambda db, insert=insert, row=row: db.execute(insert, row))  # type: ignore[misc]  # mypy cannot infer a lambda with a default


def by_day(transactions: Transactions, tenant: str, place: str, column: sa.Column[str]) -> dict[str, int]:
    """Held copies of a store by the day of one of their times; "": of those that have none."""
    c = copies.c
    day = sa.func.substr(sa.func.coalesce(column, ""), 1, 10).label("day")
    mine = sa.select(day, sa.func.count().label("number")).where(c.tenant == tenant, c.place == place, c.state == "held")
    rows = transactions.read(lambda db: db.execute(mine.group_by(sa.text("day"))).all())
    return {row.day: row.number for row in rows}


def standing(transactions: Transactions, tenant: str, place: str, day: str) -> Standing | None:
    """The state of a store at the end of *day*, or the newest one before; None: none was kept."""
    k = coverage.c
    stmt = sa.select(coverage).where(k.tenant == tenant, k.place == place, k.day <= day).order_by(k.day.desc()).limit(1)
    row = transactions.read(lambda db: db.execute(stmt).one_or_none())
    if row is None:
        return None
    overdue = sum(number for until, number in json.loads(row.due).items() if until <= day)
    state = PlaceState(tenant, place, row.held, row.wanted, row.size_bytes, overdue, row.never, row.oldest)
    return Standing(row.at, state, row.interval_days, json.loads(row.checked))


def places(transactions: Transactions, tenant: str, day: str) -> set[str]:
    """Stores that a state was kept of, up to *day*."""
    k = coverage.c
    stmt = sa.select(k.place).distinct().where(k.tenant == tenant, k.day <= day)
    return transactions.read(lambda db: set(db.scalars(stmt)))
