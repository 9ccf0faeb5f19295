"""docker/README.md, "Backup and restore", as an operator does it: with the servers' own programs and bevara's commands."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.conftest import Ran, bevara
from tests.installation import Child, Installation, installed
from tests.servers.postgres import PASSWORD, PostgresServer, programs
from tests.worker.test_service import texts
from worker.ledger.schema import events

COMMANDS = ("schedule", "work")


@pytest.fixture
def site(tmp_path: Path, postgres_url: str, redis_url: str) -> Iterator[Installation]:
    """One tenant with a store in a folder."""
    with installed(tmp_path / "site", postgres_url, redis_url, BEVARA_LEASE_S="30") as one:
        one.tenant("lund")
        yield one


def begin(site: Installation) -> list[Child]:
    return [site.start(command) for command in COMMANDS]


def end(children: list[Child]) -> None:
    assert [child.end() for child in children] == [0] * len(COMMANDS)


def run(program: str, server: PostgresServer, *words: object, user: str = "admin") -> Ran:
    """One of PostgreSQL's own programs."""
    folder = programs()
    assert folder is not None
    where = ["-h", "127.0.0.1", "-p", str(server.port), "-U", user]
    env = {**os.environ, "PGPASSWORD": PASSWORD}
    done = subprocess.run([folder / program, *where, *map(str, words)], capture_output=True, env=env, check=False, timeout=120)
    return Ran(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def stored(site: Installation, package: str) -> set[str]:
    """The originals of the newest version, as the ledger knows them."""
    found = site.ledger.door("lund").package(package)
    assert found is not None
    with site.ledger.engine.connect() as db:
        asked = "SELECT logical_path FROM entries JOIN packages ON packages.id = package_id WHERE object_id = :id AND NOT dropped"
        files = {row.logical_path for row in db.execute(sa.text(asked), {"id": found.object_id})}
    return {path.removeprefix("original/") for path in files if path.startswith("original/")}


def test_a_dump_needs_a_superuser_and_says_so_otherwise(site: Installation, postgres: PostgresServer, tmp_path) -> None:
    """Row-level security holds the service's own role back: a dump by it must fail, never be empty."""
    name = site.ledger_url.rsplit("/", 1)[1]

    by_role = run("pg_dump", postgres, "-Fc", "-f", tmp_path / "by-role", name, user="bevara")
    by_superuser = run("pg_dump", postgres, "-Fc", "-f", tmp_path / "by-superuser", name)

    assert by_role.code != 0
    assert "row-level security" in by_role.err
    assert by_superuser.code == 0, by_superuser.err


def test_after_a_restore_of_an_old_dump_nothing_that_is_submitted_is_lost(
    site: Installation, postgres: PostgresServer, tmp_path
) -> None:
    """The store is ahead of the ledger then. A job finds out before it begins, and its own files are in the version after that."""
    folder, name = texts(site.inbox("lund") / "p", 3), site.ledger_url.rsplit("/", 1)[1]
    children = begin(site)
    site.until_over("lund", site.submit("lund", "p"))
    assert run("pg_dump", postgres, "-Fc", "-f", tmp_path / "dump", name).code == 0
    (folder / "efter.txt").write_text("Efter dumpen.\n", "utf-8")
    assert site.until_over("lund", site.submit("lund", "p")).version == 2
    texts(site.inbox("lund") / "ny", 2)
    site.until_over("lund", site.submit("lund", "ny"))
    end(children)

    site.ledger.engine.dispose()
    restored = run("pg_restore", postgres, "--clean", "--if-exists", "--exit-on-error", "-d", name, tmp_path / "dump")
    assert restored.code == 0, restored.err
    assert site.ledger.door("lund").package("ny") is None
    (folder / "sist.txt").write_text("Efter återställningen.\n", "utf-8")
    begin(site)
    job = site.until_over("lund", site.submit("lund", "p"))
    again = site.until_over("lund", site.submit("lund", "ny"))

    assert (job.state, job.version) == ("finished", 3)
    assert set(site.records(job.id)) == {"000.txt", "001.txt", "002.txt", "efter.txt", "sist.txt"}
    assert stored(site, "p") == set(site.records(job.id))
    counts = site.ledger.door("lund").counts(job.id)
    assert counts is not None
    assert (counts.total, counts.done, counts.cancelled) == (5, 5, 0)
    assert (again.state, again.version) == ("finished", None), "what the store has is known again, and needs no version"
    assert {record.unchanged for record in site.records(again.id).values()} == {True}
    _chained(site)


def test_without_any_dump_the_stores_alone_give_packages_and_histories_back(
    site: Installation, postgres: PostgresServer, redis_url, tmp_path
) -> None:
    """An empty database, the tenant and its place told anew, one command; then work goes on where it was."""
    folder = texts(site.inbox("lund") / "p", 3)
    children = begin(site)
    site.until_over("lund", site.submit("lund", "p", policy="skanearkiv"))
    (folder / "003.txt").write_text("Mera.\n", "utf-8")
    site.until_over("lund", site.submit("lund", "p"))
    end(children)
    told = _events(site)
    url = postgres.empty_database()
    try:
        environment = {**site.environment, "BEVARA_LEDGER_URL": url}
        for command in (
            ("tenant", "add", "lund"),
            ("tenant", "place", "add", "lund", "store", (site.folder / "lund" / "place").as_uri(), "--store"),
            ("tenant", "place", "add", "lund", "in", site.inbox("lund").as_uri(), "--source"),
            ("ledger", "rebuild", "--service"),
            ("tenant", "key", "add", "lund", "ingest"),
        ):
            ran = bevara(*command, env=environment)
            assert ran.code == 0, ran.said
        with installed(tmp_path / "anew", url, redis_url, BEVARA_LEASE_S="30") as anew:
            assert _events(anew) == told
            assert stored(anew, "p") == {"000.txt", "001.txt", "002.txt", "003.txt"}
            begin(anew)
            (folder / "004.txt").write_text("Och mera.\n", "utf-8")
            job = anew.until_over("lund", anew.submit("lund", "p"))

            assert (job.state, job.version) == ("finished", 3)
            assert sum(record.unchanged for record in anew.records(job.id).values()) == 4
            _chained(anew)
    finally:
        postgres.drop(url)


def test_a_redis_that_was_emptied_is_filled_at_once_when_an_operator_says_so(site: Installation) -> None:
    """Safe at any time, also when nothing was lost."""
    texts(site.inbox("lund") / "p", 40)
    begin(site)
    job = site.submit("lund", "p")
    for _ in range(3):
        ran = bevara("queue", "rebuild", env=site.environment)
        assert (ran.code, "files are sent again from the ledger" in ran.out) == (0, True), ran.said

    ended = site.until_over("lund", job)

    assert ended.state == "finished"
    assert len(site.records(job)) == 40


def _events(site: Installation) -> list[str]:
    """Every package's whole history."""
    return [row.body for row in site.ledger.stream(sa.select(events.c.body).order_by(events.c.package_id, events.c.seq))]


def _chained(site: Installation) -> None:
    """The store as a whole, by the command for it."""
    ran = bevara("verify", site.folder.parent / "site" / "lund" / "place")
    assert ran.code == 0, ran.said
