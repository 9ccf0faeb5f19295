"""Where files come from: a bucket gives the same files as a folder, and a key is never used as a path."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bucket_samples import Watched

from tests.servers.s3 import make_bucket
from worker.paths import archival_path
from worker.pipeline import stage
from worker.pipeline.scan import Kind, Seen
from worker.pipeline.source import BucketSource, FolderSource, Source
from worker.pipeline.stage import NotStagedError
from worker.store.bucket import Bucket
from worker.store.bucket_folder import FolderBucket
from worker.store.bucket_store import BucketStore
from worker.store.staged_draft import StagedDraft

FILES = {"brev.txt": b"Hej!", "mapp/bilaga \u00e5.txt": b"x" * 3_000_000, "mapp/under/tom": b"", "n/e\u0301": b"decomposed"}


@pytest.fixture
def draft(tmp_path: Path) -> Iterator[StagedDraft]:
    store = BucketStore(FolderBucket(tmp_path / "archive"), tmp_path / "scratch")
    made = store.open_draft("urn:x:1")
    yield made
    made.close()
    store.spool.close()


@pytest.fixture(params=["folder", "folder bucket", "minio", "versitygw", "rclone"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    if request.param == "folder":
        for name, data in FILES.items():
            path = tmp_path / "in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return FolderSource(os.fsencode(tmp_path / "in"))
    bucket = make_bucket(request, request.param, tmp_path)
    for name, data in FILES.items():
        bucket.put(f"inbox/2026/{name}", data)
    bucket.put("inbox/2026-other/not-ours", b"x")
    return BucketSource(bucket, "inbox/2026")


def test_every_kind_of_source_gives_the_same_files(source: Source, draft: StagedDraft) -> None:
    seen = {one.path.decode(): one for one in source.files()}

    assert {name: one.size_bytes for name, one in seen.items()} == {name: len(data) for name, data in FILES.items()}
    for name, one in seen.items():
        stored = source.stage_into(draft, one.path, Kind(one.kind), f"original/{name}")
        assert stored.local_path.read_bytes() == FILES[name]
        draft.release(stored)


class Delivered(Watched):
    """A real bucket whose listing also tells of keys that our servers refuse, and S3 itself takes."""

    strange: tuple[str, ...] = ()

    def list(self, prefix: str = "", after: str = "") -> Iterator:
        for blob in super().list(prefix, after):
            yield blob
        for key in self.strange:
            yield type(blob)(key, 5)


def test_keys_that_are_no_plain_names_are_told_and_not_read(tmp_path: Path, draft: StagedDraft) -> None:
    place = FolderBucket(tmp_path / "place")
    place.put("in/good", b"x")
    bucket = Delivered(place, lambda _: None)
    bucket.strange = ("in/../../../etc/passwd", "in//double", "in/./dot", "in//etc/passwd", "in/slash/")
    source = BucketSource(bucket, "in")
    seen: list[Seen] = list(source.files())

    assert [one.kind for one in seen] == [Kind.FILE] + [Kind.UNSAFE_NAME] * 5
    assert len({archival_path(one.path) for one in seen}) == 6
    for one in seen[1:]:
        with pytest.raises(NotStagedError, match="named, not read") as told:
            source.stage_into(draft, one.path, one.kind, "original/x")
        assert told.value.reason == "unsafe-name"
        with pytest.raises(NotStagedError):
            source.stage_into(draft, one.path, Kind.FILE, "original/x")


class WithFolders(Watched):
    """A real bucket whose listing also tells of what some programs write for a folder."""

    def list(self, prefix: str = "", after: str = "") -> Iterator:
        for blob in super().list(prefix, after):
            yield type(blob)("in/", 0)
            yield type(blob)("in/a/", 0)
            yield blob


def test_what_programs_leave_for_a_folder_is_no_file(tmp_path: Path) -> None:
    place = FolderBucket(tmp_path / "place")
    place.put("in/a/b", b"x")

    assert [one.path for one in BucketSource(WithFolders(place, lambda _: None), "in").files()] == [b"a/b"]


def changing(place: Bucket, change: Callable[[], None]) -> Bucket:
    class Changing(Watched):
        def get(self, key: str, offset_bytes: int = 0, length_bytes: int | None = None):
            found = super().get(key, offset_bytes, length_bytes)
            change()
            return found

    return Changing(place, lambda _: None)


@pytest.mark.parametrize("kind", ["folder bucket", "minio", "versitygw"])
def test_a_file_that_changes_while_it_is_read_is_not_taken(
    request: pytest.FixtureRequest, tmp_path: Path, draft: StagedDraft, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(stage, "REST_S", 0.0)
    place = make_bucket(request, kind, tmp_path)
    place.put("in/a", b"0")
    count = iter(range(1, 100))
    source = BucketSource(changing(place, lambda: place.put("in/a", b"%d" % next(count))), "in")
    with pytest.raises(NotStagedError) as told:
        source.stage_into(draft, b"a", Kind.FILE, "original/a")

    assert told.value.reason == "changed-while-read"
    assert draft.spool.used_bytes == 0


def test_a_file_that_changed_once_is_read_again(tmp_path: Path, draft: StagedDraft, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "REST_S", 0.0)
    place = FolderBucket(tmp_path / "place")
    place.put("in/a", b"before")
    news = iter([b"after"])
    source = BucketSource(changing(place, lambda: [place.put("in/a", data) for data in news] and None), "in")

    assert source.stage_into(draft, b"a", Kind.FILE, "original/a").local_path.read_bytes() == b"after"


def test_a_file_that_is_gone_is_told(tmp_path: Path, draft: StagedDraft) -> None:
    place = FolderBucket(tmp_path / "place")
    place.put("in/b", b"")
    with pytest.raises(NotStagedError, match="no longer"):
        BucketSource(place, "in").stage_into(draft, b"a", Kind.FILE, "original/a")


def test_a_folder_that_was_away_once_is_read_when_it_is_delivered_again(draft: StagedDraft, tmp_path: Path) -> None:
    """A worker lives for weeks: what it found missing on Monday must not be missing on Tuesday."""
    folder = tmp_path / "delivery"
    source = FolderSource(os.fsencode(folder))
    with pytest.raises(NotStagedError):
        source.stage_into(draft, b"brev.txt", Kind.FILE, "original/brev.txt")

    folder.mkdir()
    (folder / "brev.txt").write_bytes(b"Hej!")
    stored = source.stage_into(draft, b"brev.txt", Kind.FILE, "original/brev.txt")

    assert stored.local_path.read_bytes() == b"Hej!"
    draft.release(stored)
