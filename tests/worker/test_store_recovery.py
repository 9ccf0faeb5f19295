"""A process may die at any moment (promise P5): here it does, before each single change that it makes on the disk."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from store_samples import build, run_job

from worker.archive import Archive
from worker.verify import Severity, verify

FILES = {b"brev.txt": b"Hej!"}
NEXT = {b"brev.txt": "ändrat".encode()}
_COMMIT_FROM = 11  # changes before the commit begins: looked at now and then; the commit itself step by step
_CHANGES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"})


def dies(work: Callable[[], None], at: int) -> bool:
    """Run *work* in a child that is killed before its change number *at*; False when it ended by itself before."""
    child = os.fork()
    if child == 0:
        left = at

        def hook(event: str, args: tuple[object, ...]) -> None:
            nonlocal left
            # ``open`` with a write flag is a change too; sqlite's own files are not seen here and are SQLite's promise.
            if event in _CHANGES or (event == "open" and isinstance(args[2], int) and args[2] & os.O_CREAT):
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.fixture
def fast_path(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place: a killed process loses nothing on either, and a hundred commits sync much."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else tmp_path) as folder:
        yield Path(folder)


def errors(folder: Path) -> list[str]:
    return [f"{f.code} {f.where}: {f.what}" for f in verify(folder) if f.severity is Severity.ERROR]


@pytest.mark.parametrize("first", [True, False], ids=["new package", "next version"])
def test_killed_before_any_change_either_the_old_or_the_new_version_stands(fast_path: Path, *, first: bool) -> None:
    prepared = fast_path / "prepared"
    build(prepared, *([] if first else [FILES]))
    step, folder = 0, fast_path / "a"

    def work() -> None:
        with Archive(folder) as archive:
            run_job(archive, NEXT)

    while True:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(prepared, folder)
        if not dies(work, step):
            break
        found = [f for f in verify(folder) if f.severity is not Severity.INFO]
        assert all(
            f.code in {"unfinished-commit", "empty-folder", "ledger-behind", "ledger-package-missing"} or f.where.endswith(".new")
            for f in found
        ), (step, found)
        with Archive(folder) as archive:  # recovers
            assert errors(folder) == [], step
            run_job(archive, NEXT)
            head = archive.store.head("urn:bevara:Lund:paket%201%2F%C3%A5")
            assert head == (1 if first else 2), step
            with archive.store.read("urn:bevara:Lund:paket%201%2F%C3%A5", "original/brev.txt") as stream:
                assert stream.read() == NEXT[b"brev.txt"]
        assert errors(folder) == [], step
        step += 1 if step > _COMMIT_FROM else 6
    assert step > _COMMIT_FROM
