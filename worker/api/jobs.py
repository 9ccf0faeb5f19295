"""Jobs: submit, look, cancel, try again. What a job does is the worker's; here it is only asked for and told of."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response

from worker.api import policies, references
from worker.api.answers import answers
from worker.api.caller import Caller, Reader, Submitter
from worker.api.job_words import file_answer, job_answer
from worker.api.problems import ApiError, not_found
from worker.api.upload_intake import is_over, upload_of
from worker.api.words import FileList, JobAnswer, JobList, JobRequest, Replayed
from worker.ledger.facts import UNFINISHED, JobState
from worker.ledger.service_facts import JobView, Submission
from worker.record import Status

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
POLL_AFTER_S = "2"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")

JobId = Annotated[str, Path(max_length=200, description="The job's id.", examples=["0d4f8c1e6b0b4c5f8a1b2c3d4e5f6071"])]
Cursor = Annotated[str | None, Query(max_length=500, description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="Most entries of a page.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=255,
        description="Chosen by the client, 1 to 255 visible ASCII characters. The same key and request give the same job.",
    ),
]
Reason = Annotated[str | None, Query(max_length=100, pattern=r"^[a-z0-9-]+$", description="Only files that ended for this reason.")]


@router.post(
    "",
    status_code=202,
    operation_id="submitJob",
    summary="Submit a job",
    responses={
        202: {
            "description": "Taken; `Location` is the job.",
            "headers": {
                "Location": {"schema": {"type": "string"}, "description": "The job."},
                "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds until it is worth looking."},
            },
        },
        **answers(
            "source",
            "delivery",
            "callback",
            "policy-unknown",
            "idempotency-conflict",
            "upload-incomplete",
            "upload-closed",
            "too-many-jobs",
            "media-type",
            "no-store",
        ),
    },
)
def submit(caller: Submitter, request: JobRequest, response: Response, idempotency_key: IdempotencyKey = None) -> JobAnswer:
    """Ask for a package to be preserved. Answers at once; jobs of one package are done one after the other.

    With an `Idempotency-Key` it is safe to send the same request again, as often as needed, whatever has changed since.
    """
    digest = _digest(request)
    if known := _known(caller, idempotency_key, digest):
        return _answered(caller, known, response)
    upload = references.upload_of(request.source)
    if upload is None:
        references.check_source(caller, request.source)
    if request.delivery is not None:
        references.check_delivery(caller, request.delivery)
    if request.callback is not None:
        references.check_callback(caller, request.callback)
    policy = policies.resolve(caller, request.policy)
    expected = request.expected
    if isinstance(expected, dict):
        expected = json.dumps({path: one.model_dump(exclude_none=True) for path, one in expected.items()}, ensure_ascii=False)
    if upload is not None:
        _take_upload(caller, upload)
    wanted = Submission(
        tenant=caller.tenant,
        package=request.package,
        source=request.source,
        policy=policy,
        priority=request.priority,
        idempotency_key=idempotency_key,
        request_sha256=digest,
        callback_url=request.callback,
        delivery=request.delivery,
        expected=expected,
    )
    return _submitted(caller, wanted, response)


@router.get("", operation_id="listJobs", summary="List jobs", responses=answers("bad-cursor"))
def listed(caller: Reader, cursor: Cursor = None, limit: Limit = 50, state: JobState | None = None) -> JobList:
    """The tenant's jobs, newest first."""
    page = caller.door.jobs(cursor, limit, state)
    return JobList(jobs=[job_answer(caller, job) for job in page.items], next=page.cursor)


@router.get("/{job_id}", operation_id="getJob", summary="Look at a job", responses=answers("not-found"))
def shown(caller: Reader, job_id: JobId) -> JobAnswer:
    """The job as it stands: state, counts, where to go on."""
    return job_answer(caller, job_of(caller, job_id))


@router.get(
    "/{job_id}/files",
    operation_id="listJobFiles",
    summary="List a job's files",
    responses=answers("not-found", "bad-cursor"),
)
def files(
    *, caller: Reader, job_id: JobId, status: Status | None = None, reason: Reason = None, cursor: Cursor = None, limit: Limit = 100
) -> FileList:
    """The job's files with their records, paged. The cursor stays good while files are being finished."""
    job_of(caller, job_id)
    page = caller.door.files(job_id, status, cursor, limit, reason)
    return FileList(files=[file_answer(one) for one in page.items], next=page.cursor)


