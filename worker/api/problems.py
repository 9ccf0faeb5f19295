"""Every answer that is not what was asked for: one table of stable types (RFC 9457), and how they are sent.

A client may build on ``type`` and ``status``; ``detail`` and ``remedy`` are sentences for people and may change. What the
client sent is never repeated here: it may be a key, or another tenant's.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from actions.errors import PreservationError, TransientError
from worker.store.contract import NotInStoreError

TYPE_PREFIX = "urn:bevara:problem:"
MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger("bevara.api")


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table. ``remedy`` is what is said where the place that raises it has nothing better."""

    status: int
    title: str
    remedy: str


PROBLEMS: dict[str, Kind] = {
    "bad-request": Kind(400, "The request cannot be read", "Send what the OpenAPI document asks for, as UTF-8 JSON."),
    "bad-cursor": Kind(400, "The cursor is not one of ours", "Use `next` of the page before as it is, or leave `cursor` out."),
    "unauthorized": Kind(401, "A valid key is needed", "Send `Authorization: Bearer bvr_…` with a key that has not expired."),
    "scope": Kind(403, "The key may not do this", "Use a key with the scope that `detail` names."),
    "not-found": Kind(404, "There is no such thing", "Check the address and its ids."),
    "method-not-allowed": Kind(405, "The address does not take this method", "See `Allow`, or the OpenAPI document."),
    "request-timeout": Kind(408, "The request's body stopped coming", "Send it again; parts that were answered stay."),
    "conflict": Kind(409, "The state does not allow it", "Look at the current state and decide anew."),
    "idempotency-conflict": Kind(409, "The key was used for another request", "Use a new `Idempotency-Key` for a new request."),
    "job-ended": Kind(409, "The job has ended", "Nothing is left to cancel."),
    "job-not-ended": Kind(409, "The job has not ended yet", "Wait until it has ended, or cancel it."),
    "nothing-to-retry": Kind(409, "No file of the job failed in this way", "See the job's files with `status=failed`."),
    "upload-closed": Kind(409, "The upload takes no more files", "Begin a new upload."),
    "upload-incomplete": Kind(
        409, "Parts of a file are missing, or were never completed", "Send the missing parts, then complete."
    ),
    "upload-busy": Kind(409, "This file is being written right now", "Wait for the other request to end."),
    "no-store": Kind(409, "The tenant has no store", "Ask the archive's operator to register one."),
    "length-required": Kind(411, "The body's length must be told", "Send `Content-Length`."),
    "too-large": Kind(413, "The body is larger than allowed", "Send less at once; large files go in parts."),
    "upload-too-large": Kind(413, "The upload would hold more than the tenant may", "Submit what is there, and begin another."),
    "media-type": Kind(415, "The body is of a type that is not taken here", "Send the type that the OpenAPI document names."),
    "range": Kind(416, "The range lies outside the file", "Ask for bytes below the size in `Content-Range`."),
    "invalid": Kind(422, "A value is not allowed", "Mend what `errors` names."),
    "source": Kind(422, "The source cannot be used", "Name a registered place of yours, or an upload."),
    "delivery": Kind(422, "The delivery cannot be used", "Name a registered place of yours that takes deliveries."),
    "callback": Kind(422, "The callback's address is not registered", "Have the operator register it for the tenant."),
    "policy-unknown": Kind(422, "There is no policy of this name", "See `GET /v1/policies`."),
    "policy-invalid": Kind(422, "The policy has errors", "Mend the lines in `errors`, and send it again."),
    "upload-name": Kind(422, "The file's name cannot be used", "Send the file under another name."),
    "upload-name-taken": Kind(422, "Another file has this name", "Delete the first, or send this under another name."),
    "digest-mismatch": Kind(422, "The bytes are not those of the digest", "Send the file again; nothing was kept of it."),
    "rate": Kind(429, "Too many requests", "Wait as long as `Retry-After` says."),
    "too-many-jobs": Kind(429, "Too many jobs are open", "Wait until some have ended."),
    "headers-too-large": Kind(431, "A header is longer than allowed", "Shorten it."),
    "internal": Kind(500, "A fault in this program", "Tell the operator the time; the log has the place."),
    "unavailable": Kind(503, "A part of the service is away", "Try again after `Retry-After`; nothing was lost."),
}
"""Code (the end of the ``type`` URI) → its meaning. Never reused for another meaning."""

