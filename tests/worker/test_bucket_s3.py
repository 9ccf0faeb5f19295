"""An S3 server on a bad day: what it says is told as "later", and never as data."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.servers.child import free_port
from tests.servers.faulty import Fault, FaultyProxy
from tests.servers.s3 import WANTED, S3Server, available
from worker.store import bucket_s3, s3_upload
from worker.store.bucket import Bucket, StoreUnreachableError
from worker.store.bucket_s3 import S3Bucket, S3Endpoint, client_of
from worker.store.open_bucket import open_bucket

DATA = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture(scope="module", params=WANTED)
def server(request: pytest.FixtureRequest) -> S3Server:
    return request.getfixturevalue(f"{request.param}_server")


@pytest.fixture
def proxy(server: S3Server) -> Iterator[FaultyProxy]:
    with FaultyProxy(server.port) as one:
        yield one
        client_of(server.through(one.port))._http.clear()


@pytest.fixture
def bucket(server: S3Server, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    monkeypatch.setattr(bucket_s3, "RETRIES", 2)  # the waits between them grow
    made = S3Bucket(client_of(server.through(proxy.port)), server.new_bucket(), "sk\u00e5ne", part_bytes=5 << 20)
    made.put("kept name.txt", DATA)
    return made


def read(bucket: Bucket) -> bytes:
    with bucket.get("kept name.txt") as stream:
        return stream.read()


@pytest.mark.parametrize("kind", ["refuse", "503"])
def test_what_goes_wrong_twice_is_tried_again(bucket: Bucket, proxy: FaultyProxy, kind: str) -> None:
    proxy.add(Fault(kind, times=2))

    assert read(bucket) == DATA
    assert len(proxy.done) == 2


def every_work(bucket: Bucket, folder: Path) -> list[Callable[[], object]]:
    (folder / "big").write_bytes(b"x" * (6 << 20))
    return [
        lambda: read(bucket),
        lambda: bucket.put("b", b"data"),
        lambda: bucket.put_file("b", folder / "big"),
        lambda: bucket.put_stream("b", io.BytesIO(DATA), len(DATA)),
        lambda: bucket.stat("kept name.txt"),
        lambda: list(bucket.list()),
        lambda: bucket.copy("kept name.txt", "b"),
        lambda: bucket.delete(["b"]),
    ]


@pytest.mark.parametrize("kind", ["refuse", "503"])
def test_a_server_that_does_not_come_back_is_told_with_its_place_and_without_names(
    bucket: Bucket, proxy: FaultyProxy, kind: str, tmp_path: Path
) -> None:
    proxy.add(Fault(kind, times=None))
    for work in every_work(bucket, tmp_path):
        with pytest.raises(StoreUnreachableError) as told:
            work()
        assert bucket.url in str(told.value)
        assert "kept name" not in str(told.value)
        assert told.value.__cause__ is None  # the client's own words hold keys
    proxy.clear()
    assert read(bucket) == DATA


def test_a_server_that_is_gone_and_back(bucket: Bucket, proxy: FaultyProxy) -> None:
    proxy.vanish()
    with pytest.raises(StoreUnreachableError, match="did not answer"):
        read(bucket)
    proxy.listen()

    assert read(bucket) == DATA


def test_a_body_that_ends_half_way_is_never_short_data(bucket: Bucket, proxy: FaultyProxy) -> None:
    proxy.add(Fault("cut", method="GET"))
    with bucket.get("kept name.txt") as stream:
        assert stream.read(1000) == DATA[:1000]
        with pytest.raises(StoreUnreachableError, match="too early"):
            stream.read()
    assert read(bucket) == DATA


def test_a_reader_that_stops_in_the_middle_leaves_the_next_answer_whole(bucket: Bucket) -> None:
    for _ in range(3):
        with bucket.get("kept name.txt") as stream:
            assert stream.read(10) == DATA[:10]
    assert read(bucket) == DATA


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        ({"secret_key": "wrong-secret-wrong-secret"}, "keys in the settings"),
        ({"access_key": "nobody"}, "keys in the settings"),
        ({"endpoint": f"127.0.0.1:{free_port()}"}, "can be reached"),
    ],
)
def test_credentials_and_addresses_that_are_wrong_are_later_too_and_say_what_to_do(server: S3Server, change, remedy) -> None:
    name = server.new_bucket()
    wrong = open_bucket(f"s3://{name}/prefix", replace(server.endpoint, **change))
    with pytest.raises(StoreUnreachableError, match=remedy) as told:
        list(wrong.list())
    assert "wrong-secret" not in str(told.value)
    with pytest.raises(StoreUnreachableError):
        wrong.stat("a")


def test_a_bucket_that_is_not_there_is_told_and_not_an_empty_place(server: S3Server) -> None:
    gone = open_bucket("s3://no-such-bucket/prefix", server.endpoint)
    with pytest.raises(StoreUnreachableError, match="Make the bucket"):
        list(gone.list())
    with pytest.raises(StoreUnreachableError, match="Make the bucket"):
        gone.put("a", b"")


def test_a_secret_is_in_no_text() -> None:
    endpoint = S3Endpoint("one", "localhost:9000", "access", "very-secret")

    assert "very-secret" not in repr(endpoint)
    assert "very-secret" not in repr(client_of(endpoint).__dict__.get("_base_url"))


def test_parts_grow_so_that_the_largest_file_fits_in_their_number() -> None:
    for size in (0, 50 << 30, 4 << 40):
        part = s3_upload.part_size(size, bucket_s3.PART_BYTES)

        assert part * 10_000 >= size
        assert part <= 1 << 30


def test_which_servers_this_run_covers() -> None:
    assert available()
