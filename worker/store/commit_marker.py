"""The notes in a bucket that say which commits were begun and not ended. What is done about them is ``bucket_commit``'s matter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from worker.store.bucket import Bucket
from worker.store.contract import StoreError
from worker.store.staged_draft import home_of

MARKERS = "staging/commits/"


@dataclass(frozen=True, slots=True)
class Marker:
    """What is begun. ``inventory`` is the SHA-512 of the inventory that the version is to have."""

    object_id: str
    version: int
    inventory: str


class Markers:
    """Of one bucket; at most one for an object."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def all(self) -> Iterator[tuple[Marker, int]]:
        """Every commit that was begun and not ended, and when it was marked, in nanoseconds since the epoch."""
        for blob in self._bucket.list(MARKERS):
            if marker := self._read(blob.key):
                yield marker, blob.mtime_ns

    def of(self, object_id: str) -> Marker | None:
        """The commit to an object that was begun and not ended."""
        return self._read(_key(object_id))

    def put(self, marker: Marker) -> None:
        """Say that a commit begins; another one's marker for the object is replaced."""
        self._bucket.put(_key(marker.object_id), json.dumps(asdict(marker)).encode())

    def remove(self, marker: Marker) -> None:
        """Say that a commit ended."""
        self._bucket.delete([_key(marker.object_id)])

    def _read(self, key: str) -> Marker | None:
        try:
            with self._bucket.get(key) as stream:
                said = json.loads(stream.read())
            return Marker(str(said["object_id"]), int(said["version"]), str(said["inventory"]))
        except (StoreError, ValueError, KeyError, TypeError):
            return None  # there is none; or it is not ours, and then nothing is done about it


def _key(object_id: str) -> str:
    return f"{MARKERS}{home_of(object_id).split('/')[1]}.json"
