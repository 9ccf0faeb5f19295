"""Finds what killed or abandoned work left in a bucket's staging area and in half-made versions, and that nothing names.

Says first, removes only when asked to, and never before the grace period is over: a process that was slow may still
be at work. What an inventory names is not looked at.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator

from worker.store.bucket import Blob, Bucket
from worker.store.bucket_commit import Committer, Readable, object_home
from worker.store.commit_marker import MARKERS
from worker.store.staged_draft import home_of


class Leftovers:
    """Of one bucket."""

    def __init__(self, bucket: Bucket, store: Readable, committer: Committer) -> None:
        self._bucket, self._store, self._committer = bucket, store, committer

    def gc(self, grace_s: float, *, busy: Collection[str], apply: bool) -> list[str]:
        """See ``BucketStore.gc``."""
        before_ns = time.time_ns() - int(grace_s * 1e9)
        keys: list[str] = []
        for marker, begun_ns in self._committer.markers.all():
            if begun_ns > before_ns or marker.object_id in busy:
                continue
            if self._committer.whole(marker):
                if apply:
                    self._committer.finish(marker)
                continue
            keys += [blob.key for blob in self._half_made(marker.object_id, marker.version)]
            if apply:
                self._committer.undo(marker)
        left_alone = {home_of(object_id) for object_id in busy}
        staged = [blob.key for blob in self._staged(before_ns, left_alone)]
        if apply:
            self._bucket.delete(staged)
            self._bucket.sweep(grace_s)
        return keys + staged

    def _half_made(self, object_id: str, version: int) -> Iterator[Blob]:
        """The keys of a version that no inventory names."""
        if self._store.head(object_id) < version:
            yield from self._bucket.list(f"{object_home(object_id)}v{version}/")

    def _staged(self, before_ns: int, left_alone: Collection[str]) -> Iterator[Blob]:
        for blob in self._bucket.list("staging/"):
            home = "/".join(blob.key.split("/")[:2]) + "/"
            if not blob.key.startswith(MARKERS) and home not in left_alone and blob.mtime_ns <= before_ns:
                yield blob
