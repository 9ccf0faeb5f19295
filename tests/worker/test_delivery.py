"""What lies under a job's prefix: exactly what the manifest names, whenever a manifest stands; and never two packages."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from bucket_samples import Watched

from actions.catalog import CATALOG
from tests.api.archives import preserve
from tests.servers.s3 import WANTED, S3Server
from worker import delivery
from worker.app import Service
from worker.delivery import check_delivery, deliver
from worker.delivery_record import MANIFEST, NAME, DeliveryTakenError
from worker.ledger.facts import Job, JobState
from worker.ledger.service_facts import Submission
from worker.observe.metrics import Metrics
from worker.paths import archival_path
from worker.places import PlaceError
from worker.policy.load import load_policy
from worker.queue.desk import Desk
from worker.queue.files import Bearings
from worker.queue.in_hand import InHand
from worker.queue.patience import Patience
from worker.queue.steps import Steps
from worker.service_settings import ServiceSettings
from worker.store.bucket import Bucket

Files = Mapping[bytes, bytes]
WHERE = "out/ut/diarium 17"
# What begins with "locked" has no derivative, and takes the one away that an earlier version had.
FIRST: Files = {b"a.txt": b"A", b"b/\xc3\xa5%25.txt": b"B", b"c.txt": b"same"}
SECOND: Files = {b"a.txt": b"locked", b"b/\xc3\xa5%25.txt": b"B2", b"c.txt": b"same", b"d.txt": b"D"}
THIRD: Files = {b"b/\xc3\xa5%25.txt": b"locked", b"c.txt": b"locked", b"d.txt": b"D", b"e.txt": b"E"}


class BrokenOffError(Exception):
    """As a process that was killed."""


@dataclass
class Site:
    """A service whose tenant delivers to a folder or an S3 server, and that place as a test sees it."""

    service: Service
    place: Bucket
    reference: str

    def version(self, files: Files, package: str = "p") -> Job:
        return preserve(self.service, "lund", package, files)

    def deliver(self, job: Job) -> int:
        return deliver(self.service, job, self.reference)

    def found(self) -> dict[str, str]:
        """Every file below the prefix by its path there, with its SHA-512."""
        prefix = WHERE.partition("/")[2] + "/"
        return {blob.key.removeprefix(prefix): self._digest(blob.key) for blob in self.place.list(prefix)}

    def _digest(self, key: str) -> str:
        with self.place.get(key) as stream:
            return hashlib.file_digest(stream, "sha512").hexdigest()

    def named(self) -> dict[str, str] | None:
        """What the manifest names, with its digests; None: no manifest stands."""
        prefix = WHERE.partition("/")[2]
        if self.place.stat(f"{prefix}/{MANIFEST}") is None:
            return None
        with self.place.get(f"{prefix}/{MANIFEST}") as stream:
            lines = stream.read().decode().splitlines()
        return {_plain(line.split("  ", 1)[1]): line.split("  ", 1)[0] for line in lines}

    def is_whole(self) -> bool:
        """What the manifest names is there with these digests, and beside it nothing of ours."""
        named, found = self.named(), self.found()
        return named is not None and {name: sha for name, sha in found.items() if name not in (MANIFEST, NAME)} == named

    def change(self, before: Callable[[int], None]) -> None:
        """Have *before* called before each change at the place."""
        self.service.places._buckets = {
            known: Watched(bucket, before) if known[0] == self.place.url else bucket
            for known, bucket in self.service.places._buckets.items()
        }


def _plain(path: str) -> str:
    return re.sub("%(25|0D|0A)", lambda found: bytes.fromhex(found[1]).decode(), path)


@pytest.fixture(params=["folder", *WANTED])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    environ = {"BEVARA_LEDGER_URL": f"sqlite:///{tmp_path / 'ledger.sqlite3'}", "BEVARA_SCRATCH": str(tmp_path / "scratch")}
    scheme, url, endpoint = "file", (tmp_path / "out").as_uri(), None
    if request.param != "folder":
        server: S3Server = request.getfixturevalue(f"{request.param}_server")
        scheme, url, endpoint = "s3", f"s3://{server.new_bucket()}/lund", "main"
        environ |= {"BEVARA_S3_MAIN_ENDPOINT": f"http://{server.endpoint.endpoint}", "BEVARA_S3_MAIN_REGION": "us-east-1"}
        environ |= {"BEVARA_S3_MAIN_ACCESS_KEY": server.endpoint.access_key}
        environ |= {"BEVARA_S3_MAIN_SECRET_KEY": server.endpoint.secret_key}
    for folder in ("out", "store"):
        (tmp_path / folder).mkdir()
    with Service.open(ServiceSettings.load(environ)) as service:
        tenants = service.ledger.tenants
        tenants.add("lund", "Lund")
        tenants.add_place("lund", "store", (tmp_path / "store").as_uri(), is_store=True)
        made = tenants.add_place("lund", "out", url, endpoint=endpoint, is_delivery=True)
        yield Site(service, service.places.bucket(made), f"{scheme}://{WHERE}")


def derived(files: Files) -> set[str]:
    """What is delivered of a version of these files."""
    return {
        "metadata/premis.xml",
        *(f"preservation/{archival_path(name)}.pdf" for name, data in files.items() if data != b"locked"),
    }


def test_a_delivery_that_is_repeated_holds_what_its_manifest_names_and_nothing_older(site: Site) -> None:
    """Files that the newer version does not have are gone, and their folders; when nothing has changed, nothing is sent again."""
    site.deliver(site.version(FIRST))
    before = site.named()
    second = site.version(SECOND)
    site.deliver(second)

    assert before is not None
    assert set(before) == derived(FIRST) != derived(SECOND)
    assert site.is_whole()
    assert set(site.named() or ()) == derived(SECOND)
    changed: list[int] = []
    site.change(changed.append)
    assert site.deliver(second) == len(derived(SECOND))
    assert len(changed) == 1, "the manifest alone is written anew"
    assert site.is_whole()


def test_whatever_is_broken_off_a_manifest_never_stands_over_something_else(site: Site) -> None:
    """Cut before every single change; then the next version comes, and nothing of the two before is left."""
    broken = 0
    for at in range(100):
        site.place.delete([blob.key for blob in site.place.list("ut/")])
        package = f"p{at}"
        site.deliver(site.version(FIRST, package))
        second, ended = site.version(SECOND, package), False

        def cut(number: int, at: int = at) -> None:
            if number == at:
                raise BrokenOffError

        kept = dict(site.service.places._buckets)
        site.change(cut)
        try:
            site.deliver(second)
            ended = True
        except BrokenOffError:
            broken += 1
        site.service.places._buckets = kept
        assert site.named() is None or site.is_whole(), at
        if at % 3 == 0:
            site.deliver(second)  # the same step again
            assert site.is_whole(), at
            assert set(site.named() or ()) == derived(SECOND)
        site.deliver(site.version(THIRD, package))

        assert site.is_whole(), at
        assert set(site.named() or ()) == derived(THIRD)
        if ended:
            break

    assert broken > len(derived(SECOND)), "it was cut before every file, record and manifest"


def test_what_others_put_there_is_left_alone(site: Site) -> None:
    """Only what a version of this very package brought is ever taken away."""
    others = ("ut/diarium 17/README", "ut/diarium 17/preservation/by hand.pdf", "ut/diarium 1/preservation/a.txt.pdf")
    for key in others:
        site.place.put(key, b"theirs")
    for files in (FIRST, SECOND, THIRD):
        site.deliver(site.version(files))

    assert all(site.place.stat(key) is not None for key in others)
    assert set(site.found()) == {*derived(THIRD), MANIFEST, NAME, "README", "preservation/by hand.pdf"}


def test_a_file_that_was_changed_there_is_put_right_by_the_same_job_again(site: Site) -> None:
    job = site.version(FIRST)
    site.deliver(job)
    site.place.put("ut/diarium 17/preservation/a.txt.pdf", b"%PDF changed")
    site.place.delete(["ut/diarium 17/preservation/c.txt.pdf"])

    site.deliver(job)

    assert site.is_whole()


def test_a_prefix_is_one_packages(site: Site) -> None:
    """Told before any work is done; what was delivered stays as it is."""
    site.deliver(site.version(FIRST))
    before, other = site.found(), site.version(SECOND, "q")

    for act in (check_delivery, deliver):
        with pytest.raises(DeliveryTakenError, match="A prefix is one package's"):
            act(site.service, other, site.reference)
    assert site.found() == before


@pytest.mark.parametrize(("name", "content"), [(MANIFEST, b""), (NAME, b"{}"), (NAME, b"[1"), (NAME, b'{"schema": "other/1"}')])
def test_a_delivery_that_is_not_ours_is_not_touched(site: Site, name: str, content: bytes) -> None:
    site.place.put(f"ut/diarium 17/{name}", content)
    before = site.found()

    with pytest.raises(DeliveryTakenError, match="is not bevara's"):
        site.deliver(site.version(FIRST))
    assert site.found() == before


def test_a_worker_that_comes_too_late_leaves_the_newer_delivery(site: Site, monkeypatch) -> None:
    """Its lease ran out long ago, and it does not know yet: it has put older files among the newer ones when it sees that."""
    first = site.version(FIRST)
    late = delivery._Delivery._filled

    def slow(self: delivery._Delivery, head: int) -> int:
        monkeypatch.setattr(delivery._Delivery, "_filled", late)
        site.deliver(site.version(SECOND))
        return late(self, head)

    monkeypatch.setattr(delivery._Delivery, "_filled", slow)
    site.deliver(first)

    assert site.is_whole()
    assert set(site.named() or ()) == derived(SECOND)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Service]:
    environ = {"BEVARA_LEDGER_URL": f"sqlite:///{tmp_path / 'ledger.sqlite3'}", "BEVARA_SCRATCH": str(tmp_path / "scratch")}
    with Service.open(ServiceSettings.load(environ)) as service:
        service.ledger.tenants.add("lund", "Lund")
        for name, role in (("store", "is_store"), ("in", "is_source"), ("out", "is_delivery")):
            (tmp_path / name).mkdir()
            service.ledger.tenants.add_place("lund", name, (tmp_path / name).as_uri(), **{role: True})
        yield service


def test_a_job_whose_prefix_is_taken_ends_before_any_work_is_done(local: Service) -> None:
    """With a sentence that says what to do; not after a night of conversions."""
    deliver(local, preserve(local, "lund", "p", FIRST), "file://out/ut")
    policy, in_hand = load_policy("skanearkiv", CATALOG).ref, InHand()
    job_id = local.ledger.queue.submit(Submission("lund", "q", "file://in/q", policy, delivery="file://out/ut")).job_id
    here = Bearings("w", 60.0, in_hand, Desk(local, in_hand), Patience(threading.Event()))

    Steps(local, here, Metrics("test")).message(job_id)

    job = local.ledger.door("lund").job(job_id)
    assert job is not None
    assert (job.state, job.error_code) == (JobState.FAILED, "delivery-taken")
    assert "with a prefix of its own" in (job.error or "")


def test_a_place_itself_is_no_prefix(local: Service) -> None:
    job = preserve(local, "lund", "p", FIRST)
    for reference, says in (("file://out", "prefix of its own"), ("file://out/", "prefix of its own"), ("file://in/x", "deliver")):
        with pytest.raises(PlaceError, match=says):
            deliver(local, job, reference)
