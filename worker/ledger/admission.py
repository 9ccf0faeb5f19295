"""Which waiting tasks go into the queue next: fair between tenants, by priority and age inside one (design.md §9).

The cost does not depend on how many tasks wait: only open jobs, what is in flight (at most a window), and the low end of one
index are read. Measured with a million waiting tasks; see ``tests/worker/test_ledger_admission.py``.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import sqlalchemy as sa

from worker.ledger.clock import seconds_between
from worker.ledger.counts import PENDING, QUEUED, QUEUED_OR_LEASED, ended
from worker.ledger.facts import UNFINISHED, JobState, TaskState
from worker.ledger.schema import job_counts, jobs, tasks
from worker.ledger.schema_service import tenants
from worker.ledger.service_facts import Depth
from worker.ledger.transactions import Transactions

_PAGE = 64  # task numbers read at once for one tenant: about what it gets


@dataclass(slots=True)
class _Line:
    """One tenant, waiting in line with what it has to do."""

    weight: int
    in_flight: int
    todo: Iterator[int] = field(default_factory=lambda: iter(()))

    @property
    def load(self) -> float:
        """What it has for its share; the lowest goes next."""
        return self.in_flight / self.weight


class Admission:
    """See the module and ``QueueSide``."""

    _tx: Transactions

    def admit(self, *, window_total: int, window_tenant: int, lease_s: float) -> list[int]:
        """Move waiting tasks into the queue (the caller sends their numbers); fair between tenants, by priority inside one.

        Args:
            window_total: How many tasks may be queued or leased at once.
            window_tenant: The same for one tenant.
            lease_s: When nobody took a number by then, it counts as lost and is admitted again.
        """

        def work(db: sa.Connection) -> list[int]:
            flying = _in_flight(db)
            room = window_total - sum(flying.values())
            chosen = _fair(self._lines(db, flying), room, window_tenant) if room > 0 else []
            return self._queue(db, chosen, lease_s) if chosen else []

        return self._tx.write(work, durable=False)

    def requeue(self) -> int:
        """The queue was emptied: everything that was in it waits again; returns how many tasks."""
        unclaimed = (jobs.c.worker.is_(None), jobs.c.lease_until.is_not(None), jobs.c.state.in_(UNFINISHED))

        def work(db: sa.Connection) -> int:
            db.execute(sa.update(jobs).where(*unclaimed).values(lease_until=None))
            back = sa.update(tasks).where(QUEUED).values(state=TaskState.PENDING, lease_until=None)
            return int(db.execute(back).rowcount)

        return self._tx.write(work)

    def depth(self) -> dict[str, Depth]:
        """What is not done, per tenant that has a job which is not ended."""
        stmt = sa.select(
            jobs.c.id, jobs.c.tenant, jobs.c.created, (job_counts.c.total - ended()).label("left"), self._tx.clock.now()
        )
        stmt = stmt.join(job_counts, job_counts.c.job_id == jobs.c.id).where(jobs.c.state.in_(UNFINISHED), ~jobs.c.cancel_asked)
        flying = sa.select(tasks.c.job_id, tasks.c.state, sa.func.count()).where(QUEUED_OR_LEASED)

        def work(db: sa.Connection) -> tuple[list[Any], list[Any]]:
            return list(db.execute(stmt)), list(db.execute(flying.group_by(tasks.c.job_id, tasks.c.state)))

        open_jobs, in_flight = self._tx.read(work)
        by_job: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for job_id, state, number in in_flight:
            by_job[job_id][state] += number
        answer: dict[str, Depth] = {}
        for job_id, tenant, created, left, moment in open_jobs:
            queued, leased = by_job[job_id]["queued"], by_job[job_id]["leased"]
            pending = max(0, left - queued - leased)
            age_s = seconds_between(created, moment) if pending else 0.0
            so_far = answer.get(tenant, Depth(0, 0, 0, 0.0))
            answer[tenant] = Depth(
                so_far.pending + pending, so_far.queued + queued, so_far.leased + leased, max(so_far.oldest_pending_s, age_s)
            )
        return answer

    def _lines(self, db: sa.Connection, flying: dict[tuple[str, str], int]) -> dict[str, _Line]:
        """Each active tenant with its open jobs that have something waiting, best first."""
        left = job_counts.c.total - ended()
        stmt = sa.select(jobs.c.id, jobs.c.tenant, tenants.c.weight, left.label("left")).join(
            tenants, tenants.c.id == jobs.c.tenant
        )
        stmt = stmt.join(job_counts, job_counts.c.job_id == jobs.c.id).where(
            jobs.c.state == JobState.OPEN, ~jobs.c.cancel_asked, tenants.c.state == "active", left > 0
        )
        lines: dict[str, _Line] = {}
        waiting: dict[str, list[str]] = defaultdict(list)
        for row in db.execute(stmt.order_by(jobs.c.priority.desc(), jobs.c.created, jobs.c.id)):
            lines.setdefault(row.tenant, _Line(max(1, row.weight), 0))
            if row.left > flying.get((row.tenant, row.id), 0):
                waiting[row.tenant].append(row.id)
        for (tenant, _), number in flying.items():
            if tenant in lines:
                lines[tenant].in_flight += number
        for tenant, job_ids in waiting.items():
            lines[tenant].todo = chain.from_iterable(self._waiting(db, job_id) for job_id in job_ids)
        return lines

    def _waiting(self, db: sa.Connection, job_id: str) -> Iterator[int]:
        """Numbers of a job's tasks that wait: never tried ones first, then those whose time has come again.

        Ordered exactly as the index is, or PostgreSQL would sort a million rows for the first sixty-four.
        """
        t = tasks.c
        fresh = sa.select(t.id).where(t.job_id == job_id, PENDING, t.not_before.is_(None)).order_by(t.not_before, t.id).limit(_PAGE)
        last = 0
        while page := list(db.scalars(fresh.where(t.id > last))):
            yield from page
            last = page[-1]
        again = sa.select(t.id).where(t.job_id == job_id, PENDING, t.not_before <= self._tx.clock.now())
        yield from db.scalars(again.order_by(t.not_before, t.id).limit(10 * _PAGE))

    def _queue(self, db: sa.Connection, chosen: list[int], lease_s: float) -> list[int]:
        """Take them out of those that wait; the ones that somebody changed meanwhile are left out."""
        # "not in another state" rather than PENDING: with that, and statistics from before the job came, PostgreSQL would look
        # for these few in the index of a million that wait, rather than by their keys.
        waits = tasks.c.state.not_in((TaskState.QUEUED, TaskState.LEASED, TaskState.DONE, TaskState.CANCELLED))
        queued = sa.update(tasks).where(tasks.c.id.in_(chosen), waits)
        queued = queued.values(state=TaskState.QUEUED, worker=None, lease_until=self._tx.clock.after(lease_s))
        taken = set(db.scalars(queued.returning(tasks.c.id)))
        return [task_id for task_id in chosen if task_id in taken]


def _in_flight(db: sa.Connection) -> dict[tuple[str, str], int]:
    """Queued and leased tasks by tenant and job; there are never more than the window."""
    flying = sa.select(tasks.c.job_id, sa.func.count().label("number")).where(QUEUED_OR_LEASED).group_by(tasks.c.job_id).subquery()
    stmt = sa.select(jobs.c.tenant, jobs.c.id, flying.c.number).join(flying, flying.c.job_id == jobs.c.id)
    return {(tenant, job_id): number for tenant, job_id, number in db.execute(stmt)}


def _fair(lines: dict[str, _Line], room: int, window_tenant: int) -> list[int]:
    """Fill *room*, always from the tenant that has least in flight for its weight."""
    heap = [(line.load, tenant) for tenant, line in lines.items() if line.in_flight < window_tenant]
    heapq.heapify(heap)
    chosen: list[int] = []
    while heap and len(chosen) < room:
        _, tenant = heapq.heappop(heap)
        line = lines[tenant]
        task_id = next(line.todo, None)
        if task_id is None:
            continue
        chosen.append(task_id)
        line.in_flight += 1
        if line.in_flight < window_tenant:
            heapq.heappush(heap, (line.load, tenant))
    return chosen
