"""The service as real processes: worker and scheduler over PostgreSQL, Redis and MinIO, from a submitted job to its version.

One installation serves most tests: starting processes takes longer than what they do here. Faults have ``test_service_faults``.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests import samples
from tests.installation import Installation, installed, wait_for
from tests.servers import redis as redis_servers
from tests.worker.service_truth import bucket_of, originals_of
from worker.ledger.schema import contents, events, tasks
from worker.queue.posts import Posts
from worker.queue.redis_broker import on_redis
from worker.store.bucket_s3 import S3Bucket, client_of
from worker.store.bucket_store import BucketStore


@pytest.fixture(scope="module")
def site(tmp_path_factory, postgres, minio_server) -> Iterator[Installation]:
    """Two workers and two schedulers, at work."""
    server, url = redis_servers.new_server(), postgres.database()
    try:
        with installed(tmp_path_factory.mktemp("site"), url, server.url, minio_server.endpoint) as one:
            one.tenant("lund", minio_server.new_bucket())
            one.tenant("höör".replace("ö", "o"), minio_server.new_bucket())
            for command in ("schedule", "schedule", "work", "work"):
                one.start(command)
            yield one
    finally:
        redis_servers.end(server)
        postgres.drop(url)


def store(site: Installation, tenant: str, scratch: Path) -> BucketStore:
    place = site.ledger.tenants.primary(tenant)
    assert place is not None
    _, _, rest = place.url.partition("://")
    bucket, _, prefix = rest.partition("/")
    return BucketStore(S3Bucket(client_of(site.endpoint), bucket, prefix), scratch)


def texts(folder: Path, number: int) -> Path:
    """Small files that are kept."""
    folder.mkdir(parents=True)
    for name in range(number):
        (folder / f"{name:03}.txt").write_text(f"Anteckning {name}, å ä ö.\n", "utf-8")
    return folder


def statuses(site: Installation, job: str) -> dict[str, tuple[str, str]]:
    return {path: (str(record.status), record.reason) for path, record in site.records(job).items()}


def test_a_job_goes_all_the_way(site: Installation, tmp_path) -> None:
    """Submitted, scanned, worked on, committed, delivered, finished: by processes that share ledger, queue and store alone."""
    folder = texts(site.inbox("lund") / "Nämnd", 1)
    (folder / "under mapp").mkdir()
    (folder / "under mapp" / "b.pdf").write_bytes(samples.born_digital_pdf("Beslut", pages=1))
    (folder / "låst.pdf").write_bytes(samples.encrypted_pdf())
    job = site.submit("lund", "Nämnd", delivery="file://out/ut/1")

    ended = site.until_over("lund", job)

    assert (ended.state, ended.version, ended.error) == ("finished", 1, None)
    told = {"000.txt": ("kept", "ok"), "under mapp/b.pdf": ("migrated", "ok"), "låst.pdf": ("returned", "encrypted")}
    assert statuses(site, job) == told
    _as_the_store_says(site, "lund", ended.object_id, tmp_path)
    _delivered(site.folder / "lund" / "out" / "ut" / "1")
    report = json.loads(store(site, "lund", tmp_path).bucket.get(f"reports/{job}/report.json").read())
    assert (report["version"], report["counts"]["kept"]) == ("v1", 1)
    page = store(site, "lund", tmp_path).bucket.get(f"reports/{job}/report.html").read()
    assert b"data:image/jpeg" in page  # the worker's pictures found their way through the store


def _as_the_store_says(site: Installation, tenant: str, object_id: str, scratch: Path) -> None:
    """The ledger's digests and places are the store's, and every original is there with the bytes that were delivered."""
    there = store(site, tenant, scratch)
    held = {content.sha512: content.content_path for content in there.contents(object_id)}
    known = {row.sha512: row.content_path for row in site.ledger.stream(sa.select(contents))}
    assert {digest: place for digest, place in held.items() if "/metadata/" not in place}.items() <= known.items()
    for path in (file for file in site.inbox(tenant).joinpath("Nämnd").rglob("*") if file.is_file()):
        with there.read(object_id, f"original/{path.relative_to(site.inbox(tenant) / 'Nämnd')}") as stream:
            assert stream.read() == path.read_bytes()


def _delivered(folder: Path) -> None:
    """What the manifest names is there with these digests, and nothing else is."""
    lines = (folder / "manifest-sha512.txt").read_text("utf-8").splitlines()
    named = {line.split("  ", 1)[1]: line.split("  ", 1)[0] for line in lines}
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    assert set(found) == {*named, "manifest-sha512.txt", "delivery.json"}
    assert {"metadata/premis.xml", "preservation/under mapp/b.pdf"} <= set(named)
    assert all(hashlib.sha512(found[name].read_bytes()).hexdigest() == digest for name, digest in named.items())


def test_a_message_that_comes_many_times_is_work_done_once(site: Installation) -> None:
    """P5: whatever is sent, and to whichever of two workers, each file has one record and one ingestion."""
    texts(site.inbox("lund") / "dubbla", 60)
    job, broker, stop = site.submit("lund", "dubbla"), on_redis(site.redis_url), threading.Event()

    def repeat() -> None:
        posts = Posts(broker)
        while not stop.wait(0.02):
            numbers = [
                row.id for row in site.ledger.stream(sa.select(tasks.c.id).where(tasks.c.job_id == job, tasks.c.status.is_(None)))
            ]
            posts.files([number for number in numbers for _ in range(3)])
            posts.jobs([job] * 3)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        ended = site.until_over("lund", job)
    finally:
        stop.set()
        thread.join()
        broker.close()

    assert (ended.state, ended.version) == ("finished", 1)
    assert len(site.records(job)) == 60
    told = [json.loads(row.body) for row in site.ledger.stream(sa.select(events.c.body).where(events.c.job_id == job))]
    assert set(Counter(body["object"] for body in told if body["type"] == "ingestion").values()) == {1}


def test_jobs_of_one_package_take_turns(site: Installation) -> None:
    """The second job sees what the first one made, and adds a version only for what changed."""
    folder = texts(site.inbox("lund") / "turer", 3)
    first, second = site.submit("lund", "turer"), site.submit("lund", "turer")

    one, two = site.until_over("lund", first), site.until_over("lund", second)
    (folder / "003.txt").write_text("Tillkommen.\n", "utf-8")
    three = site.until_over("lund", site.submit("lund", "turer"))

    assert (one.version, two.version, three.version) == (1, None, 2)
    assert one.finished is not None
    assert one.finished <= two.started
    assert all(record.unchanged for record in site.records(second).values())


def test_what_is_not_what_was_sent_is_returned(site: Installation) -> None:
    """design.md §4.1: a checksum that came along is checked before anything else; the bytes are kept all the same (P1)."""
    folder = texts(site.inbox("lund") / "summor", 3)
    right = hashlib.sha256((folder / "000.txt").read_bytes()).hexdigest()
    listed = {"000.txt": {"sha256": right}, "001.txt": {"sha512": "0" * 128}, "borta.txt": {"sha256": "1" * 64}}
    job = site.submit("lund", "summor", expected=json.dumps(listed))

    ended = site.until_over("lund", job)

    assert ended.state == "finished"
    assert statuses(site, job) == {
        "000.txt": ("kept", "ok"),
        "001.txt": ("returned", "checksum-mismatch"),
        "002.txt": ("kept", "ok"),
        "borta.txt": ("returned", "missing"),
    }
    assert site.ledger.door("lund").entry("summor", "original/001.txt") is not None


def test_a_manifest_in_the_delivery_is_believed_or_the_job_says_why_not(site: Installation) -> None:
    """By the name of the file; one that cannot be used stops the job with a sentence, instead of preserving on its word."""
    folder = texts(site.inbox("lund") / "manifest", 2)
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  ./{name}\n" for name in ("000.txt", "001.txt")]
    (folder / "manifest-sha256.txt").write_text("".join(lines), "utf-8")
    (folder / "trasig.txt").write_text("inte en summa\n", "utf-8")

    good = site.until_over("lund", site.submit("lund", "manifest", expected="manifest-sha256.txt"))
    bad = site.until_over("lund", site.submit("lund", "manifest", expected="trasig.txt"))

    assert good.state == "finished"
    assert (bad.state, bad.error_code) == ("failed", "checksums")
    assert "line 1" in str(bad.error)


def test_a_name_that_the_package_has_otherwise_stops_nobody(site: Installation, tmp_path) -> None:
    """A folder of the version before is a file now: the file is returned, told the same the next time, and no other waits."""
    folder = texts(site.inbox("lund") / "namn" / "a", 1).parent
    assert site.until_over("lund", site.submit("lund", "namn")).version == 1
    (folder / "a" / "000.txt").unlink()
    (folder / "a").rmdir()
    (folder / "a").write_text("en fil nu\n", "utf-8")
    (folder / "b.txt").write_text("och en till\n", "utf-8")

    for _ in range(2):
        job = site.submit("lund", "namn")
        ended = site.until_over("lund", job)
        assert (ended.state, ended.error) == ("finished", None)
        assert statuses(site, job) == {"a": ("returned", "name-taken"), "b.txt": ("kept", "ok")}
    assert originals_of(bucket_of(site, "lund"), ended.object_id, tmp_path / "copy") == {"a/000.txt", "b.txt"}


def test_failed_files_are_tried_again_alone(site: Installation) -> None:
    """A retry takes what failed for the reason that is named, and nothing else."""
    folder = texts(site.inbox("lund") / "igen", 3)
    (folder / "001.txt").unlink()
    (folder / "001.txt").symlink_to("000.txt")
    job = site.submit("lund", "igen")
    site.until_over("lund", job)
    _fail(site, job, "002.txt")

    again = site.submit("lund", "igen", retry_of=job, retry_reason="unreadable")
    ended = site.until_over("lund", again)

    assert ended.state == "finished"
    assert statuses(site, again) == {"002.txt": ("kept", "ok")}


def test_checksums_that_came_along_hold_when_a_file_is_tried_again(site: Installation) -> None:
    """Between a job and its retry a file may change as well: it must be what was delivered, however often it is tried."""
    folder = texts(site.inbox("lund") / "igen summor", 2)
    listed = {path.name: {"sha512": hashlib.sha512(path.read_bytes()).hexdigest()} for path in folder.iterdir()}
    job = site.submit("lund", "igen summor", expected=json.dumps(listed))
    site.until_over("lund", job)
    for name in listed:
        _fail(site, job, name)
    (folder / "001.txt").write_text("Something else.\n", "utf-8")

    again = site.submit("lund", "igen summor", retry_of=job)
    site.until_over("lund", again)
    told = statuses(site, again)
    _fail(site, again, "001.txt")
    third = site.submit("lund", "igen summor", retry_of=again)
    site.until_over("lund", third)

    assert told == {"000.txt": ("kept", "ok"), "001.txt": ("returned", "checksum-mismatch")}
    assert statuses(site, third) == {"001.txt": ("returned", "checksum-mismatch")}


def _fail(site: Installation, job: str, path: str) -> None:
    """As if the file had not been readable when the job ran: root, who runs tests, can read everything."""
    mine = (tasks.c.job_id == job, tasks.c.path == path)
    with site.ledger.engine.begin() as db:
        record = json.loads(db.scalar(sa.select(tasks.c.record).where(*mine)) or "")
        record |= {"status": "failed", "reason": "unreadable"}
        db.execute(sa.update(tasks).where(*mine).values(status="failed", reason="unreadable", record=json.dumps(record)))


def test_a_job_that_cannot_begin_says_so(site: Installation) -> None:
    """No task hangs for ever: a source that is not there ends its job with a sentence that names the remedy."""
    gone = site.until_over("lund", site.submit("lund", "borta"))
    nowhere = site.until_over("lund", site.submit("lund", "ingen", source="file://okand/x"))
    climbing = site.until_over("lund", site.submit("lund", "upp", source="file://in/../hemligt"))
    others = site.until_over("hoor", site.submit("hoor", "annans", source="file://in/Nämnd"))

    for job in (gone, nowhere, climbing, others):
        assert (job.state, job.error_code) == ("failed", "place"), job
        assert job.error


def test_a_source_without_files_is_no_package_that_was_preserved(site: Installation) -> None:
    """A prefix that is misspelled is an empty one: a job that ended well would say that everything is safe."""
    (site.inbox("lund") / "tom" / "mapp").mkdir(parents=True)

    folder = site.until_over("lund", site.submit("lund", "tom"))
    bucket = site.until_over("lund", site.submit("lund", "tom upp", source="upload://" + "0" * 32))

    for job in (folder, bucket):
        assert (job.state, job.error_code, job.version) == ("failed", "source-empty", None), job
        assert "holds no files" in str(job.error)


def test_a_cancelled_job_ends_and_keeps_what_it_had_finished(site: Installation) -> None:
    """P1: what is stored stays, in a version; what waited is not begun."""
    texts(site.inbox("hoor") / "avbruten", 400)
    job = site.submit("hoor", "avbruten")
    wait_for(lambda: len(site.records(job)) > 3)

    assert site.ledger.queue.cancel("hoor", job)
    ended = site.until_over("hoor", job)
    counts = site.ledger.door("hoor").counts(job)

    assert ended.state == "cancelled"
    assert counts is not None
    assert counts.done + counts.cancelled == counts.total == 400
    assert counts.done == len(site.records(job))
    assert counts.done == 400 or ended.version == 1


def test_no_name_of_a_file_is_in_any_log(site: Installation) -> None:
    """P7: after everything above."""
    said = "".join(child.said() for child in site.children)
    assert "job" in said
    for word in ("Nämnd", "låst", "000.txt", "under mapp", "manifest-sha256", "secret"):
        assert word not in said
