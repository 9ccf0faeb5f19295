"""The ledger: which jobs and files there are, how each ended, and the package's chain of events.

Every method is one short transaction, safe to repeat. Content is never opened here, and nothing is decided: the pipeline
says what happened, the ledger keeps the first account of it. Exporting and committing is ``worker.commit``.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from worker.ledger import counts, uncommitted
from worker.ledger import engine as database
from worker.ledger.claims import Claims
from worker.ledger.door import Door
from worker.ledger.events import EventDraft, now
from worker.ledger.facts import Entry, Found, Held, Job, JobState, Previous, Task, TaskState, as_row
from worker.ledger.jobs import job_of, load_job, object_id, package_row
from worker.ledger.outbox import Outbox
from worker.ledger.queue_side import QueueSide
from worker.ledger.results import Finish, LostTaskError, Results
from worker.ledger.schema import jobs, tasks
from worker.ledger.tenants import Tenants
from worker.ledger.transactions import Transactions, away, unreachable
from worker.record import FileRecord, PolicyRef

__all__ = ["Ledger", "LostTaskError", "object_id"]

_CHUNK = 1000  # rows per statement: keeps memory flat, and each write short
_EMBEDDED_END = (JobState.OPEN, JobState.SUPERSEDED)  # the service's jobs move on by ``QueueSide.job_moved``


class Ledger(Claims):
    """One archive's or one service's ledger. Used by several threads.

    Attributes:
        queue: What the service's scheduler and workers ask.
        tenants: Tenants, keys, places, policies.
        outbox: What tenants' systems are to be told.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.transactions = Transactions(engine)
        self._results = Results(engine)
        self.outbox = Outbox(self.transactions)
        self.tenants = Tenants(self.transactions)
        self.queue = QueueSide(self.transactions, self._results, self.outbox)

    @classmethod
    def open(cls, path: Path) -> Ledger:
        """The embedded ledger at *path*, created when absent.

        Raises:
            LedgerDamagedError: What lies there is no database, or a broken one.
            OperationalError: It could not be opened for a reason that is not its own: a full disk, a missing right.
        """
        try:
            return cls(database.open_engine(database.sqlite_url(path)))
        except sa.exc.OperationalError:
            raise
        except sa.exc.DatabaseError as broken:
            raise database.LedgerDamagedError(
                f"cannot be read: {broken.orig}", str(path), "Run `bevara ledger rebuild`: it is made again from the store."
            ) from broken

    @classmethod
    def connect(cls, url: str, *, everything: bool = True, pool: database.Pool | None = None) -> Ledger:
        """The service's ledger on *url*, its schema brought up to date.

        Args:
            url: ``postgresql+psycopg://…`` or ``sqlite:///…``.
            everything: For workers, schedulers and operators. False, for the API: nothing is seen but through ``door``, and
                through methods that name a tenant.

        Raises:
            LedgerUnreachableError: The server does not answer.
            LedgerRoleError: Not *everything* may be seen, and the account is one that row-level security does not hold.
        """
        try:
            return cls(database.open_engine(url, everything=everything, pool=pool))
        except sa.exc.DBAPIError as error:
            if not url.startswith("postgres") or not unreachable(error):
                raise
            raise away(sa.make_url(url), error) from error

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    def door(self, tenant: str) -> Door:
        """What *tenant* may see."""
        return Door(self.transactions, tenant)

    # Jobs

    def open_job(self, tenant: str, package: str, source: bytes, policy: PolicyRef, toolchain: str) -> Job:
        """Continue the package's open job with this source, policy and toolchain, or begin a new one.

        An open job with another policy, source or toolchain is superseded: what it finished stands, the rest is the new job's.
        """

        def work(db: sa.Connection) -> Job:
            home = package_row(db, tenant, package)
            for row in db.execute(sa.select(jobs).where(jobs.c.package_id == home.id, jobs.c.state == JobState.OPEN)).all():
                if (row.source, row.policy_sha256, row.toolchain) == (source, policy.sha256, toolchain):
                    mine = (tasks.c.job_id == row.id, tasks.c.state == TaskState.LEASED)
                    db.execute(sa.update(tasks).where(*mine).values(state=TaskState.PENDING, worker=None, lease_until=None))
                    return replace(job_of(home, row), continued=True)
                db.execute(sa.update(jobs).where(jobs.c.id == row.id).values(state=JobState.SUPERSEDED, finished=now()))
            row_id, started = uuid.uuid4().hex, now()
            db.execute(
                sa.insert(jobs).values(
                    id=row_id,
                    package_id=home.id,
                    tenant=tenant,
                    source=source,
                    policy_name=policy.name,
                    policy_version=policy.version,
                    policy_sha256=policy.sha256,
                    toolchain=toolchain,
                    state=JobState.OPEN,
                    started=started,
                    created=started,
                )
            )
            counts.begin(db, row_id)
            return job_of(home, db.execute(sa.select(jobs).where(jobs.c.id == row_id)).one())

        return self.transactions.write(work)

    def job(self, job_id: str) -> Job | None:
        """A job by its id."""
        return self.transactions.read(lambda db: load_job(db, job_id))

    # Tasks

    def add_tasks(self, job: Job, found: Iterable[Found]) -> int:
        """Make one task of each file that has none in this job yet; returns how many were new."""
        stmt, new, source = database.insert_or_ignore(self.engine, tasks), 0, iter(found)
        while chunk := list(islice(source, _CHUNK)):
            new += self._add(job, stmt, chunk)
        return new

    def _add(self, job: Job, stmt: sa.Insert, chunk: Sequence[Found]) -> int:
        rows = [
            as_row(item, job_id=job.id, package_id=job.package_key, state=TaskState.PENDING.value, attempts=0) for item in chunk
        ]

        def work(db: sa.Connection) -> int:
            new = int(db.execute(stmt.execution_options(preserve_rowcount=True), rows).rowcount)
            counts.add(db, job.id, new)
            return new

        return self.transactions.write(work)

    def has_tasks(self, job: Job) -> bool:
        """Whether the job has any file."""
        stmt = sa.select(tasks.c.id).where(tasks.c.job_id == job.id).limit(1)
        return self.transactions.read(lambda db: db.scalar(stmt)) is not None

    def counts(self, job: Job) -> dict[str, int]:
        """How many tasks are ``pending``, ``leased`` or ``done``, and how many ended in each status, counted one by one."""
        stmt = sa.select(tasks.c.state, tasks.c.status, sa.func.count()).where(tasks.c.job_id == job.id)
        answer: dict[str, int] = {TaskState.PENDING.value: 0, TaskState.LEASED.value: 0, TaskState.DONE.value: 0}
        for state, status, number in self.transactions.read(
            lambda db: db.execute(stmt.group_by(tasks.c.state, tasks.c.status)).all()
        ):
            answer[state] = answer.get(state, 0) + number
            if status:
                answer[status] = answer.get(status, 0) + number
        return answer

    def records(self, job: Job) -> Iterator[FileRecord]:
        """The records of a job's finished files in path order, streamed."""
        stmt = sa.select(tasks.c.record).where(tasks.c.job_id == job.id, tasks.c.state == TaskState.DONE)
        for (text,) in self.stream(stmt.order_by(tasks.c.path, tasks.c.id)):
            yield FileRecord.model_validate_json(text)

    def previous(self, job: Job, path: str) -> Previous | None:
        """How the package's file *path* ended the last time, in any earlier job or this one."""
        return self.transactions.read(lambda db: self._results.previous(db, job, path))

    # Results

    def finish(
        self,
        task: Task,
        record: FileRecord,
        *,
        held: Sequence[Held] = (),
        put: Sequence[Entry] = (),
        told: Sequence[EventDraft] = (),
        key: str | None = None,
    ) -> FileRecord:
        """Keep how *task* ended, once: a second account is dropped, and the record that stands is returned.

        What was derived from the file earlier and is not in *put* is superseded: it leaves the package's state, with an
        event, and stays in the versions that hold it. An unchanged file supersedes nothing; nor does one that failed while
        its bytes are the same.

        Args:
            held: Content that is durable now. All that *put* names must be here or known from before.
            put: What goes into the package's state.
            told: Events, in the order they happened.
            key: Idempotency key; ``previous`` gives it back.

        Raises:
            LostTaskError: The task has a worker, and it is not that worker's any more, or its job was ended. Nothing is written.
        """
        (standing,) = self.finish_many([Finish(task, record, held, put, told, key)])
        if standing is None:
            raise LostTaskError(
                "is not this worker's any more: its lease ran out, or its job was ended",
                f"task {task.id} of job {task.job.id}",
                "Nothing: it is done by another worker, or not at all. When it happens often, lengthen the lease.",
            )
        return standing

    def finish_many(self, done: Sequence[Finish]) -> list[FileRecord | None]:
        """``finish`` for several tasks in one transaction; None in the place of a task that was lost."""
        return self.transactions.write(lambda db: self._results.finish_many(db, done), durable=False)

    def append_events(self, job: Job, told: Sequence[EventDraft]) -> None:
        """Add events about the package as a whole (a job began, a policy was assigned)."""
        self.transactions.write(lambda db: self._results.append(db, job, told))

    # Committing

    def has_news(self, job: Job) -> bool:
        """Whether the package has events or entries that no committed version carries."""
        return self.transactions.read(lambda db: uncommitted.exists(db, job.package_key))

    def place_contents(self, job: Job, places: Iterable[tuple[str, str]]) -> None:
        """Say where the store puts content that no committed version carries; *places* are (SHA-512, content path)."""
        source = iter(places)
        while chunk := list(islice(source, _CHUNK)):
            self.transactions.write(lambda db, rows=chunk: uncommitted.place(db, job.package_key, rows))  # type: ignore[misc]

    def news_time(self, job: Job) -> str:
        """When the newest thing happened that no committed version carries; now, when nothing tells."""
        return self.transactions.read(lambda db: uncommitted.newest_time(db, job.package_key)) or now()

    def finish_job(self, job: Job, version: int | None) -> None:
        """Mark everything of the package that was not committed as carried by *version*, and an embedded job as finished.

        One transaction, made durable. *version* None: nothing was new. Repeating it changes nothing.
        """

        def work(db: sa.Connection) -> None:
            uncommitted.forget_dropped(db, job.package_key)
            if version is not None:
                uncommitted.carry(db, job.package_key, version)
            mine = sa.update(jobs).where(jobs.c.id == job.id)
            db.execute(mine.where(jobs.c.state != JobState.FINISHED).values(version=sa.func.coalesce(version, jobs.c.version)))
            db.execute(mine.where(jobs.c.state.in_(_EMBEDDED_END)).values(state=JobState.FINISHED, finished=now()))

        self.transactions.write(work)
        database.checkpoint(self.engine)

    def stream(self, stmt: sa.Select[Any]) -> Iterator[Any]:
        """Rows of a query, a page at a time; others may write meanwhile."""
        return self.transactions.stream(stmt)
