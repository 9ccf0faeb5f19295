"""A worker whose work is nothing, or a wait: what queue and ledger cost by themselves. ``python -m tests.bench.idle SECONDS``.

The same process, actors, claims, leases and records as ``bevara work``; only the pipeline is another. Its job's tasks are made
by ``fill``, because there is no source to scan.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator

from worker.cli import service as shared
from worker.ledger.facts import Entry, Found, Held, JobState, Task
from worker.ledger.ledger import Ledger
from worker.ledger.service_facts import Submission
from worker.pipeline.services import Services
from worker.pipeline.story import story
from worker.policy.inherit import shipped
from worker.queue.desk import Desk
from worker.queue.worker import WorkerProcess
from worker.record import FileRecord, PolicyRef, Status

POLICY = PolicyRef(name=shipped()[0], version="0", sha256="0" * 64)


def waits(seconds: float):
    """The pipeline's place, taken by a wait. It says of each file what is said of one that is kept: content, entry, events."""

    def work(services: Services, task: Task) -> FileRecord:
        if seconds:
            time.sleep(seconds)
        sha256, sha512 = hashlib.sha256(task.raw_path).hexdigest(), hashlib.sha512(task.raw_path).hexdigest()
        record = FileRecord(path=task.path, size_bytes=10, status=Status.KEPT, reason="ok", message="Nothing was done.")
        record.sha256, record.sha512 = sha256, sha512
        logical = f"original/{task.path}"
        held = [Held(sha512, sha256, 10, f"v1/content/{logical}")]
        told = list(story(record, logical, task.job.policy.sha256))
        return services.ledger.finish(task, record, held=held, put=[Entry(logical, sha512)], told=told, key=sha256)

    return work


def fill(ledger: Ledger, tenant: str, package: str, files: int) -> str:
    """An open job of *files* tasks; its id."""
    queue = ledger.queue
    job_id = queue.submit(Submission(tenant, package, "file://in/none", POLICY)).job_id
    step = queue.claim_job(job_id, "bench", 600.0)
    assert step is not None

    def found() -> Iterator[Found]:
        for number in range(files):
            name = f"f/{number:07}.txt"
            yield Found(name.encode(), name, 10, 0)

    ledger.add_tasks(step.job, found())
    queue.job_moved(job_id, "bench", JobState.OPEN)
    return job_id


def main(seconds: float) -> int:
    """Run until told to end. Takes files only: there is nothing to commit."""
    with shared.opened("bench", needs=shared.WORKING) as service:
        Desk._made = lambda _desk, _job: Services(service.ledger, _Nothing(), None, None, None, service.settings.scratch, "")  # type: ignore[arg-type]
        worker = WorkerProcess(service, queues=("files",), work=waits(seconds))
        with shared.signals(lambda at_once: worker.stop(at_once=at_once)):
            worker.run()
    return 0


class _Nothing:
    """In the place of a draft."""

    def close(self) -> None:
        """Nothing to let go of."""


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
