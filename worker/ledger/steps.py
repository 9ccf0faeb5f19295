"""A job's own way: which step it needs, who takes it, and what follows (scan, commit, deliver, cancel).

Steps are driven by their lease alone: a worker that dies in one leaves a lease that runs out, and the step is taken again. So
each is written to be repeated, and this module only decides which one it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from worker.ledger import counts
from worker.ledger.counts import LEASED, OVER, ended
from worker.ledger.events import now
from worker.ledger.facts import UNFINISHED, Found, JobState
from worker.ledger.jobs import job_of
from worker.ledger.outbox import Outbox
from worker.ledger.schema import job_counts, jobs, packages, tasks
from worker.ledger.schema_service import tenants
from worker.ledger.service_facts import JobStep, Step
from worker.ledger.submissions import CANCELLABLE
from worker.ledger.transactions import Transactions
from worker.record import Status

_UNFINISHED = sa.text("jobs.state IN ('accepted', 'scanning', 'open', 'committing', 'delivering')")  # as the partial index says it
_STARTED = (JobState.SCANNING, JobState.OPEN, JobState.COMMITTING, JobState.DELIVERING)


class Steps:
    """See the module and ``QueueSide``."""

    _tx: Transactions
    _outbox: Outbox

    def to_drive(self, limit: int, lease_s: float = 60.0) -> list[str]:
        """Jobs that need a step (the caller sends their ids); each is given once in *lease_s* seconds until it is claimed.

        Of each tenant its best one, then of each its second, and so on: a priority counts among a tenant's own jobs.
        """
        place = sa.func.row_number().over(partition_by=jobs.c.tenant, order_by=(jobs.c.priority.desc(), jobs.c.created, jobs.c.id))
        wanted = (_UNFINISHED, self._free(), self._needs())
        lines = sa.select(jobs.c.id, jobs.c.created, place.label("place")).where(*wanted).subquery()
        best = sa.select(lines.c.id).order_by(lines.c.place, lines.c.created, lines.c.id).limit(limit)

        def work(db: sa.Connection) -> list[str]:
            chosen = list(db.scalars(best))
            locked = sa.select(jobs.c.id).where(jobs.c.id.in_(chosen), *wanted)
            ready = set(db.scalars(locked.with_for_update(skip_locked=True, key_share=True, of=jobs))) if chosen else set()
            found = [job_id for job_id in chosen if job_id in ready]
            sent = sa.update(jobs).where(jobs.c.id.in_(found)).values(worker=None, lease_until=self._tx.clock.after(lease_s))
            if found:
                db.execute(sent)
            return found

        return self._tx.write(work, durable=False)

    def newcomers(self, job_ids: Sequence[str]) -> list[str]:
        """Of *job_ids* the first one of each tenant that has no other step which was given out and that nobody took yet."""
        other = jobs.alias("other")
        waits = sa.select(other.c.id).where(
            sa.text("other.state IN ('accepted', 'scanning', 'open', 'committing', 'delivering')"),
            other.c.worker.is_(None) & (other.c.lease_until >= self._tx.clock.now()),
            (other.c.tenant == jobs.c.tenant) & other.c.id.not_in(job_ids),
        )
        stmt = sa.select(jobs.c.id, jobs.c.tenant).where(jobs.c.id.in_(job_ids), ~sa.exists(waits))
        tenant_of = {row.id: row.tenant for row in self._tx.read(lambda db: db.execute(stmt).all())}
        first: dict[str, str] = {}
        for job_id in job_ids:
            if job_id in tenant_of:
                first.setdefault(tenant_of[job_id], job_id)
        return list(first.values())

    def claim_job(self, job_id: str, worker: str, lease_s: float) -> JobStep | None:
        """Take a job's next step; None: it needs none now, or another has it (the message came twice).

        Moves the job on to the step's state: scanning, committing or delivering. One job of a package at a time, oldest first.
        The claim is durable, and on PostgreSQL makes everything durable that was said before it: what a commit is about to put
        into the store, no crash of the database can forget.
        """
        free = jobs.c.worker.is_(None) | (jobs.c.lease_until < self._tx.clock.now())

        def work(db: sa.Connection) -> JobStep | None:
            wanted = sa.select(jobs).where(jobs.c.id == job_id, jobs.c.state.in_(UNFINISHED), free)
            row = db.execute(wanted.with_for_update(key_share=True)).one_or_none()
            if row is None or (taken := self._next(db, row)) is None:
                return None
            step, state = taken
            attempts = row.attempts + 1 if row.state == state else 1
            moved: dict[str, Any] = {"state": state, "worker": worker, "attempts": attempts}
            if row.state == JobState.ACCEPTED:
                moved["started"] = self._tx.clock.now()
            mine = sa.update(jobs).where(jobs.c.id == job_id)
            db.execute(mine.values(**moved, lease_until=self._tx.clock.after(lease_s)))
            if step is Step.CANCEL:
                counts.give_up(db, job_id)
            return _step(db, job_id, step)

        return self._tx.write(work)

    def job_moved(
        self, job_id: str, worker: str, state: JobState | str, *, error_code: str | None = None, error: str | None = None
    ) -> bool:
        """The step is done: the job is in *state* now; False: the lease was lost, nothing changed.

        An end (finished, cancelled, failed) tells the callback address in the same transaction.

        Args:
            error: A sentence for people, without names of files (P7): callbacks carry it.
        """
        to, clock = JobState(state), self._tx.clock
        mine = sa.update(jobs).where(jobs.c.id == job_id, jobs.c.worker == worker, jobs.c.state.in_(UNFINISHED))
        moved: dict[str, Any] = {"state": to, "worker": None, "lease_until": None, "attempts": 0}
        moved |= {"error_code": error_code, "error": error}
        if to in OVER:
            moved["finished"] = clock.now()

        def work(db: sa.Connection) -> bool:
            if not db.execute(mine.values(moved)).rowcount:
                return False
            if to in OVER:
                counts.give_up(db, job_id)
                self._tell(db, job_id)
            return True

        return self._tx.write(work)

    def postpone_job(self, job_id: str, worker: str, seconds: float, why: str) -> bool:
        """The step could not be done now (a store is away): to be tried again after *seconds*. False: the lease was lost.

        Args:
            why: A reason code; shown with the job until its next step is done.
        """
        mine = sa.update(jobs).where(jobs.c.id == job_id, jobs.c.worker == worker, jobs.c.state.in_(UNFINISHED))
        later = mine.values(worker=None, lease_until=self._tx.clock.after(seconds), error_code=why)
        return self._tx.write(lambda db: bool(db.execute(later).rowcount))

    def failed_files(self, job_id: str, reason: str | None = None) -> Iterator[Found]:
        """Files of a job that ended as ``failed``, for its retry; with *reason* only those that failed for it."""
        t = tasks.c
        stmt = sa.select(t.raw_path, t.path, t.size_bytes, t.mtime_ns, t.kind).where(t.job_id == job_id, t.status == Status.FAILED)
        stmt = stmt.where(sa.text("tasks.status IS NOT NULL"))  # as the partial index says it
        if reason is not None:
            stmt = stmt.where(t.reason == reason)
        for row in self._tx.stream(stmt.order_by(t.id)):
            yield Found(*row)

    def _free(self) -> sa.ColumnElement[bool]:
        return jobs.c.lease_until.is_(None) | (jobs.c.lease_until < self._tx.clock.now())

    def _needs(self) -> sa.ColumnElement[bool]:
        """Whether there is a step for a job that nobody has. ``_next`` says which, when it is taken."""
        j = jobs.c
        all_ended = sa.exists().where(job_counts.c.job_id == j.id, job_counts.c.total == ended())
        active = sa.exists().where(tenants.c.id == j.tenant, tenants.c.state == "active")
        return sa.or_(
            j.cancel_asked & j.state.in_(CANCELLABLE) & ~_has_leased(j.id),
            ~j.cancel_asked & (j.state == JobState.ACCEPTED) & active & ~_behind(j.package_id, j.id, j.created),
            ~j.cancel_asked & (j.state == JobState.SCANNING),
            j.state.in_((JobState.COMMITTING, JobState.DELIVERING)),
            ~j.cancel_asked & (j.state == JobState.OPEN) & all_ended,
        )

    def _next(self, db: sa.Connection, row: Any) -> tuple[Step, JobState] | None:
        """The step that *row*'s job needs, and the state that it has meanwhile."""
        if row.cancel_asked and row.state in CANCELLABLE:
            leased = db.scalar(sa.select(_has_leased(sa.literal(row.id))))
            return None if leased else (Step.CANCEL, JobState.COMMITTING)
        if row.state == JobState.ACCEPTED:
            # Whoever begins a job of this package waits here for the other: two must not find the way free at the same time.
            db.execute(sa.select(packages.c.id).where(packages.c.id == row.package_id).with_for_update(key_share=True))
            behind = db.scalar(sa.select(_behind(sa.literal(row.package_id), sa.literal(row.id), sa.literal(row.created))))
            return None if behind else (Step.SCAN, JobState.SCANNING)
        if row.state == JobState.OPEN:
            left = db.scalar(sa.select(job_counts.c.total - ended()).where(job_counts.c.job_id == row.id))
            return None if left else (Step.COMMIT, JobState.COMMITTING)
        if row.state == JobState.COMMITTING:
            return (Step.CANCEL if row.cancel_asked else Step.COMMIT), JobState.COMMITTING
        return {
            JobState.SCANNING: (Step.SCAN, JobState.SCANNING),
            JobState.DELIVERING: (Step.DELIVER, JobState.DELIVERING),
        }[JobState(row.state)]

    def _tell(self, db: sa.Connection, job_id: str) -> None:
        """The callback of a job's end: ids and numbers only (P7)."""
        row = db.execute(sa.select(jobs).where(jobs.c.id == job_id)).one()
        if not row.callback_url:
            return
        found = counts.of_job(db, job_id)
        event = f"job.{row.state}"
        data: dict[str, Any] = {"job": job_id, "tenant": row.tenant, "state": row.state, "version": row.version}
        data |= {"created": row.created, "finished": row.finished, "error_code": row.error_code}
        if found is not None:
            data["counts"] = {"total": found.total, "cancelled": found.cancelled, **found.by_status}
        body = json.dumps({"type": event, "timestamp": row.finished or now(), "data": data}, separators=(",", ":"))
        self._outbox.add(db, tenant=row.tenant, job_id=job_id, url=row.callback_url, event=event, body=body)


