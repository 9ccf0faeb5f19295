"""The next version of one object, staged in a bucket under its digests: many processes and machines build it together.

Holds the write path of promise P3 for a store in a bucket. There is no shared index: content that stands under its
digests, and was read back, is there for everyone. Making the draft a version is ``worker.store.bucket_commit``'s part.
"""

# ruff: noqa: D102 -- the contract documents every method

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from worker import digests
from worker.digests import Digests, Source
from worker.store import durable, inventory, layout
from worker.store.bucket import Bucket
from worker.store.contract import NotDurableError, NotInStoreError, Stored
from worker.store.spool import Spool
from worker.store.staged_index import Staged, StagedIndex

_TRIES = 2  # a server that once gave back other bytes is asked to take them again


def home_of(object_id: str) -> str:
    """Where all staged content of an object lies."""
    return f"staging/{hashlib.sha256(object_id.encode()).hexdigest()[:32]}/"


class StagedDraft:
    """See ``worker.store.contract.Draft``.

    Args:
        before: The object's newest inventory, which the draft closes; None: there is no version yet.
    """

    def __init__(self, bucket: Bucket, spool: Spool, object_id: str, version: int, before: BinaryIO | None) -> None:
        self.object_id, self.version, self.before = object_id, version, before
        self.home = f"{home_of(object_id)}v{version}/"
        self.bucket, self.spool = bucket, spool
        self._folder = spool.new_folder()
        self._given: set[Path] = set()
        self.index = StagedIndex(self._folder / "index.sqlite3", version)
        if before is not None:
            self.index.load(inventory.rows(before))
        self.index.saw(self.staged())

    def close(self) -> None:
        for local in tuple(self._given):
            self.spool.release(local)
        self.index.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        if self.before is not None:
            self.before.close()

    def add_file(self, path: Path, logical_path: str) -> Stored:
        with durable.regular_file(path) as fd:
            return self.ingest(fd, logical_path)

    def ingest(self, source: Source, logical_path: str) -> Stored:
        local = self.spool.claim(_size(source))
        try:
            with self.spool.writing():
                fd = os.open(local, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
            with _closing(fd):
                found = _copied(source, fd, self.spool)
            self.spool.resize(local, found.size_bytes)
            content_path, new = self._kept(local, found, logical_path)
        except BaseException:
            self.spool.release(local)
            raise
        self._given.add(local)
        return Stored(found.sha256, found.sha512, found.size_bytes, content_path, local, new)

    def _kept(self, local: Path, found: Digests, logical_path: str) -> tuple[str, bool]:
        """The content path (for the draft's own, a proposal: the commit decides), and whether it was not there before."""
        proposal = f"v{self.version}/content/{layout.content_name(logical_path)}"
        if held := self.index.find(found.sha512):
            return (proposal if held.new else held.path), False
        key = self.key(found.sha512, found.sha256)
        there = self.index.was_there(found.sha512, found.size_bytes)  # written since by another process: the same bytes again
        self._settle(key, local, found, there=there)
        self.index.remember(found.sha512, found.sha256)
        return proposal, not there

    def _settle(self, key: str, local: Path, found: Digests, *, there: bool) -> None:
        """Write it unless it is *there*; read it back, and only then let anyone name it."""
        back = ""
        for _ in range(_TRIES):
            if not there:
                self.bucket.put_file(key, local)
            there = False
            try:
                with self.bucket.get(key) as stream:
                    back = digests.sha256_of(stream)
            except NotInStoreError:
                continue  # it was cleared away since it was seen
            if back == found.sha256:
                return
        self.bucket.delete([key])
        raise NotDurableError(
            f"the store gave back SHA-256 {back} for bytes written with {found.sha256}",
            self.bucket.url,
            "Check the store, and what stands between here and there.",
        )

    def release(self, stored: Stored) -> None:
        self._given.discard(stored.local_path)
        self.spool.release(stored.local_path)

    def key(self, sha512: str, sha256: str) -> str:
        """Where content of these digests is staged."""
        return f"{self.home}{sha512}.{sha256}"

    def staged(self) -> Iterator[Staged]:
        """All that any process has staged."""
        for blob in self.bucket.list(self.home):
            sha512, _, sha256 = blob.key.removeprefix(self.home).partition(".")
            yield Staged(sha512, sha256, blob.size_bytes, blob.tag)


@contextlib.contextmanager
def _closing(fd: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(fd)


def _copied(source: Source, fd: int, spool: Spool) -> Digests:
    with spool.writing():
        return digests.copy_and_digest(source, fd)


def _size(source: Source) -> int:
    """How much is left to read, where that can be told; else 0."""
    if isinstance(source, int):
        facts = os.fstat(source)
        return max(0, facts.st_size - os.lseek(source, 0, os.SEEK_CUR)) if stat.S_ISREG(facts.st_mode) else 0
    return int(getattr(getattr(source, "raw", None), "left_bytes", 0))
