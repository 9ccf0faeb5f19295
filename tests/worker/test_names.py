"""A name cannot be both a file and a folder of one package (OCFL 1.1 section 3.5.3.1): such a file is told, the others go on."""

from __future__ import annotations

import json
import random
import shutil
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
import sqlalchemy as sa
from bucket_samples import Watched
from store_samples import held as held_as
from store_samples import object_home

from actions.catalog import CATALOG
from tests.conftest import bevara, files_of
from tests.worker.service_truth import originals_of
from tests.worker.test_bad_input import assert_whole, stored
from worker.app import Service
from worker.archive import Archive
from worker.commit import commit_job
from worker.ledger.events import EventDraft
from worker.ledger.facts import Entry, Found, Held, Job
from worker.ledger.ledger import Ledger
from worker.ledger.schema import tasks
from worker.ledger.service_facts import Submission
from worker.observe.metrics import Metrics
from worker.pipeline.names import NAME_TAKEN, bar_taken_names
from worker.pipeline.scan import Kind
from worker.policy.load import load_policy
from worker.queue.desk import Desk
from worker.queue.files import Bearings, Files
from worker.queue.in_hand import InHand
from worker.queue.patience import Patience
from worker.queue.steps import Steps
from worker.record import FileRecord, PolicyRef, Status
from worker.service_settings import ServiceSettings
from worker.store.bucket import Blob
from worker.store.contract import Draft

POLICY = PolicyRef(name="default", version="1", sha256="a" * 64)
PARTS = ("a", "A", "å", "a b", "a-1", "a.txt", "a0", "%", "_")  # before and after '/', and what languages sort otherwise
KEPT, TAKEN = ("kept", "ok"), ("returned", "name-taken")


@pytest.fixture
def ledger(ledger_url: str):
    one = Ledger.connect(ledger_url)
    yield one
    one.close()


def begin(ledger: Ledger, source: bytes, found: dict[str, Kind]) -> Job:
    job = ledger.open_job("lund", "p", source, POLICY, "t")
    ledger.add_tasks(job, [Found(path.encode(), path, 1, 1, kind.value) for path, kind in found.items()])
    return job


def barred(ledger: Ledger, job: Job) -> set[str]:
    bar_taken_names(ledger, job)
    stmt = sa.select(tasks.c.path).where(tasks.c.job_id == job.id, tasks.c.kind == NAME_TAKEN)
    return {path for (path,) in ledger.stream(stmt)}


def hold(ledger: Ledger, paths: set[str]) -> None:
    """Let the package hold these originals, each with a derivative, which bars nobody."""
    job = begin(ledger, b"/before", dict.fromkeys(sorted(paths), Kind.FILE))
    assert barred(ledger, job) == set()
    for task in ledger.claim(job, "w", 10_000, 60):
        digest = f"{task.id:0128x}"
        record = FileRecord(path=task.path, size_bytes=1, sha512=digest, status=Status.KEPT, reason="ok", message="")
        logical = f"original/{task.path}"
        put = [Entry(logical, digest), Entry(f"preservation/{task.path}/x", digest, logical)]
        held = [Held(digest, digest[:64], 1, logical)]
        ledger.finish(task, record, held=held, put=put, told=[EventDraft("ingestion", object_path=logical)])
    ledger.finish_job(job, 1)


def below(path: str, folder: str) -> bool:
    return path.startswith(folder + "/")


def free_names(chance: random.Random, number: int) -> set[str]:
    return {"/".join(chance.choices(PARTS, k=chance.randint(1, 3))) for _ in range(number)}