@router.post(
    "/{job_id}/cancel",
    status_code=202,
    operation_id="cancelJob",
    summary="Cancel a job",
    responses=answers("not-found", "job-ended", "conflict"),
)
def cancel(caller: Submitter, job_id: JobId) -> JobAnswer:
    """Ask a job to end. Files that wait are not begun; what was finished is kept as a version of the package."""
    job = job_of(caller, job_id)
    if job.state not in UNFINISHED:
        raise ApiError("job-ended", "The job has ended already.")
    if not caller.service.ledger.queue.cancel(caller.tenant, job_id):
        raise ApiError("conflict", "The job's version is being committed.", "Wait: it ends by itself within moments.")
    return job_answer(caller, job_of(caller, job_id))


@router.post(
    "/{job_id}/retry",
    status_code=202,
    operation_id="retryJob",
    summary="Try failed files again",
    responses=answers("not-found", "job-not-ended", "nothing-to-retry", "source", "too-many-jobs", "idempotency-conflict"),
)
def retry(
    caller: Submitter, job_id: JobId, response: Response, reason: Reason = None, idempotency_key: IdempotencyKey = None
) -> JobAnswer:
    """Make a new job of the files that ended `failed`, or only of those that failed for one reason."""
    old = job_of(caller, job_id)
    digest = hashlib.sha256(f"retry\n{job_id}\n{reason}".encode()).hexdigest()
    if known := _known(caller, idempotency_key, digest):
        return _answered(caller, known, response)
    if old.state in UNFINISHED:
        raise ApiError("job-not-ended", "The job has not ended yet.")
    failed = caller.door.retry_reasons(job_id)
    if not (failed.get(reason) if reason else failed):
        raise ApiError("nothing-to-retry", "No file of this job failed in this way.")
    upload = references.upload_of(old.source)
    if upload is not None and is_over(upload_of(caller, upload)):
        raise ApiError("source", "The upload that the job's files came with is over.", "Send these files again in a new upload.")
    wanted = Submission(
        tenant=caller.tenant,
        package=old.package,
        source=old.source,
        policy=old.policy,
        priority=old.priority,
        idempotency_key=idempotency_key,
        request_sha256=digest,
        callback_url=old.callback_url,
        delivery=old.delivery,
        retry_of=job_id,
        retry_reason=reason,
    )
    return _submitted(caller, wanted, response)


@router.post(
    "/{job_id}/callbacks/replay",
    operation_id="replayCallbacks",
    summary="Send a job's callbacks again",
    responses=answers("not-found"),
)
def replay(caller: Submitter, job_id: JobId) -> Replayed:
    """Send what the job had to tell once more, with the ids that the messages had."""
    job_of(caller, job_id)
    return Replayed(callbacks=caller.service.ledger.outbox.replay(caller.tenant, job_id))


def job_of(caller: Caller, job_id: str) -> JobView:
    """The tenant's job.

    Raises:
        ApiError: ``not-found``, whether it is nobody's or another tenant's.
    """
    job = caller.door.job(job_id)
    if job is None:
        raise not_found("job")
    return job


def _submitted(caller: Caller, wanted: Submission, response: Response) -> JobAnswer:
    if caller.door.unfinished_jobs() >= caller.limits.open_jobs:
        raise ApiError(
            "too-many-jobs",
            f"The tenant may have {caller.limits.open_jobs} jobs that have not ended.",
            headers={"Retry-After": "60"},
        )
    return _answered(caller, caller.service.ledger.queue.submit(wanted).job_id, response)


def _answered(caller: Caller, job_id: str, response: Response) -> JobAnswer:
    response.headers["Location"] = f"/v1/jobs/{job_id}"
    response.headers["Retry-After"] = POLL_AFTER_S
    return job_answer(caller, job_of(caller, job_id))


def _known(caller: Caller, key: str | None, digest: str) -> str | None:
    """The job that this very request made before. Asked first: what was taken is told, even where it would not be taken now.

    Raises:
        ApiError: ``invalid``: the key is none.
        IdempotencyConflictError: The key came with another request.
    """
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise ApiError("invalid", "`Idempotency-Key` must have 1 to 255 visible ASCII characters.")
    known = caller.service.ledger.queue.submitted(caller.tenant, key, digest)
    return known.job_id if known else None


def _take_upload(caller: Caller, upload_id: str) -> None:
    """Close the upload, so that what the job reads stands still. One that was submitted before may be submitted again."""
    tenants = caller.service.ledger.tenants
    upload = tenants.upload(caller.tenant, upload_id)
    if upload is None or upload.state == "expired" or is_over(upload):
        raise ApiError("source", "There is no such upload.")
    if upload.state == "open":
        if next(caller.service.bucket_of(caller.tenant).list(f"uploads/{upload_id}.parts/"), None) is not None:
            raise ApiError("upload-incomplete", "A file was sent in parts and never completed.", "Complete or delete it first.")
        tenants.close_upload(caller.tenant, upload_id, "submitted")


def _digest(request: JobRequest) -> str:
    """The same for the same request, however it was written."""
    text = json.dumps(request.model_dump(mode="json"), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
