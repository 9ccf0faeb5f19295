"""Where a job's files come from: a folder of this machine, or a prefix in a bucket.

Both are asked the same two things: what is there, and to bring one file into the package's draft. A name is only ever a
name: what could lead out of the source, or be read as another, is told and not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Protocol

from worker.pipeline.scan import Kind, Seen, scan
from worker.pipeline.stage import NotStagedError, changed, not_a_file, stage, tries
from worker.store.bucket import Blob, Bucket
from worker.store.contract import Draft, NotInStoreError, Stored

_UNSAFE_PARTS = frozenset({b"", b".", b".."})


class Source(Protocol):
    """What a job preserves. Used by several threads."""

    def files(self) -> Iterator[Seen]:
        """Every name in the source that is not a folder, streamed; nothing is opened.

        Raises:
            OSError: The folder itself cannot be listed.
            StoreUnreachableError: The bucket does not answer.
        """
        ...

    def stage_into(self, draft: Draft, path: bytes, kind: Kind, logical_path: str) -> Stored:
        """Take one of ``files`` into *draft*; returns when its bytes are durable and were read back.

        Raises:
            NotStagedError: Its bytes cannot be taken as they stand; the reason is for the file's record.
            OSError: The archive's own disk failed or is full.
            TransientError: Source, store or scratch area cannot be used now; the file can be taken again later.
        """
        ...


class FolderSource:
    """A folder, or one file, by its absolute path in the file system's bytes."""

    def __init__(self, root: bytes) -> None:
        self._root = root

    def files(self) -> Iterator[Seen]:
        """See ``Source``."""
        return scan(self._root)

    def stage_into(self, draft: Draft, path: bytes, kind: Kind, logical_path: str) -> Stored:
        """See ``Source``."""
        return stage(self._root, path, kind, draft, logical_path)


class BucketSource:
    """Everything below *prefix* of a bucket; a file's path is what follows the prefix and its slash.

    Args:
        prefix: A folder's name, without a slash at the end; empty: the whole place.
    """

    def __init__(self, bucket: Bucket, prefix: str = "") -> None:
        self._bucket, self._prefix = bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def files(self) -> Iterator[Seen]:
        """See ``Source``. A key that ends with a slash and holds nothing is what some programs leave for a folder."""
        for blob in self._bucket.list(self._prefix):
            path = blob.key.removeprefix(self._prefix).encode("utf-8", "surrogateescape")
            if not path or (path.endswith(b"/") and not blob.size_bytes):
                continue
            kind = Kind.UNSAFE_NAME if _unsafe(path) else Kind.FILE
            yield Seen(path, kind, blob.size_bytes, blob.mtime_ns)

    def stage_into(self, draft: Draft, path: bytes, kind: Kind, logical_path: str) -> Stored:
        """See ``Source``."""
        name = path.decode("utf-8", "backslashreplace")
        if kind is not Kind.FILE or _unsafe(path):
            raise not_a_file(kind if kind is not Kind.FILE else Kind.UNSAFE_NAME, name)
        key = self._prefix + path.decode("utf-8", "surrogateescape")
        for _ in tries():
            before = self._stat(key, name)
            with self._opened(key, name) as stream:
                stored = draft.ingest(stream, logical_path)
            if stored.size_bytes == before.size_bytes and _same(before, self._bucket.stat(key)):
                return stored
            draft.release(stored)
        raise changed(name)

    def _stat(self, key: str, name: str) -> Blob:
        blob = self._bucket.stat(key)
        if blob is None:
            raise _gone(name)
        return blob

    def _opened(self, key: str, name: str) -> BinaryIO:
        try:
            return self._bucket.get(key)
        except NotInStoreError:
            raise _gone(name) from None


def _gone(name: str) -> NotStagedError:
    return NotStagedError("is no longer where it was listed", name, "Deliver it again, and run the job again.")


def _unsafe(path: bytes) -> bool:
    """Whether a part of the key would mean something else as a path, or some server would read it as another key."""
    return any(part in _UNSAFE_PARTS for part in path.split(b"/"))


def _same(before: Blob, after: Blob | None) -> bool:
    return after is not None and (before.size_bytes, before.tag) == (after.size_bytes, after.tag)
