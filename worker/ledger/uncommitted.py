"""What the ledger holds and no committed version carries: rows whose ``version`` is NULL.

Every function runs inside its caller's transaction, which is ``Ledger``'s matter.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import sqlalchemy as sa

from worker.ledger import news
from worker.ledger.facts import TaskState
from worker.ledger.schema import contents, entries, events, packages, tasks


def exists(db: sa.Connection, package_key: int) -> bool:
    """Whether the package has news."""
    return any(
        db.execute(sa.select(table.c.package_id).where(*_of(table, package_key)).limit(1)).first() for table in (events, entries)
    )


def forget_dropped(db: sa.Connection, package_key: int) -> None:
    """Let go of what the store's commit dropped: entries that were superseded, and the draft's content that no entry names."""
    db.execute(sa.delete(entries).where(*_of(entries, package_key), entries.c.dropped.is_(True)))
    named = sa.select(entries.c.sha512).where(*_of(entries, package_key))
    db.execute(sa.delete(contents).where(*_of(contents, package_key), contents.c.sha512.not_in(named)))


def place(db: sa.Connection, package_key: int, places: Sequence[tuple[str, str]]) -> None:
    """Say where the draft's content lies; *places* are (SHA-512, content path)."""
    stmt = sa.update(contents).where(*_of(contents, package_key), contents.c.sha512 == sa.bindparam("digest"))
    db.execute(stmt.values(content_path=sa.bindparam("place")), [{"digest": sha512, "place": path} for sha512, path in places])


def newest_time(db: sa.Connection, package_key: int) -> str | None:
    """When the newest event happened that no version carries."""
    stmt = sa.select(events.c.body).where(*_of(events, package_key)).order_by(events.c.seq.desc()).limit(1)
    body = db.scalar(stmt)
    return str(json.loads(body)["time"]) if body else None


def carry(db: sa.Connection, package_key: int, version: int) -> None:
    """Say of everything that *version* carries it, and of the package that it is at *version*."""
    for table in (events, entries, contents):
        db.execute(sa.update(table).where(*_of(table, package_key)).values(version=version))
    db.execute(sa.update(tasks).where(*_of(tasks, package_key), tasks.c.state == TaskState.DONE).values(version=version))
    db.execute(sa.update(packages).where(packages.c.id == package_key).values(version=version))
    news.announce(db, package_key, version)


def _of(table: sa.Table, package_key: int) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return table.c.package_id == package_key, table.c.version.is_(None)
