"""What the ledger knows of objects by itself: inventories, parts of large content, and which version a package is at.

Learnt when a version is committed, or from a reading in which bytes, ledger and PREMIS agreed; never overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from worker.fixity.known import Known, KnownInventory, Reading
from worker.ledger import engine as database
from worker.ledger.facts import UNFINISHED
from worker.ledger.schema import jobs, packages
from worker.ledger.schema_fixity import inventories, ranges
from worker.ledger.transactions import Transactions

_COMMIT = "commit"  # what ``inventories.known_by`` says of one that this program wrote itself


class Knowledge:
    """See the module."""

    def __init__(self, transactions: Transactions) -> None:
        self._tx = transactions

    def of(self, object_id: str, held_version: int = 0) -> Known:
        """All that is known of one object."""
        return self._tx.read(lambda db: self._of(db, object_id, held_version))

    def _of(self, db: sa.Connection, object_id: str, held_version: int) -> Known:
        home = db.execute(sa.select(packages.c.id, packages.c.version).where(packages.c.object_id == object_id)).one_or_none()
        found = db.execute(sa.select(inventories).where(inventories.c.object_id == object_id)).all()
        parts: dict[str, list[str]] = {}
        for row in db.execute(sa.select(ranges).where(ranges.c.object_id == object_id).order_by(ranges.c.sha512, ranges.c.number)):
            parts.setdefault(row.sha512, []).append(row.sha256)
        return Known(
            object_id,
            home.id if home else None,
            home.version if home else None,
            held_version,
            home is not None and busy(db, home.id),
            {row.version: KnownInventory(row.sha512, row.agreed is not None, row.known_by == _COMMIT) for row in found},
            {sha512: tuple(digests) for sha512, digests in parts.items()},
        )

    def committed(self, object_id: str, version: int, sha512: str, now: str) -> None:
        """Remember the inventory of a version that was just committed."""
        self._tx.write(lambda db: self._learn(db, object_id, {version: sha512}, _COMMIT, now))

    def learn(self, db: sa.Connection, object_id: str, reading: Reading, now: str) -> None:
        """Remember what a reading brought; inside its caller's transaction."""
        self._learn(db, object_id, reading.learnt, "reading", now)
        if reading.agreed:
            mine = sa.update(inventories).where(inventories.c.object_id == object_id, inventories.c.version == reading.head)
            db.execute(mine.where(inventories.c.sha512 == reading.inventory).values(agreed=now))
        for sha512, parts in reading.learnt_parts.items():
            rows = [
                {"object_id": object_id, "sha512": sha512, "number": number, "sha256": digest}
                for number, digest in enumerate(parts)
            ]
            db.execute(database.insert_or_ignore(self._tx.engine, ranges), rows)

    def _learn(self, db: sa.Connection, object_id: str, found: Mapping[int, str], how: str, now: str) -> None:
        for version, sha512 in found.items():
            row = {"object_id": object_id, "version": version, "sha512": sha512, "known_by": how, "known_since": now}
            db.execute(database.insert_or_ignore(self._tx.engine, inventories), row)


def busy(db: sa.Connection, package_key: int) -> bool:
    """Whether a job of the package is unfinished: its next version may be half way into the store."""
    stmt = sa.select(jobs.c.id).where(jobs.c.package_id == package_key, jobs.c.state.in_([state.value for state in UNFINISHED]))
    return db.execute(stmt.limit(1)).first() is not None
