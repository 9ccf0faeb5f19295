"""Reading an object: what an inventory says is taken whole or not at all, and what was opened ahead is closed whatever happens."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest

from worker.fixity.folder_place import FolderPlace
from worker.fixity.manifest import Manifest
from worker.fixity.place import Listed
from worker.fixity.reading import Reader, StoppedError, Wanted
from worker.store import inventory
from worker.store.contract import StoreDamagedError, VersionNote
from worker.store.layout import ROOT_FILES

OBJECT = "urn:bevara:lund:betyg"
FILES = {f"v1/content/original/betyg {n} åäö.txt": f"{n:0128x}" for n in range(30)}


def written(files: dict[str, str]) -> bytes:
    """An inventory of ours."""
    text = inventory.write(
        OBJECT,
        1,
        fixity=sorted((digest[-64:], path) for path, digest in files.items()),
        manifest=sorted((digest, path) for path, digest in files.items()),
        state=sorted((digest, path.removeprefix("v1/content/")) for path, digest in files.items()),
        note=VersionNote("2026-01-01T00:00:00Z", "test", "test"),
        before=None,
    )
    return b"".join(text)


def loaded(manifest: Manifest, text: bytes) -> None:
    manifest.load(inventory.rows(BytesIO(text)), 1)


def contents(manifest: Manifest) -> dict[str, tuple[str | None, str | None]]:
    return {path: (sha512, sha256) for path, sha512, sha256 in manifest.contents()}


def test_an_inventory_is_taken_as_it_is_written() -> None:
    with Manifest() as manifest:
        loaded(manifest, written(FILES))

        assert contents(manifest) == {path: (digest, digest[-64:]) for path, digest in FILES.items()}
        assert dict(manifest.state()) == {path.removeprefix("v1/content/"): digest for path, digest in FILES.items()}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (b'"],\n', b'"]],\n'),  # more than a list
        (b'":["v1', b'":"v1'),  # no list
        ("åäö".encode(), b"\xe5\xe4\xf6"),  # no UTF-8
        (b'.txt"],\n', b".txt"),  # broken off
    ],
)
def test_an_inventory_that_is_broken_in_the_middle_leaves_nothing_of_itself(right: bytes, wrong: bytes) -> None:
    """Another place's inventory is then taken instead: nothing of the bad one may be mixed into it."""
    text = written({f"v1/content/falsk {path}": digest for path, digest in FILES.items()})
    middle = len(text) // 2  # within the manifest
    assert right in text[middle:], "the sample has changed"
    broken = text[:middle] + text[middle:].replace(right, wrong, 1)
    with Manifest() as manifest:
        with pytest.raises(StoreDamagedError):
            loaded(manifest, broken)
        assert contents(manifest) == {}
        assert manifest.states == {}

        loaded(manifest, written(FILES))

        assert contents(manifest).keys() == FILES.keys()


def test_a_listing_that_breaks_off_leaves_nothing_of_itself() -> None:
    def names():
        yield Listed("v1/content/a", 1)
        raise OSError("gone")

    with Manifest() as manifest:
        with pytest.raises(OSError, match="gone"):
            manifest.list_names(names())
        manifest.list_names([Listed("v1/content/b", 1)])

        assert [path for path, _ in manifest.unexpected()] == ["v1/content/b"]


@pytest.fixture
def place(tmp_path: Path) -> FolderPlace:
    for name, data in ROOT_FILES.items():
        (tmp_path / "store" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "store" / name).write_bytes(data)
    for number in range(200):
        (tmp_path / f"{number}").write_bytes(b"x" * number)
    return FolderPlace("a", tmp_path)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("after", [0, 1, 70, 150])
def test_what_was_opened_ahead_is_closed_when_the_reading_stops(place: FolderPlace, after: int) -> None:
    wanted = [Wanted(str(number), None, None, number) for number in range(200)]
    asked, before = iter(range(10**6)), open_files()
    with Reader(place, threads=1, stop=lambda: next(asked) > after) as reader:
        answers = [answer for _, answer in reader.read("", wanted)]

    assert open_files() == before
    assert any(isinstance(answer, StoppedError) for answer in answers)


def test_what_was_opened_ahead_is_closed_when_reading_fails_in_a_way_that_nobody_knew(place: FolderPlace) -> None:
    wanted, before = [Wanted(str(number), None, None, number) for number in range(200)], open_files()

    def spent(size_bytes: int) -> None:
        raise RuntimeError(f"after {size_bytes}")

    with Reader(place, threads=1, spent=spent) as reader, pytest.raises(RuntimeError):
        list(reader.read("", wanted))

    assert open_files() == before
