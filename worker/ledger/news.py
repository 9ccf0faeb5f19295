"""What was committed and the auditor has not seen yet: one row a package, put there by the transaction that raises its version.

So that whoever looks for what is new reads what is new, and not the archive. What is done about it is ``worker.fixity``'s; a row
that were lost for all that is found by ``worker.fixity.sweep``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from worker.ledger import engine as database
from worker.ledger.schema import packages
from worker.ledger.schema_fixity import news


@dataclass(frozen=True, slots=True)
class News:
    """A package that has a version which the auditor was not told of before. ``object_id`` None: no version is left of it."""

    package_id: int
    version: int
    object_id: str | None


def announce(db: sa.Connection, package_key: int, version: int) -> None:
    """Say that a package has *version* now; inside the transaction that says so of the package."""
    row = sa.select(packages.c.id, packages.c.tenant, sa.literal(version)).where(packages.c.id == package_key)
    db.execute(database.insert_or_replace(db.engine, news).from_select(["package_id", "tenant", "version"], row))


def some(db: sa.Connection, tenant: str, *, after: int, limit: int) -> list[News]:
    """A tenant's news in the order of its packages' numbers."""
    n, p = news.c, packages.c
    name = sa.case((p.version > 0, p.object_id)).label("object_id")
    stmt = sa.select(n.package_id, n.version, name).join_from(news, packages, p.id == n.package_id)
    rows = db.execute(stmt.where(n.tenant == tenant, n.package_id > after).order_by(n.package_id).limit(limit))
    return [News(*row) for row in rows]


def seen(db: sa.Connection, some: Sequence[News]) -> None:
    """Forget news that were seen to, unless newer ones have come meanwhile."""
    rows = [{"number": one.package_id, "known": one.version} for one in some]
    stmt = sa.delete(news).where(news.c.package_id == sa.bindparam("number"), news.c.version <= sa.bindparam("known"))
    if rows:
        db.execute(stmt, rows)
