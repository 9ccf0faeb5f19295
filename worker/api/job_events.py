"""A job's events as they happen, as server-sent events; the ledger is asked again and again, nothing is remembered here.

Event ids are the numbers of the package's chain, so a client that was cut off goes on where it was (``Last-Event-ID``).
Source: WHATWG HTML, section 9.2 (server-sent events).
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Annotated

import anyio
from anyio import to_thread
from fastapi import APIRouter, Header, Request
from starlette.responses import StreamingResponse

from worker.api.answers import answers
from worker.api.caller import Caller, Reader
from worker.api.job_words import job_answer
from worker.api.jobs import JobId, job_of
from worker.api.problems import ApiError
from worker.api.words import JobAnswer
from worker.ledger.service_facts import EventView

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
_LOOK_EVERY_S = 0.5
_SIGN_OF_LIFE_S = 15.0  # proxies close what is silent for 30 to 60 s
_LONGEST_S = 3600.0  # then the client asks anew, with a key that is looked at again
_PAGE = 500
_NUMBER = re.compile(r"[0-9]{1,18}")
_EXAMPLE = 'id: 17\\nevent: premis\\ndata: {"seq":17,"hash":"…","event":{…}}\\n\\nevent: job\\ndata: {"state":"finished",…}\\n\\n'


@router.get(
    "/{job_id}/events",
    operation_id="watchJob",
    summary="Watch a job",
    response_class=StreamingResponse,
    responses={
        200: {"description": f"For example `{_EXAMPLE}`", "content": {"text/event-stream": {}}},
        **answers("not-found"),
    },
)
def watched(
    caller: Reader,
    job_id: JobId,
    request: Request,
    last_event_id: Annotated[str | None, Header(max_length=20, description="The last id that was seen.")] = None,
) -> StreamingResponse:
    """PREMIS events of the job as they happen (`premis`), and the job itself whenever it changed (`job`).

    Ends after the last `job`, when the job has ended; when the key or the process ends; and at the latest after an hour: ask
    again with `Last-Event-ID`.
    """
    after = 0
    if last_event_id:
        if not _NUMBER.fullmatch(last_event_id):
            raise ApiError("invalid", "`Last-Event-ID` is not a number that was given here.")
        after = int(last_event_id)
    job_of(caller, job_id)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_told(caller, job_id, after, request), media_type="text/event-stream", headers=headers)


async def _told(caller: Caller, job_id: str, after: int, request: Request) -> AsyncIterator[bytes]:
    shown, quiet_since = None, anyio.current_time()
    until = anyio.current_time() + _LONGEST_S
    ending: Callable[[], bool] = getattr(request.app.state, "ending", lambda: False)  # the process waits for what it has open
    while anyio.current_time() < until and not ending() and not await request.is_disconnected():
        # The job first: what it ended with is then among the events that are asked for after it.
        job = await to_thread.run_sync(_job, caller, job_id)
        if job is None:
            return
        full = True
        while full:
            page = await to_thread.run_sync(_page, caller, job.package_id, after)
            full = len(page) == _PAGE
            after = page[-1].seq if page else after
            if text := b"".join(_event(one) for one in page if one.job_id == job_id):
                quiet_since = anyio.current_time()
                yield text
        if job != shown:
            shown, quiet_since = job, anyio.current_time()
            yield b"event: job\ndata: " + job.model_dump_json().encode() + b"\n\n"
        if job.ended:
            return
        if anyio.current_time() - quiet_since >= _SIGN_OF_LIFE_S:
            quiet_since = anyio.current_time()
            yield b": still here\n\n"
        await anyio.sleep(_LOOK_EVERY_S)


def _job(caller: Caller, job_id: str) -> JobAnswer | None:
    """The job; None: the key may no longer see it, however long ago it was asked with."""
    if not caller.service.ledger.tenants.still_holds(caller.principal):
        return None
    return job_answer(caller, job_of(caller, job_id))


def _page(caller: Caller, package_id: str, after: int) -> list[EventView]:
    return list(caller.door.events(package_id, after, _PAGE))


def _event(one: EventView) -> bytes:
    data = json.dumps({"seq": one.seq, "hash": one.hash, "event": json.loads(one.body)}, ensure_ascii=False)
    return f"id: {one.seq}\nevent: premis\ndata: {data}\n\n".encode()
