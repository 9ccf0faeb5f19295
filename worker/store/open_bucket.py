"""Makes a bucket of a registered place's URL. The only place that knows every kind."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from actions.errors import PermanentError
from worker.store.bucket import Bucket
from worker.store.bucket_folder import FolderBucket
from worker.store.bucket_s3 import S3Bucket, S3Endpoint, client_of


def open_bucket(url: str, endpoint: S3Endpoint | None = None) -> Bucket:
    """The place at *url*: ``file:///folder`` or ``s3://bucket/prefix``. Nothing is asked of it yet.

    Args:
        endpoint: The server of an ``s3://`` place.

    Raises:
        PermanentError: *url* is neither, or needs an endpoint that is not given.
    """
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.scheme == "file" and not parts.netloc and path.startswith("/") and not parts.query:
        return FolderBucket(Path(path))
    if parts.scheme == "s3" and parts.netloc and not parts.query:
        if endpoint is None:
            raise PermanentError("its S3 endpoint is not in the settings", url, "Add it under [s3.NAME], and name it at the place.")
        return S3Bucket(client_of(endpoint), parts.netloc, path)
    raise PermanentError("is no place", url, "Write file:///absolute/folder or s3://bucket/prefix.")
