"""A store place that is a bucket of an S3 server, or anything else behind ``worker.store.bucket.Bucket``.

A server that throttles, fails or breaks off is *unreadable*; only its clear "no such key" is *missing*.
"""

# ruff: noqa: D102 -- the protocol documents every method

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from worker.fixity.place import STORE, Listed, NotThereError, UnreadableError
from worker.store.bucket import Bucket, StoreUnreachableError
from worker.store.contract import NotInStoreError
from worker.store.layout import OBJECT_NAMASTE, ROOT_FILES

_CHECK = "Check the server and the credentials; the audit tries again by itself."


class BucketPlace:
    """See ``worker.fixity.place.Place``.

    Args:
        is_store: It has an OCFL root; False: others keep their objects there.
        connect: Makes the bucket anew, with connections of its own.
    """

    opens_ahead = False  # each would hold a connection

    def __init__(self, name: str, connect: Callable[[], Bucket], *, is_store: bool = True) -> None:
        self.name, self._connect, self._is_store = name, connect, is_store
        self._bucket = connect()
        self.url = self._bucket.url

    def listing(self, folder: str) -> Iterator[Listed]:
        prefix, any_there = f"{folder}/", False
        with self._told(folder):
            for blob in self._bucket.list(prefix):
                any_there = True
                yield Listed(blob.key[len(prefix) :], blob.size_bytes)
            if not any_there:
                self._answers()

    def objects(self) -> Iterator[str]:
        with self._told(STORE):
            self._answers()
            for blob in self._bucket.list(f"{STORE}/"):
                if blob.key.endswith(f"/{OBJECT_NAMASTE[0]}"):
                    yield blob.key[: -len(OBJECT_NAMASTE[0]) - 1]

    def open(self, path: str, offset_bytes: int = 0) -> _BodyStream:
        with self._told(path):
            return _BodyStream(self._bucket.get(path, offset_bytes), path)

    def fresh(self) -> BucketPlace:
        return BucketPlace(self.name, self._connect, is_store=self._is_store)

    def put_file(self, path: str, source: Path) -> None:
        with self._told(path):
            self._bucket.put_file(path, source)

    def put_bytes(self, path: str, data: bytes) -> None:
        with self._told(path):
            self._bucket.put(path, data)

    def set_aside(self, path: str, target: str) -> None:
        with self._told(path):
            if self._bucket.stat(path) is None:
                return
            if self._bucket.stat(target) is not None:
                raise UnreadableError("stands in the way", target, "Look into the quarantine, and move it away.")
            self._bucket.copy(path, target)
            self._bucket.delete([path])

    def delete(self, path: str) -> None:
        with self._told(path):
            self._bucket.delete([path])

    def close(self) -> None:
        close = getattr(self._bucket, "close", None)
        if close:
            close()

    def _answers(self) -> None:
        if self._is_store and not any(self._bucket.stat(f"{STORE}/{name}") for name in ROOT_FILES):
            raise UnreadableError("has no storage root: it is another bucket, or was emptied", self.name, _CHECK)

    @contextmanager
    def _told(self, path: str) -> Iterator[None]:
        with _told(path):
            yield


class _BodyStream:
    def __init__(self, body: BinaryIO, path: str) -> None:
        self._body, self._path = body, path

    def readinto(self, buffer: memoryview) -> int:
        with _told(self._path):
            got: int | None = self._body.readinto(buffer)  # type: ignore[attr-defined]  # BinaryIO lacks it in typeshed
            return got or 0

    def close(self) -> None:
        self._body.close()


@contextmanager
def _told(path: str) -> Iterator[None]:
    try:
        yield
    except StoreUnreachableError as away:
        raise UnreadableError(away.what, path, _CHECK) from away
    except NotInStoreError:
        raise NotThereError("is not there", path, _CHECK) from None
    except OSError as broken:
        raise UnreadableError(f"broke off: {broken}", path, _CHECK) from broken
