"""Uploads: files that a client sends before a job takes them. Streamed into the tenant's store; a file is a file.

An archive file (zip, tar) is stored as it is and not unpacked: it is a record, and opening it is the sandbox's matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, cast

from anyio import to_thread
from fastapi import APIRouter, Header, Path, Query, Request, Response

from worker.api.answers import answers
from worker.api.caller import Caller, Reader, Submitter
from worker.api.digest_header import header_of, parse
from worker.api.problems import ApiError
from worker.api.upload_area import MOST_PARTS, no_upload, number_of, taken
from worker.api.upload_body import Checked
from worker.api.upload_intake import BUSY, Body, Incoming, area_of, closed, count, open_upload, reserve, upload_of
from worker.api.upload_names import checked
from worker.api.upload_words import CompleteRequest, Sent, SentFile, SentList, SentPart, UploadAnswer, UploadedFile, UploadedPart
from worker.ledger.service_facts import Upload

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])
BODIES_AT_ONCE = 32  # of one process: a thread each, apart from those that answer questions
_DAY_S = 86_400

UploadId = Annotated[str, Path(max_length=200, description="The upload's id.", examples=["8c1e6b0b4c5f8a1b2c3d4e5f60710d4f"])]
FilePath = Annotated[str, Path(description="The file's path in the package, UTF-8, parts joined by `/`.", examples=["a/brev.pdf"])]
Digest = Annotated[str | None, Header(max_length=500, description="RFC 9530, `sha-256=:…:` or `sha-512=:…:`; checked.")]
_BODY = {
    "requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.post("", status_code=201, operation_id="beginUpload", summary="Begin an upload", responses=answers())
def begin(caller: Submitter, response: Response) -> UploadAnswer:
    """Make room for files. What no job has taken when it expires is removed."""
    days = int(getattr(caller.service.settings, "upload_days", 7))
    upload = caller.service.ledger.tenants.open_upload(caller.tenant, days * _DAY_S)
    response.headers["Location"] = f"/v1/uploads/{upload.id}"
    return _answer(upload)


@router.get("/{upload_id}", operation_id="getUpload", summary="Look at an upload", responses=answers("not-found"))
def shown(caller: Reader, upload_id: UploadId) -> UploadAnswer:
    """State, and what has come so far."""
    return _answer(upload_of(caller, upload_id))


@router.delete(
    "/{upload_id}",
    status_code=204,
    operation_id="deleteUpload",
    summary="Delete an upload",
    responses=answers("not-found", "upload-closed", "no-store"),
)
def deleted(caller: Submitter, upload_id: UploadId) -> None:
    """Remove everything of an upload that no job has taken."""
    upload_of(caller, upload_id)
    if not caller.service.ledger.tenants.close_upload(caller.tenant, upload_id, "expired"):
        raise closed()
    area_of(caller, upload_id).forget_all()


@router.get(
    "/{upload_id}/files",
    operation_id="listUploadFiles",
    summary="List an upload's files",
    responses=answers("not-found", "bad-cursor", "no-store"),
)
def listed(
    caller: Reader,
    upload_id: UploadId,
    cursor: Annotated[str | None, Query(max_length=2000)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> SentList:
    """Whole files in the order of their names' bytes; one of which only parts came is not among them."""
    upload_of(caller, upload_id)
    found, after = area_of(caller, upload_id).list(cursor, limit)
    return SentList(files=[SentFile(path=path, size_bytes=size) for path, size in found], next=after)


@router.get(
    "/{upload_id}/files/{path:path}",
    operation_id="getUploadFile",
    summary="See how much of a file came",
    responses=answers("not-found", "upload-name", "no-store"),
)
def file_shown(caller: Reader, upload_id: UploadId, path: FilePath, request: Request) -> UploadedFile:
    """Size of a whole file, or the parts that are there: what a client needs to go on where it was interrupted."""
    path = request.state.path
    upload_of(caller, upload_id)
    area = area_of(caller, upload_id)
    whole, parts = area.stat(path), area.parts(path)
    if whole is None and not parts:
        raise no_upload()
    told = [UploadedPart(part=number_of(one), size_bytes=one.size_bytes) for one in parts]
    size = whole.size_bytes if whole else sum(one.size_bytes for one in parts)
    return UploadedFile(path=path, complete=whole is not None, size_bytes=size, parts=told)


