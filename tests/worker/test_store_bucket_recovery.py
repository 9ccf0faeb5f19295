"""A committer may die before any change that it makes in a bucket, or run on after it lost its lease (promise P5)."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from bucket_samples import Office, Watched, as_archive, dies, download
from store_samples import begin, keep, run_job, tree
from test_store_contract import NOTE, entry
from test_store_directory import ocfl_validate

from tests.servers.s3 import make_bucket
from worker.ledger.rebuild import catch_up
from worker.store.bucket import Bucket
from worker.store.bucket_commit import CommitRaceError
from worker.store.bucket_folder import FolderBucket
from worker.store.bucket_s3 import client_of
from worker.store.bucket_store import BucketStore
from worker.store.contract import StoreError
from worker.store.layout import object_path
from worker.verify import Severity, verify

COMMIT_FROM = 6  # changes before: three of the root's own files, three staged
FILES = {b"brev.txt": b"Hej!"}
NEXT = {b"brev.txt": "\u00e4ndrat".encode()}
LOCKED = {b"brev.txt": b"locked", b"ny.txt": b"ny"}
OBJECT = "urn:bevara:Lund:paket%201%2F%C3%A5"


@pytest.fixture
def fast_path(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place: a killed process loses nothing on either."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else tmp_path) as folder:
        yield Path(folder)


def errors(folder: Path) -> list[str]:
    return [f"{f.code} {f.where}: {f.what}" for f in verify(folder) if f.severity is Severity.ERROR]


def catch_up_and_run(office: Office, files: dict[bytes, bytes]) -> None:
    """What the service does with a job whose committer is gone (``worker.queue.steps``)."""
    office.store.recover()
    catch_up(office.ledger, office.store, begin(office, files).object_id)
    run_job(office, files)


def killed_everywhere(
    make: Callable[[int], Bucket], folder: Path, before: list[dict], files: dict[bytes, bytes], steps: Iterator[int]
) -> int:
    """Kill a job before each change of *steps*; afterwards another process ends it. Returns the last step."""
    for step in steps:
        bucket, home = make(step), folder / f"office-{step}"
        with Office.open(bucket, home) as office:
            for earlier in before:
                run_job(office, earlier)

        def work(watch: Callable[[Bucket], Bucket], bucket: Bucket = bucket, home: Path = home) -> None:
            client_of.cache_clear()  # a connection is not for two processes
            with Office.open(watch(bucket), home) as office:
                run_job(office, files)

        killed = dies(work, step)
        with Office.open(bucket, home, undo_after_s=0) as office:
            if killed and step % 2:
                office.store.recover()
                found = ocfl_validate(download(bucket, folder / f"between-{step}"))
                if office.store.head(OBJECT):
                    assert found.returncode == 0, (step, found.stdout)
            assert office.store.head(OBJECT) in (len(before), len(before) + 1), step
            catch_up_and_run(office, files)
            assert office.store.head(OBJECT) == len(before) + 1, step
            with office.store.read(OBJECT, "original/brev.txt") as stream:
                assert stream.read() == files[b"brev.txt"], step
        archive = as_archive(bucket, home, folder / f"archive-{step}")
        assert errors(archive) == [], step
        assert [blob.key for blob in bucket.list("staging/")] == [], step
        for path in (home, archive, folder / f"between-{step}"):
            shutil.rmtree(path, ignore_errors=True)
        if not killed:
            return step
    return -1


VERSIONS = pytest.mark.parametrize(("before", "files"), [([], NEXT), ([FILES], LOCKED)], ids=["new package", "next version"])


@VERSIONS
def test_killed_before_a_change_another_process_ends_the_job(fast_path: Path, before: list, files: dict) -> None:
    steps = itertools.chain(range(0, 9, 4), range(10, 60, 2))
    last = killed_everywhere(lambda step: FolderBucket(fast_path / f"place-{step}"), fast_path, before, files, steps)

    assert last > 20


@pytest.mark.faults
@VERSIONS
@pytest.mark.parametrize("kind", ["folder bucket", "minio", "versitygw"])
def test_killed_before_more_changes_on_every_kind_of_place(request, fast_path: Path, kind: str, before: list, files: dict) -> None:
    make = {"folder bucket": lambda step: FolderBucket(fast_path / f"place-{step}")}.get(
        kind, lambda _: make_bucket(request, kind, fast_path)
    )

    steps = iter(range(0, 60, 1 if kind == "folder bucket" else 3))

    assert killed_everywhere(make, fast_path, before, files, steps) > 20


def test_the_same_job_committed_by_two_processes_comes_to_the_same_bytes(fast_path: Path) -> None:
    """Whatever the clock says: so two that both believe that they may commit cannot contradict each other."""
    made = []
    for folder in (fast_path / "one", fast_path / "two"):
        if not made:
            with Office.open(FolderBucket(folder / "place"), folder) as office:
                job = begin(office, FILES)
                draft = office.store.open_draft(job.object_id)
                for task in office.ledger.claim(job, "w", 10, 60):
                    keep(office, draft, task, FILES[task.raw_path])
                draft.close()
            shutil.copytree(folder, fast_path / "two")
        with Office.open(FolderBucket(folder / "place"), folder) as office:
            run_job(office, FILES)
        made.append(tree(folder / "place" / "store"))

    assert made[0] == made[1]


# A committer that lost its lease and does not know


SAME = pytest.mark.parametrize("same", [True, False], ids=["the same commit", "another time"])


@SAME
def test_a_committer_that_stood_still_does_no_harm_when_it_wakes(fast_path: Path, *, same: bool) -> None:
    """Before a change it stops, another one makes the whole commit, and then it goes on."""
    stood_still(fast_path, range(COMMIT_FROM, 60, 5), same=same)


@pytest.mark.faults
@SAME
def test_a_committer_that_stood_still_before_every_single_change(fast_path: Path, *, same: bool) -> None:
    stood_still(fast_path, range(COMMIT_FROM, 60), same=same)


def stood_still(fast_path: Path, steps: range, *, same: bool) -> None:
    for step in steps:
        place = FolderBucket(fast_path / f"place-{step}")
        asleep, awake = threading.Event(), threading.Event()

        def pause(number: int, step: int = step, asleep: threading.Event = asleep, awake: threading.Event = awake) -> None:
            if number == step:
                asleep.set()
                awake.wait(120)

        outcome: list[object] = []

        def zombie(place: Bucket = place, asleep: threading.Event = asleep, outcome: list = outcome) -> None:
            store = BucketStore(Watched(place, pause), fast_path / "scratch")
            try:
                outcome.append(commit(store, NOTE))
            except (CommitRaceError, StoreError) as stopped:
                outcome.append(stopped)
            finally:
                asleep.set()
                store.spool.close()

        thread = threading.Thread(target=zombie)
        thread.start()
        assert asleep.wait(120)
        paused = not outcome
        store = BucketStore(place, fast_path / "scratch", undo_after_s=0)
        store.recover() if step % 2 else None
        if paused:
            note = NOTE if same else replace(NOTE, created="2026-11-22T13:00:00.000Z")
            store.head("urn:x:1") or commit(store, note)
        awake.set()
        thread.join(120)
        store.recover()

        assert store.head("urn:x:1") == 1, (step, outcome)
        done = ocfl_validate(place.folder / "store")
        assert done.returncode == 0, (step, outcome, done.stdout)
        assert sum(1 for _ in place.list(f"store/{object_path('urn:x:1')}/v1/content/")) == 3, step
        assert outcome == [1] or not same or isinstance(outcome[0], CommitRaceError), (step, outcome)
        store.spool.close()
        if not paused:
            return
    raise AssertionError("it never came to its end")


def commit(store: BucketStore, note) -> int:
    draft = store.open_draft("urn:x:1")
    try:
        return store.commit(draft, [entry(draft, name, name.encode()) for name in "abc"], note)
    finally:
        draft.close()
