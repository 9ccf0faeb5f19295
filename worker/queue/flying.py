"""What the ledger says is in the queue and with workers right now: never more rows than the window is wide."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from worker.ledger.counts import QUEUED_OR_LEASED
from worker.ledger.facts import TaskState
from worker.ledger.ledger import Ledger
from worker.ledger.schema import jobs, tasks


@dataclass(frozen=True, slots=True)
class Flying:
    """How many tasks wait in the queue and how many workers have, and the tenants they are of."""

    queued: int
    leased: int
    tenants: frozenset[str]


def flying(ledger: Ledger) -> Flying:
    """As of this moment."""
    stmt = sa.select(jobs.c.tenant, tasks.c.state, sa.func.count()).join(jobs, jobs.c.id == tasks.c.job_id)
    numbers: dict[str, int] = defaultdict(int)
    tenants = set()
    for tenant, state, number in ledger.stream(stmt.where(QUEUED_OR_LEASED).group_by(jobs.c.tenant, tasks.c.state)):
        numbers[state] += number
        tenants.add(tenant)
    return Flying(numbers[TaskState.QUEUED], numbers[TaskState.LEASED], frozenset(tenants))


def newcomers(ledger: Ledger, task_ids: Sequence[int], before: Flying) -> list[int]:
    """Those of *task_ids* whose tenant had nothing in flight *before*."""
    stmt = sa.select(tasks.c.id, jobs.c.tenant).join(jobs, jobs.c.id == tasks.c.job_id).where(tasks.c.id.in_(task_ids))
    return [task_id for task_id, tenant in ledger.stream(stmt) if tenant not in before.tenants]