@router.put(
    "/{upload_id}/files/{path:path}",
    operation_id="putUploadFile",
    summary="Send a file, or a part of one",
    openapi_extra=_BODY,
    responses=answers(
        "not-found",
        "upload-name",
        "upload-name-taken",
        "upload-closed",
        "upload-busy",
        "length-required",
        "upload-too-large",
        "digest-mismatch",
        "request-timeout",
        "no-store",
    ),
)
async def file_put(
    *,
    caller: Submitter,
    upload_id: UploadId,
    path: FilePath,
    request: Request,
    response: Response,
    part: Annotated[int | None, Query(ge=1, le=MOST_PARTS, description="Number of the part, from 1.")] = None,
    content_digest: Digest = None,
    repr_digest: Digest = None,
) -> Sent | SentPart:
    """Send the file's bytes as the body, with `Content-Length`. Kept whole or not at all.

    The same bytes under the same name again are answered as the first time; other bytes under a name that is taken are
    refused, so that no file can take another's place unseen. A file that is too large for one request is sent as parts
    `?part=1` … of up to 1 GiB each, in any order and as often as needed, and then completed. The name is checked and
    never changed.
    """
    del path  # the gate has read it from the request line's own bytes
    wanted = parse(content_digest, repr_digest)
    size = request.headers.get("content-length")
    if size is None:
        raise ApiError("length-required", "The body has no `Content-Length`.")
    body = Checked(Body(request.stream()), int(size), wanted)
    incoming = Incoming(caller, upload_id, request.state.path, int(size), part)
    sent = await to_thread.run_sync(incoming.take, body, limiter=request.app.state.bodies)
    response.headers["Repr-Digest"] = header_of(sha256=sent.sha256, sha512=sent.sha512)
    return sent


@router.post(
    "/{upload_id}/complete",
    operation_id="completeUploadFile",
    summary="Make a file of its parts",
    responses=answers(
        "not-found", "upload-name", "upload-name-taken", "upload-closed", "upload-busy", "upload-incomplete", "digest-mismatch",
        "upload-too-large", "media-type", "no-store",
    ),
)  # fmt: skip
def complete(caller: Submitter, upload_id: UploadId, request: CompleteRequest) -> Sent:
    """Join parts 1 to `parts` to one file. May take as long as the store needs to copy it; safe to send again."""
    path = checked(request.path)
    upload, area = open_upload(caller, upload_id), area_of(caller, upload_id)
    wanted = {name: bytes.fromhex(value) for name, value in request.digests().items()}
    with BUSY.hold(area.key(path)):
        there = area.stat(path)
        if there is not None and not area.parts(path):  # completed before; the answer was lost
            return _again(caller, upload_id, path, there.size_bytes, wanted)
        if there is not None:
            raise taken()
        if sum(one.size_bytes for one in area.parts(path)) > caller.limits.file_bytes:
            raise ApiError("upload-too-large", f"A file may have {caller.limits.file_bytes} bytes.")
        area.check_place(path)
        reserve(caller, upload, 0)
        try:
            return area.join(path, request.parts, wanted)
        except BaseException:
            count(caller, upload_id, -1, 0)
            raise


@router.delete(
    "/{upload_id}/files/{path:path}",
    status_code=204,
    operation_id="deleteUploadFile",
    summary="Delete a file of an upload",
    responses=answers("not-found", "upload-name", "upload-closed", "upload-busy", "no-store"),
)
def file_deleted(caller: Submitter, upload_id: UploadId, path: FilePath, request: Request) -> None:
    """Remove a file and its parts from an upload that no job has taken."""
    path = request.state.path
    open_upload(caller, upload_id)
    area = area_of(caller, upload_id)
    with BUSY.hold(area.key(path)):
        files, size = area.forget(path)
    if not files and not size:
        raise no_upload()
    count(caller, upload_id, -files, -size)


def _again(caller: Caller, upload_id: str, path: str, size_bytes: int, wanted: Mapping[str, bytes]) -> Sent:
    with caller.service.bucket_of(caller.tenant).get(f"uploads/{upload_id}/{path}") as stream:
        body = Checked(stream, size_bytes, wanted)
        body.drain()
    return Sent(path=path, size_bytes=size_bytes, **body.measured.hexes())


def _answer(upload: Upload) -> UploadAnswer:
    return UploadAnswer(
        id=upload.id,
        state=cast("Literal['open', 'submitted', 'expired']", upload.state),
        created=upload.created,
        expires=upload.expires,
        files=upload.files,
        size_bytes=upload.bytes,
        source=f"upload://{upload.id}",
    )
