"""The outbox: what tenants' systems are to be told, written in the very transaction that makes it true, sent later.

At least once: a message that was sent and could not be marked is sent again, with the same id. Sending is ``worker.callbacks``.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from worker.ledger.schema_service import outbox
from worker.ledger.service_facts import Callback
from worker.ledger.transactions import ALL, Transactions


class Outbox:
    """See the module. Used by several threads."""

    def __init__(self, transactions: Transactions) -> None:
        self._tx = transactions

    def add(self, db: sa.Connection, *, tenant: str, job_id: str, url: str, event: str, body: str) -> None:
        """Add a message in the caller's transaction. *body* is exactly what is signed and sent."""
        moment = self._tx.clock.now()
        row = {"tenant": tenant, "job_id": job_id, "url": url, "event": event, "body": body, "attempts": 0, "state": "pending"}
        db.execute(sa.insert(outbox).values(**row, created=moment, next_at=moment))

    def post(self, *, tenant: str, job_id: str, url: str, event: str, body: str) -> None:
        """Add a message by itself: about something that is true already."""
        self._tx.write(lambda db: self.add(db, tenant=tenant, job_id=job_id, url=url, event=event, body=body), tenant=tenant)

    def due(self, limit: int, now: str | None = None) -> list[Callback]:
        """Messages to send now, oldest first.

        Args:
            now: As the ledger writes times; None: the database's.
        """
        stmt = sa.select(outbox).where(outbox.c.state == "pending", outbox.c.next_at <= (now or self._tx.clock.now()))
        rows = self._tx.read(lambda db: db.execute(stmt.order_by(outbox.c.next_at, outbox.c.id).limit(limit)).all(), tenant=ALL)
        return [_callback(row) for row in rows]

    def delivered(self, callback_id: int) -> None:
        """It was taken by the other side."""
        done = {"state": "delivered", "delivered": self._tx.clock.now(), "attempts": outbox.c.attempts + 1, "last_error": None}
        self._change(callback_id, done)

    def failed(self, callback_id: int, error: str, next_at: str | None) -> None:
        """It was not; to be tried again at *next_at*, or None: never (dead until it is replayed)."""
        told: dict[str, Any] = {"attempts": outbox.c.attempts + 1, "last_error": error}
        self._change(callback_id, told | ({"state": "dead"} if next_at is None else {"next_at": next_at}))

    def replay(self, tenant: str, job_id: str) -> int:
        """Send a job's messages again, with the ids they had; returns how many."""
        mine = sa.update(outbox).where(outbox.c.tenant == tenant, outbox.c.job_id == job_id)
        again = mine.values(state="pending", next_at=self._tx.clock.now(), attempts=0, delivered=None, last_error=None)
        return self._tx.write(lambda db: int(db.execute(again).rowcount), tenant=tenant)

    def of_job(self, tenant: str, job_id: str) -> list[Callback]:
        """A job's messages and how they fared, in order."""
        stmt = sa.select(outbox).where(outbox.c.tenant == tenant, outbox.c.job_id == job_id).order_by(outbox.c.id)
        return [_callback(row) for row in self._tx.read(lambda db: db.execute(stmt).all(), tenant=tenant)]

    def _change(self, callback_id: int, values: dict[str, Any]) -> None:
        mine = sa.update(outbox).where(outbox.c.id == callback_id, outbox.c.state == "pending")
        self._tx.write(lambda db: db.execute(mine.values(values)), tenant=ALL)


def _callback(row: sa.Row[Any]) -> Callback:
    return Callback(**row._mapping)  # noqa: SLF001 -- SQLAlchemy's public name for it
