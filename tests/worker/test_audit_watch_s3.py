"""The service's auditor with one store in a folder and the other on a real S3 server, and an officer who must agree to repair."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from audit_samples import ocfl_valid
from test_audit_watch import OBJECT, World, no_idling  # noqa: F401 -- a fixture

from tests.api.archives import add_tenant, open_service, preserve
from tests.conftest import bevara
from tests.servers.s3 import S3Server, minio_server, running  # noqa: F401 -- fixtures
from worker.cli.audit_watch import stores
from worker.evidence.keys import KeyFolder
from worker.evidence.names import evidence_id
from worker.evidence.nightly import Nightly
from worker.evidence.verify import verify
from worker.fixity.auditor import folder_of
from worker.fixity.book import Book, Entry
from worker.fixity.copies import Copies
from worker.ledger.events import now
from worker.ledger.ledger import Ledger
from worker.ledger.schema_fixity import findings
from worker.store.bucket_s3 import S3Bucket, client_of

OFFICER = {"repair": "officer", "breaker_objects": 10**6, "breaker_share": 1.0}
FILES = {b"brev.txt": b"kort brev", b"karta.txt": b"en karta" * 1000, b"tom": b"", b"stor.bin": random.Random(4).randbytes(3 << 20)}


class Cloud(World):
    """The second store is a part of a bucket."""

    bucket: S3Bucket

    def keys(self) -> list[str]:
        """Content of the package, and nothing else."""
        found = sorted(blob.key for blob in self.bucket.list(f"{folder_of(OBJECT)}/v1/content/original/"))
        return [key for key in found if not key.endswith("/tom")]

    def read(self, key: str) -> bytes:
        with self.bucket.get(key) as stream:
            return stream.read()

    def download(self, target: Path) -> Path:
        """All that the server has, for a validator that reads folders."""
        for blob in self.bucket.list(""):
            path = target / blob.key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.read(blob.key))
        return target

    def found(self) -> list[Entry]:
        return Book(self.tx).some(findings.c.verdict != "unreadable")

    def approve(self) -> None:
        for entry in self.found():
            Book(self.tx).approve(entry.id, "lund", "Anna", now())


@contextmanager
def cloud(tmp_path: Path, server: S3Server) -> Iterator[Cloud]:
    """One package in the folder, and the bucket registered as the second place."""
    endpoint, name = server.endpoint, server.new_bucket()
    settings = {"endpoint": f"http://{endpoint.endpoint}", "access_key": endpoint.access_key, "secret_key": endpoint.secret_key}
    settings |= {"region": endpoint.region}
    with open_service(tmp_path, everything=True, **{f"s3_moln_{key}": value for key, value in settings.items()}) as service:
        add_tenant(service, "lund", tmp_path, audit=OFFICER)
        made = Cloud(service, tmp_path)
        preserve(service, "lund", "p", FILES)
        service.ledger.tenants.add_place("lund", "moln", f"s3://{name}/lund", endpoint="moln", is_store=True)
        made.bucket = S3Bucket(client_of(endpoint), name, "lund")
        yield made


def test_both_stores_are_filled_read_and_repaired_from_each_other_once_an_officer_agrees(
    tmp_path: Path,
    minio_server: S3Server,  # noqa: F811 -- the fixture
) -> None:
    with cloud(tmp_path, minio_server) as world:
        world.round()
        world.all_due()
        world.round(rounds=2)
        assert world.states() == {"arkiv": (2, 0), "moln": (2, 0)}
        ocfl_valid(world.download(tmp_path / "before"))

        bad = random.Random(5).choice(world.keys())
        whole = world.read(bad)
        world.bucket.put(bad, bytes([whole[0] ^ 1]) + whole[1:])
        here = next(path for path in sorted(world.first.rglob("*.txt")) if "original" in path.parts and path.name not in bad)
        right = here.read_bytes()
        here.write_bytes(right[:-1])
        world.all_due()
        world.round(rounds=3)

        assert {(one.place, one.verdict, one.state) for one in world.found()} == {
            ("arkiv", "mismatch", "open"),
            ("moln", "mismatch", "open"),
        }
        assert world.read(bad) != whole  # nobody has agreed
        assert here.read_bytes() != right

        world.approve()
        world.round(rounds=3)

        assert [one.state for one in world.found()] == ["repaired", "repaired"]
        assert world.read(bad) == whole
        assert here.read_bytes() == right
        assert [blob.key for blob in world.bucket.list("quarantine/")]
        world.all_due()
        world.round(rounds=2)
        assert len(world.found()) == 2
        ocfl_valid(world.download(tmp_path / "after"))
        ocfl_valid(world.first)


def test_a_missing_object_a_new_version_and_evidence_reach_the_bucket(
    tmp_path: Path,
    minio_server: S3Server,  # noqa: F811 -- the fixture
) -> None:
    KeyFolder(tmp_path / "keys").new()
    with cloud(tmp_path, minio_server) as world:
        night = Nightly(world.tx, lambda: KeyFolder(tmp_path / "keys"), lambda tenant: stores(world.service, tenant))
        world.round(night, rounds=2)
        world.bucket.delete([world.keys()[0]])
        world.all_due()
        world.round(night, rounds=2)
        assert [(one.place, one.verdict) for one in world.found()] == [("moln", "missing")]
        world.approve()
        world.round(night, rounds=2)
        preserve(world.service, "lund", "p", {b"brev.txt": b"ett nytt brev"})
        world.round(night, rounds=2)
        world.all_due()
        world.round(night, rounds=2)

        yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
        verdicts = {one.place: (one.version, one.last_verdict) for one in Copies(world.tx).of_object(OBJECT)}
        assert verdicts == {"arkiv": (2, "ok"), "moln": (2, "ok")}
        assert {one.place: one.last_verdict for one in Copies(world.tx).of_object(evidence_id("lund", yesterday))} == {
            "arkiv": "ok",
            "moln": "ok",
        }
        public = KeyFolder(tmp_path / "keys").signer().public.id
        assert [list(verify(store, "lund", {public}, until=yesterday)) for store in stores(world.service, "lund")] == [[], []]
        ocfl_valid(world.download(tmp_path / "after"))


def test_a_lost_database_is_made_again_with_the_copies_of_both_places(
    tmp_path: Path,
    minio_server: S3Server,  # noqa: F811 -- the fixture
) -> None:
    """No dump: an empty database, the tenant and its places named again, and everything else from the stores."""
    with cloud(tmp_path, minio_server) as world:
        world.round(rounds=3)
        before = world.states()
        place, endpoint = world.service.ledger.tenants.place("lund", "moln"), minio_server.endpoint
        world.bucket.put("store/strange.txt", b"somebody's")
    for path in tmp_path.glob("ledger.sqlite3*"):
        path.unlink()
    environ = {"BEVARA_LEDGER_URL": f"sqlite:///{tmp_path}/ledger.sqlite3", "BEVARA_SCRATCH": str(tmp_path / "scratch")}
    environ |= {"BEVARA_S3_MOLN_ENDPOINT": f"http://{endpoint.endpoint}", "BEVARA_S3_MOLN_ACCESS_KEY": endpoint.access_key}
    environ |= {"BEVARA_S3_MOLN_SECRET_KEY": endpoint.secret_key, "BEVARA_S3_MOLN_REGION": endpoint.region}
    assert bevara("tenant", "add", "lund", "--name", "Lund", env=environ).code == 0
    again = [("arkiv", world.first.as_uri()), ("moln", place.url, "--endpoint", "moln")]
    for words in again:
        assert bevara("tenant", "place", "add", "lund", *words, "--store", env=environ).code == 0

    ran = bevara("ledger", "rebuild", "--service", env=environ)

    assert ran.code == 0, ran.said
    assert "2 copies of packages" in ran.out
    with closing(Ledger.connect(environ["BEVARA_LEDGER_URL"])) as ledger:
        states = Copies(ledger.transactions).states(now(), "lund")
    assert {one.place: (one.held, one.wanted) for one in states} == before
    assert all(one.never == one.held for one in states)
    watched = bevara("audit", "run", env=environ)
    assert watched.code == 0, watched.said
    assert "4 ok" in watched.out


def test_a_server_that_is_away_is_no_finding_about_bytes_and_is_read_when_it_is_back(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    with running("minio", tmp_path / "server") as server, cloud(tmp_path, server) as world:
        world.round(rounds=2)
        server.stop()
        world.all_due()
        world.round()

        assert world.found() == []
        assert {one.place: one.last_verdict for one in Copies(world.tx).of_object(OBJECT)} == {"arkiv": "ok", "moln": "unreadable"}
        server.start()
        world.all_due()
        world.round(rounds=2)

        assert {one.place: one.last_verdict for one in Copies(world.tx).of_object(OBJECT)} == {"arkiv": "ok", "moln": "ok"}
        stmt = sa.select(findings.c.state).where(findings.c.verdict == "unreadable")
        assert set(world.tx.read(lambda db: list(db.scalars(stmt)))) == {"vanished"}
        assert "kort" not in json.dumps([one.detail for one in Book(world.tx).some()])
