"""A scratch area that is full makes work wait; it never fails a file, and never fills the disk."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_samples import memory_file

from worker.store.bucket_folder import FolderBucket
from worker.store.bucket_store import BucketStore
from worker.store.spool import ScratchFullError, Spool


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path / "scratch", 100, wait_s=0.05)
    yield made
    made.close()


def elsewhere(work: object) -> None:
    """Run in another thread, to its end."""
    failed: list[ScratchFullError] = []

    def run() -> None:
        try:
            work()  # type: ignore[operator]
        except ScratchFullError as no:
            failed.append(no)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    if failed:
        raise failed[0]


def test_what_fits_passes_and_what_does_not_waits_and_then_says_so(spool: Spool) -> None:
    elsewhere(lambda: spool.claim(60))
    elsewhere(lambda: spool.claim(40))
    with pytest.raises(ScratchFullError, match="no room"):
        spool.claim(1)
    assert spool.used_bytes == 100


def test_a_file_larger_than_the_budget_passes_alone(spool: Spool) -> None:
    paths: list[Path] = []
    elsewhere(lambda: paths.append(spool.claim(5000)))
    with pytest.raises(ScratchFullError):
        spool.claim(1)
    spool.release(paths[0])
    spool.release(paths[0])

    assert spool.claim(5000)
    assert spool.used_bytes == 5000


def test_a_thread_that_holds_a_file_does_not_wait_for_itself(spool: Spool) -> None:
    assert spool.claim(90)
    assert spool.claim(90)


def test_room_given_back_lets_the_next_one_in(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "scratch", 100)
    paths: list[Path] = []
    elsewhere(lambda: paths.append(spool.claim(100)))
    waiting = threading.Thread(target=lambda: paths.append(spool.claim(50)))
    waiting.start()
    waiting.join(0.05)
    assert len(paths) == 1
    spool.resize(paths[0], 40)
    waiting.join(30)

    assert len(paths) == 2
    spool.close()


def test_who_waits_is_let_go_when_the_process_stops(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "scratch", 100)
    elsewhere(lambda: spool.claim(100))
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            spool.claim(1)
        except ScratchFullError as no:
            ended.append(no)

    waiting = threading.Thread(target=wait)
    waiting.start()
    spool.stop()
    waiting.join(30)

    assert len(ended) == 1
    spool.close()


def test_a_disk_without_room_is_a_wait_too(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "scratch", 1 << 60, wait_s=0.05)
    with pytest.raises(ScratchFullError):
        spool.claim(1 << 59)
    with pytest.raises(ScratchFullError), spool.writing():
        raise OSError(28, "No space left on device")
    spool.close()


def test_what_a_killed_process_left_is_cleared_by_the_next_and_a_living_one_is_left_alone(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from worker.store.spool import Spool;"
        "spool = Spool(pathlib.Path(sys.argv[1])); spool.claim(1).write_bytes(b'x'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=False)
    (left,) = tmp_path.iterdir()
    assert len(list(left.iterdir())) == 2
    first, second = Spool(tmp_path), Spool(tmp_path)

    assert {first.folder, second.folder} == set(tmp_path.iterdir())
    for spool in (first, second):
        spool.close()
    assert list(tmp_path.iterdir()) == []


def test_more_files_than_the_budget_holds_go_through_when_each_is_given_back(tmp_path: Path) -> None:
    """Four threads, twenty times the budget."""
    spool = Spool(tmp_path / "scratch", 100_000)
    store = BucketStore(FolderBucket(tmp_path / "place"), tmp_path, spool=spool)
    draft, most, lock = store.open_draft("urn:x:1"), 0, threading.Lock()

    def work(number: int) -> None:
        nonlocal most
        for index in range(25):
            fd = memory_file(os.urandom(20_000))
            stored = draft.ingest(fd, f"{number}/{index}")
            os.close(fd)
            with lock:
                most = max(most, spool.used_bytes)
            draft.release(stored)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(list(draft.staged())) == 100
    assert 0 < most <= 100_000
    draft.close()
    spool.close()
