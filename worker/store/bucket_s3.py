"""A prefix in a bucket of any S3 server as a place for bytes, through the ``minio`` client.

Knows how S3 servers answer, and which answers mean "later". A request that did not end is tried again here a few times
within seconds; what comes after that is the caller's matter.
"""

# ruff: noqa: D102 -- the protocol documents every method

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

import certifi
import urllib3
from minio import Minio
from minio.commonconfig import ComposeSource, CopySource
from minio.deleteobjects import DeleteObject
from minio.error import InvalidResponseError, S3Error
from urllib3.exceptions import HTTPError

from worker.digests import CHUNK_BYTES
from worker.store.body import reader
from worker.store.bucket import Blob, check_key, check_new_key, pieces
from worker.store.contract import NotInStoreError
from worker.store.s3_unfinished import end_unfinished
from worker.store.s3_upload import Target, part_size, upload
from worker.store.s3_words import MISSING, S3Words, status_of

CONNECT_S, READ_S = 5.0, 60.0  # a server that says nothing for so long is asked again, then given up for now
RETRIES = 3  # within about two seconds; longer waits are the queue's, where they hold no thread
PART_BYTES = 8 << 20  # of an upload: what each thread that uploads holds at most
COPY_PART_BYTES = 256 << 20  # a server copies this much well within READ_S; S3 itself allows 5 GiB
_DELETE_BATCH = 1000  # S3's own limit
_BUSY = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class S3Endpoint:
    """How to reach one S3 server.

    Attributes:
        name: What places call it in the settings.
        endpoint: ``host`` or ``host:port``.
        region: Empty: the server is asked.
        ca_file: PEM file of the authority that signed its certificate; None: the usual ones.
    """

    name: str
    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = ""
    secure: bool = True
    ca_file: Path | None = None


@lru_cache(maxsize=64)
def client_of(endpoint: S3Endpoint) -> Minio:
    """The client of a server: one for the process, with its pool of connections."""
    retries = urllib3.Retry(
        total=RETRIES,
        backoff_factor=0.2,
        status_forcelist=_BUSY,
        raise_on_status=False,  # the server's own words tell more
        respect_retry_after_header=False,  # it may ask for minutes, which would hold this thread
    )
    http = urllib3.PoolManager(
        maxsize=64,
        timeout=urllib3.Timeout(connect=CONNECT_S, read=READ_S),
        retries=retries,
        cert_reqs="CERT_REQUIRED",
        ca_certs=str(endpoint.ca_file or os.environ.get("SSL_CERT_FILE") or certifi.where()),
    )
    return Minio(
        endpoint.endpoint,
        endpoint.access_key,
        endpoint.secret_key,
        secure=endpoint.secure,
        region=endpoint.region or None,
        http_client=http,
    )


