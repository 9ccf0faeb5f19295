"""The ledger: which jobs and files there are, how each ended, and the package's chain of events.

Every method is one short transaction, safe to repeat. Content is never opened here, and nothing is decided: the pipeline
says what happened, the ledger keeps the first account of it. Exporting and committing is ``worker.commit``.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from worker.ledger import engine as database
from worker.ledger import uncommitted
from worker.ledger.events import EventDraft, first_prev, now
from worker.ledger.facts import Entry, Found, Held, Job, JobState, Previous, Task, TaskState, as_row
from worker.ledger.results import Finish, Results
from worker.ledger.schema import jobs, packages, tasks
from worker.record import FileRecord, PolicyRef

_CHUNK = 1000  # rows per statement: keeps memory flat, and each write short


def object_id(tenant: str, package: str) -> str:
    """The OCFL id of a package."""
    return f"urn:bevara:{quote(tenant, safe='')}:{quote(package, safe='')}"


class Ledger:
    """One archive's ledger. Used by several threads."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        # SQLite has one writer: waiting here is fair and cheap, waiting in SQLite is a busy loop.
        self._writing = threading.Lock()
        self._results = Results(engine)

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

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    # Jobs

    def open_job(self, tenant: str, package: str, source: bytes, policy: PolicyRef, toolchain: str) -> Job:
        """Continue the package's open job with this source, policy and toolchain, or begin a new one.

        An open job with another policy, source or toolchain is superseded: what it finished stands, the rest is the new job's.
        """
        with self._writing, self.engine.begin() as db:
            home = self._package(db, tenant, package)
            for row in db.execute(sa.select(jobs).where(jobs.c.package_id == home.id, jobs.c.state == JobState.OPEN)).all():
                if (row.source, row.policy_sha256, row.toolchain) == (source, policy.sha256, toolchain):
                    db.execute(
                        sa.update(tasks)
                        .where(tasks.c.job_id == row.id, tasks.c.state == TaskState.LEASED)
                        .values(state=TaskState.PENDING, worker=None, lease_until=None)
                    )
                    return replace(_job(home, row), continued=True)
                db.execute(sa.update(jobs).where(jobs.c.id == row.id).values(state=JobState.SUPERSEDED, finished=now()))
            row_id = uuid.uuid4().hex
            db.execute(
                sa.insert(jobs).values(
                    id=row_id,
                    package_id=home.id,
                    source=source,
                    policy_name=policy.name,
                    policy_version=policy.version,
                    policy_sha256=policy.sha256,
                    toolchain=toolchain,
                    state=JobState.OPEN,
                    started=now(),
                )
            )
            return _job(home, db.execute(sa.select(jobs).where(jobs.c.id == row_id)).one())

    def job(self, job_id: str) -> Job | None:
        """A job by its id."""
        with self._reading() as db:
            row = db.execute(sa.select(jobs).where(jobs.c.id == job_id)).one_or_none()
            if row is None:
                return None
            return _job(db.execute(sa.select(packages).where(packages.c.id == row.package_id)).one(), row)

    def _package(self, db: sa.Connection, tenant: str, package: str) -> sa.Row[Any]:
        name = object_id(tenant, package)
        db.execute(
            database.insert_or_ignore(self.engine, packages),
            {"object_id": name, "tenant": tenant, "package": package, "version": 0, "last_seq": 0, "last_hash": first_prev(name)},
        )
        return db.execute(sa.select(packages).where(packages.c.object_id == name)).one()

    # Tasks

    def add_tasks(self, job: Job, found: Iterable[Found]) -> int:
        """Make one task of each file that has none in this job yet; returns how many were new."""
        stmt, new, source = database.insert_or_ignore(self.engine, tasks), 0, iter(found)
        count = sa.select(sa.func.count()).select_from(tasks).where(tasks.c.job_id == job.id)
        while chunk := list(islice(source, _CHUNK)):
            rows = [
                as_row(item, job_id=job.id, package_id=job.package_key, state=TaskState.PENDING.value, attempts=0) for item in chunk
            ]
            with self._writing, self.engine.begin() as db:
                before = db.scalar(count) or 0
                db.execute(stmt, rows)
                new += (db.scalar(count) or 0) - before
        return new

    def claim(self, job: Job, worker: str, limit: int, lease_s: float) -> list[Task]:
        """Take up to *limit* tasks that nobody has, for *lease_s* seconds."""
        todo = sa.select(tasks).where(tasks.c.job_id == job.id, tasks.c.state == TaskState.PENDING)
        with self._writing, self.engine.begin() as db:
            rows = db.execute(todo.order_by(tasks.c.id).limit(limit).with_for_update(skip_locked=True)).all()
            if rows:
                db.execute(
                    sa.update(tasks)
                    .where(tasks.c.id.in_([row.id for row in rows]))
                    .values(state=TaskState.LEASED, worker=worker, lease_until=_later(lease_s), attempts=tasks.c.attempts + 1)
                )
        return [Task(r.id, job, r.raw_path, r.path, r.size_bytes, r.mtime_ns, r.kind, r.attempts + 1) for r in rows]

    def extend(self, task_ids: Sequence[int], worker: str, lease_s: float) -> None:
        """Keep tasks that *worker* still has for another *lease_s* seconds."""
        mine = sa.update(tasks).where(tasks.c.id.in_(task_ids), tasks.c.state == TaskState.LEASED, tasks.c.worker == worker)
        with self._writing, self.engine.begin() as db:
            db.execute(mine.values(lease_until=_later(lease_s)))

    def release(self, task_ids: Sequence[int]) -> None:
        """Give tasks back undone."""
        with self._writing, self.engine.begin() as db:
            db.execute(_give_back().where(tasks.c.id.in_(task_ids)))

    def reap(self) -> int:
        """Take back tasks whose lease ran out; returns how many."""
        with self._writing, self.engine.begin() as db:
            return int(db.execute(_give_back().where(tasks.c.lease_until < now())).rowcount)

    def counts(self, job: Job) -> dict[str, int]:
        """How many tasks are ``pending``, ``leased`` or ``done``, and how many ended in each status."""
        stmt = sa.select(tasks.c.state, tasks.c.status, sa.func.count()).where(tasks.c.job_id == job.id)
        answer: dict[str, int] = {state.value: 0 for state in TaskState}
        with self._reading() as db:
            for state, status, number in db.execute(stmt.group_by(tasks.c.state, tasks.c.status)):
                answer[state] += number
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
        with self._reading() as db:
            return self._results.previous(db, job, path)

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
        """
        return self.finish_many([Finish(task, record, held, put, told, key)])[0]

    def finish_many(self, done: Sequence[Finish]) -> list[FileRecord]:
        """``finish`` for several tasks of one package in one transaction."""
        with self._writing, self.engine.begin() as db:
            return [self._results.finish(db, one) for one in done]

    def append_events(self, job: Job, told: Sequence[EventDraft]) -> None:
        """Add events about the package as a whole (a job began, a policy was assigned)."""
        with self._writing, self.engine.begin() as db:
            self._results.append(db, job, told)

    # Committing

    def has_news(self, job: Job) -> bool:
        """Whether the package has events or entries that no committed version carries."""
        with self._reading() as db:
            return uncommitted.exists(db, job.package_key)

    def finish_job(self, job: Job, version: int | None) -> None:
        """Mark everything of the package that was not committed as carried by *version*, and the job as finished.

        One transaction, made durable. *version* None: nothing was new. Repeating it changes nothing.
        """
        with self._writing, self.engine.begin() as db:
            uncommitted.forget_dropped(db, job.package_key)
            if version is not None:
                uncommitted.carry(db, job.package_key, version)
            db.execute(
                sa.update(jobs)
                .where(jobs.c.id == job.id, jobs.c.state != JobState.FINISHED)
                .values(state=JobState.FINISHED, finished=now(), version=version)
            )
        database.checkpoint(self.engine)

    def stream(self, stmt: sa.Select[Any]) -> Iterator[Any]:
        """Rows of a query, a page at a time; others may write meanwhile."""
        with self._reading() as db:
            yield from db.execution_options(yield_per=_CHUNK).execute(stmt)

    def _reading(self) -> sa.Connection:
        return self.engine.connect().execution_options(read_only=True)


def _give_back() -> sa.Update:
    return sa.update(tasks).where(tasks.c.state == TaskState.LEASED).values(state=TaskState.PENDING, worker=None, lease_until=None)


def _later(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] + "Z"


def _job(home: sa.Row[Any], row: sa.Row[Any]) -> Job:
    return Job(
        id=row.id,
        object_id=home.object_id,
        tenant=home.tenant,
        package=home.package,
        package_key=home.id,
        source=row.source,
        policy=PolicyRef(name=row.policy_name, version=row.policy_version, sha256=row.policy_sha256),
        toolchain=row.toolchain,
        state=JobState(row.state),
        started=row.started,
        finished=row.finished,
        version=row.version,
    )
