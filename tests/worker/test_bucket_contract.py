"""What every place for bytes promises (``worker.store.bucket``), asked of folders and real S3 servers through the protocol."""

from __future__ import annotations

import io
import os
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from tests.servers.s3 import make_bucket
from worker.store.bucket import BadKeyError, Bucket
from worker.store.contract import NotInStoreError, StoreError

MIB = 1 << 20
KEYS = [
    "a!b",
    "a-b/c",
    "a/b",
    "a/\u00e9",
    "aa",
    "b/x y+z%20&=?#",
    "n/e\u0301",
    "n/\u00e9",
    "q/xl.meta",
    "s/ lead",
    "w/back\\slash",
    "z/~'\"<>",
]


@pytest.fixture(params=["folder bucket", "minio", "versitygw", "rclone"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Bucket:
    small = {} if request.param in ("folder bucket", "rclone") else {"part_bytes": 5 * MIB, "copy_part_bytes": 5 * MIB}
    return make_bucket(request, request.param, tmp_path, **small)


def read(bucket: Bucket, key: str, *part: int) -> bytes:
    with bucket.get(key, *part) as stream:
        return stream.read()


def keys(bucket: Bucket, *where: str) -> list[str]:
    return [blob.key for blob in bucket.list(*where)]


def test_what_was_written_is_read_and_listed_in_the_order_of_its_bytes(bucket: Bucket) -> None:
    """Awkward names too; composed and decomposed letters are two names."""
    for key in KEYS:
        bucket.put(key, key.encode())

    assert keys(bucket) == sorted(KEYS, key=lambda key: key.encode())
    for key in KEYS:
        assert read(bucket, key) == key.encode()
        assert bucket.stat(key).size_bytes == len(key.encode())


def test_a_listing_begins_where_it_is_asked_to(bucket: Bucket) -> None:
    for key in KEYS:
        bucket.put(key, b"")

    assert keys(bucket, "a") == ["a!b", "a-b/c", "a/b", "a/\u00e9", "aa"]
    assert keys(bucket, "a/") == ["a/b", "a/\u00e9"]
    assert keys(bucket, "a", "a/b") == ["a/\u00e9", "aa"]
    assert keys(bucket, "", "s") == ["s/ lead", "w/back\\slash", "z/~'\"<>"]
    assert keys(bucket, "a/b/c/") == keys(bucket, "nowhere") == []


def test_more_keys_than_a_server_lists_at_once(bucket: Bucket) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: bucket.put(f"many/{number:04d}", b""), range(1030)))

    assert keys(bucket, "many/") == [f"many/{number:04d}" for number in range(1030)]
    bucket.delete(blob.key for blob in bucket.list("many/"))
    assert keys(bucket) == []


@pytest.mark.parametrize("size", [0, 1, 5 * MIB, 11 * MIB + 3])
def test_a_file_of_any_size_comes_back_whole_and_in_parts(bucket: Bucket, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    bucket.put_file("file", tmp_path / "file")
    bucket.copy("file", "copies/of/file")

    assert read(bucket, "file") == read(bucket, "copies/of/file") == data
    assert bucket.stat("copies/of/file").size_bytes == size
    for offset, length in ((0, 10), (size // 2, 100), (size - 1 if size else 0, 5), (size, 5), (size + 10, 1), (0, 0)):
        assert read(bucket, "file", offset, length) == data[offset : offset + length], (offset, length)
    assert read(bucket, "file", size // 2) == data[size // 2 :]


def test_a_stream_is_written_to_the_size_that_was_told(bucket: Bucket) -> None:
    source = io.BytesIO(b"0123456789 and more")
    bucket.put_stream("key", source, 10)

    assert read(bucket, "key") == b"0123456789"
    assert source.read() == b" and more"


@pytest.mark.parametrize("size", [100, 7 * MIB])
def test_a_stream_that_ends_early_or_fails_leaves_what_stood(bucket: Bucket, size: int) -> None:
    bucket.put("key", b"before")

    class Broken(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise ConnectionResetError

    with pytest.raises(StoreError, match="too early"):
        bucket.put_stream("key", io.BytesIO(b"x" * (size - 1)), size)
    with pytest.raises(ConnectionResetError):
        bucket.put_stream("key", Broken(), size)
    assert read(bucket, "key") == b"before"
    assert keys(bucket) == ["key"]


def test_an_upload_holds_no_more_than_a_piece_beside_the_part_that_is_sent(bucket: Bucket) -> None:
    """Parts that pile up, or are put together anew, would be memory that grows with what is written."""

    class Zeros:
        def read(self, size: int = -1) -> bytes:
            return bytes(size)

    tracemalloc.start()
    try:
        bucket.put_stream("large", cast("BinaryIO", Zeros()), 23 * MIB)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert bucket.stat("large").size_bytes == 23 * MIB
    assert peak_bytes < 4 * MIB


def test_a_write_replaces_the_whole_and_shows_in_the_tag(bucket: Bucket) -> None:
    bucket.put("key", b"a long first text")
    first = bucket.stat("key")
    bucket.put("key", b"second")

    assert read(bucket, "key") == b"second"
    assert bucket.stat("key").tag != first.tag


def test_a_copy_stands_when_its_source_is_gone_and_onto_itself(bucket: Bucket) -> None:
    bucket.put("one", b"data")
    bucket.copy("one", "two")
    bucket.copy("one", "two")
    bucket.delete(["one"])

    assert read(bucket, "two") == b"data"
    assert keys(bucket) == ["two"]


def test_what_is_not_there_is_told(bucket: Bucket) -> None:
    bucket.put("folder/file", b"")

    for key in ("nothing", "folder", "folder/file/below"):
        assert bucket.stat(key) is None
        with pytest.raises(NotInStoreError):
            bucket.get(key)
        with pytest.raises(NotInStoreError):
            bucket.copy(key, "target")
    bucket.delete(["nothing", "folder/nothing"])
    assert keys(bucket) == ["folder/file"]


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "../a", "a/../../b", "a/./b", "a\x00b", "a\nb", "x" * 256, "/".join(["y" * 200] * 6), "a\udce4"]
)
def test_a_key_that_no_place_can_hold_is_refused(bucket: Bucket, key: str) -> None:
    for work in (lambda: bucket.put(key, b""), lambda: bucket.get(key), lambda: bucket.stat(key), lambda: bucket.delete([key])):
        with pytest.raises(BadKeyError) as refused:
            work()
        assert not key or key not in str(refused.value)


@pytest.mark.parametrize("key", ["a/b__XLDIR__", "a/.sgwtmp/b"])
def test_a_key_that_some_server_would_hide_is_not_written(bucket: Bucket, key: str) -> None:
    with pytest.raises(BadKeyError, match="hide"):
        bucket.put(key, b"")
