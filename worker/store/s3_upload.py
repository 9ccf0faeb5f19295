"""Writes a stream to an S3 server through one part's memory, whatever the stream's size.

The client's own way holds up to three parts at once, and the C library keeps such blocks for the thread that freed them: a
worker grew with the inventories of its jobs. Here one buffer is mapped for each upload, and given back when it ends. What an
error means is ``s3_words``'s matter.
"""

from __future__ import annotations

import contextlib
import math
import mmap
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from minio import Minio
from minio.datatypes import Part
from minio.error import MinioException
from urllib3.exceptions import HTTPError

from worker.store.bucket import pieces

_TYPE = {"Content-Type": "application/octet-stream"}
_MAX_PARTS = 10_000  # S3's own limit


@dataclass(frozen=True, slots=True)
class Target:
    """A key of a bucket, by their full names at the server."""

    client: Minio
    bucket: str
    key: str


def upload(target: Target, stream: BinaryIO, size_bytes: int, part_bytes: int) -> None:
    """Write exactly *size_bytes* of *stream*, in as many parts as it takes. A part is sent when all of it was read.

    Raises:
        StoreError: The stream ends before.
        MinioException: Of the server; likewise HTTPError. What had been sent is given up.
    """
    room_bytes = part_size(size_bytes, part_bytes)
    with (
        mmap.mmap(-1, min(room_bytes, size_bytes)) as room,
        memoryview(room) as view,
        contextlib.closing(_parts(view, stream, size_bytes)) as filled,  # lets go of the room, whatever happens
    ):
        if size_bytes > room_bytes:
            _in_parts(target, filled)
            return
        for data in filled:
            target.client._put_object(target.bucket, target.key, data, {**_TYPE})  # noqa: SLF001 -- the public name copies its data


def part_size(size_bytes: int, wanted_bytes: int) -> int:
    """The part size: *wanted_bytes*, or what keeps the number of parts within S3's limit, in whole MiB."""
    return max(wanted_bytes, math.ceil(size_bytes / _MAX_PARTS / (1 << 20)) << 20)


def _parts(room: memoryview, stream: BinaryIO, size_bytes: int) -> Generator[bytes, None, None]:
    """Part after part, each in the same *room*: one is done with before the next is asked for."""
    filled = 0
    for piece in _fitting(stream, size_bytes, len(room)):
        room[filled : filled + len(piece)] = piece
        filled += len(piece)
        if filled == len(room):
            yield cast("bytes", room)
            filled = 0
    if filled:
        with room[:filled] as last:
            yield cast("bytes", last)


def _fitting(stream: BinaryIO, size_bytes: int, room_bytes: int) -> Iterator[memoryview]:
    """The stream's pieces, cut where a part ends."""
    left = room_bytes
    for piece in pieces(stream, size_bytes):
        rest = memoryview(piece)
        while rest:
            yield rest[:left]
            taken = min(left, len(rest))
            rest, left = rest[taken:], left - taken or room_bytes


def _in_parts(target: Target, parts: Iterator[bytes]) -> None:
    client, bucket, key = target.client, target.bucket, target.key
    upload_id = client._create_multipart_upload(bucket, key, {**_TYPE})  # noqa: SLF001 -- these have no public names
    try:
        sent = [
            Part(number, client._upload_part(bucket, key, data, None, upload_id, number))  # noqa: SLF001
            for number, data in enumerate(parts, 1)
        ]
        client._complete_multipart_upload(bucket, key, upload_id, sent)  # noqa: SLF001
    except BaseException:
        with contextlib.suppress(MinioException, HTTPError):  # then ``s3_unfinished`` finds it later
            client._abort_multipart_upload(bucket, key, upload_id)  # noqa: SLF001
        raise
