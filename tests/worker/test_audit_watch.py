"""The service's auditor: nobody has to ask. Real ledger, real folders, real packages; the commands' own parts."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from audit_samples import flip, ocfl_valid

from tests.api.archives import CALLBACKS, add_tenant, open_service, preserve
from tests.conftest import PROJECT
from worker.app import Service
from worker.cli.audit_watch import copies as service_copies
from worker.cli.audit_watch import nightly, stores
from worker.evidence.keys import KeyFolder
from worker.evidence.names import evidence_id
from worker.evidence.nightly import Nightly
from worker.evidence.verify import verify
from worker.fixity import coverage, promise
from worker.fixity import watch as watching
from worker.fixity.auditor import Auditor, folder_of
from worker.fixity.book import Book
from worker.fixity.copies import Copies
from worker.fixity.rules import Rules, due_after
from worker.fixity.tidings import tell
from worker.fixity.turns import Turns
from worker.fixity.watch import LEADER, Watch
from worker.ledger.events import now
from worker.ledger.schema_fixity import copies, findings, readings
from worker.ledger.schema_service import outbox
from worker.observe.metrics import Metrics

OBJECT = "urn:bevara:lund:p"
LENIENT = {"repair": "automatic", "breaker_objects": 10**6, "breaker_share": 1.0}


class World:
    """A service with one tenant, its two stores, and packages in the first."""

    def __init__(self, service: Service, folder: Path) -> None:
        self.service, self.folder, self.metrics = service, folder, Metrics("audit")
        self.tx = service.ledger.transactions
        self.first, self.second = folder / "lund" / "arkiv", folder / "lund" / "andra"

    def watch(self, night: Nightly | None = None) -> Watch:
        made = Watch(lambda: service_copies(self.service), self.metrics, night)
        made.leads, made._sure_until_s = True, float("inf")
        return made

    def round(self, night: Nightly | None = None, rounds: int = 1) -> None:
        watch = self.watch(night)
        for _ in range(rounds):
            watch._due.clear()
            watch.round()
        watch.close()

    def all_due(self) -> None:
        Copies(self.tx).forward("test", copies.c.id > 0)

    def states(self) -> dict[str, tuple[int, int]]:
        return {one.place: (one.held, one.wanted) for one in Copies(self.tx).states(now(), "lund")}

    def file(self, root: Path) -> Path:
        return next(path for path in sorted((root / folder_of(OBJECT)).rglob("*")) if "original" in path.parts and path.is_file())

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)

    def told(self) -> list[dict]:
        rows = self.tx.read(lambda db: db.execute(sa.select(outbox.c.url, outbox.c.body)).all())
        return [json.loads(row.body) | {"url": row.url} for row in rows]


@pytest.fixture(autouse=True)
def no_idling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "IDLE_S", 0.0)


@pytest.fixture
def world(tmp_path: Path):
    with open_service(tmp_path, everything=True) as service:
        add_tenant(service, "lund", tmp_path, audit=LENIENT, audit_callback=CALLBACKS[0])
        made = World(service, tmp_path)
        preserve(service, "lund", "p", {b"brev.txt": b"kort brev", b"karta.txt": b"en karta" * 1000})
        yield made


@pytest.fixture
def world_on_postgres(postgres_url: str, tmp_path: Path):
    with open_service(tmp_path, everything=True, ledger_url=postgres_url) as service:
        add_tenant(service, "lund", tmp_path, audit=LENIENT, audit_callback=CALLBACKS[0])
        made = World(service, tmp_path)
        preserve(service, "lund", "p", {b"brev.txt": b"kort brev", b"karta.txt": b"en karta" * 1000})
        yield made


def second_store(world: World) -> None:
    world.second.mkdir()
    world.service.ledger.tenants.add_place("lund", "andra", world.second.as_uri(), is_store=True)


def test_a_new_store_fills_itself_and_a_new_version_follows(world: World) -> None:
    world.round()
    assert world.states() == {"arkiv": (2, 0)}  # the package, and the storage root's own files
    second_store(world)
    world.all_due()

    watch = world.watch()
    watch.round()
    preserve(world.service, "lund", "p", {b"brev.txt": b"ett nytt brev"})
    preserve(world.service, "lund", "q", {b"a": b"a"})
    watch._due.clear()
    watch.round()
    watch.close()

    assert world.states() == {"arkiv": (3, 0), "andra": (3, 0)}
    ocfl_valid(world.second)
    held = {(one.place, one.object_id): one.version for one in Copies(world.tx).some(copies.c.kind == "object")}
    assert held["andra", OBJECT] == 2
    assert held["arkiv", "urn:bevara:lund:q"] == 1  # what was committed
    assert held["arkiv", OBJECT] == 2  # and a new version is read again by whoever did not write it


def test_a_damaged_file_is_found_told_once_counted_and_repaired(world: World) -> None:
    second_store(world)
    world.round()
    whole = world.file(world.first).read_bytes()
    flip(world.file(world.first), random.Random(1))
    world.all_due()

    world.round(rounds=3)

    assert world.file(world.first).read_bytes() == whole
    [found] = Book(world.tx).some()
    assert (found.state, found.verdict) == ("repaired", "mismatch")
    [told] = world.told()
    assert (told["type"], told["url"]) == ("audit.finding", CALLBACKS[0])
    assert told["data"]["counts"] == {"mismatch": 1}
    assert told["data"]["store"] == "arkiv"
    assert "brev" not in json.dumps(told)  # ids and counts only (promise P7)
    assert "karta" not in json.dumps(told)
    assert world.value("bevara_audit_findings_total", verdict="mismatch") == 1
    assert world.value("bevara_audit_repairs_total", outcome="repaired") == 1
    assert world.value("bevara_audit_read_bytes_total", tenant="lund", store="arkiv") > len(whole)
    assert world.value("bevara_audit_overdue_copies", tenant="lund", store="arkiv") == 0
    assert 0 <= world.value("bevara_audit_oldest_check_age_seconds", tenant="lund", store="andra") < 600


def test_what_cannot_be_repaired_is_told_once_and_tried_less_and_less(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """And does not keep the auditor reading it."""
    world.round()
    flip(world.file(world.first), random.Random(1))
    world.all_due()
    monkeypatch.setitem(watching.EVERY_S, "repair", 0.0)
    watch = world.watch()
    watch.round()

    assert [watch.round() for _ in range(3)] == [0, 0, 0]

    assert world.value("bevara_audit_repairs_total", outcome="no_quorum") == 1
    watch._due.clear()
    watch.round()
    assert world.value("bevara_audit_open_findings", tenant="lund", store="arkiv", verdict="mismatch") == 1
    watch.close()
    assert [(one.state, one.times) for one in Book(world.tx).some()] == [("open", 1)]


def test_the_days_coverage_is_kept_on_both_databases(ledger_url: str, tmp_path: Path) -> None:
    with open_service(tmp_path, everything=True, ledger_url=ledger_url) as service:
        add_tenant(service, "lund", tmp_path, audit=LENIENT)
        made = World(service, tmp_path)
        preserve(service, "lund", "p", {b"brev.txt": b"kort brev"})
        made.round()
        made.all_due()
        made.round(rounds=2)
        kept = coverage.standing(made.tx, "lund", "arkiv", now()[:10])

    assert kept is not None
    assert (kept.state.held, kept.state.never, kept.checked) == (2, 0, {now()[:10]: 2})


def test_deadlines_come_forward_on_both_databases(ledger_url: str, tmp_path: Path) -> None:
    with open_service(tmp_path, everything=True, ledger_url=ledger_url) as service:
        add_tenant(service, "lund", tmp_path)
        tx, moment = service.ledger.transactions, now()
        Copies(tx).note(
            "lund", "arkiv", [("urn:bevara:lund:x", "held"), ("urn:bevara:lund:y", "wanted")], now=moment, rules=Rules()
        )

        assert promise.keep(tx, "lund", "arkiv", Rules(interval_days=30), moment) == 1
        assert promise.keep(tx, "lund", "arkiv", Rules(interval_days=30), moment) == 0

        held = Copies(tx).get("lund", "arkiv", "urn:bevara:lund:x")
        assert held.due == due_after(moment, Rules(interval_days=30))


def test_the_same_on_postgresql(world_on_postgres: World) -> None:
    test_a_damaged_file_is_found_told_once_counted_and_repaired(world_on_postgres)


def test_a_finding_is_told_once_however_often_and_by_whomever(world: World) -> None:
    world.round()
    book, service = Book(world.tx), world.service
    copy = Copies(world.tx).get("lund", "arkiv", OBJECT)
    from worker.fixity.verdicts import Fault, Verdict

    faults = [Fault(f"v1/{n}", Verdict.MISSING, "is missing", "a" * 128) for n in range(2500)]
    world.tx.write(lambda db: book.record(db, copy, faults, now(), full=False))

    def settings_of(tenant: str) -> str:
        return service.ledger.tenants.get(tenant).settings

    while tell(world.tx, service.ledger.outbox, settings_of, now()):
        pass
    assert tell(world.tx, service.ledger.outbox, settings_of, now()) == 0
    assert sum(one["data"]["counts"]["missing"] for one in world.told()) == 2500


def test_whoever_wants_no_callback_gets_none_also_not_later(world: World) -> None:
    tenants = world.service.ledger.tenants
    tenants.change("lund", settings=json.dumps({"callbacks": CALLBACKS, "audit": LENIENT}))
    world.round()
    flip(world.file(world.first), random.Random(1))
    world.all_due()
    world.round(rounds=2)
    tenants.change("lund", settings=json.dumps({"callbacks": CALLBACKS, "audit": LENIENT, "audit_callback": CALLBACKS[0]}))
    world.round()

    assert [one.state for one in Book(world.tx).some()] == ["open"]  # there is no second copy
    assert world.told() == []


def test_a_store_is_read_within_its_day_and_no_further(world: World) -> None:
    """The budget is a day's: a restart begins anew at most what it had in hand."""
    for number in range(6):
        preserve(world.service, "lund", f"p{number}", {b"a": b"x" * 100_000})
    world.round()
    tight = LENIENT | {"bytes_per_run": 250_000}
    world.service.ledger.tenants.change("lund", settings=json.dumps({"callbacks": CALLBACKS, "audit": tight}))
    world.all_due()

    for _ in range(5):
        world.round(rounds=2)

    assert 250_000 <= world.tx.read(lambda db: db.scalar(sa.select(readings.c.size_bytes))) < 500_000


