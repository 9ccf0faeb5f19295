"""What a place for bytes must be able to do, whatever it is made of: a folder, or a bucket of an S3 server.

A bucket speaks of keys and bytes only. Objects, versions and digests of records are the store's; who may reach which
place is the service's. Kept: ``folder`` in ``bucket_folder``, S3 in ``bucket_s3``; both held to one contract suite.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, ClassVar, Protocol

from actions.errors import TransientError
from worker.digests import CHUNK_BYTES
from worker.store.contract import StoreError
from worker.store.layout import HIDDEN_PARTS

MAX_KEY_BYTES = 1024  # S3's own limit, with the place's prefix
MAX_PART_BYTES = 255  # ext4, XFS, NTFS; and S3 servers that keep keys as files
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


class StoreUnreachableError(TransientError):
    """The place did not answer, or not to the end: network, overload, time limit, credentials. Nothing is wrong with the record."""

    code: ClassVar[str] = "store-unreachable"


class BadKeyError(StoreError):
    """A key that no place can hold as it stands: empty or dotted parts, a leading slash, a control character, too long."""

    code: ClassVar[str] = "bad-key"


@dataclass(frozen=True, slots=True)
class Blob:
    """One key and how much stands under it.

    Attributes:
        key: Below the place's own prefix, parts joined by '/'.
        mtime_ns: When it was last written, by the place's own clock; nanoseconds since the epoch.
        tag: Changes whenever the bytes are written anew; nothing else may be read out of it.
    """

    key: str
    size_bytes: int
    mtime_ns: int = 0
    tag: str = ""


class Bucket(Protocol):
    """Bytes under keys, written whole. What a write returned from is durable, and seen by every later read and listing.

    Every method raises StoreUnreachableError when the place cannot be reached or breaks off, and BadKeyError for a key
    that is not one. Safe to use from several threads.
    """

    url: str
    """``file:///folder`` or ``s3://bucket/prefix``; for people. Holds no secret."""

    def put(self, key: str, data: bytes) -> None:
        """Write *data*; what stood there is replaced as a whole."""
        ...

    def put_file(self, key: str, path: Path) -> None:
        """Write a file's content, streamed; what stood there is replaced as a whole."""
        ...

    def put_stream(self, key: str, stream: BinaryIO, size_bytes: int) -> None:
        """Write exactly *size_bytes* read from *stream*, never held whole; what stood there is replaced as a whole.

        The stream is read to that size and no further. What its ``read`` raises is passed on, and what stood there stays;
        one that ends early raises StoreError.
        """
        ...

    def get(self, key: str, offset_bytes: int = 0, length_bytes: int | None = None) -> BinaryIO:
        """Open for reading, to the end or for *length_bytes*; the caller closes it.

        A body that ends early raises StoreUnreachableError from ``read``: short data is never given out as all there is.

        Raises:
            NotInStoreError: Nothing stands under *key*.
        """
        ...

    def stat(self, key: str) -> Blob | None:
        """What stands under *key*; None: nothing."""
        ...

    def list(self, prefix: str = "", after: str = "") -> Iterator[Blob]:
        """All keys that begin with the text *prefix* and come after *after*, in the order of their UTF-8 bytes, streamed."""
        ...

    def copy(self, source_key: str, target_key: str, size_bytes: int | None = None) -> None:
        """Copy within the place, at the place, whatever the size. *size_bytes*, where it is known, saves asking for it.

        Raises:
            NotInStoreError: Nothing stands under *source_key*.
        """
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Remove *keys*; one that is not there is passed over."""
        ...

    def sweep(self, older_than_s: float) -> int:
        """Remove what writes that were killed more than *older_than_s* ago left, which no key names; returns how many."""
        ...


def check_key(key: str) -> str:
    """*key*, when every kind of place can hold it.

    Raises:
        BadKeyError: It cannot be a key here. The sentence does not repeat it: keys hold file names.
    """
    parts = key.split("/")
    wrong = ""
    if any(part in ("", ".", "..") for part in parts):
        wrong = "has a part that is empty, '.' or '..'"
    elif _CONTROL.search(key):
        wrong = "holds a control character, or bytes that are not UTF-8"
    elif len(key.encode()) > MAX_KEY_BYTES:
        wrong = f"is longer than {MAX_KEY_BYTES} bytes"
    elif any(len(part.encode()) > MAX_PART_BYTES for part in parts):
        wrong = f"has a part that is longer than {MAX_PART_BYTES} bytes"
    if wrong:
        raise BadKeyError(wrong, "a key", "Use a shorter, plain name.")
    return key


def check_new_key(key: str) -> str:
    """*key*, when it can be written and will be listed afterwards. What was written elsewhere may still be read.

    Raises:
        BadKeyError: See ``check_key``; or some S3 server would hide it.
    """
    if any(part.endswith(HIDDEN_PARTS) for part in key.split("/")):
        raise BadKeyError(
            f"has a part that ends with {' or '.join(HIDDEN_PARTS)}, which S3 servers hide", "a key", "Use another name."
        )
    return check_key(key)


def pieces(stream: BinaryIO, size_bytes: int) -> Iterator[bytes]:
    """Exactly *size_bytes* of *stream*, in pieces that fit in memory.

    Raises:
        StoreError: The stream ends before.
    """
    left = size_bytes
    while left:
        piece = stream.read(min(left, CHUNK_BYTES))
        if not piece:
            raise StoreError(f"ended {left} bytes too early, and was not kept", "what was sent", "Send it again, whole.")
        left -= len(piece)
        yield piece
