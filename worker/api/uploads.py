"""Uploads: files that a client sends before a job takes them. Streamed into the tenant's store; a file is a file.

An archive file (zip, tar) is stored as it is and not unpacked: it is a record, and opening it is the sandbox's matter.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Literal, cast

import anyio
from anyio import from_thread, to_thread
from fastapi import APIRouter, Header, Path, Query, Request, Response
from starlette.requests import ClientDisconnect

from worker.api.answers import answers
from worker.api.caller import Caller, Reader, Submitter
from worker.api.digest_header import header_of, parse
from worker.api.problems import ApiError
from worker.api.upload_area import MOST_PARTS, PART_BYTES, Busy, Checked, UploadArea, no_upload, number_of, taken
from worker.api.upload_names import checked
from worker.api.words import CompleteRequest, Sent, SentFile, SentList, SentPart, UploadAnswer, UploadedFile, UploadedPart
from worker.ledger.service_facts import Upload

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])
_CHUNK_WAIT_S = 60.0  # a client that sends nothing for so long is given up: it holds one of few threads
BODIES_AT_ONCE = 32  # of one process: a thread each, apart from those that answer questions
_DAY_S = 86_400
_BUSY = Busy()

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
    return _answer(_upload(caller, upload_id))


@router.delete(
    "/{upload_id}",
    status_code=204,
    operation_id="deleteUpload",
    summary="Delete an upload",
    responses=answers("not-found", "upload-closed", "no-store"),
)
def deleted(caller: Submitter, upload_id: UploadId) -> None:
    """Remove everything of an upload that no job has taken."""
    _upload(caller, upload_id)
    if not caller.service.ledger.tenants.close_upload(caller.tenant, upload_id, "expired"):
        raise _closed()
    _area(caller, upload_id).forget_all()


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
    _upload(caller, upload_id)
    found, after = _area(caller, upload_id).list(cursor, limit)
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
    _upload(caller, upload_id)
    area = _area(caller, upload_id)
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
    body = Checked(_Body(request.stream()), int(size), wanted)
    incoming = _Incoming(caller, upload_id, request.state.path, int(size), part)
    sent = await to_thread.run_sync(incoming.take, body, limiter=request.app.state.bodies)
    response.headers["Repr-Digest"] = header_of(sha256=sent.sha256, sha512=sent.sha512)
    return sent


@router.post(
    "/{upload_id}/complete",
    operation_id="completeUploadFile",
    summary="Make a file of its parts",
    responses=answers(
        "not-found", "upload-name", "upload-name-taken", "upload-closed", "upload-busy", "upload-incomplete", "digest-mismatch",
        "upload-too-large", "media-type", "no-store", "invalid",
    ),
)  # fmt: skip
def complete(caller: Submitter, upload_id: UploadId, request: CompleteRequest) -> Sent:
    """Join parts 1 to `parts` to one file. May take as long as the store needs to copy it; safe to send again."""
    path = checked(request.path)
    upload, area = _upload(caller, upload_id), _area(caller, upload_id)
    if upload.state != "open":
        raise _closed()
    wanted = {name: bytes.fromhex(value) for name, value in request.digests().items()}
    with _BUSY.hold(area.key(path)):
        there = area.stat(path)
        if there is not None and not area.parts(path):  # completed before; the answer was lost
            return _again(caller, upload_id, path, there.size_bytes, wanted)
        if there is not None:
            raise taken()
        if sum(one.size_bytes for one in area.parts(path)) > caller.limits.file_bytes:
            raise ApiError("upload-too-large", f"A file may have {caller.limits.file_bytes} bytes.")
        area.check_place(path)
        _reserve(caller, upload, 0)
        try:
            return area.join(path, request.parts, wanted)
        except BaseException:
            _count(caller, upload_id, -1, 0)
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
    if _upload(caller, upload_id).state != "open":
        raise _closed()
    area = _area(caller, upload_id)
    with _BUSY.hold(area.key(path)):
        files, size = area.forget(path)
    if not files and not size:
        raise no_upload()
    _count(caller, upload_id, -files, -size)


class _Incoming:
    """One body on its way into the store: what is checked before, counted, and looked at again afterwards."""

    def __init__(self, caller: Caller, upload_id: str, path: str, size_bytes: int, part: int | None) -> None:
        self._caller, self._id, self._path, self._size, self._part = caller, upload_id, path, size_bytes, part
        self._area = _area(caller, upload_id)

    def take(self, body: Checked) -> Sent | SentPart:
        """Take the body in, in a thread of its own.

        Raises:
            ApiError: With whatever stands against it; nothing is kept of the body then.
        """
        upload = _upload(self._caller, self._id)
        if upload.state != "open":
            raise _closed()
        most = self._caller.limits.file_bytes if self._part is None else min(PART_BYTES, self._caller.limits.file_bytes)
        if self._size > most:
            raise ApiError("too-large", f"This body may have {most} bytes.", "Send the file in parts, `?part=1` and on.")
        with _BUSY.hold(self._area.key(self._path)):
            return self._whole(upload, body) if self._part is None else self._a_part(upload, self._part, body)

    def _whole(self, upload: Upload, body: Checked) -> Sent:
        there = self._area.stat(self._path)
        if there is not None:
            if there.size_bytes != self._size:
                raise taken()
            return self._area.same(self._path, body)
        self._area.check_place(self._path)
        _reserve(self._caller, upload, self._size)
        try:
            sent = self._area.write(self._path, body)
            self._still_open()
        except BaseException:
            _count(self._caller, self._id, -1, -self._size)
            raise
        return sent

    def _a_part(self, upload: Upload, number: int, body: Checked) -> SentPart:
        if self._area.stat(self._path) is not None:
            raise taken()
        before = self._area.part(self._path, number)
        more = self._size - (before.size_bytes if before else 0)
        _reserve(self._caller, upload, more, files=0)
        try:
            return self._area.write_part(self._path, number, body)
        except BaseException:
            _count(self._caller, self._id, 0, -more)
            raise

    def _still_open(self) -> None:
        """A job that took the upload meanwhile has not counted on this file: it goes again, and the client is told."""
        if _upload(self._caller, self._id).state != "open":
            self._area.forget(self._path)
            raise _closed()


class _Body:
    """A request's body for a thread that reads: the event loop gives it piece by piece, never more than is asked for soon."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces, self._left = pieces, b""

    def read(self, size: int = -1) -> bytes:
        """Return up to *size* bytes; empty: the end."""
        while not self._left:
            piece = from_thread.run(self._next)
            if piece is None:
                return b""
            self._left = piece
        size = len(self._left) if size < 0 else size
        out, self._left = self._left[:size], self._left[size:]
        return out

    async def _next(self) -> bytes | None:
        try:
            with anyio.fail_after(_CHUNK_WAIT_S):
                return await anext(self._pieces, None)
        except TimeoutError:
            raise ApiError("request-timeout", f"Nothing came for {_CHUNK_WAIT_S:.0f} seconds.") from None
        except ClientDisconnect:
            raise ApiError("bad-request", "The body broke off.") from None