RETRY_AFTER_S = 5
_BY_REASON = {
    "cursor": ("bad-cursor", "The cursor is not one of ours."),
    "idempotency-conflict": ("idempotency-conflict", "The `Idempotency-Key` was used for another request."),
    "place": ("no-store", "The tenant has no store that this service can reach."),
    "bad-key": ("upload-name", "The tenant's store cannot hold a file of this name."),
}
"""Codes of errors from below that a client can do something about."""
_BY_STATUS = {404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "media-type", 401: "unauthorized"}


@dataclass(eq=False)
class ApiError(Exception):
    """Raised anywhere below a route; becomes one answer. ``code`` is a key of ``PROBLEMS``."""

    code: str
    detail: str
    remedy: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    errors: Sequence[Mapping[str, Any]] = ()

    def response(self) -> Response:
        """The answer as RFC 9457 has it, with our two additions ``remedy`` and ``errors``."""
        kind = PROBLEMS[self.code]
        body: dict[str, Any] = {
            "type": TYPE_PREFIX + self.code,
            "title": kind.title,
            "status": kind.status,
            "detail": self.detail,
            "remedy": self.remedy or kind.remedy,
        }
        if self.errors:
            body["errors"] = [dict(error) for error in self.errors]
        headers = dict(self.headers)
        if kind.status in {429, 503}:
            headers.setdefault("Retry-After", str(RETRY_AFTER_S))
        if kind.status == 401:
            headers.setdefault("WWW-Authenticate", 'Bearer realm="bevara"')
        text = json.dumps(body, ensure_ascii=True)
        return Response(text, kind.status, {**headers, "Cache-Control": "no-store"}, MEDIA_TYPE)


def not_found(what: str) -> ApiError:
    """The one answer for what does not exist and for what is another tenant's (promise P7)."""
    return ApiError("not-found", f"There is no such {what}.")


def install(app: FastAPI) -> None:
    """Make every error of *app* a problem document."""
    app.add_exception_handler(ApiError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(PreservationError, _preservation)
    app.add_exception_handler(Exception, _bug)


def of_error(error: Exception) -> ApiError:
    """What to tell a client of an error that is not its own; the log has the rest."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, PreservationError) and error.reason in _BY_REASON:
        return ApiError(*_BY_REASON[error.reason])
    if isinstance(error, TransientError | NotInStoreError):
        _LOG.warning("a part of the service is away: %s", error.reason)
        return ApiError("unavailable", "A part that this request needs does not answer just now.")
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "unknown"
    _LOG.error("a fault: %s at %s", type(error).__name__, place)  # not its message: it may hold a name or a key (P7)
    return ApiError("internal", "The request could not be carried out.")


async def _known(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, ApiError)  # noqa: S101 -- Starlette calls it for this type
    return error.response()


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 -- Starlette calls it for this type
    if any(tuple(one["loc"]) == ("body",) for one in error.errors()) and not _says_json(request):
        return ApiError("media-type", "The body is not sent as application/json.").response()
    found = [{"where": _where(one["loc"]), "what": _said(one)} for one in error.errors()[:50]]
    if any(one["type"] == "json_invalid" for one in error.errors()):
        return ApiError("bad-request", "The body is not JSON.").response()
    return ApiError("invalid", f"{len(found)} value(s) are not allowed.", errors=found).response()


def _says_json(request: Request) -> bool:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media == "application/json" or (media.startswith("application/") and media.endswith("+json"))


def _where(loc: Sequence[Any]) -> str:
    """Where in the request; a key that the client made up is not repeated."""
    shown = [str(part) for part in loc if isinstance(part, int) or (str(part).isidentifier() and len(str(part)) <= 40)]
    return ".".join(shown)


def _said(error: Mapping[str, Any]) -> str:
    """The rule that was broken. A rule of our own says it itself, others are pydantic's; neither repeats the input."""
    return str(error["msg"]).removeprefix("Value error, ")[:300]


async def _http(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, HTTPException)  # noqa: S101 -- Starlette calls it for this type
    code = _BY_STATUS.get(error.status_code, "bad-request")
    return ApiError(code, f"{PROBLEMS[code].title}.", headers=error.headers or {}).response()


async def _preservation(request: Request, error: Exception) -> Response:
    del request
    return of_error(error).response()


async def _bug(request: Request, error: Exception) -> Response:
    del request
    return of_error(error).response()
