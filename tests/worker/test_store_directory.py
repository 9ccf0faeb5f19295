"""The store in a folder, beyond the contract: what it leaves on the disk, judged by an OCFL validator that we did not write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from store_samples import FILES, build, memory_file, object_home, tree

from worker.archive import Archive, ArchiveBusyError
from worker.store.contract import NotOursError, StateEntry, VersionNote
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
    """Promise P8, over four versions, awkward names, names too long for a disk, and files that left the state.

    Asked of the root, and of the object, whose warnings the root hides.
    """
    long = b"/".join([b"m" * 250] * 3)
    more = {**FILES, b"brev.txt": b"nytt", long: b"l", b"r\xe4v%41\n.txt": b"x", b"/".join([b"d"] * 150): b"y"}
    build(tmp_path / "a", FILES, more, {b"ny.txt": b"ny"}, {b"brev.txt": b"locked"})
    for path in (tmp_path / "a" / "store", object_home(tmp_path / "a")):
        done = ocfl_validate(path)

        assert done.returncode == 0, done.stdout + done.stderr
        assert "WARN" not in done.stdout + done.stderr
        assert "[W" not in done.stdout + done.stderr


def test_nothing_that_stands_is_overwritten(store: DirectoryStore, tmp_path: Path) -> None:
    """Only the root inventory and its sidecar may change."""
    put(store, {"original/a": b"one"})
    before = tree(tmp_path / "store")
    put(store, {"original/a": b"two"})
    after = tree(tmp_path / "store")

    changed = {path for path, data in before.items() if after.get(path) != data}
    assert {Path(path).name for path in changed} == {"inventory.json", "inventory.json.sha512"}
    assert all("/v1/" not in path for path in changed)


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
