"""Taking a job's files in hand inside one process: the embedded form, where the archive's lock says that nobody else does.

The service's workers have ``leases`` instead, which needs no trust between machines.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from worker.ledger import counts
from worker.ledger.events import now
from worker.ledger.facts import Job, Task, TaskState
from worker.ledger.schema import tasks
from worker.ledger.transactions import Transactions


class Claims:
    """See the module and ``Ledger``."""

    transactions: Transactions

    def claim(self, job: Job, worker: str, limit: int, lease_s: float) -> list[Task]:
        """Take up to *limit* tasks that nobody has, for *lease_s* seconds."""
        t = tasks.c
        columns = (t.id, t.raw_path, t.path, t.size_bytes, t.mtime_ns, t.kind, t.attempts)
        todo = sa.select(*columns).where(t.job_id == job.id, counts.PENDING, t.not_before.is_(None))

        def work(db: sa.Connection) -> list[Any]:
            rows: list[Any] = list(db.execute(todo.order_by(t.not_before, t.id).limit(limit).with_for_update(skip_locked=True)))
            if rows:
                mine = sa.update(tasks).where(t.id.in_([row.id for row in rows]))
                db.execute(mine.values(state=TaskState.LEASED, worker=worker, lease_until=_later(lease_s), attempts=t.attempts + 1))
            return rows

        rows = self.transactions.write(work, durable=False)
        return [Task(r.id, job, r.raw_path, r.path, r.size_bytes, r.mtime_ns, r.kind, r.attempts + 1) for r in rows]

    def extend(self, task_ids: Sequence[int], worker: str, lease_s: float) -> None:
        """Keep tasks that *worker* still has for another *lease_s* seconds."""
        mine = sa.update(tasks).where(tasks.c.id.in_(task_ids), tasks.c.state == TaskState.LEASED, tasks.c.worker == worker)
        self.transactions.write(lambda db: db.execute(mine.values(lease_until=_later(lease_s))), durable=False)

    def release(self, task_ids: Sequence[int]) -> None:
        """Give tasks back undone."""
        self.transactions.write(lambda db: db.execute(_give_back().where(tasks.c.id.in_(task_ids))), durable=False)

    def reap(self) -> int:
        """Take back tasks whose lease ran out; returns how many. Embedded; the service has ``queue.reap``."""
        return self.transactions.write(lambda db: int(db.execute(_give_back().where(tasks.c.lease_until < now())).rowcount))


def _give_back() -> sa.Update:
    return sa.update(tasks).where(tasks.c.state == TaskState.LEASED).values(state=TaskState.PENDING, worker=None, lease_until=None)


def _later(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] + "Z"
