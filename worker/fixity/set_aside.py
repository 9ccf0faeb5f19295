"""What a ledger that was set aside knew and no store holds: open findings, and objects that others keep. Told, never taken over.

It was set aside because it is doubted, so nothing is copied from it; but a person must not learn only by chance that a copy was
known to be bad, or that an object is no longer audited.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from worker.ledger.engine import open_read_only
from worker.ledger.schema_fixity import copies, externals, findings
from worker.ledger.transactions import Transactions

_TOLD = 100


def remembered(aside: Path, archive: Path, now_known: Transactions) -> Iterator[str]:
    """One sentence for each thing that the new ledger does not know; and where the old one lies.

    Args:
        aside: The database that was set aside.
        archive: The archive's folder, for the commands that are told.
        now_known: The new ledger's.
    """
    f, c, e = findings.c, copies.c, externals.c
    mine = (f.tenant, f.place, f.object_id, f.path, f.verdict, f.first_seen)
    stmt = sa.select(*mine).where(f.state == "open", f.tenant != "", f.verdict != "unreadable")
    known = now_known.read(lambda db: {tuple(row) for row in db.execute(stmt)})
    lost = [row for row in _rows(aside, stmt.order_by(f.id)) if tuple(row) not in known]
    for row in lost[:_TOLD]:
        yield f"The old ledger had an open finding: {row.verdict}: {row.tenant} {row.place}: {row.object_id} {row.path}"
    if lost:
        yield (
            f"{len(lost):,} open findings of the old ledger are in no history that a store holds. It lies in {aside}."
            " What is still so is found again by `bevara audit run`"
        )
    others = sa.select(c.tenant, c.place, e.key, e.sha256, e.sha512).join(externals, e.copy_id == c.id).order_by(c.id)
    for row in _rows(aside, others):
        digest = f"--sha512 {row.sha512}" if row.sha512 else f"--sha256 {row.sha256}"
        words = shlex.join([str(archive), row.tenant, row.place, row.key])
        yield f"An object that others keep is no longer registered: bevara copies external {words} {digest}"


def _rows(path: Path, stmt: sa.Select[Any]) -> list[sa.Row[Any]]:
    """Nothing, when the file is no ledger, or an older one."""
    engine = open_read_only(path)
    try:
        with engine.connect() as db:
            return list(db.execute(stmt))
    except sa.exc.DBAPIError:
        return []
    finally:
        engine.dispose()
