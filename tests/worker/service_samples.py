"""Small helpers for tests of the service's ledger: tenants, submitted jobs, and files brought to an end without any content."""

from __future__ import annotations

import hashlib
from typing import Any

from worker.ledger.events import EventDraft
from worker.ledger.facts import Entry, Found, Held, Job, JobState, Task
from worker.ledger.ledger import Ledger
from worker.ledger.service_facts import Step, Submission
from worker.record import FileRecord, PolicyRef, Status

POLICY = PolicyRef(name="default", version="1", sha256="a" * 64)
WORKER = "worker-1"
LEASE_S = 3600.0


def tenants(ledger: Ledger, *names: str, **more: Any) -> None:
    for name in names:
        ledger.tenants.add(name, name.title(), **more)


def asked(tenant: str = "lund", package: str = "p", **more: Any) -> Submission:
    return Submission(tenant=tenant, package=package, source="file://in/p", policy=POLICY, **more)


def submit(ledger: Ledger, tenant: str = "lund", package: str = "p", **more: Any) -> str:
    return ledger.queue.submit(asked(tenant, package, **more)).job_id


def found(count: int, start: int = 0) -> list[Found]:
    return [Found(b"%06d" % n, f"{n:06d}", 1, 1) for n in range(start, start + count)]


def scan(ledger: Ledger, job_id: str, files: int) -> Job:
    """Take the job's first step to its end."""
    step = ledger.queue.claim_job(job_id, WORKER, LEASE_S)
    assert step is not None
    assert step.step is Step.SCAN
    ledger.add_tasks(step.job, found(files))
    assert ledger.queue.job_moved(job_id, WORKER, JobState.OPEN)
    return step.job


def open_job(ledger: Ledger, tenant: str = "lund", package: str = "p", files: int = 3, **more: Any) -> str:
    job_id = submit(ledger, tenant, package, **more)
    scan(ledger, job_id, files)
    return job_id


def admit(ledger: Ledger, total: int = 100, tenant: int = 100) -> list[int]:
    return ledger.queue.admit(window_total=total, window_tenant=tenant, lease_s=LEASE_S)


def take(ledger: Ledger, limit: int = 100, worker: str = WORKER) -> list[Task]:
    """Admit and claim."""
    claimed = [ledger.queue.claim_task(task_id, worker, LEASE_S) for task_id in admit(ledger, limit, limit)]
    return [task for task in claimed if task is not None]


def end(ledger: Ledger, task: Task, status: Status = Status.KEPT, reason: str = "ok", message: str = "Kept.") -> FileRecord:
    """What the pipeline says at a file's end: the original is stored."""
    sha512 = hashlib.sha512(task.raw_path).hexdigest()
    held = Held(sha512, hashlib.sha256(task.raw_path).hexdigest(), 1, f"v1/content/original/{task.path}")
    record = FileRecord(path=task.path, size_bytes=1, sha512=sha512, status=status, reason=reason, message=message)
    logical = f"original/{task.path}"
    told = [EventDraft("ingestion", object_path=logical), EventDraft("validation", object_path=logical)]
    return ledger.finish(task, record, held=[held], put=[Entry(logical, sha512)], told=told, key="k")


def commit(ledger: Ledger, job_id: str, version: int = 1) -> None:
    """The step after the last file, with a store that does not matter here."""
    step = ledger.queue.claim_job(job_id, WORKER, LEASE_S)
    assert step is not None
    assert step.step in (Step.COMMIT, Step.CANCEL)
    ledger.finish_job(step.job, version)
    ended = JobState.CANCELLED if step.step is Step.CANCEL else JobState.FINISHED
    assert ledger.queue.job_moved(job_id, WORKER, ended)


def whole_job(ledger: Ledger, tenant: str = "lund", package: str = "p", files: int = 2, version: int = 1) -> str:
    job_id = open_job(ledger, tenant, package, files)
    while todo := take(ledger):
        for task in todo:
            end(ledger, task)
    commit(ledger, job_id, version)
    return job_id
