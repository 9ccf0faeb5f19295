"""One body of an upload, from the event loop into the tenant's store: what is checked before, counted, and looked at after."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
from anyio import from_thread
from starlette.requests import ClientDisconnect

from worker.api.caller import Caller
from worker.api.problems import ApiError
from worker.api.upload_area import PART_BYTES, UploadArea, no_upload, taken
from worker.api.upload_body import Busy, Checked
from worker.api.upload_words import Sent, SentPart
from worker.ledger.events import now
from worker.ledger.service_facts import Upload

_CHUNK_WAIT_S = 60.0  # a client that sends nothing for so long is given up: it holds one of few threads
BUSY = Busy()
"""Files that this process is writing. Another process may write the same one: then the last whole one stands."""


class Incoming:
    """One body on its way into the store: what is checked before, counted, and looked at again afterwards."""

    def __init__(self, caller: Caller, upload_id: str, path: str, size_bytes: int, part: int | None) -> None:
        self._caller, self._id, self._path, self._size, self._part = caller, upload_id, path, size_bytes, part
        self._area = area_of(caller, upload_id)

    def take(self, body: Checked) -> Sent | SentPart:
        """Take the body in, in a thread of its own.

        Raises:
            ApiError: With whatever stands against it; nothing is kept of the body then.
        """
        upload = open_upload(self._caller, self._id)
        most = self._caller.limits.file_bytes if self._part is None else min(PART_BYTES, self._caller.limits.file_bytes)
        if self._size > most:
            raise ApiError("too-large", f"This body may have {most} bytes.", "Send the file in parts, `?part=1` and on.")
        with BUSY.hold(self._area.key(self._path)):
            return self._whole(upload, body) if self._part is None else self._a_part(upload, self._part, body)

    def _whole(self, upload: Upload, body: Checked) -> Sent:
        there = self._area.stat(self._path)
        if there is not None:
            if there.size_bytes != self._size:
                raise taken()
            return self._area.same(self._path, body)
        self._area.check_place(self._path)
        reserve(self._caller, upload, self._size)
        try:
            sent = self._area.write(self._path, body)
            self._still_open()
        except BaseException:
            count(self._caller, self._id, -1, -self._size)
            raise
        return sent

    def _a_part(self, upload: Upload, number: int, body: Checked) -> SentPart:
        if self._area.stat(self._path) is not None:
            raise taken()
        before = self._area.part(self._path, number)
        more = self._size - (before.size_bytes if before else 0)
        reserve(self._caller, upload, more, files=0)
        try:
            return self._area.write_part(self._path, number, body)
        except BaseException:
            count(self._caller, self._id, 0, -more)
            raise

    def _still_open(self) -> None:
        """A job that took the upload meanwhile has not counted on this file: it goes again, and the client is told."""
        try:
            open_upload(self._caller, self._id)
        except ApiError:
            self._area.forget(self._path)
            raise


class Body:
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


def upload_of(caller: Caller, upload_id: str) -> Upload:
    """The tenant's upload, in whatever state.

    Raises:
        ApiError: ``not-found``.
    """
    upload = caller.service.ledger.tenants.upload(caller.tenant, upload_id)
    if upload is None:
        raise no_upload()
    return upload


def open_upload(caller: Caller, upload_id: str) -> Upload:
    """The tenant's upload, while it takes files.

    Raises:
        ApiError: ``not-found``, ``upload-closed``.
    """
    upload = upload_of(caller, upload_id)
    if upload.state != "open" or is_over(upload):
        raise closed()
    return upload


def is_over(upload: Upload) -> bool:
    """Whether its time is over: `bevara gc` may have removed its files, whatever its state."""
    return upload.expires < now()


def area_of(caller: Caller, upload_id: str) -> UploadArea:
    """Where its files are. That the upload is the tenant's was asked before."""
    return UploadArea(caller.service.bucket_of(caller.tenant), upload_id)


def reserve(caller: Caller, upload: Upload, size_bytes: int, *, files: int = 1) -> None:
    """Count what is about to come.

    Raises:
        ApiError: ``upload-too-large``, ``upload-closed``.
    """
    if upload.files + files > caller.limits.upload_files:
        raise ApiError("upload-too-large", f"An upload may have {caller.limits.upload_files} files.")
    if upload.bytes + size_bytes > caller.limits.upload_bytes:
        raise ApiError("upload-too-large", f"An upload may have {caller.limits.upload_bytes} bytes.")
    if not count(caller, upload.id, files, size_bytes):
        raise closed()


def count(caller: Caller, upload_id: str, files: int, size_bytes: int) -> bool:
    """Count what came, or left when negative; False: the upload is not open, and nothing was counted."""
    return caller.service.ledger.tenants.grow_upload(caller.tenant, upload_id, files=files, size_bytes=size_bytes)


def closed() -> ApiError:
    """The upload takes no more."""
    return ApiError("upload-closed", "The upload was submitted, deleted, or has expired.")
