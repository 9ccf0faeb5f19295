"""Uploads in parts that a killed process left at an S3 server: they take room, and no listing of keys shows them.

Where a server does not list them, or we may not, they are its own to expire: MinIO does it after a day, others by a
lifecycle rule (``AbortIncompleteMultipartUpload``).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from minio import Minio
from minio.datatypes import Upload
from minio.error import S3Error

_NOT_OURS = frozenset({"NotImplemented", "MethodNotAllowed", "AccessDenied"})


def end_unfinished(client: Minio, bucket: str, prefix: str, older_than_s: float) -> int:
    """Give up what was begun below *prefix* more than *older_than_s* ago; returns how many.

    Raises:
        S3Error: Of the server, other than that it does not let us look.
    """
    before = datetime.now(UTC) - timedelta(seconds=older_than_s)
    old = [one for one in _unfinished(client, bucket, prefix) if one.initiated_time and one.initiated_time <= before]
    return sum(_given_up(client, bucket, one) for one in old)


def _unfinished(client: Minio, bucket: str, prefix: str) -> Iterator[Upload]:
    """What was begun, and neither completed nor given up, a page at a time."""
    after, more = "", True
    while more:
        try:
            page = client._list_multipart_uploads(bucket, prefix=prefix or None, key_marker=after or None)  # noqa: SLF001 -- it has no public name
        except S3Error as no:
            if no.code in _NOT_OURS:
                return
            raise
        yield from page.uploads
        more = page.is_truncated and bool(page.uploads)
        after = page.uploads[-1].object_name if more else ""


def _given_up(client: Minio, bucket: str, one: Upload) -> int:
    try:
        client._abort_multipart_upload(bucket, one.object_name, one.upload_id or "")  # noqa: SLF001 -- likewise
    except S3Error as no:
        if no.code != "NoSuchUpload":  # it was completed, or given up, just now
            raise
        return 0
    return 1
