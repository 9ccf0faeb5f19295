"""The store's contract, on the folder backend; judged by an OCFL validator that we did not write."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from store_samples import FILES, build, memory_file, object_home, tree

from worker.archive import Archive, ArchiveBusyError
from worker.digests import CHUNK_BYTES
from worker.store.contract import NotInStoreError, NotOursError, StateEntry, StoreError, VersionNote
from worker.store.directory import DirectoryStore

NOTE = VersionNote("2026-11-22T12:00:00.000Z", "test", "bevara")


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store", tmp_path / "scratch")


def put(store: DirectoryStore, files: dict[str, bytes], name: str = "urn:x:1") -> int:
    draft = store.open_draft(name)
    state = [StateEntry(path, draft.ingest(memory_file(data), path).sha512) for path, data in files.items()]
    return store.commit(draft, state, NOTE)


def read(store: DirectoryStore, *what: object) -> bytes:
    with store.read(*what) as stream:  # type: ignore[arg-type]
        return stream.read()


def ocfl_validate(root: Path) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name("ocfl-validate.py")
    if not tool.exists():
        if os.environ.get("CI"):
            pytest.fail("ocfl-py is not installed")
        pytest.skip("ocfl-py is not installed")
    return subprocess.run([sys.executable, "-W", "ignore", str(tool), str(root)], capture_output=True, text=True, check=False)


def test_an_ocfl_validator_that_we_did_not_write_accepts_the_root(tmp_path: Path) -> None:
    """Promise P8, over three versions, awkward names and names too long for a disk."""
    long = b"/".join([b"m" * 250] * 3)
    more = {**FILES, b"brev.txt": b"nytt", long: b"l", b"r\xe4v%41\n.txt": b"x", b"/".join([b"d"] * 150): b"y"}
    build(tmp_path / "a", FILES, more, {b"ny.txt": b"ny"})
    done = ocfl_validate(tmp_path / "a" / "store")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARN" not in done.stdout + done.stderr


def test_content_is_durable_where_it_says_and_read_back_the_same(store: DirectoryStore) -> None:
    draft = store.open_draft("urn:x:1")
    for size in (0, 10, CHUNK_BYTES, 6 * CHUNK_BYTES + 1):
        data = os.urandom(size)
        stored = draft.ingest(memory_file(data), f"original/{size}")

        assert stored.new
        assert stored.local_path.read_bytes() == data
        assert stored.content_path == f"v1/content/original/{size}"
    draft.close()


def test_the_same_bytes_are_kept_once(store: DirectoryStore) -> None:
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


def test_the_state_is_a_union_and_older_versions_stay_readable(store: DirectoryStore) -> None:
    put(store, {"original/a": b"one", "original/gone": b"still here"})

    assert put(store, {"original/a": b"two"}) == 2
    assert read(store, "urn:x:1", "original/a") == b"two"
    assert read(store, "urn:x:1", "original/a", 1) == b"one"
    assert read(store, "urn:x:1", "original/gone") == b"still here"
    with pytest.raises(NotInStoreError):
        store.read("urn:x:1", "original/nowhere")
    with pytest.raises(NotInStoreError):
        list(store.state("urn:x:1", 3))


def test_nothing_that_stands_is_overwritten(store: DirectoryStore, tmp_path: Path) -> None:
    """Only the root inventory and its sidecar may change."""
    put(store, {"original/a": b"one"})
    before = tree(tmp_path / "store")
    put(store, {"original/a": b"two"})
    after = tree(tmp_path / "store")

    changed = {path for path, data in before.items() if after.get(path) != data}
    assert {Path(path).name for path in changed} == {"inventory.json", "inventory.json.sha512"}
    assert all("/v1/" not in path for path in changed)


def test_what_no_entry_names_is_dropped(store: DirectoryStore) -> None:
    draft = store.open_draft("urn:x:1")
    keep = draft.ingest(memory_file(b"keep"), "original/keep")
    draft.ingest(memory_file(b"drop"), "preservation/deep/down/drop")
    store.commit(draft, [StateEntry("original/keep", keep.sha512)], NOTE)

    assert [c.content_path for c in store.contents("urn:x:1")] == ["v1/content/original/keep"]


def test_a_draft_survives_its_process(store: DirectoryStore) -> None:
    draft = store.open_draft("urn:x:1")
    first = draft.ingest(memory_file(b"first"), "original/first")
    draft.close()
    again = store.open_draft("urn:x:1")

    assert not again.ingest(memory_file(b"first"), "original/other").new
    store.commit(again, [StateEntry("original/first", first.sha512)], NOTE)
    assert read(store, "urn:x:1", "original/first") == b"first"


def test_after_a_power_cut_the_draft_is_indexed_anew(store: DirectoryStore) -> None:
    """The scratch index was never synced: it may be lost or broken, the content was synced."""
    draft = store.open_draft("urn:x:1")
    draft.ingest(memory_file(b"first"), "original/first")
    draft.close()
    note = draft.folder / "draft.json"
    note.write_text(note.read_text().replace('"boot": "', '"boot": "other'))
    (draft.folder / "index.sqlite3").write_bytes(b"\x00" * 5000)
    again = store.open_draft("urn:x:1")

    assert not again.ingest(memory_file(b"first"), "original/x").new
    again.close()


def test_a_state_that_names_lost_bytes_is_refused(store: DirectoryStore) -> None:
    draft = store.open_draft("urn:x:1")
    with pytest.raises(StoreError, match="neither in the store nor in the draft"):
        store.commit(draft, [StateEntry("original/a", "0" * 128)], NOTE)
    assert store.head("urn:x:1") == 0


def test_a_path_that_is_both_file_and_folder_is_refused(store: DirectoryStore) -> None:
    draft = store.open_draft("urn:x:1")
    sha512 = draft.ingest(memory_file(b"x"), "a").sha512
    with pytest.raises(StoreError, match="both a file and a folder"):
        store.commit(draft, [StateEntry("a", sha512), StateEntry("a!b", sha512), StateEntry("a/b", sha512)], NOTE)


def test_many_threads_may_ingest_at_once(store: DirectoryStore) -> None:
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


def test_an_inventory_that_another_tool_wrote_is_carried_on(store: DirectoryStore, tmp_path: Path) -> None:
    """A package may have been given a version by hand, with any OCFL tool."""
    import hashlib
    import json

    put(store, {"original/å": b"one"})
    home = next((tmp_path / "store").glob("*/*/*/*/inventory.json")).parent
    text = json.dumps(json.loads((home / "inventory.json").read_text()), indent=4).encode()
    for folder in (home, home / "v1"):
        for name, data in (
            ("inventory.json", text),
            ("inventory.json.sha512", f"{hashlib.sha512(text).hexdigest()} inventory.json\n".encode()),
        ):
            (folder / name).unlink()
            (folder / name).write_bytes(data)
    put(store, {"original/b": b"two"})

    assert read(store, "urn:x:1", "original/å", 1) == b"one"
    assert ocfl_validate(tmp_path / "store").returncode == 0


def test_a_symbolic_link_is_not_followed(store: DirectoryStore, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    draft = store.open_draft("urn:x:1")
    with pytest.raises(OSError, match="symbolic links"):
        draft.add_file(tmp_path / "link", "original/link")
    draft.close()


def test_a_folder_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "semester.jpg").write_bytes(b"x")
    with pytest.raises(NotOursError, match="semester"):
        Archive(tmp_path / "mine")
    with pytest.raises(NotOursError, match="semester"):
        DirectoryStore(tmp_path / "mine", tmp_path / "scratch")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["semester.jpg"]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with Archive(tmp_path / "a"), pytest.raises(ArchiveBusyError, match=str(os.getpid())):
        Archive(tmp_path / "a")
    Archive(tmp_path / "a").close()


def test_an_object_lies_where_its_layout_says(tmp_path: Path) -> None:
    build(tmp_path / "a", FILES)

    assert object_home(tmp_path / "a").name == "urn%3abevara%3aLund%3apaket%25201%252F%25c3%25a5".replace(
        "%25c3%25a5", "%25C3%25A5"
    )