class S3Bucket:
    """See ``worker.store.bucket.Bucket``.

    Args:
        prefix: Where the place's keys begin, without a slash at either end; empty: the whole bucket.
        part_bytes: Size of an upload's parts, at least 5 MiB; likewise *copy_part_bytes*.
    """

    def __init__(
        self,
        client: Minio,
        bucket: str,
        prefix: str = "",
        *,
        part_bytes: int = PART_BYTES,
        copy_part_bytes: int = COPY_PART_BYTES,
    ) -> None:
        prefix = prefix.strip("/")
        self._client, self._bucket, self._prefix = client, bucket, f"{check_key(prefix)}/" if prefix else ""
        self._part_bytes, self._copy_part_bytes = part_bytes, copy_part_bytes
        self.url = f"s3://{bucket}/{prefix}".rstrip("/")
        self._words = S3Words(self.url, self._is_not_listed)

    def put(self, key: str, data: bytes) -> None:
        with self._words.told(key):
            self._client.put_object(
                self._bucket, self._name(check_new_key(key)), io.BytesIO(data), len(data), num_parallel_uploads=1
            )

    def put_file(self, key: str, path: Path) -> None:
        with path.open("rb") as stream:
            self.put_stream(key, stream, os.fstat(stream.fileno()).st_size)

    def put_stream(self, key: str, stream: BinaryIO, size_bytes: int) -> None:
        if size_bytes <= CHUNK_BYTES:
            self.put(key, b"".join(pieces(stream, size_bytes)))
            return
        with self._words.told(key):
            upload(Target(self._client, self._bucket, self._name(check_new_key(key))), stream, size_bytes, self._part_bytes)

    def get(self, key: str, offset_bytes: int = 0, length_bytes: int | None = None) -> BinaryIO:
        if length_bytes == 0:  # S3 has no range without bytes
            self._size(key)
            return io.BytesIO(b"")
        with self._words.told(key):
            try:
                answer = self._client.get_object(
                    self._bucket,
                    self._name(key),
                    offset=offset_bytes,
                    length=length_bytes or 0,
                    request_headers={"Accept-Encoding": "identity"},
                )
            except (S3Error, InvalidResponseError) as no:
                if status_of(no) != 416:  # Range Not Satisfiable: what stands there does not go so far
                    raise
                return io.BytesIO(b"")
        length = answer.headers.get("content-length")
        asked = bool(offset_bytes or length_bytes)
        if length is None or asked != ("content-range" in answer.headers):
            answer.close()
            raise self._words.unreachable("did not give what it was asked for", "See what stands between here and the S3 server.")
        return reader(int(length), _filler(answer), _ender(answer), self._words.broke_off)

    def _size(self, key: str) -> int:
        blob = self.stat(key)
        if blob is None:
            raise self._words.missing(key)
        return blob.size_bytes

    def stat(self, key: str) -> Blob | None:
        try:
            with self._words.told(key):
                found = self._client.stat_object(self._bucket, self._name(key))
        except NotInStoreError:
            self._why_missing(key)
            return None
        return self._blob(key, found.size, found.etag, found.last_modified)

    def _why_missing(self, key: str) -> None:
        """An answer to HEAD has no words: 404 may also mean an unknown user, or no bucket. Asked for the bytes, the server tells.

        Raises:
            StoreUnreachableError: It is not that nothing stands there.
        """
        with contextlib.suppress(NotInStoreError):
            self.get(key).close()

    def list(self, prefix: str = "", after: str = "") -> Iterator[Blob]:
        cut = len(self._prefix)
        with self._words.told(prefix):
            found = self._client.list_objects(
                self._bucket,
                prefix=self._prefix + prefix,
                recursive=True,
                start_after=self._prefix + after if after else None,
            )
            for item in found:
                yield self._blob(cast("str", item.object_name)[cut:], item.size, item.etag, item.last_modified)

    def copy(self, source_key: str, target_key: str, size_bytes: int | None = None) -> None:
        source, target = self._name(source_key), self._name(check_new_key(target_key))
        size = self._size(source_key) if size_bytes is None else size_bytes
        with self._words.told(source_key):
            if size <= self._copy_part_bytes:
                self._client.copy_object(self._bucket, target, CopySource(self._bucket, source))
                return
            part = part_size(size, self._copy_part_bytes)
            pieces = [ComposeSource(self._bucket, source, offset=at, length=min(part, size - at)) for at in range(0, size, part)]
            self._client.compose_object(self._bucket, target, pieces)

    def delete(self, keys: Iterable[str]) -> None:
        waiting = (self._name(key) for key in keys)
        while batch := tuple(islice(waiting, _DELETE_BATCH)):
            with self._words.told(""):
                for error in self._client.remove_objects(self._bucket, (DeleteObject(name) for name in batch)):
                    if error.code not in MISSING:
                        raise self._words.answered(error.code, 200)

    def sweep(self, older_than_s: float) -> int:
        with self._words.told(""):
            return end_unfinished(self._client, self._bucket, self._prefix, older_than_s)

    def _name(self, key: str) -> str:
        return check_key(self._prefix + check_key(key))

    def _blob(self, key: str, size: int | None, etag: str | None, when: object) -> Blob:
        seconds = when.timestamp() if hasattr(when, "timestamp") else 0.0
        return Blob(key, size or 0, int(seconds * 1e9), (etag or "").strip('"'))

    def _is_not_listed(self, key: str) -> bool:
        return next((blob.key for blob in self.list(key)), None) != key


def _filler(answer: urllib3.BaseHTTPResponse) -> Callable[[memoryview], int]:
    def fill(buffer: memoryview) -> int:
        try:
            data = answer.read(len(buffer), decode_content=False)
        except HTTPError as no:
            raise ConnectionAbortedError(type(no).__name__) from None
        buffer[: len(data)] = data
        return len(data)

    return fill


def _ender(answer: urllib3.BaseHTTPResponse) -> Callable[[bool], None]:
    def end(whole: bool) -> None:  # noqa: FBT001 -- as ``body.reader`` calls it
        if not whole:
            answer.close()  # the rest would have to be read first: another connection is cheaper
        answer.release_conn()

    return end