@pytest.mark.parametrize("seed", range(4))
def test_those_that_cannot_be_stored_are_barred_and_no_others(ledger: Ledger, seed: int) -> None:
    """The law, said slowly: beside what is held first; of what is left, whatever has something of it below."""
    chance = random.Random(seed)
    held = free_names(chance, 30)
    held = {path for path in held if not any(below(other, path) for other in held)}
    came = free_names(chance, 120) | set(chance.sample(sorted(held), len(held) // 2))
    hold(ledger, held)
    job = begin(ledger, b"/in", dict.fromkeys(sorted(came, key=lambda _: chance.random()), Kind.FILE))

    clash = {path for path in came if any(below(path, other) or below(other, path) for other in held)}
    left = came - clash
    own = {path for path in left if any(below(other, path) for other in left)}
    assert clash
    assert own
    assert barred(ledger, job) == clash | own
    assert barred(ledger, job) == clash | own


def test_what_has_no_bytes_takes_no_name(ledger: Ledger) -> None:
    """A file that the list names and nobody delivered, a key that is not read: neither will stand in the package."""
    told = {"a": Kind.MISSING, "a/b": Kind.FILE, "c": Kind.FILE, "c/d": Kind.UNSAFE_NAME, "e": Kind.SYMLINK, "e/f": Kind.SYMLINK}

    assert barred(ledger, begin(ledger, b"/in", told)) == {"e"}


def test_a_package_bars_no_other(ledger: Ledger) -> None:
    hold(ledger, {"a/b"})
    job = ledger.open_job("lund", "q", b"/in", POLICY, "t")
    ledger.add_tasks(job, [Found(b"a", "a", 1, 1)])

    assert barred(ledger, job) == set()


# By the command line


def preserve(folder: Path, archive: Path, code: int) -> dict[str, tuple[str, str]]:
    ran = bevara("preserve", folder, "--archive", archive)
    assert ran.code == code, ran.said
    assert_whole(archive)
    return {path: (entry["status"], entry["reason"]) for path, entry in files_of(archive).items()}


def originals(archive: Path) -> set[str]:
    return {path.removeprefix("original/") for path in stored(archive) if path.startswith("original/")}


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"Anteckning i {name}.\n", "utf-8")


def test_a_folder_that_became_a_file_and_back(tmp_path: Path) -> None:
    folder, archive = tmp_path / "in", tmp_path / "archive"
    write(folder, "a/b.txt", "z.txt")
    assert preserve(folder, archive, 0) == {"a/b.txt": KEPT, "z.txt": KEPT}
    shutil.rmtree(folder / "a")
    write(folder, "a", "y.txt")

    for _ in range(2):  # told again, and no worse
        assert preserve(folder, archive, 1) == {"a": TAKEN, "y.txt": KEPT, "z.txt": KEPT}
        assert originals(archive) == {"a/b.txt", "y.txt", "z.txt"}
    (folder / "a").unlink()
    write(folder, "a/b.txt", "a/c.txt")
    assert preserve(folder, archive, 0) == {"a/b.txt": KEPT, "a/c.txt": KEPT, "y.txt": KEPT, "z.txt": KEPT}


def test_a_file_that_became_a_folder(tmp_path: Path) -> None:
    folder, archive = tmp_path / "in", tmp_path / "archive"
    write(folder, "å", "å.txt")
    preserve(folder, archive, 0)
    (folder / "å").unlink()
    write(folder, "å/b.txt", "å/c/d.txt")

    assert preserve(folder, archive, 1) == {"å.txt": KEPT, "å/b.txt": TAKEN, "å/c/d.txt": TAKEN}
    assert originals(archive) == {"å", "å.txt"}
    told = files_of(archive)["å/c/d.txt"]
    assert (told["sha512"], told["outputs"]) == (None, [])
    assert "has a file “å”" in told["message"]
    assert "another name, or as a package of its own" in told["message"]
    assert "har en fil ”å”" in told["message_sv"]
    assert "annat namn, eller som ett eget paket" in told["message_sv"]
    _history_claims_nothing(archive, "å/c/d.txt")


def _history_claims_nothing(archive: Path, path: str) -> None:
    """The one event is an ingestion that failed, of no object; PREMIS describes no such file, and no content of it is there."""
    home = object_home(archive)
    lines = (home / "v2" / "content" / "metadata" / "events" / "v0002.jsonl").read_text("utf-8").splitlines()
    told = [body for body in (json.loads(line)["body"] for line in lines) if path in json.dumps(body, ensure_ascii=False)]
    assert [(body["type"], body["outcome"], body["object"]) for body in told] == [("ingestion", "fail", None)]
    premis = (home / "v2" / "content" / "metadata" / "premis.xml").read_text("utf-8")
    assert f"original/{path}" not in premis
    assert not [file for file in home.rglob("*") if file.name == "d.txt"]


def test_an_interrupted_job_whose_folder_changed_meanwhile(tmp_path: Path) -> None:
    """What it had finished is not committed yet, and goes first all the same."""
    with Archive(tmp_path / "archive") as archive:
        job = begin(archive.ledger, b"/in", {"a": Kind.FILE})
        draft = archive.store.open_draft(job.object_id)
        _work(archive, draft, job)
        job = begin(archive.ledger, b"/in", {"a/b": Kind.FILE, "c": Kind.FILE})
        assert job.continued
        assert barred(archive.ledger, job) == {"a/b"}
        _work(archive, draft, job)
        assert commit_job(archive.store, archive.ledger, draft, job) == 1

    assert originals(tmp_path / "archive") == {"a", "c"}


def _work(archive: Archive, draft: Draft, job: Job) -> None:
    for task in archive.ledger.claim(job, "w", 10, 60):
        record = FileRecord(path=task.path, size_bytes=1, status=Status.KEPT, reason="ok", message="")
        if task.kind == NAME_TAKEN:
            archive.ledger.finish(task, record, told=[EventDraft("ingestion")])
            continue
        logical = f"original/{task.path}"
        put = draft.ingest(BytesIO(task.raw_path), logical)
        archive.ledger.finish(task, record, held=[held_as(put)], put=[Entry(logical, put.sha512)])


# By the service's own parts, on PostgreSQL and MinIO


class AsS3Lists(Watched):
    """A bucket whose listing tells of every key that it holds. MinIO takes ``a`` and ``a/b``, gives both, and lists the first
    alone, whereas S3 lists both.
    """

    hidden: tuple[str, ...] = ()

    def list(self, prefix: str = "", after: str = "") -> Iterator[Blob]:
        told = {blob.key: blob for blob in super().list(prefix, after)}
        told |= {key: self.stat(key) for key in self.hidden if key.startswith(prefix)}
        return iter([told[key] for key in sorted(told) if told[key]])


@pytest.mark.parametrize(("reference", "prefix"), [("s3://store/brev/1", "brev/1"), ("upload://u1", "uploads/u1")])
def test_keys_that_no_folder_could_hold_together(postgres_url, minio_server, tmp_path: Path, reference: str, prefix: str) -> None:
    """In one delivery: the files of the folder are kept, and those that have a folder's name are returned."""
    settings = ServiceSettings(ledger_url=postgres_url, scratch=tmp_path / "scratch", s3={"main": minio_server.endpoint})
    with Service.open(settings) as service:
        tenants = service.ledger.tenants
        tenants.add("lund", "Lund")
        tenants.add_place("lund", "store", f"s3://{minio_server.new_bucket()}/x", endpoint="main", is_store=True, is_source=True)
        bucket = AsS3Lists(service.bucket_of("lund"), lambda _: None)
        service.places._buckets[tenants.primary("lund").url, "main"] = bucket
        for key in ("a", "a/b", "a/b/c.txt", "a.txt", "a/d.txt"):
            bucket.put(f"{prefix}/{key}", f"Anteckning {key}.\n".encode())
        bucket.hidden = tuple(f"{prefix}/{key}" for key in ("a/b", "a/b/c.txt", "a/d.txt"))
        policy = load_policy("skanearkiv", CATALOG).ref
        job_id = service.ledger.queue.submit(Submission("lund", "p", reference, policy)).job_id

        job = carried_out(service, job_id)

        assert job.state == "finished"
        told = {record.path: record for record in service.ledger.records(job)}
        taken, kept = {"a", "a/b"}, {"a/b/c.txt", "a/d.txt", "a.txt"}
        assert {path for path, record in told.items() if (record.status, record.reason) == TAKEN} == taken
        assert {path for path, record in told.items() if (record.status, record.reason) == KEPT} == kept
        assert "has a folder “a/b”" in told["a/b"].message
        assert originals_of(bucket, job.object_id, tmp_path / "copy") == kept


def carried_out(service: Service, job_id: str) -> Job:
    """Every step and file of the job, by one worker in this process."""
    in_hand = InHand()
    desk = Desk(service, in_hand)
    here = Bearings("w", 600.0, in_hand, desk, Patience(threading.Event()))
    steps, files = Steps(service, here, Metrics("test")), Files(service, here, Metrics("test"))
    steps.message(job_id)
    while todo := service.ledger.queue.admit(window_total=9, window_tenant=9, lease_s=600):
        for task_id in todo:
            files.message(task_id)
    steps.message(job_id)
    desk.close()
    job = service.ledger.job(job_id)
    assert job is not None
    return job