def _has_leased(job_id: Any) -> sa.ColumnElement[bool]:
    return sa.exists().where(tasks.c.job_id == job_id, LEASED)


def _behind(package_id: Any, job_id: Any, created: Any) -> sa.ColumnElement[bool]:
    """Whether another job of the package comes first: it is older, or has begun."""
    other = jobs.alias("other")
    waits = sa.text("other.state IN ('accepted', 'scanning', 'open', 'committing', 'delivering')")
    older = (other.c.created < created) | ((other.c.created == created) & (other.c.id < job_id))
    first = older | other.c.state.in_(_STARTED)
    return sa.exists(sa.select(other.c.id).where(other.c.package_id == package_id, waits, other.c.id != job_id, first))


def _step(db: sa.Connection, job_id: str, step: Step) -> JobStep:
    row = db.execute(sa.select(jobs).where(jobs.c.id == job_id)).one()
    home = db.execute(sa.select(packages).where(packages.c.id == row.package_id)).one()
    return JobStep(
        job=job_of(home, row),
        step=step,
        attempts=row.attempts,
        priority=row.priority,
        callback_url=row.callback_url,
        delivery=row.delivery,
        expected=row.expected,
        retry_of=row.retry_of,
        retry_reason=row.retry_reason,
        cancel_asked=row.cancel_asked,
    )
