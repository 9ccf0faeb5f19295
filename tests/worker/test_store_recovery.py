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
from store_samples import build, memory_file, run_job

from worker.archive import Archive
from worker.store.contract import StateEntry, VersionNote
from worker.store.directory import DirectoryStore
from worker.verify import Severity, verify

FILES = {b"brev.txt": b"Hej!"}
NEXT = {b"brev.txt": "ändrat".encode()}
LOCKED = {b"brev.txt": b"locked", b"ny.txt": b"ny"}
OBJECT = "urn:bevara:Lund:paket%201%2F%C3%A5"
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


@pytest.mark.parametrize(
    ("before", "files"), [([], NEXT), ([FILES], LOCKED)], ids=["new package", "next version, which a derivative leaves"]
)
def test_killed_before_any_change_either_the_old_or_the_new_version_stands(fast_path: Path, before, files) -> None:
    prepared = fast_path / "prepared"
    build(prepared, *before)
    step, folder = 0, fast_path / "a"

    def work() -> None:
        with Archive(folder) as archive:
            run_job(archive, files)

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
            run_job(archive, files)
            assert archive.store.head(OBJECT) == len(before) + 1, step
            with archive.store.read(OBJECT, "original/brev.txt") as stream:
                assert stream.read() == files[b"brev.txt"]
            state = {entry.logical_path for entry in archive.store.state(OBJECT)}
            assert ("preservation/brev.txt.pdf" in state) == (files is NEXT), step
        assert errors(folder) == [], step
        step += 1 if step > _COMMIT_FROM else 6
    assert step > _COMMIT_FROM


def test_killed_while_a_draft_is_cleared_what_it_says_it_holds_is_there(fast_path: Path) -> None:
    """Or the next commit would name bytes that are nowhere."""
    note, step, killed = VersionNote("2026-11-22T12:00:00Z", "test", "bevara"), 0, True

    def store() -> DirectoryStore:
        return DirectoryStore(fast_path / "store", fast_path / "scratch")

    def work() -> None:
        draft = store().open_draft("urn:x:1")
        kept = draft.ingest(memory_file(b"keep"), "a").sha512
        for name in ("b", "c"):
            draft.ingest(memory_file(name.encode()), name)
        store().commit(draft, [StateEntry("a", kept)], note)

    while killed:
        killed = dies(work, step)
        again = store()
        again.recover()
        draft = again.open_draft("urn:x:1")
        for name in ("b", "c"):
            stored = draft.ingest(memory_file(name.encode()), name)

            assert stored.local_path.read_bytes() == name.encode(), step
        draft.close()
        for name in ("store", "scratch"):
            shutil.rmtree(fast_path / name)
        step += 1
    assert step > _COMMIT_FROM
