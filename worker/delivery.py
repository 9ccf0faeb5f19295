"""Delivers what a job made under a prefix that it named, for ingest systems that package themselves.

Derivatives, ``metadata/premis.xml``, and last of all ``manifest-sha512.txt``: where that stands, the delivery is whole, and it
names every file of it. Each file is read back before the manifest names it (promise P3). A prefix is one package's: a job that
delivers there again first withdraws the manifest and takes away what the newest version does not have; what others put there is
left alone. The store stays what counts; this is a copy out of it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import ClassVar

from actions.errors import TransientError
from worker import delivery_record, digests
from worker.app import Service
from worker.delivery_record import MANIFEST, DeliveryRecord
from worker.ledger.facts import Job
from worker.places import PlaceError
from worker.store.bucket import Bucket
from worker.store.bucket_store import BucketStore
from worker.store.contract import StateEntry
from worker.store.index import Index

PREMIS = "metadata/premis.xml"
DERIVED = ("preservation/", "access/")
_TRIES = 3
_AT_ONCE = 5000  # files whose places are looked up in one reading of the inventory


class DeliveryError(TransientError):
    """The place gave back other bytes than it was given, or another worker delivers there as well."""

    code: ClassVar[str] = "delivery"


def check_delivery(service: Service, job: Job, reference: str) -> None:
    """See that *reference* can be delivered to, before any work is done for it.

    Raises:
        PlaceError: The tenant has no such place, or none that takes deliveries.
        DeliveryTakenError: Something else lies there.
        TransientError: The place gave no good answer.
    """
    bucket, prefix = _target(service, job, reference)
    delivery_record.read(bucket, prefix, job.object_id)


def deliver(service: Service, job: Job, reference: str) -> int:
    """Deliver the newest version of the job's package to *reference*; returns the number of files. Repeating it is cheap.

    Raises:
        PlaceError: The tenant has no such place, or none that takes deliveries.
        DeliveryTakenError: Something else lies there.
        TransientError: The store or the place gave no good answer.
    """
    bucket, prefix = _target(service, job, reference)
    store = service.store_of(job.tenant)
    with tempfile.TemporaryDirectory(prefix="delivery-", dir=service.scratch.folder) as scratch:
        return _Delivery(store, job.object_id, bucket, prefix, Path(scratch)).run()


def _target(service: Service, job: Job, reference: str) -> tuple[Bucket, str]:
    bucket, prefix = service.places.located(job.tenant, reference)
    name = reference.partition("://")[2].partition("/")[0]
    if not service.places.named(job.tenant, name).is_delivery:
        remedy = f"Register it with `bevara tenant place add {job.tenant} … --delivery`."
        raise PlaceError("does not take deliveries", name, remedy)
    if not prefix:
        raise PlaceError("is no prefix of its own", reference, "Name one below the place.")
    return bucket, prefix


@dataclass(frozen=True, slots=True)
class _Delivery:
    """One package on its way to one prefix."""

    store: BucketStore
    object_id: str
    bucket: Bucket
    prefix: str
    scratch: Path

    def run(self) -> int:
        """Deliver; returns the number of files.

        A worker that was long silent may find at the end that another has delivered there since. Its files lie among that
        delivery's then, so it says so, and delivers what is the newest version now.

        Raises:
            DeliveryError: That happened again and again.
        """
        for _ in range(_TRIES):
            before = delivery_record.read(self.bucket, self.prefix, self.object_id)
            head = self.store.head(self.object_id)
            mine = before if before and before.whole and before.version == head else self._begun(before, head)
            files = self._filled(head)
            found = delivery_record.read(self.bucket, self.prefix, self.object_id)
            if found == mine:
                self.bucket.put_file(self._key(MANIFEST), self.scratch / "manifest")
                if not mine.whole:
                    delivery_record.write(self.bucket, self.prefix, mine.ended())
                return files
            self._begun(found, head)
        raise DeliveryError("another worker delivers to the same prefix", "a delivery", "It is tried again.")

    def _begun(self, before: DeliveryRecord | None, head: int) -> DeliveryRecord:
        """Say what is about to come; from here on nothing is whole until it is told again. Then take away what is old."""
        now = (before or DeliveryRecord(self.object_id, head, whole=False, versions=())).begun(head)
        delivery_record.write(self.bucket, self.prefix, now)
        self.bucket.delete([self._key(MANIFEST)])
        older = [version for version in now.versions if 0 < version < head]
        if older:
            self._take_away(older, head)
        return now

    def _take_away(self, older: Sequence[int], head: int) -> None:
        """Remove what only *older* versions have. Compared on the disk: a package may have a million files."""
        index = Index(self.scratch / "older.sqlite3")
        try:
            before = chain.from_iterable(self._entries(version) for version in older)
            index.make_state(before, (entry.logical_path for entry in self._entries(head)), ())
            self.bucket.delete(self._key(path) for _, path in index.state())
        finally:
            index.close()

    def _filled(self, head: int) -> int:
        """Bring every file there that is not; write the manifest into scratch. Returns the number of files."""
        files, entries = 0, self._entries(head)
        with (self.scratch / "manifest").open("w", encoding="utf-8", newline="\n") as lines:
            while batch := tuple(islice(entries, _AT_ONCE)):
                self._bring([one for one in batch if not self._stands(one)])
                lines.writelines(f"{one.sha512}  {_escaped(one.logical_path)}\n" for one in batch)
                files += len(batch)
        return files

    def _bring(self, lacking: Sequence[StateEntry]) -> None:
        if not lacking:
            return
        wanted = {one.sha512 for one in lacking}
        places = {one.sha512: one.content_path for one in self.store.contents(self.object_id) if one.sha512 in wanted}
        for one in lacking:
            self._fetch(places[one.sha512], one.sha512)
            self.bucket.put_file(self._key(one.logical_path), self.scratch / "file")
            _agree(_digest(self.bucket, self._key(one.logical_path)), one.sha512, "the place of delivery")

    def _entries(self, version: int) -> Iterator[StateEntry]:
        """What is delivered of a version; of none nothing: every file was refused before anything could be stored."""
        for entry in self.store.state(self.object_id, version) if version else ():
            if entry.logical_path == PREMIS or entry.logical_path.startswith(DERIVED):
                yield entry

    def _stands(self, entry: StateEntry) -> bool:
        """Whether the file is there: as an attempt that was broken off, or the version before, may have left it."""
        key = self._key(entry.logical_path)
        return self.bucket.stat(key) is not None and _digest(self.bucket, key) == entry.sha512

    def _fetch(self, content_path: str, sha512: str) -> None:
        """Bring content into scratch."""
        with self.store.open_content(self.object_id, content_path) as source, (self.scratch / "file").open("wb") as copy:
            shutil.copyfileobj(source, copy, digests.CHUNK_BYTES)
        with (self.scratch / "file").open("rb") as copied:
            _agree(digests.copy_and_digest(copied).sha512, sha512, "the store")

    def _key(self, path: str) -> str:
        return f"{self.prefix}/{path}"


def _digest(bucket: Bucket, key: str) -> str:
    with bucket.get(key) as stream:
        return digests.copy_and_digest(stream).sha512


def _agree(found: str, wanted: str, who: str) -> None:
    if found != wanted:
        raise DeliveryError(f"{who} gave back SHA-512 {found[:16]}… instead of {wanted[:16]}…", "a delivery", "It is tried again.")


def _escaped(path: str) -> str:
    """Source: RFC 8493 section 2.1.3: CR, LF and % are percent-encoded."""
    return path.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
