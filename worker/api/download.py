"""One file of the archive as an answer: ranges, conditions, digests and a name that a browser saves it under.

Source: RFC 9110 sections 13 and 14 (conditions, ranges), RFC 6266 (Content-Disposition), RFC 9530 (Repr-Digest).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from worker.api.digest_header import header_of
from worker.api.problems import ApiError
from worker.ledger.service_facts import EntryView
from worker.store.bucket import Bucket

_BLOCK = 1 << 18
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_MIME = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,90}")


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes *first* … *last* of a file, both counted from 0 and inclusive."""

    first: int
    last: int


def answer(bucket: Bucket, key: str, entry: EntryView, *, asked: Asked) -> Response:
    """The file, or the part of it that was asked for.

    Raises:
        ApiError: ``range``.
    """
    tag = f'"{entry.sha512}"'
    headers = {
        "ETag": tag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Repr-Digest": header_of(sha256=entry.sha256, sha512=entry.sha512),
        "Content-Disposition": disposition(entry.logical_path.rpartition("/")[2]),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",  # a record is never to run here as a page
    }
    if _named(asked.none_match, tag):
        return Response(status_code=304, headers=headers)
    span = None if asked.if_range and asked.if_range.strip() != tag else span_of(asked.range, entry.size_bytes)
    media = entry.mime if entry.mime and _MIME.fullmatch(entry.mime) else "application/octet-stream"
    length = span.last - span.first + 1 if span else entry.size_bytes
    headers["Content-Length"] = str(length)
    if span:
        headers["Content-Range"] = f"bytes {span.first}-{span.last}/{entry.size_bytes}"
    headers["Content-Type"] = media  # as a header of its own: a charset would be put behind a text's, and nobody measured one
    status = 206 if span else 200
    if asked.head:
        return Response(status_code=status, headers=headers)
    stream = bucket.get(key, span.first if span else 0, length if span else None)
    return StreamingResponse(pieces(stream), status, headers)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the request's headers ask for, as they stand there."""

    range: str | None = None
    none_match: str | None = None
    if_range: str | None = None
    head: bool = False


def span_of(header: str | None, size_bytes: int) -> Span | None:
    """The span that a ``Range`` header means; None: the whole file, which any header we do not read means as well.

    Several ranges at once are answered with the whole file (RFC 9110 section 14.2 leaves it to the server).

    Raises:
        ApiError: ``range``: it lies outside the file.
    """
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or not (found[1] or found[2]):
        return None
    if found[1]:
        first, last = int(found[1]), min(int(found[2]) if found[2] else size_bytes - 1, size_bytes - 1)
        if found[2] and int(found[2]) < first:
            return None  # not a valid range: passed over
    else:
        first, last = max(size_bytes - int(found[2]), 0), size_bytes - 1
        if not int(found[2]):
            first = size_bytes
    if first >= size_bytes:
        raise ApiError("range", f"The file has {size_bytes} bytes.", headers={"Content-Range": f"bytes */{size_bytes}"})
    return Span(first, last)


def disposition(name: str) -> str:
    """``Content-Disposition`` of a download: the name as ASCII for old clients, and as it is."""
    plain = "".join(char if char.isascii() and char.isprintable() and char not in '"\\%/;' else "_" for char in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def pieces(stream: BinaryIO) -> Iterator[bytes]:
    """The stream's bytes; closed at the end, however that comes."""
    with stream:
        while piece := stream.read(_BLOCK):
            yield piece


def _named(header: str | None, tag: str) -> bool:
    if header is None:
        return False
    given = [one.strip().removeprefix("W/") for one in header.split(",")]
    return "*" in given or tag in given
