"""A package of a million files is committed, and told of, with no more memory than a small one (``worker.commit``)."""

from __future__ import annotations

import hashlib
import os
import tempfile
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from bucket_samples import Office
from store_samples import POLICY

from worker import listing
from worker.commit import commit_job
from worker.ledger.events import EventDraft
from worker.ledger.facts import Entry, Found, Held, Job
from worker.ledger.results import Finish
from worker.record import FileRecord, Status
from worker.store.bucket_folder import FolderBucket
from worker.store.staged_draft import home_of

PAGE = 1000  # rows, keys and names that are held at once, wherever they are read
FEW, MANY = PAGE + 200, 3 * PAGE


@pytest.fixture
def fast_path(tmp_path: Path) -> Iterator[Path]:
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else tmp_path) as folder:
        yield Path(folder)


def finished(office: Office, place: Path, files: int) -> Job:
    """A job whose files are all staged and told of, as its workers leave it."""
    job = office.ledger.open_job("lund", f"paket {files}", b"/in", POLICY, "tools-1")
    names = (f"mapp/fil å {number:06}.txt" for number in range(files))
    office.ledger.add_tasks(job, (Found(name.encode(), name, None, 1) for name in names))
    staging = place / home_of(job.object_id) / "v1"
    staging.mkdir(parents=True)
    while claimed := office.ledger.claim(job, "w", PAGE, 3600):
        done = []
        for task in claimed:
            data = task.raw_path * 3
            sha256, sha512 = hashlib.sha256(data).hexdigest(), hashlib.sha512(data).hexdigest()
            (staging / f"{sha512}.{sha256}").write_bytes(data)
            record = FileRecord(path=task.path, size_bytes=len(data), status=Status.KEPT, reason="ok", message="Behålls. " * 20)
            record.sha256, record.sha512 = sha256, sha512
            logical = f"original/{task.path}"
            told = [EventDraft("ingestion", object_path=logical, agents=("bevara 0.1",), digest=sha512)]
            held, put = [Held(sha512, sha256, len(data), f"v1/content/{logical}")], [Entry(logical, sha512)]
            done.append(Finish(task, record, held, put, told, sha256))
        office.ledger.finish_many(done)
    return job


def test_memory_of_a_commit_does_not_grow_with_the_files(fast_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "HELD", PAGE)
    place = fast_path / "place"
    place.mkdir()

    def peak_bytes(files: int) -> int:
        with Office.open(FolderBucket(place), fast_path / f"office {files}") as office:
            job = finished(office, place, files)
            tracemalloc.start()
            try:
                assert commit_job(office.store, office.ledger, office.store.open_draft(job.object_id), job) == 1
                again = office.ledger.records(job)
                assert sum(1 for _ in again) == files
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            assert len(list(islice(office.store.state(job.object_id), files + 5))) == files + 4  # with the metadata
            return peak

    peak_bytes(10)  # what is loaded once

    assert peak_bytes(MANY) < peak_bytes(FEW) + 1_000_000
