"""The files of one upload in the tenant's primary store: written whole or not at all, and never held by this process.

Below the store's place: ``uploads/<id>/<path>`` holds whole files, which is what a job reads, and
``uploads/<id>.parts/<SHA-256 of the path>/<number>`` the parts of files that are not complete yet.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import BinaryIO, cast

from worker.api.digest_header import Measured
from worker.api.problems import ApiError, not_found
from worker.api.upload_body import Checked
from worker.api.upload_words import Sent, SentPart
from worker.store.bucket import BadKeyError, Blob, Bucket

MOST_PARTS = 10_000
PART_BYTES = 1024**3
_BLOCK = 1 << 20
_DELETED_AT_ONCE = 1000


class UploadArea:
    """See the module. Cheap to make, one for each request."""

    def __init__(self, bucket: Bucket, upload_id: str) -> None:
        self._bucket = bucket
        self._files = f"uploads/{upload_id}/"
        self._parts = f"uploads/{upload_id}.parts/"

    def key(self, path: str) -> str:
        """The key of a whole file."""
        return self._files + path

    def stat(self, path: str) -> Blob | None:
        """A whole file."""
        try:
            return self._bucket.stat(self.key(path))
        except BadKeyError as refused:
            raise _unusable() from refused

    def check_place(self, path: str) -> None:
        """See that no file is where *path* needs a folder, and no folder where it needs a file.

        Raises:
            ApiError: ``upload-name-taken``.
        """
        parts = path.split("/")
        above = ("/".join(parts[:depth]) for depth in range(1, len(parts)))
        below = next(self._bucket.list(self.key(path) + "/"), None)
        if below is not None or any(self._bucket.stat(self.key(folder)) is not None for folder in above):
            raise ApiError("upload-name-taken", "The name would be a file and a folder at once.")

    def write(self, path: str, body: Checked) -> Sent:
        """Write a whole file; nothing is left of a body that broke off or was wrong."""
        self._put(self.key(path), body)
        return Sent(path=path, size_bytes=body.size_bytes, **body.measured.hexes())

    def same(self, path: str, body: Checked) -> Sent:
        """Answer a file that is sent again: the same bytes are the same file.

        Raises:
            ApiError: ``upload-name-taken``: other bytes have this name.
        """
        body.drain()
        there = Measured()
        with self._bucket.get(self.key(path)) as stream:
            while piece := stream.read(_BLOCK):
                there.update(piece)
        if there.hexes() != body.measured.hexes():
            raise taken()
        return Sent(path=path, size_bytes=body.size_bytes, **body.measured.hexes())

    def write_part(self, path: str, number: int, body: Checked) -> SentPart:
        """Write one part; a part that is sent again replaces the one before."""
        self._put(self._part_key(path, number), body)
        return SentPart(part=number, size_bytes=body.size_bytes, **body.measured.hexes())

    def part(self, path: str, number: int) -> Blob | None:
        """One part of a file."""
        return self._bucket.stat(self._part_key(path, number))

    def parts(self, path: str) -> list[Blob]:
        """All parts of a file, in order of their numbers."""
        return list(self._bucket.list(self._part_folder(path)))

    def join(self, path: str, number_of_parts: int, wanted: Mapping[str, bytes]) -> Sent:
        """Make the whole file of parts 1 … *number_of_parts*, and let the parts go.

        Raises:
            ApiError: ``upload-incomplete``, ``digest-mismatch``.
        """
        parts = self.parts(path)
        if [number_of(one) for one in parts] != list(range(1, number_of_parts + 1)):
            raise ApiError("upload-incomplete", f"Not exactly the parts 1 to {number_of_parts} are there.")
        body = Checked(_Chain(self._bucket, [one.key for one in parts]), sum(one.size_bytes for one in parts), wanted)
        sent = self.write(path, body)
        self._bucket.delete([one.key for one in parts])
        return sent

    def forget(self, path: str) -> tuple[int, int]:
        """Remove a file and its parts; returns how many files and bytes went."""
        whole, parts = self.stat(path), self.parts(path)
        self._bucket.delete([*([self.key(path)] if whole else []), *(one.key for one in parts)])
        return int(whole is not None), (whole.size_bytes if whole else 0) + sum(one.size_bytes for one in parts)

    def forget_all(self) -> None:
        """Remove everything of this upload."""
        for folder in (self._files, self._parts):
            batch: list[str] = []
            for blob in self._bucket.list(folder):
                batch.append(blob.key)
                if len(batch) == _DELETED_AT_ONCE:
                    self._bucket.delete(batch)
                    batch = []
            self._bucket.delete(batch)

    def list(self, cursor: str | None, limit: int) -> tuple[list[tuple[str, int]], str | None]:
        """Whole files (path, size) in the order of their bytes, and where to go on."""
        found: list[tuple[str, int]] = []
        for blob in self._bucket.list(self._files, after=self.key(_decoded(cursor)) if cursor else ""):
            if len(found) == limit:
                return found, _encoded(found[-1][0])
            found.append((blob.key.removeprefix(self._files), blob.size_bytes))
        return found, None

    def _put(self, key: str, body: Checked) -> None:
        try:
            self._bucket.put_stream(key, cast("BinaryIO", body), body.size_bytes)
        except BadKeyError as refused:
            raise _unusable() from refused

    def _part_folder(self, path: str) -> str:
        return f"{self._parts}{hashlib.sha256(path.encode()).hexdigest()}/"

    def _part_key(self, path: str, number: int) -> str:
        return f"{self._part_folder(path)}{number:05d}"


class _Chain:
    """The parts of a file one after the other, each opened when the one before has ended."""

    def __init__(self, bucket: Bucket, keys: list[str]) -> None:
        self._bucket, self._keys = bucket, keys
        self._open: BinaryIO | None = None

    def read(self, size: int = -1) -> bytes:
        """Return up to *size* bytes."""
        while True:
            if self._open is None:
                if not self._keys:
                    return b""
                self._open = self._bucket.get(self._keys.pop(0))
            if piece := self._open.read(min(size, _BLOCK) if size >= 0 else _BLOCK):
                return piece
            self._open.close()
            self._open = None


def number_of(part: Blob) -> int:
    """A part's number, from its key."""
    return int(part.key.rpartition("/")[2])


def taken() -> ApiError:
    """Another file has this name."""
    return ApiError("upload-name-taken", "Other bytes were sent under this name before.")


def _unusable() -> ApiError:
    return ApiError("upload-name", "The tenant's store cannot hold a file of this name.")


def _encoded(path: str) -> str:
    return base64.urlsafe_b64encode(path.encode()).decode()


def _decoded(cursor: str) -> str:
    try:
        path = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True).decode("utf-8")
    except (UnicodeError, binascii.Error):
        raise ApiError("bad-cursor", "The cursor cannot be read.") from None
    if not path or ".." in path.split("/") or "\0" in path:
        raise ApiError("bad-cursor", "The cursor cannot be read.")
    return path


def no_upload() -> ApiError:
    """The one answer for an upload that is nobody's or another tenant's."""
    return not_found("upload")
