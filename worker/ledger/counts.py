"""How many files of a job ended how: kept as they end, so that nobody counts a million rows for a status page.

A row for each job, changed in the transaction that changes its tasks: it cannot say anything else than they do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa

from worker.ledger import engine as database
from worker.ledger.facts import JobState, TaskState
from worker.ledger.schema import job_counts, jobs, tasks
from worker.ledger.service_facts import Counts
from worker.record import Status

STATUSES = tuple(status.value for status in Status)
OVER = (JobState.FINISHED, JobState.CANCELLED, JobState.FAILED, JobState.SUPERSEDED)
PENDING, QUEUED, LEASED = (
    sa.text(f"tasks.state = '{state.value}'") for state in (TaskState.PENDING, TaskState.QUEUED, TaskState.LEASED)
)
QUEUED_OR_LEASED = sa.text("tasks.state IN ('queued', 'leased')")
"""As the partial indexes say it: for them, the words must be in the statement, not among its parameters."""


def ended() -> sa.ColumnElement[int]:
    """How many of a job's tasks are done or cancelled, as SQL over ``job_counts``."""
    columns = [job_counts.c[name] for name in (*STATUSES, "cancelled")]
    total: sa.ColumnElement[int] = columns[0]
    for column in columns[1:]:
        total = total + column
    return total


class Counting:
    """Adds to the counts; prepared, because it runs for every file."""

    def __init__(self, engine: sa.Engine) -> None:
        more = {name: job_counts.c[name] + sa.bindparam(f"more_{name}", type_=sa.BigInteger) for name in STATUSES}
        mine = sa.update(job_counts).where(job_counts.c.job_id == sa.bindparam("job"))
        self._ended = database.Prepared(engine, mine.values(more))

    def ended(self, db: sa.Connection, job_id: str, statuses: Sequence[str]) -> None:
        """Tasks of a job ended, each in one of *statuses*."""
        found = Counter(statuses)
        self._ended.run(db, {"job": job_id, **{f"more_{name}": found[name] for name in STATUSES}})


def begin(db: sa.Connection, job_id: str) -> None:
    """A new job has no files yet."""
    db.execute(sa.insert(job_counts).values(job_id=job_id, total=0, cancelled=0, **dict.fromkeys(STATUSES, 0)))


def add(db: sa.Connection, job_id: str, total: int) -> None:
    """Tasks were made."""
    db.execute(sa.update(job_counts).where(job_counts.c.job_id == job_id).values(total=job_counts.c.total + total))


def unqueue(db: sa.Connection, job_id: str) -> None:
    """What is in the queue of a job leaves room for other jobs; the messages find nothing to do."""
    back = {"state": TaskState.PENDING, "lease_until": None}
    db.execute(sa.update(tasks).where(tasks.c.job_id == job_id, QUEUED).values(back))


def give_up(db: sa.Connection, job_id: str) -> None:
    """The job is over for its tasks that are not done: they count as cancelled.

    Their rows stay as they are, which would else take a minute for a million. A task is looked at only while its job is open.
    """
    unqueue(db, job_id)
    done = ended() - job_counts.c.cancelled
    db.execute(sa.update(job_counts).where(job_counts.c.job_id == job_id).values(cancelled=job_counts.c.total - done))


def recount(db: sa.Connection, job_id: str) -> None:
    """Count a job's tasks themselves: after a rebuild."""
    found: Counter[str] = Counter()
    stmt = sa.select(tasks.c.state, tasks.c.status, sa.func.count()).where(tasks.c.job_id == job_id)
    for state, status, number in db.execute(stmt.group_by(tasks.c.state, tasks.c.status)):
        found["total"] += number
        found[status or state] += number
    db.execute(sa.delete(job_counts).where(job_counts.c.job_id == job_id))
    db.execute(sa.insert(job_counts).values(job_id=job_id, **{name: found[name] for name in ("total", "cancelled", *STATUSES)}))


def of_job(db: sa.Connection, job_id: str) -> Counts | None:
    """One job's counts, as one moment saw them: one statement. None: no such job."""
    flying = sa.select(*(_in(state) for state in (TaskState.QUEUED, TaskState.LEASED)))
    aside = flying.where(tasks.c.job_id == job_id, QUEUED_OR_LEASED).subquery()
    stmt = sa.select(job_counts, jobs.c.state, jobs.c.cancel_asked, aside.c.queued, aside.c.leased)
    row = db.execute(
        stmt.join(jobs, jobs.c.id == job_counts.c.job_id).join(aside, sa.true()).where(jobs.c.id == job_id)
    ).one_or_none()
    if row is None:
        return None
    by_status = {name: int(getattr(row, name)) for name in STATUSES}
    total, done, queued, leased = int(row.total), sum(by_status.values()), int(row.queued), int(row.leased)
    if row.state in OVER:
        return Counts(total, 0, 0, 0, done, total - done, by_status)
    if row.cancel_asked:  # nobody will begin these any more, whether or not the job's last step has said so
        return Counts(total, 0, 0, leased, done, total - done - leased, by_status)
    return Counts(total, total - done - queued - leased - int(row.cancelled), queued, leased, done, int(row.cancelled), by_status)


def _in(state: TaskState) -> sa.ColumnElement[int]:
    return sa.func.count(sa.case((tasks.c.state == state.value, 1))).label(state.value)
