"""The store in a bucket, beyond the contract: built by several processes, on servers that lie, and judged by other programs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from bucket_samples import Office, as_archive, download
from store_samples import FILES, build, memory_file, run_job
from test_store_contract import NOTE, entry, paths, put, read
from test_store_directory import ocfl_validate

from tests.servers.faulty import Fault, FaultyProxy
from tests.servers.s3 import S3Server, make_bucket
from worker.archive import Archive
from worker.ledger.schema import contents
from worker.store import bucket_s3, bucket_store
from worker.store.bucket import Bucket, StoreUnreachableError
from worker.store.bucket_folder import FolderBucket
from worker.store.bucket_s3 import S3Bucket, client_of
from worker.store.bucket_store import BucketStore
from worker.store.contract import NotDurableError, NotOursError, StateEntry, StoreDamagedError
from worker.store.directory import DirectoryStore
from worker.store.layout import object_path
from worker.verify import Severity, verify

LONG = b"/".join([b"m" * 250] * 3)
AWKWARD = {**FILES, b"brev.txt": b"nytt", LONG: b"l", b"r\xe4v%41\n.txt": b"x", b"a__XLDIR__": b"y", b"copy of empty": b""}


@pytest.fixture(params=["folder bucket", "minio", "versitygw", "rclone"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Bucket:
    return make_bucket(request, request.param, tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BucketStore]:
    made = BucketStore(FolderBucket(tmp_path / "place"), tmp_path / "scratch")
    yield made
    made.spool.close()


def errors(folder: Path) -> list[str]:
    return [f"{f.code} {f.where}: {f.what}" for f in verify(folder) if f.severity is Severity.ERROR]


def test_what_jobs_made_in_a_bucket_is_whole_for_us_and_for_a_validator_that_we_did_not_write(
    bucket: Bucket, tmp_path: Path
) -> None:
    """Promise P8; awkward names, names too long for a key, the same bytes twice, files that left the state."""
    with Office.open(bucket, tmp_path / "office") as office:
        for files in (FILES, AWKWARD, {b"brev.txt": b"locked"}):
            run_job(office, files)
        (name,) = office.store.objects()
        manifest = {content.sha512: content.content_path for content in office.store.contents(name)}
        with office.ledger.engine.connect() as db:
            said = {row.sha512: row.content_path for row in db.execute(sa.select(contents))}
    archive = as_archive(bucket, tmp_path / "office", tmp_path / "archive")
    done = ocfl_validate(archive / "store")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARN" not in done.stdout + done.stderr
    assert errors(archive) == []
    assert said.items() <= manifest.items()
    assert [blob.key for blob in bucket.list("staging/")] == []
    with DirectoryStore(archive / "store", tmp_path / "other").read(name, "original/brev.txt") as stream:
        assert stream.read() == b"locked"


def test_an_embedded_archive_is_carried_on_as_a_bucket_and_back(tmp_path: Path) -> None:
    folder = build(tmp_path / "a", FILES)
    with Office.open(FolderBucket(folder), folder) as office:
        run_job(office, {**FILES, b"brev.txt": b"in a bucket"})
    assert errors(folder) == []
    with Archive(folder) as archive:
        run_job(archive, {**FILES, b"brev.txt": b"embedded again"})

    assert errors(folder) == []
    assert ocfl_validate(folder / "store").returncode == 0


def test_two_processes_build_one_version_together(bucket: Bucket, tmp_path: Path) -> None:
    """Also with the same bytes; either may commit."""
    stores = [BucketStore(bucket, tmp_path / "scratch") for _ in range(2)]
    one, two = (store.open_draft("urn:x:1") for store in stores)
    state = [entry(one, "a", b"first"), entry(one, "c", b"same")]
    state += [entry(two, "b", b"second"), entry(two, "d", b"same")]
    one.close()
    stores[1].commit(two, state, NOTE)

    assert paths(stores[0]) == ["a", "b", "c", "d"]
    assert [c.content_path for c in stores[0].contents("urn:x:1")] == ["v1/content/a", "v1/content/b", "v1/content/c"]
    for store in stores:
        store.spool.close()


def test_content_gets_its_place_from_the_least_path_that_names_it_but_not_from_what_describes_the_package(
    store: BucketStore,
) -> None:
    draft = store.open_draft("urn:x:1")
    state = [entry(draft, path, b"same") for path in ("original/b", "original/a")]
    told = dict(store.places(draft, state))
    state.append(entry(draft, "metadata/a", b"same"))
    store.commit(draft, state, NOTE)

    (content,) = store.contents("urn:x:1")
    assert told == {content.sha512: content.content_path} == {state[0].sha512: "v1/content/original/a"}


def test_the_local_file_lives_until_it_is_released(store: BucketStore) -> None:
    draft = store.open_draft("urn:x:1")
    stored = draft.ingest(memory_file(b"data"), "a")
    again = draft.ingest(memory_file(b"data"), "b")

    assert stored.local_path.read_bytes() == again.local_path.read_bytes() == b"data"
    draft.release(stored)
    draft.release(stored)
    assert not stored.local_path.exists()
    assert store.spool.used_bytes == 4
    draft.close()
    assert store.spool.used_bytes == 0
    assert [path.name for path in store.spool.folder.iterdir()] == ["lock"]


def test_a_place_that_holds_something_else_is_refused(store: BucketStore) -> None:
    store.bucket.put("store/semester.jpg", b"x")
    with pytest.raises(NotOursError, match="semester"):
        store.open_draft("urn:x:1")


def test_objects_are_listed_in_leaps(store: BucketStore, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {f"urn:x:{number}" for number in range(12)}
    for name in names:
        put(store, {f"original/{number}": b"%d" % number for number in range(5)}, name)
    monkeypatch.setattr(bucket_store, "_SKIP_AFTER", 3)

    assert sorted(store.objects()) == sorted(names)


# Servers that lie


@pytest.fixture
def lying(minio_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[BucketStore, FaultyProxy]]:
    monkeypatch.setattr(bucket_s3, "RETRIES", 2)  # the waits between them grow
    with FaultyProxy(minio_server.port) as proxy:
        client = client_of(minio_server.through(proxy.port))
        made = BucketStore(S3Bucket(client, minio_server.new_bucket(), "p"), tmp_path / "scratch")
        yield made, proxy
        made.spool.close()
        client._http.clear()


def test_bytes_that_come_back_wrong_once_are_written_again(lying: tuple[BucketStore, FaultyProxy]) -> None:
    store, proxy = lying
    data = os.urandom(300_000)
    proxy.add(Fault("flip", method="GET", path="/staging/"))
    put(store, {"a": data})

    assert proxy.done
    assert read(store, "urn:x:1", "a") == data


def test_bytes_that_come_back_wrong_are_never_named(lying: tuple[BucketStore, FaultyProxy]) -> None:
    store, proxy = lying
    draft = store.open_draft("urn:x:1")
    proxy.add(Fault("flip", times=None, method="GET", path="/staging/"))
    with pytest.raises(NotDurableError, match="gave back"):
        draft.ingest(memory_file(b"data" * 100), "a")

    assert list(draft.staged()) == []
    assert store.spool.used_bytes == 0
    draft.close()


@pytest.mark.parametrize("fault", [Fault("cut", method="GET", path="/staging/"), Fault("503", times=None, path="/staging/")])
def test_a_server_that_breaks_off_is_later_and_the_draft_goes_on(lying: tuple[BucketStore, FaultyProxy], fault: Fault) -> None:
    store, proxy = lying
    draft = store.open_draft("urn:x:1")
    proxy.add(fault)
    with pytest.raises(StoreUnreachableError):
        draft.ingest(memory_file(b"data" * 1000), "a")
    proxy.clear()
    store.commit(draft, [entry(draft, "a", b"data" * 1000)], NOTE)

    assert read(store, "urn:x:1", "a") == b"data" * 1000


@pytest.mark.parametrize("path", ["/v1/content/", "/v1/inventory.json", "/inventory.json", "/staging/commits/"])
def test_a_commit_that_broke_off_is_begun_again_with_the_same_draft(lying: tuple[BucketStore, FaultyProxy], path: str) -> None:
    store, proxy = lying
    draft = store.open_draft("urn:x:1")
    state = [entry(draft, "a", b"data")]
    proxy.add(Fault("503", times=None, method="PUT", path=path))
    with pytest.raises(StoreUnreachableError):
        store.commit(draft, state, NOTE)
    proxy.clear()

    assert store.commit(draft, state, NOTE) == store.head("urn:x:1") == 1
    assert read(store, "urn:x:1", "a") == b"data"


def test_an_inventory_that_arrives_broken_is_asked_for_again_and_never_believed(lying: tuple[BucketStore, FaultyProxy]) -> None:
    store, proxy = lying
    put(store, {"a": b"one"})
    proxy.add(Fault("flip", method="GET", path="/inventory.json"))
    put(store, {"b": b"two"})
    assert paths(store) == ["a", "b"]
    proxy.add(Fault("flip", times=None, method="GET", path="/inventory.json"))
    with pytest.raises(StoreDamagedError):
        store.open_draft("urn:x:1")


def test_a_copy_that_the_server_lost_or_changed_is_made_again(bucket: Bucket, tmp_path: Path) -> None:
    """As what an earlier attempt left half done: missing, short, other bytes of the same size, and one too many."""
    store = BucketStore(bucket, tmp_path / "scratch")
    draft = store.open_draft("urn:x:1")
    state = [entry(draft, name, name.encode() * 10) for name in "abc"]
    home = f"store/{object_path('urn:x:1')}/v1/content"
    bucket.put(f"{home}/a", b"short")
    bucket.put(f"{home}/b", b"X" * 10)
    bucket.put(f"{home}/nobody/names/this", b"X")
    store.commit(draft, state, NOTE)

    assert [read(store, "urn:x:1", name) for name in "abc"] == [name.encode() * 10 for name in "abc"]
    assert ocfl_validate(download(bucket, tmp_path / "down")).returncode == 0
    store.spool.close()


# What nothing refers to


def test_what_nothing_refers_to_is_named_and_removed_after_the_grace_period(store: BucketStore) -> None:
    put(store, {"a": b"kept"})
    abandoned, working = store.open_draft("urn:x:1"), store.open_draft("urn:x:2")
    entry(abandoned, "b", b"abandoned")
    entry(working, "b", b"in hand")
    before = [blob.key for blob in store.bucket.list("store/")]

    assert store.gc(3600, busy=["urn:x:2"], apply=True) == []
    named = store.gc(0, busy=["urn:x:2"])
    assert [key for key in named if not key.startswith(abandoned.home)] == []
    assert len(named) == len(list(abandoned.staged())) == 1
    assert store.gc(0, busy=["urn:x:2"], apply=True) == named
    assert list(abandoned.staged()) == []
    assert len(list(working.staged())) == 1
    assert [blob.key for blob in store.bucket.list("store/")] == before
    for draft in (abandoned, working):
        draft.close()


def test_a_state_may_name_older_content_only(store: BucketStore) -> None:
    put(store, {"a": b"one"})
    draft = store.open_draft("urn:x:1")
    (held,) = store.contents("urn:x:1")
    store.commit(draft, [StateEntry("again", held.sha512)], NOTE)

    assert paths(store) == ["a", "again"]
    assert ocfl_validate(Path(store.bucket.url.removeprefix("file://")) / "store").returncode == 0
