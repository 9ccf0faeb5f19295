"""The service's commands as an operator types them: each answers with a sentence, and the right exit code."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from tests.bench.idle import fill
from tests.conftest import PROJECT, bevara
from tests.installation import wait_for
from worker.cli.main import main
from worker.ledger.ledger import Ledger
from worker.ledger.schema import packages

OWN_POLICY = """\
schema: bevara.policy/1
name: egen
version: "1"
valid_from: 2026-01-01
owner: Arkivet i Åhus
legal_basis: arkivlagen
description: {sv: Egen, en: Own}
extends: skanearkiv
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings of a service on SQLite; commands run in this process, because each start costs a second."""
    for name in list(os.environ):
        if name.startswith("BEVARA_") and name != "BEVARA_VERAPDF_LIB":
            monkeypatch.delenv(name)
    monkeypatch.setenv("BEVARA_LEDGER_URL", f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    monkeypatch.setenv("BEVARA_SCRATCH", str(tmp_path / "scratch"))
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> str:
    """What a command says; it must end with *code*."""
    ended = main(argv)
    out, err = capsys.readouterr()
    assert ended == code, out + err
    return out + err


def test_an_operator_sets_up_a_tenant(site, capsys) -> None:
    """From nothing to a tenant that can work: itself, a place of each kind, a key, a policy of its own."""
    policy = site / "egen.yaml"
    policy.write_text(OWN_POLICY, "utf-8")

    assert "no tenant" in told(capsys, "tenant", "list")
    told(capsys, "tenant", "add", "lund", "--name", "Lunds kommun", "--weight", "2")
    told(capsys, "tenant", "place", "add", "lund", "arkiv", (site / "store").as_uri(), "--store")
    told(capsys, "tenant", "place", "add", "lund", "in", (site / "in").as_uri(), "--source", "--delivery")
    key = told(capsys, "tenant", "key", "add", "lund", "ingest", "--days", "365").split()[0]
    told(capsys, "tenant", "policy", "put", "lund", str(policy))
    told(capsys, "tenant", "set", "lund", "--settings", '{"callbacks": ["https://lund.example/hook"]}')

    listed = told(capsys, "tenant", "list")
    assert "Lunds kommun" in listed
    assert "store" in listed
    assert "delivery" in told(capsys, "tenant", "place", "list", "lund")
    assert "egen" in told(capsys, "tenant", "policy", "list", "lund")
    keys = told(capsys, "tenant", "key", "list", "lund")
    assert key.split("_")[1] in keys
    assert key.split("_", 2)[2] not in keys
    ledger = Ledger.connect(os.environ["BEVARA_LEDGER_URL"])
    try:
        assert ledger.tenants.verify_key(key) is not None
        told(capsys, "tenant", "key", "revoke", key.split("_")[1])
        assert ledger.tenants.verify_key(key) is None
    finally:
        ledger.close()


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("tenant", "add", "Åhus"), "small letters"),
        (("tenant", "place", "add", "lund", "x", "file:///tmp/x"), "--store, --source or --delivery"),
        (("tenant", "place", "add", "lund", "x", "s3://b/p", "--store", "--endpoint", "main"), "BEVARA_S3_MAIN_ENDPOINT"),
        (("tenant", "place", "add", "okand", "x", "file:///tmp/x", "--store"), "okand"),
        (("tenant", "key", "add", "lund", "x", "--scopes", "everything"), "scopes are"),
        (("tenant", "key", "revoke", "ffff"), "is no key"),
        (("tenant", "policy", "put", "lund", "/nowhere.yaml"), "cannot be read"),
        (("ledger", "rebuild"), "--service"),
        (("work", "--queues", "kaffe"), "files, jobs or both"),
        (("gc", "--grace", "-1"), "negative"),
    ],
)
def test_a_mistake_is_told_with_its_remedy(site, capsys, argv, says) -> None:
    """Exit code 2, a sentence, and never a stack trace."""
    told(capsys, "tenant", "add", "lund")
    said = told(capsys, *argv, code=2)

    assert says in said
    assert "Traceback" not in said


@pytest.mark.parametrize("command", [("work",), ("schedule",), ("serve",), ("queue", "status"), ("tenant", "list")])
def test_a_missing_setting_is_named(site, capsys, monkeypatch, command) -> None:
    """Exit code 3: the environment is not fit, and which setting it is."""
    monkeypatch.delenv("BEVARA_LEDGER_URL")
    said = told(capsys, *command, code=3)

    assert "BEVARA_LEDGER_URL" in said


def test_servers_that_are_away_are_named_at_start(tmp_path) -> None:
    """Exit code 3 from the processes and from doctor, with what to look at; passwords are in no message."""
    environment = {**os.environ, "BEVARA_SCRATCH": str(tmp_path), "BEVARA_REDIS_URL": "redis://:geheim@127.0.0.1:1/0"}
    environment["BEVARA_LEDGER_URL"] = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    worker = bevara("work", env=environment)
    doctor = bevara("doctor", env=environment)
    environment["BEVARA_LEDGER_URL"] = "postgresql://me:geheim@127.0.0.1:1/x"
    scheduler = bevara("schedule", env=environment)

    assert (worker.code, scheduler.code, doctor.code) == (3, 3, 3)
    assert "BEVARA_REDIS_URL" in worker.said
    assert "BEVARA_LEDGER_URL" in scheduler.said
    assert "Redis" in doctor.said
    for ran in (worker, scheduler, doctor):
        assert "geheim" not in ran.said
        assert "Traceback" not in ran.said


def test_the_queue_is_shown_and_filled_again(site, capsys) -> None:
    """Counts by tenant, and everything that was queued waits again."""
    told(capsys, "tenant", "add", "lund")
    ledger = Ledger.connect(os.environ["BEVARA_LEDGER_URL"])
    try:
        fill(ledger, "lund", "p", 30)
        ledger.queue.admit(window_total=10, window_tenant=10, lease_s=60)

        assert re.search(r"lund\s+20\s+10\s+0", told(capsys, "queue", "status"))
        assert "10 files" in told(capsys, "queue", "rebuild")
        assert re.search(r"lund\s+30\s+0\s+0", told(capsys, "queue", "status"))
    finally:
        ledger.close()


def test_what_nothing_refers_to_is_named_and_then_removed(site, capsys) -> None:
    """Not before its grace is over, nor while a job of the package is under way."""
    told(capsys, "tenant", "add", "lund")
    told(capsys, "tenant", "place", "add", "lund", "arkiv", (site / "store").as_uri(), "--store")
    left = site / "store" / "staging" / ("0" * 32) / "v1" / "left"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"by a worker that was killed")

    assert "0 keys" in told(capsys, "gc")
    assert "staging/" in told(capsys, "gc", "--grace", "0")
    assert left.exists()
    assert "1 keys" in told(capsys, "gc", "--grace", "0", "--apply")
    assert not left.exists()


def test_the_whole_service_in_one_process(tmp_path) -> None:
    """`bevara dev`: a key, a line to try, a job through API, scheduler and worker; then the ledger again from the store alone."""
    folder = tmp_path / "dev"
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("BEVARA_") or name == "BEVARA_VERAPDF_LIB"
    }
    environment |= {"BEVARA_API_PORT": "0", "PYTHONUNBUFFERED": "1"}
    out = tmp_path / "out"
    with out.open("wb") as stream, (tmp_path / "err").open("wb") as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", "worker.cli", "dev", "--folder", folder],
            stdout=stream,
            stderr=errors,
            cwd=PROJECT,
            env=environment,
        )
    try:
        wait_for(lambda: "Ctrl-C" in out.read_text("utf-8") or child.poll() is not None)
        said = out.read_text("utf-8")
        url, key = re.search(r"(http://\S+)/v1,", said), re.search(r"BEVARA_API_KEY=(\S+)", said)
        assert url is not None, (tmp_path / "err").read_text()
        assert key is not None
        (folder / "in" / "first").mkdir()
        (folder / "in" / "first" / "a.txt").write_text("Å ä ö\n", "utf-8")
        with httpx.Client(base_url=url[1], headers={"Authorization": f"Bearer {key[1]}"}) as client:
            job = client.post("/v1/jobs", json={"package": "first", "source": "file://in/first"}).json()
            wait_for(lambda: bool(client.get(job["links"]["self"]).json()["ended"]))
            ended = client.get(job["links"]["self"]).json()
    finally:
        child.send_signal(signal.SIGINT)
        code = child.wait(60)

    assert code == 0
    assert (ended["state"], ended["version"]) == ("finished", "v1")
    _made_again(folder, environment)


def _made_again(folder: Path, environment: dict[str, str]) -> None:
    """`bevara ledger rebuild --service` finds the package in the store; tenants and keys were never in it."""
    environment |= {"BEVARA_LEDGER_URL": f"sqlite:///{folder / 'ledger.sqlite3'}", "BEVARA_SCRATCH": str(folder / "scratch")}
    ledger = Ledger.connect(environment["BEVARA_LEDGER_URL"])
    with ledger.engine.begin() as db:
        db.execute(sa.update(packages).values(version=0))
    ran = bevara("ledger", "rebuild", "--service", env=environment)
    found = ledger.door("demo").package("first")
    entry = ledger.door("demo").entry("first", "original/a.txt")
    ledger.close()

    assert ran.code == 0, ran.said
    assert found is not None
    assert (found.version, entry is not None) == (1, True)
