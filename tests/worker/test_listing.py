"""A folder's names come in order, however many there are, and are never all held."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from worker import listing
from worker.listing import Name, names
from worker.pipeline.scan import Kind, scan
from worker.store.bucket_folder import FolderBucket

FEW, MANY = 600, 6000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("å.txt", "a", "a!", "b\n", "z" * 200):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "a0").mkdir()
    (tmp_path / "länk").symlink_to(tmp_path / "a0")
    (tmp_path / os.fsdecode(b"inte utf-8 \xff")).write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize("held", [0, 3, 8, listing.HELD])
def test_the_order_is_the_same_in_memory_and_on_the_disk(folder: Path, monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr(listing, "HELD", held)
    backwards = list(names(os.fsencode(folder), lambda one: bytes(255 - byte for byte in one.name) + b"\xff"))
    found = list(names(os.fsencode(folder), lambda one: one.name))

    assert found == sorted(found, key=lambda one: one.name) == backwards[::-1]
    assert {one.name for one in found} == {os.fsencode(path.name) for path in folder.iterdir()}
    assert [one for one in found if one.is_folder] == [Name(b"a0", is_folder=True)]


def test_a_folder_that_cannot_be_listed_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        names(os.fsencode(tmp_path / "nowhere"), lambda one: one.name)


def scanned(folder: Path) -> int:
    return sum(seen.kind is Kind.FILE for seen in scan(os.fsencode(folder)))


def listed(folder: Path) -> int:
    return sum(1 for _ in FolderBucket(folder).list())


@pytest.mark.parametrize("count", [scanned, listed])
@pytest.mark.parametrize("below", ["{}", "{}/fil"])
def test_memory_does_not_grow_with_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: Callable[[Path], int], below: str
) -> None:
    """Of files, and of folders."""
    monkeypatch.setattr(listing, "HELD", FEW)

    def peak_bytes(files: int) -> int:
        home = tmp_path / str(files)
        for number in range(files):
            path = home / below.format(f"en sida ur protokollet {number:06}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        tracemalloc.start()
        try:
            assert count(home) == files
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak_bytes(10)  # what is loaded once

    assert peak_bytes(MANY) < peak_bytes(FEW) + 100_000
