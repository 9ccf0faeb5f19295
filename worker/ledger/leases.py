"""Who has which task until when: claiming, keeping, giving back, and taking back from workers that died."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from worker import __version__
from worker.ledger import engine as database
from worker.ledger.counts import LEASED, QUEUED, QUEUED_OR_LEASED
from worker.ledger.events import EventDraft, Success
from worker.ledger.facts import UNFINISHED, Job, JobState, Task, TaskState
from worker.ledger.jobs import load_job
from worker.ledger.results import Finish, Results
from worker.ledger.schema import jobs, tasks
from worker.ledger.schema_service import leaders
from worker.ledger.transactions import Transactions
from worker.record import FileRecord, Status

MAX_LOSSES = 5
"""So many times a task's worker may die over it before it is set aside: by then it is the file, not the machine."""

_KNOWN_JOBS = 64  # jobs remembered, so that a claim need not read them again; what a claim tells of them does not change
_REAPED = 500  # tasks taken back in one transaction

_BACK: dict[str, Any] = {"state": TaskState.PENDING, "worker": None, "lease_until": None}


class Leases:
    """See the module and ``QueueSide``."""

    _tx: Transactions
    _results: Results

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._remembering = threading.Lock()
        t = tasks.c
        working = sa.exists().where(jobs.c.id == t.job_id, jobs.c.state == JobState.OPEN.value, ~jobs.c.cancel_asked)
        seconds: sa.BindParameter[float] = sa.bindparam("seconds", type_=sa.Double)
        taken: dict[str, Any] = {
            "state": TaskState.LEASED.value,
            "worker": sa.bindparam("holder"),
            "lease_until": self._tx.clock.after(seconds),
            "attempts": t.attempts + 1,
        }
        columns = (t.id, t.job_id, t.raw_path, t.path, t.size_bytes, t.mtime_ns, t.kind, t.attempts)
        claim = sa.update(tasks).where(t.id == sa.bindparam("task"), QUEUED, working).values(taken).returning(*columns)
        self._claim = database.Prepared(self._tx.engine, claim)

    def claim_task(self, task_id: int, worker: str, lease_s: float) -> Task | None:
        """Take a queued task; None: the message came twice, the task was cancelled, or it waits again."""

        def work(db: sa.Connection) -> tuple[Any, Job | None] | None:
            row = self._claim.run(db, {"task": task_id, "holder": worker, "seconds": float(lease_s)}).one_or_none()
            return None if row is None else (row, self._jobs.get(row.job_id) or load_job(db, row.job_id))

        if (got := self._tx.write(work, durable=False)) is None:
            return None
        row, job = got
        if job is None:
            raise AssertionError("a task without a job")  # a foreign key says otherwise
        self._remember(job)
        return Task(row.id, job, row.raw_path, row.path, row.size_bytes, row.mtime_ns, row.kind, row.attempts, worker)

    def postpone(self, task_id: int, worker: str, seconds: float, why: str) -> bool:
        """Give a task back, not to be tried again before *seconds* have passed; False: it was not this worker's any more.

        Args:
            why: A reason code, shown as the file's until it is done.
        """
        mine = sa.update(tasks).where(tasks.c.id == task_id, LEASED, tasks.c.worker == worker)
        later = mine.values(**_BACK, not_before=self._tx.clock.after(seconds), reason=why)
        return self._tx.write(lambda db: bool(db.execute(later).rowcount), durable=False)

    def release(self, task_ids: Sequence[int], worker: str | None = None) -> int:
        """Give tasks back undone; with *worker* only those that it still has."""
        back = sa.update(tasks).where(tasks.c.id.in_(sorted(task_ids)), QUEUED_OR_LEASED).values(_BACK)
        if worker is not None:
            back = back.where(tasks.c.worker == worker)
        return self._tx.write(lambda db: int(db.execute(back).rowcount), durable=False) if task_ids else 0

    def heartbeat(self, worker: str, lease_s: float, in_hand: Collection[int], steps: Collection[str] = ()) -> set[int]:
        """Keep what *worker* has in hand for another *lease_s* seconds; those of its tasks that are still its own.

        Only what it names: it does not know of what it claimed when the ledger died before it could answer, and a lease that is
        kept alive for nobody's work would hold up its job for ever.

        Args:
            in_hand: Numbers of its tasks.
            steps: Ids of the jobs of which it carries out a step.
        """
        until = self._tx.clock.after(lease_s)
        at_work = sa.update(jobs).where(jobs.c.worker == worker, jobs.c.id.in_(sorted(steps)), jobs.c.state.in_(UNFINISHED))
        mine = sa.update(tasks).where(tasks.c.worker == worker, tasks.c.id.in_(sorted(in_hand)), LEASED)

        def work(db: sa.Connection) -> set[int]:
            if steps:
                db.execute(at_work.values(lease_until=until))
            return set(db.scalars(mine.values(lease_until=until).returning(tasks.c.id))) if in_hand else set()

        return self._tx.write(work, durable=False)

    def reap(self) -> int:
        """Take back what has a lease that ran out; returns how many tasks.

        A task whose workers died ``MAX_LOSSES`` times is set aside as failed, ``worker-died``, so that its job ends.
        """
        total = 0
        while taken := self._tx.write(self._reap_some):
            total += taken
            if taken < _REAPED:
                break
        return total

    def lead(self, name: str, holder: str, lease_s: float) -> bool:
        """Become or stay the one that leads *name* for *lease_s* seconds; False: another does."""
        free = (leaders.c.holder == holder) | (leaders.c.until < self._tx.clock.now())

        def work(db: sa.Connection) -> bool:
            into = database.insert_or_replace(db.engine, leaders, free)
            mine = into.values(name=name, holder=holder, until=self._tx.clock.after(lease_s)).returning(leaders.c.name)
            return db.execute(mine).first() is not None

        return self._tx.write(work, durable=False)

    def _reap_some(self, db: sa.Connection) -> int:
        t = tasks.c
        over = sa.select(tasks, jobs.c.state.label("job_state")).join(jobs, jobs.c.id == t.job_id)
        over = over.where(QUEUED_OR_LEASED, t.lease_until < self._tx.clock.now()).limit(_REAPED)
        rows = list(db.execute(over.with_for_update(skip_locked=True, key_share=True, of=tasks)))
        lost = [row for row in rows if row.state == TaskState.LEASED and row.job_state == JobState.OPEN]
        hopeless = [row for row in lost if row.losses + 1 >= MAX_LOSSES]
        again = [row.id for row in lost if row.losses + 1 < MAX_LOSSES]
        aside = {row.id for row in lost}
        unclaimed = [row.id for row in rows if row.id not in aside]  # or its job was ended: such a task waits for nothing
        if unclaimed:
            db.execute(sa.update(tasks).where(t.id.in_(unclaimed)).values(_BACK))
        if again:
            db.execute(sa.update(tasks).where(t.id.in_(again)).values(**_BACK, losses=t.losses + 1))
        self._results.finish_many(db, [_given_up(row, job) for row in hopeless if (job := load_job(db, row.job_id))])
        return len(rows)

    def _remember(self, job: Job) -> None:
        with self._remembering:
            self._jobs[job.id] = job
            self._jobs.move_to_end(job.id)
            if len(self._jobs) > _KNOWN_JOBS:
                self._jobs.popitem(last=False)


def _given_up(row: Any, job: Job) -> Finish:
    """What is said of a file that ends every worker that takes it. Nothing of it could be stored, and the record says so."""
    task = Task(row.id, job, row.raw_path, row.path, row.size_bytes, row.mtime_ns, row.kind, row.attempts, row.worker)
    said = (
        f"Not preserved: {row.losses + 1} workers died while they had this file in hand. Look at the workers' logs, then retry it."
    )
    record = FileRecord(path=row.path, size_bytes=row.size_bytes, status=Status.FAILED, reason="worker-died", message=said)
    record.message_sv = (
        f"Inte bevarad: {row.losses + 1} arbetsprocesser dog med den här filen. Se deras loggar och försök sedan igen."
    )
    detail = f"{row.path}: {said}"
    told = EventDraft("ingestion", Success.FAIL, detail, (f"bevara {__version__}",), policy=job.policy.sha256)
    return Finish(task, record, events=(told,))
