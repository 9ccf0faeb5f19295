"""What every store promises (``worker.store.contract``), asked of each kind through the contract alone."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from store_samples import memory_file

from tests.servers.s3 import make_bucket
from worker.digests import CHUNK_BYTES
from worker.store.bucket_store import BucketStore
from worker.store.contract import Draft, NotInStoreError, StateEntry, Store, StoreError, VersionNote
from worker.store.directory import DirectoryStore

NOTE = VersionNote("2026-11-22T12:00:00.000Z", "test", "bevara", "urn:bevara:test")
KINDS = ["directory", "folder bucket", "minio", "versitygw", "rclone"]
"""A new kind of store is a name here, and what makes it in ``store``."""


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "directory":
        yield DirectoryStore(tmp_path / "store", tmp_path / "scratch")
        return
    made = BucketStore(make_bucket(request, request.param, tmp_path), tmp_path / "scratch")
    yield made
    made.spool.close()


def entry(draft: Draft, path: str, data: bytes) -> StateEntry:
    fd = memory_file(data)
    try:
        return StateEntry(path, draft.ingest(fd, path).sha512)
    finally:
        os.close(fd)


def put(store: Store, files: dict[str, bytes], name: str = "urn:x:1", dropped: Iterable[str] = ()) -> int:
    draft = store.open_draft(name)
    return store.commit(draft, [entry(draft, path, data) for path, data in files.items()], NOTE, dropped=dropped)


def read(store: Store, *what: object) -> bytes:
    with store.read(*what) as stream:  # type: ignore[arg-type]
        return stream.read()


def paths(store: Store, version: int | None = None) -> list[str]:
    return sorted(one.logical_path for one in store.state("urn:x:1", version))


def test_content_is_durable_where_it_says_and_read_back_the_same(store: Store) -> None:
    draft = store.open_draft("urn:x:1")
    for size in (0, 10, CHUNK_BYTES, 6 * CHUNK_BYTES + 1):
        data = os.urandom(size)
        stored = draft.ingest(memory_file(data), f"original/{size}")

        assert stored.new
        assert stored.local_path.read_bytes() == data
        assert stored.content_path == f"v1/content/original/{size}"
    draft.close()


def test_the_same_bytes_are_kept_once(store: Store) -> None:
    """Within a draft and over versions, small and large."""
    big = os.urandom(5 * CHUNK_BYTES)
    put(store, {"original/a": b"same", "original/b": b"same", "original/big": big})
    put(store, {"original/c": b"same", "original/big2": big, "original/new": b"new"})

    assert [c.content_path for c in store.contents("urn:x:1")] == [
        "v1/content/original/a",
        "v1/content/original/big",
        "v2/content/original/new",
    ]
    assert read(store, "urn:x:1", "original/c") == b"same"


def test_the_state_is_a_union_and_older_versions_stay_readable(store: Store) -> None:
    put(store, {"original/a": b"one", "original/gone": b"still here"})

    assert put(store, {"original/a": b"two"}) == 2
    assert read(store, "urn:x:1", "original/a") == b"two"
    assert read(store, "urn:x:1", "original/a", 1) == b"one"
    assert read(store, "urn:x:1", "original/gone") == b"still here"
    with pytest.raises(NotInStoreError):
        store.read("urn:x:1", "original/nowhere")
    with pytest.raises(NotInStoreError):
        list(store.state("urn:x:1", 3))


def test_what_no_entry_names_is_dropped(store: Store) -> None:
    draft = store.open_draft("urn:x:1")
    keep = draft.ingest(memory_file(b"keep"), "original/keep")
    draft.ingest(memory_file(b"drop"), "preservation/deep/down/drop")
    store.commit(draft, [StateEntry("original/keep", keep.sha512)], NOTE)

    assert [c.content_path for c in store.contents("urn:x:1")] == ["v1/content/original/keep"]


def test_a_dropped_path_leaves_the_new_state_only(store: Store) -> None:
    put(store, {"original/a": b"one", "preservation/a": b"derived"})
    put(store, {"original/a": b"two"}, dropped=["preservation/a"])

    assert paths(store) == ["original/a"]
    assert paths(store, 1) == ["original/a", "preservation/a"]
    assert read(store, "urn:x:1", "preservation/a", 1) == b"derived"
    assert "v1/content/preservation/a" in [content.content_path for content in store.contents("urn:x:1")]
    with pytest.raises(NotInStoreError):
        store.read("urn:x:1", "preservation/a")


def test_a_path_that_is_dropped_and_put_is_put(store: Store) -> None:
    put(store, {"a": b"one"})
    put(store, {"a": b"two"}, dropped=["a", "never/was"])

    assert read(store, "urn:x:1", "a") == b"two"


def test_a_dropped_file_makes_room_for_a_folder_of_its_name(store: Store) -> None:
    put(store, {"preservation/a": b"one"})
    put(store, {"preservation/a/b": b"two"}, dropped=["preservation/a"])

    assert paths(store) == ["preservation/a/b"]


def test_a_dropped_path_may_come_back_without_new_bytes(store: Store) -> None:
    put(store, {"a": b"one", "b": b"kept"})
    put(store, {}, dropped=["a"])
    put(store, {"a": b"one"})

    assert read(store, "urn:x:1", "a") == b"one"
    assert [content.content_path for content in store.contents("urn:x:1")] == ["v1/content/a", "v1/content/b"]


def test_a_commit_that_failed_leaves_no_trace_in_the_next(store: Store) -> None:
    put(store, {"a": b"one", "b": b"two"})
    draft = store.open_draft("urn:x:1")
    with pytest.raises(StoreError):
        store.commit(draft, [StateEntry("lost", "0" * 128), entry(draft, "c", b"three")], NOTE, dropped=["a"])
    store.commit(draft, [entry(draft, "d", b"four")], NOTE, dropped=["b"])

    assert paths(store) == ["a", "d"]


def test_a_draft_survives_its_process(store: Store) -> None:
    draft = store.open_draft("urn:x:1")
    first = draft.ingest(memory_file(b"first"), "original/first")
    draft.close()
    again = store.open_draft("urn:x:1")

    assert not again.ingest(memory_file(b"first"), "original/other").new
    store.commit(again, [StateEntry("original/first", first.sha512)], NOTE)
    assert read(store, "urn:x:1", "original/first") == b"first"


def test_a_state_that_names_lost_bytes_is_refused(store: Store) -> None:
    draft = store.open_draft("urn:x:1")
    with pytest.raises(StoreError, match="neither in the store nor in the draft"):
        store.commit(draft, [StateEntry("original/a", "0" * 128)], NOTE)
    assert store.head("urn:x:1") == 0


def test_a_path_that_is_both_file_and_folder_is_refused(store: Store) -> None:
    draft = store.open_draft("urn:x:1")
    sha512 = draft.ingest(memory_file(b"x"), "a").sha512
    with pytest.raises(StoreError, match="both a file and a folder"):
        store.commit(draft, [StateEntry("a", sha512), StateEntry("a!b", sha512), StateEntry("a/b", sha512)], NOTE)


def test_many_threads_may_ingest_at_once(store: Store) -> None:
    """Also the same bytes, and the same path, at the same time."""
    draft, state, lock = store.open_draft("urn:x:1"), list[StateEntry](), threading.Lock()

    def work(number: int) -> None:
        for index in range(30):
            for path, data in (
                (f"original/{number}/{index}", b"%d" % index),
                (f"original/own{number}-{index}", b"%d-%d" % (number, index)),
            ):
                fd = memory_file(data)
                stored = draft.ingest(fd, path)
                os.close(fd)
                assert stored.local_path.read_bytes() == data
                with lock:
                    state.append(StateEntry(path, stored.sha512))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.commit(draft, state, NOTE)

    assert len(state) == len(list(store.state("urn:x:1"))) == 240
    assert len(list(store.contents("urn:x:1"))) == 150


def test_a_symbolic_link_is_not_followed(store: Store, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    draft = store.open_draft("urn:x:1")
    with pytest.raises(OSError, match="symbolic links"):
        draft.add_file(tmp_path / "link", "original/link")
    draft.close()
