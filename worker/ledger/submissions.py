"""Jobs come in, and are asked to end: the two things that a tenant may say to the queue."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

import sqlalchemy as sa

from actions.errors import PermanentError
from worker.ledger import counts
from worker.ledger import engine as database
from worker.ledger.facts import JobState
from worker.ledger.jobs import package_row
from worker.ledger.schema import jobs
from worker.ledger.service_facts import Submission, Submitted
from worker.ledger.transactions import Transactions

CANCELLABLE = (JobState.ACCEPTED.value, JobState.SCANNING.value, JobState.OPEN.value)
"""Later a version is being committed, and to stop in the middle of that would help nobody."""


class IdempotencyConflictError(PermanentError):
    """The same idempotency key came with another request: one of the two would be lost if we chose."""

    code: ClassVar[str] = "idempotency-conflict"


class Submissions:
    """See the module and ``QueueSide``."""

    _tx: Transactions

    def submit(self, request: Submission) -> Submitted:
        """Accept a job; with an idempotency key that is known, give the job that it already made.

        Raises:
            IdempotencyConflictError: The key came with another request.
        """
        job_id = uuid.uuid4().hex

        def work(db: sa.Connection) -> Submitted:
            if known := _known(db, request.tenant, request.idempotency_key, request.request_sha256):
                return known
            home = package_row(db, request.tenant, request.package)
            row = self._row(request, job_id, home.id) | {"expected": _expected(db, request)}
            if db.execute(database.insert_or_ignore(db.engine, jobs).values(row).returning(jobs.c.id)).first() is None:
                known = _known(db, request.tenant, request.idempotency_key, request.request_sha256)
                return known or self._impossible()
            counts.begin(db, job_id)
            return Submitted(job_id, new=True)

        return self._tx.write(work, tenant=request.tenant)

    def submitted(self, tenant: str, idempotency_key: str, request_sha256: str) -> Submitted | None:
        """The job that this key made already; None: it has made none.

        Raises:
            IdempotencyConflictError: The key came with another request.
        """
        return self._tx.read(lambda db: _known(db, tenant, idempotency_key, request_sha256), tenant=tenant)

    def cancel(self, tenant: str, job_id: str) -> bool:
        """Ask that a job ends; False: unknown to the tenant, ended, or already being committed.

        From now on nothing of it is admitted or claimed. What a worker has in hand is finished, or given up when its lease runs
        out; then the job's last step commits what was finished as a version, so that the archive says truly what it holds (P1),
        and the job ends as cancelled.
        """
        mine = sa.update(jobs).where(jobs.c.id == job_id, jobs.c.tenant == tenant, jobs.c.state.in_(CANCELLABLE))

        def work(db: sa.Connection) -> bool:
            asked = bool(db.execute(mine.values(cancel_asked=True)).rowcount)
            if asked:
                counts.unqueue(db, job_id)
            return asked

        return self._tx.write(work, tenant=tenant)

    def _impossible(self) -> Submitted:
        raise AssertionError("a job's row was refused, and no job has its key")

    def _row(self, request: Submission, job_id: str, package_key: int) -> dict[str, Any]:
        moment = self._tx.clock.now()
        return {
            "id": job_id,
            "package_id": package_key,
            "tenant": request.tenant,
            "source": request.source.encode(),
            "policy_name": request.policy.name,
            "policy_version": request.policy.version,
            "policy_sha256": request.policy.sha256,
            "toolchain": request.toolchain,
            "state": JobState.ACCEPTED,
            "created": moment,
            "started": moment,
            "priority": request.priority,
            "idempotency_key": request.idempotency_key,
            "request_sha256": request.request_sha256,
            "callback_url": request.callback_url,
            "delivery": request.delivery,
            "retry_of": request.retry_of,
            "retry_reason": request.retry_reason,
        }


def _known(db: sa.Connection, tenant: str, idempotency_key: str | None, request_sha256: str | None) -> Submitted | None:
    if idempotency_key is None:
        return None
    same = (jobs.c.tenant == tenant, jobs.c.idempotency_key == idempotency_key)
    row = db.execute(sa.select(jobs.c.id, jobs.c.request_sha256).where(*same)).one_or_none()
    if row is None:
        return None
    if row.request_sha256 != request_sha256:
        raise IdempotencyConflictError(
            "this idempotency key was used for another request", f"job {row.id}", "Use a new key for a new request."
        )
    return Submitted(row.id, new=False)


def _expected(db: sa.Connection, request: Submission) -> str | None:
    """The checksums that came along; those of the job that is tried again hold for its files as they did then."""
    if request.expected is not None or request.retry_of is None:
        return request.expected
    before = sa.select(jobs.c.expected).where(jobs.c.id == request.retry_of, jobs.c.tenant == request.tenant)
    return db.scalar(before)
