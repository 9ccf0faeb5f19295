"""The ledger's view of jobs and files in the API's words."""

from __future__ import annotations

from urllib.parse import quote

from worker.api.caller import Caller
from worker.api.words import CountsAnswer, FileAnswer, JobAnswer, Links
from worker.ledger.facts import UNFINISHED, JobState
from worker.ledger.service_facts import Counts, FileView, JobView
from worker.record import FileRecord, Status


def job_answer(caller: Caller, job: JobView) -> JobAnswer:
    """A job with its counts of this moment."""
    here = f"/v1/jobs/{job.id}"
    return JobAnswer(
        id=job.id,
        package=job.package,
        package_id=job.object_id,
        source=job.source,
        policy=job.policy,
        priority=job.priority,
        state=job.state,
        ended=job.state not in UNFINISHED,
        cancel_asked=job.cancel_asked,
        created=job.created,
        started=None if job.state == JobState.ACCEPTED else job.started,
        finished=job.finished,
        version=f"v{job.version}" if job.version else None,
        counts=counts_answer(caller.door.counts(job.id)),
        delivery=job.delivery,
        callback=job.callback_url,
        retry_of=job.retry_of,
        error_code=job.error_code,
        error=job.error,
        links=Links(
            self=here, files=f"{here}/files", events=f"{here}/events", package=f"/v1/packages/{quote(job.object_id, safe='')}"
        ),
    )


def counts_answer(counts: Counts | None) -> CountsAnswer:
    """Counts as a client reads them: what waits here or in the queue is one thing to it."""
    if counts is None:
        return CountsAnswer(total=0, waiting=0, working=0, done=0, cancelled=0, by_status=dict.fromkeys(Status, 0))
    return CountsAnswer(
        total=counts.total,
        waiting=counts.pending + counts.queued,
        working=counts.leased,
        done=counts.done,
        cancelled=counts.cancelled,
        by_status={status: counts.by_status.get(status, 0) for status in Status},
    )


def file_answer(file: FileView) -> FileAnswer:
    """A file with its record."""
    return FileAnswer(
        path=file.path,
        state=file.state,
        size_bytes=file.size_bytes,
        status=Status(file.status) if file.status else None,
        reason=file.reason,
        record=FileRecord.model_validate_json(file.record) if file.record else None,
    )
