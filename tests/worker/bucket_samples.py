"""What the tests of the store in a bucket share: a service's store and ledger without its processes, and buckets that stop."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from worker.archive import LEDGER, MARKER
from worker.ledger.ledger import Ledger
from worker.store.bucket import Blob, Bucket
from worker.store.bucket_store import BucketStore


@dataclass
class Office:
    """A store in a bucket and a ledger beside it; ``store_samples`` works with it as with an archive."""

    store: BucketStore
    ledger: Ledger

    @classmethod
    def open(cls, bucket: Bucket, folder: Path, **more: float) -> Office:
        folder.mkdir(exist_ok=True)
        return cls(BucketStore(bucket, folder / "scratch", **more), Ledger.open(folder / LEDGER))

    def close(self) -> None:
        self.ledger.close()
        self.store.spool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def download(bucket: Bucket, target: Path) -> Path:
    """The storage root as a folder."""
    for blob in bucket.list("store/"):
        path = target / blob.key
        path.parent.mkdir(parents=True, exist_ok=True)
        with bucket.get(blob.key) as stream:
            path.write_bytes(stream.read())
    return target / "store"


def as_archive(bucket: Bucket, folder: Path, target: Path) -> Path:
    """The storage root and the ledger in *folder* as an embedded archive, for ``worker.verify``."""
    download(bucket, target)
    (target / MARKER[0]).write_bytes(MARKER[1])
    for path in folder.glob(f"{LEDGER}*"):
        shutil.copy(path, target)
    return target


class Watched:
    """A real bucket; *before* is called with the number of each change before it is made."""

    def __init__(self, bucket: Bucket, before: Callable[[int], None]) -> None:
        self._bucket, self._before, self.url = bucket, before, bucket.url
        self._count, self._lock = 0, threading.Lock()

    def _change(self) -> None:
        with self._lock:
            number, self._count = self._count, self._count + 1
        self._before(number)

    def put(self, key: str, data: bytes) -> None:
        self._change()
        self._bucket.put(key, data)

    def put_file(self, key: str, path: Path) -> None:
        self._change()
        self._bucket.put_file(key, path)

    def put_stream(self, key: str, stream: BinaryIO, size_bytes: int) -> None:
        self._change()
        self._bucket.put_stream(key, stream, size_bytes)

    def copy(self, source_key: str, target_key: str, size_bytes: int | None = None) -> None:
        self._change()
        self._bucket.copy(source_key, target_key, size_bytes)

    def delete(self, keys: Iterable[str]) -> None:
        for key in list(keys):  # one by one: a batch may be half done
            self._change()
            self._bucket.delete([key])

    def get(self, key: str, offset_bytes: int = 0, length_bytes: int | None = None) -> BinaryIO:
        return self._bucket.get(key, offset_bytes, length_bytes)

    def stat(self, key: str) -> Blob | None:
        return self._bucket.stat(key)

    def list(self, prefix: str = "", after: str = "") -> Iterator[Blob]:
        return self._bucket.list(prefix, after)

    def sweep(self, older_than_s: float) -> int:
        return self._bucket.sweep(older_than_s)


def dies(work: Callable[[Callable[[Bucket], Bucket]], None], at: int) -> bool:
    """Run *work* in a child; the bucket that it wraps with what it is given kills it before change number *at*.

    False when it ended by itself before.
    """
    child = os.fork()
    if child == 0:

        def kill(number: int) -> None:
            if number == at:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            work(lambda bucket: Watched(bucket, kill))
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL), f"the child failed by itself at step {at}"
    return code != 0