def _upload(caller: Caller, upload_id: str) -> Upload:
    upload = caller.service.ledger.tenants.upload(caller.tenant, upload_id)
    if upload is None:
        raise no_upload()
    return upload


def _area(caller: Caller, upload_id: str) -> UploadArea:
    return UploadArea(caller.service.bucket_of(caller.tenant), upload_id)


def _reserve(caller: Caller, upload: Upload, size_bytes: int, *, files: int = 1) -> None:
    if upload.files + files > caller.limits.upload_files:
        raise ApiError("upload-too-large", f"An upload may have {caller.limits.upload_files} files.")
    if upload.bytes + size_bytes > caller.limits.upload_bytes:
        raise ApiError("upload-too-large", f"An upload may have {caller.limits.upload_bytes} bytes.")
    if not _count(caller, upload.id, files, size_bytes):
        raise _closed()


def _count(caller: Caller, upload_id: str, files: int, size_bytes: int) -> bool:
    return caller.service.ledger.tenants.grow_upload(caller.tenant, upload_id, files=files, size_bytes=size_bytes)


def _again(caller: Caller, upload_id: str, path: str, size_bytes: int, wanted: Mapping[str, bytes]) -> Sent:
    with caller.service.bucket_of(caller.tenant).get(f"uploads/{upload_id}/{path}") as stream:
        body = Checked(stream, size_bytes, wanted)
        body.drain()
    return Sent(path=path, size_bytes=size_bytes, **body.measured.hexes())


def _closed() -> ApiError:
    return ApiError("upload-closed", "The upload was submitted, deleted, or has expired.")


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
