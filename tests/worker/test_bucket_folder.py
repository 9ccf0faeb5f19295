"""A folder as a place, beyond the contract: links, leftovers, and folders that nobody sees."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from worker.store.bucket import BadKeyError, StoreUnreachableError
from worker.store.bucket_folder import FolderBucket
from worker.store.contract import NotInStoreError
from worker.store.open_bucket import open_bucket


@pytest.fixture
def bucket(tmp_path: Path) -> FolderBucket:
    made = open_bucket((tmp_path / "plats å").as_uri())
    assert isinstance(made, FolderBucket)
    made.put("inside/file", b"inside")
    return made


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    return tmp_path / "outside"


def test_nothing_is_read_written_listed_or_removed_through_a_link_that_leads_out(bucket: FolderBucket, outside: Path) -> None:
    (bucket.folder / "link").symlink_to(outside)
    (bucket.folder / "file").symlink_to(outside / "secret")

    assert [blob.key for blob in bucket.list()] == [blob.key for blob in bucket.list("inside/")] == ["inside/file"]
    assert bucket.stat("link/secret") is bucket.stat("file") is None
    for key in ("link/secret", "file"):
        with pytest.raises(NotInStoreError):
            bucket.get(key)
    for work in (
        lambda: bucket.put("link/new", b""),
        lambda: bucket.copy("inside/file", "link/new"),
        lambda: bucket.delete(["link/secret"]),
    ):
        with pytest.raises(BadKeyError, match="leads out"):
            work()
    assert [path.name for path in outside.iterdir()] == ["secret"]


def test_a_write_to_a_link_replaces_the_link_and_not_what_it_names(bucket: FolderBucket, outside: Path) -> None:
    (bucket.folder / "file").symlink_to(outside / "secret")
    bucket.put("file", b"mine")

    assert (outside / "secret").read_bytes() == b"secret"
    assert not (bucket.folder / "file").is_symlink()


def test_a_pipe_is_nothing_and_does_not_hold_a_reader(bucket: FolderBucket) -> None:
    os.mkfifo(bucket.folder / "pipe")

    assert bucket.stat("pipe") is None


def test_folders_that_hold_no_key_are_gone(bucket: FolderBucket) -> None:
    bucket.put("a/b/c/d", b"")
    bucket.delete(["a/b/c/d", "inside/file"])

    assert [path.name for path in bucket.folder.iterdir()] == [".bevara-unfinished"]
    bucket.put("a/b/c/d", b"again")
    assert [blob.key for blob in bucket.list()] == ["a/b/c/d"]


def test_a_key_is_written_although_somebody_deletes_the_last_one_beside_it(tmp_path: Path) -> None:
    """Deleting takes away folders that became empty, at any moment of a write below them: neither side fails, no key is lost."""
    places = [FolderBucket(tmp_path / "place") for _ in range(2)]  # as two processes have it: each remembers folders it made
    ended = threading.Event()

    def tidy() -> None:
        while not ended.is_set():
            places[1].put("a/b/gone", b"1")
            places[1].delete(["a/b/gone"])

    with ThreadPoolExecutor(1) as beside:
        tidying = beside.submit(tidy)
        try:
            for number in range(300):
                key = f"a/b/c/{number}"
                places[0].put(key, b"2")
                assert places[0].stat(key) is not None
                places[0].delete([key])
        finally:
            ended.set()
        tidying.result()


def test_what_a_killed_write_left_is_swept_after_the_grace_period(bucket: FolderBucket) -> None:
    left = bucket.folder / ".bevara-unfinished" / "1-left"
    left.write_bytes(b"half")

    assert bucket.sweep(3600) == 0
    assert [blob.key for blob in bucket.list()] == ["inside/file"]
    assert bucket.sweep(0) == 1
    assert not left.exists()
    with pytest.raises(BadKeyError):
        bucket.get(".bevara-unfinished/1-left")


def test_a_key_that_would_be_file_and_folder_is_refused(bucket: FolderBucket) -> None:
    for key in ("inside", "inside/file/below"):
        with pytest.raises(BadKeyError, match="both a file and a folder"):
            bucket.put(key, b"")


def test_a_place_that_is_not_mounted_is_unreachable_and_not_empty(tmp_path: Path) -> None:
    bucket = FolderBucket(tmp_path / "not" / "mounted")
    for work in (lambda: list(bucket.list()), lambda: bucket.get("a"), lambda: bucket.stat("a"), lambda: bucket.put("a", b"")):
        with pytest.raises(StoreUnreachableError, match="not there"):
            work()
    assert not (tmp_path / "not").exists()


def test_a_file_that_became_shorter_while_it_was_read_is_no_short_answer(bucket: FolderBucket) -> None:
    bucket.put("big", b"x" * (1 << 20))
    with bucket.get("big") as stream:
        stream.read(10)
        os.truncate(bucket.folder / "big", 1 << 18)
        with pytest.raises(StoreUnreachableError, match="too early"):
            stream.read()
