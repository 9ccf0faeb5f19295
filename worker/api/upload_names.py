"""Which names a file of an upload may have: those that every store can hold and no reader can be misled by.

A name is refused, never mended: it is part of the record.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from worker.api.problems import ApiError

PATH_BYTES = 800  # an S3 key holds 1024, and our own prefix needs its share
PART_BYTES = 255  # one folder's or file's name on ext4, XFS and NTFS
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff]")


def from_url(raw_path: bytes) -> str:
    """The file's path from the request line's own bytes, in which a name that is no UTF-8 can still be told from one that is.

    Raises:
        ApiError: ``upload-name``.
    """
    rest = raw_path.partition(b"/files/")[2]
    try:
        return checked(unquote_to_bytes(rest.partition(b"?")[0]).decode("utf-8"))
    except UnicodeDecodeError:
        raise _refused("is not UTF-8") from None


def checked(path: str) -> str:
    """*path*, when it may be used.

    Raises:
        ApiError: ``upload-name``, which says why, and does not repeat the name.
    """
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise _refused("is not UTF-8") from None
    parts = path.split("/")
    if not path:
        raise _refused("is empty")
    if path.startswith("/"):
        raise _refused("begins with a slash")
    if "" in parts:
        raise _refused("has an empty part")
    if ".." in parts or "." in parts:
        raise _refused("has a part that is `.` or `..`")
    if _CONTROL.search(path):
        raise _refused("has a control character")
    if size > PATH_BYTES:
        raise _refused(f"is longer than {PATH_BYTES} bytes")
    if any(len(part.encode()) > PART_BYTES for part in parts):
        raise _refused(f"has a part of more than {PART_BYTES} bytes")
    return path


def _refused(why: str) -> ApiError:
    return ApiError("upload-name", f"The file's name {why}.")
