"""Delivers what a job made under a prefix that it named, for ingest systems that package themselves.

Derivatives, ``metadata/premis.xml``, and last of all ``manifest-sha512.txt``: where that stands, the delivery is whole. Each file
is read back before the manifest names it (promise P3). The store stays what counts; this is a copy out of it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from actions.errors import TransientError
from worker import digests
from worker.app import Service
from worker.ledger.facts import Job
from worker.places import PlaceError
from worker.store.bucket import Bucket
from worker.store.bucket_store import BucketStore
from worker.store.contract import StateEntry

MANIFEST = "manifest-sha512.txt"
PREMIS = "metadata/premis.xml"
DERIVED = ("preservation/", "access/")


class DeliveryError(TransientError):
    """The place gave back other bytes than it was given."""

    code: ClassVar[str] = "delivery"


def deliver(service: Service, job: Job, reference: str) -> int:
    """Deliver the newest version of the job's package to *reference*; returns the number of files. Repeating it is cheap.

    Raises:
        PlaceError: The tenant has no such place, or none that takes deliveries.
        TransientError: The store or the place gave no good answer.
    """
    bucket, prefix = service.places.located(job.tenant, reference)
    name = reference.partition("://")[2].partition("/")[0]
    if not service.places.named(job.tenant, name).is_delivery:
        remedy = f"Register it with `bevara tenant place add {job.tenant} … --delivery`."
        raise PlaceError("does not take deliveries", name, remedy)
    store, files = service.store_of(job.tenant), 0
    with tempfile.TemporaryDirectory(prefix="delivery-", dir=service.scratch.folder) as scratch:
        manifest, passing = Path(scratch, "manifest"), Path(scratch, "file")
        with manifest.open("w", encoding="utf-8", newline="\n") as lines:
            for entry in _wanted(store, job.object_id):
                key = _key(prefix, entry.logical_path)
                if not _stands(bucket, key, entry.sha512):  # as an attempt that was broken off may have left it
                    _fetch(store, job.object_id, entry, passing)
                    bucket.put_file(key, passing)
                    _agree(_digest(bucket, key), entry.sha512, "the place of delivery")
                lines.write(f"{entry.sha512}  {_escaped(entry.logical_path)}\n")
                files += 1
        bucket.put_file(_key(prefix, MANIFEST), manifest)
    return files


def _wanted(store: BucketStore, object_id: str) -> Iterator[StateEntry]:
    if not store.head(object_id):
        return  # every file was refused before anything could be stored
    for entry in store.state(object_id):
        if entry.logical_path == PREMIS or entry.logical_path.startswith(DERIVED):
            yield entry


def _stands(bucket: Bucket, key: str, sha512: str) -> bool:
    return bucket.stat(key) is not None and _digest(bucket, key) == sha512


def _fetch(store: BucketStore, object_id: str, entry: StateEntry, target: Path) -> None:
    with store.read(object_id, entry.logical_path) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy, digests.CHUNK_BYTES)
    with target.open("rb") as copied:
        _agree(digests.copy_and_digest(copied).sha512, entry.sha512, "the store")


def _digest(bucket: Bucket, key: str) -> str:
    with bucket.get(key) as stream:
        return digests.copy_and_digest(stream).sha512


def _agree(found: str, wanted: str, who: str) -> None:
    if found != wanted:
        raise DeliveryError(f"{who} gave back SHA-512 {found[:16]}… instead of {wanted[:16]}…", "a delivery", "It is tried again.")


def _key(prefix: str, path: str) -> str:
    return f"{prefix}/{path}" if prefix else path


def _escaped(path: str) -> str:
    """Source: RFC 8493 section 2.1.3: CR, LF and % are percent-encoded."""
    return path.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