def test_one_store_with_much_to_read_does_not_starve_another(world: World) -> None:
    second_store(world)
    world.round()
    for number in range(8):
        preserve(world.service, "lund", f"p{number}", {b"a": b"x"})
    world.round(rounds=2)
    world.all_due()
    seen: list[str] = []
    with service_copies(world.service) as at:
        auditor = Auditor(world.tx, at.stores(), at.rules)
        turns = Turns(world.tx, at.rules)
        turns.round(auditor, seconds=60, stop=lambda: len(seen) >= 6, told=lambda copy, _r, _n: seen.append(copy.place))

    assert set(seen) == {"arkiv", "andra"}
    assert abs(seen.count("arkiv") - seen.count("andra")) <= 1


def test_one_tenants_mistake_stops_nobody_else(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Settings that are none, and a place whose server is not in the settings."""
    tenants = world.service.ledger.tenants
    tenants.add("eslov", "Eslöv", settings=json.dumps({"audit": {"intervall": 3}}))
    tenants.add_place("eslov", "moln", "s3://hink/x", endpoint="okand", is_store=True)

    world.round()

    assert world.states() == {"arkiv": (2, 0)}
    assert "intervall" in caplog.text
    assert "okand" in caplog.text.lower()


def test_yesterday_is_signed_once_in_every_store_and_read_like_everything_else(world: World, tmp_path: Path) -> None:
    second_store(world)
    folder = tmp_path / "keys"
    public = KeyFolder(folder).new()
    night = Nightly(world.tx, lambda: KeyFolder(folder), lambda tenant: stores(world.service, tenant))
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()

    world.round(night)
    world.round(night)
    world.all_due()
    world.round(night)

    name = evidence_id("lund", yesterday)
    assert {one.place: one.last_verdict for one in Copies(world.tx).of_object(name)} == {"arkiv": "ok", "andra": "ok"}
    assert world.tx.read(lambda db: db.scalar(sa.select(sa.func.count()).select_from(findings))) == 0
    for store in stores(world.service, "lund"):
        assert [str(one) for one in verify(store, "lund", {public.id}, until=yesterday)] == []
    day_s = datetime.fromisoformat(yesterday).replace(tzinfo=UTC).timestamp()
    assert world.value("bevara_evidence_day_timestamp_seconds", tenant="lund") == day_s
    ocfl_valid(world.first)
    ocfl_valid(world.second)


def test_evidence_that_was_damaged_is_found_and_repaired_from_the_other_store(world: World, tmp_path: Path) -> None:
    second_store(world)
    folder = tmp_path / "keys"
    KeyFolder(folder).new()
    night = Nightly(world.tx, lambda: KeyFolder(folder), lambda tenant: stores(world.service, tenant))
    world.round(night)
    world.all_due()
    world.round(night)
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    paper = next((world.second / folder_of(evidence_id("lund", yesterday))).rglob("page.txt"))
    whole = paper.read_bytes()
    flip(paper, random.Random(2))
    world.all_due()

    world.round(night, rounds=2)

    assert paper.read_bytes() == whole
    assert [one.state for one in Book(world.tx).some()] == ["repaired"]


def test_a_key_that_cannot_be_used_is_told_at_start_and_not_at_midnight(tmp_path: Path) -> None:
    from worker.evidence.keys import KeyFolderError

    with open_service(tmp_path, everything=True, evidence_keys=tmp_path / "none") as service, pytest.raises(KeyFolderError):
        nightly(service)


def test_the_auditor_takes_the_keys_passphrase_from_its_settings(tmp_path: Path) -> None:
    from worker.evidence.keys import KeyFolderError

    keys, words = tmp_path / "keys", tmp_path / "words"
    words.write_text("hemligt\n")
    KeyFolder(keys, "hemligt").new()
    with open_service(tmp_path, everything=True, evidence_keys=keys) as service, pytest.raises(KeyFolderError, match="passphrase"):
        nightly(service)
    with open_service(tmp_path, everything=True, evidence_keys=keys, evidence_passphrase_file=words) as service:
        assert nightly(service) is not None
        assert "hemligt" not in repr(service.settings)


def test_one_leads_and_the_other_follows_at_once_when_it_ends(tmp_path: Path) -> None:
    """Two processes as an operator starts them; SIGTERM to the one that leads."""
    with open_service(tmp_path, everything=True) as service:
        add_tenant(service, "lund", tmp_path)
        preserve(service, "lund", "p", {b"a": b"a"})
        environ = {
            "BEVARA_LEDGER_URL": f"sqlite:///{tmp_path}/ledger.sqlite3",
            "BEVARA_SCRATCH": str(tmp_path / "scratch"),
            "BEVARA_ADMIN_PORT": "0",
            "PATH": "/usr/bin:/bin",
        }
        command = [sys.executable, "-m", "worker.cli", "audit", "watch"]
        both = [
            subprocess.Popen(command, env=environ, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(2)
        ]
        try:
            first = wait_for_leader(service, "")
            pid = int(first.split(":")[1])
            leader = next(one for one in both if one.pid == pid)
            leader.send_signal(signal.SIGTERM)
            assert leader.wait(60) == 0
            second = wait_for_leader(service, first)
        finally:
            for one in both:
                one.terminate()
            said = [one.communicate(timeout=60)[0].decode() for one in both]

        assert int(second.split(":")[1]) in {one.pid for one in both} - {pid}
        assert all("Traceback" not in text for text in said)
        assert [one.returncode for one in both] == [0, 0]


def wait_for_leader(service: Service, other: str) -> str:
    """The holder of the lead, once it is another than *other*. Ends with the test's own patience."""
    import time

    from worker.ledger.schema_service import leaders

    ends = time.monotonic() + 120
    while time.monotonic() < ends:
        stmt = sa.select(leaders.c.holder).where(leaders.c.name == LEADER)
        holder = service.ledger.transactions.read(lambda db, stmt=stmt: db.scalar(stmt))
        if holder and holder != other:
            return holder
        time.sleep(0.1)
    raise AssertionError("nobody leads")
