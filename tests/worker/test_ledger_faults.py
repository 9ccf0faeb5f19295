"""The database's server goes away, comes back, or loses its last moments: nothing is lost, and a person is told what it is."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from service_samples import LEASE_S, WORKER, admit, end, open_job, scan, submit, take, tenants
from store_samples import FILES, build, run_job

from tests.servers import postgres as servers
from tests.servers.postgres import PASSWORD, PostgresServer
from worker.archive import Archive
from worker.ledger import engine as database
from worker.ledger.ledger import Ledger
from worker.ledger.schema import events, jobs, metadata, packages, tasks
from worker.ledger.transactions import LedgerUnreachableError


@pytest.fixture
def server():
    """One that may be stopped."""
    one = servers.new_server()
    yield one
    servers.end(one)


def test_a_server_that_is_away_is_named_and_its_password_is_not(postgres: PostgresServer) -> None:
    nobody = PostgresServer(Path("/nowhere"), servers.free_port())
    with pytest.raises(LedgerUnreachableError, match="does not answer") as away:
        Ledger.connect(nobody.url("x"))
    with pytest.raises(LedgerUnreachableError, match="password authentication failed") as wrong:
        Ledger.connect(postgres.url("x").replace(PASSWORD, "guessed-word"))

    assert PASSWORD not in str(away.value)
    assert "guessed-word" not in str(wrong.value)


def test_work_goes_on_when_the_server_was_restarted(server: PostgresServer) -> None:
    """Leases, results and counts stand; what was asked meanwhile was refused in words that say it can be asked again."""
    ledger = Ledger.connect(server.database())
    tenants(ledger, "lund")
    job_id = open_job(ledger, files=3)
    first, second, third = take(ledger)
    end(ledger, first)
    server.stop()
    for ask in (
        lambda: end(ledger, second),
        lambda: ledger.queue.heartbeat(WORKER, 60, {third.id}),
        lambda: ledger.door("lund").job(job_id),
    ):
        with pytest.raises(LedgerUnreachableError):
            ask()
    server.start()

    assert end(ledger, second).message == "Kept."
    assert ledger.queue.heartbeat(WORKER, LEASE_S, {third.id}) == {third.id}
    end(ledger, third)
    assert ledger.door("lund").counts(job_id).done == 3
    ledger.close()


def test_a_restart_between_two_questions_fails_nobody(server: PostgresServer) -> None:
    """A pooled connection that died with the old server is not given out."""
    ledger = Ledger.connect(server.database())
    tenants(ledger, "lund")
    server.stop()
    server.start()

    assert submit(ledger)
    ledger.close()


def test_a_transaction_that_the_server_s_end_cut_off_says_so(server: PostgresServer) -> None:
    ledger = Ledger.connect(server.database())
    tenants(ledger, "lund")

    def work(db: sa.Connection) -> None:
        db.execute(sa.select(jobs)).all()
        server.stop()
        db.execute(sa.select(jobs)).all()

    with pytest.raises(LedgerUnreachableError):
        ledger.transactions.write(work)
    server.start()
    assert submit(ledger)
    ledger.close()


def test_what_a_crash_of_the_database_forgets_is_done_again(server: PostgresServer) -> None:
    """Results are not flushed one by one (P3: their bytes are). What is kept is consistent, and the job still ends."""
    ledger = Ledger.connect(server.database())
    tenants(ledger, "lund")
    job_id = open_job(ledger, files=40)
    for task in take(ledger):
        end(ledger, task)
    server.crash()
    server.start()

    told = ledger.door("lund").counts(job_id)
    with ledger.engine.connect() as db:
        rows = db.execute(sa.select(tasks.c.status, sa.func.count()).group_by(tasks.c.status)).all()
        chain = db.execute(sa.select(sa.func.count(), sa.func.max(events.c.seq))).one()
        last = db.scalar(sa.select(packages.c.last_seq))
    done = sum(number for status, number in rows if status)
    assert (told.total, told.done) == (40, done)
    assert tuple(chain) == (last, last or None)
    with ledger.engine.begin() as db:
        db.execute(sa.update(tasks).where(tasks.c.lease_until.is_not(None)).values(lease_until="2000-01-01T00:00:00.000Z"))
    ledger.queue.reap()
    for task in take(ledger):
        end(ledger, task)
    assert ledger.door("lund").counts(job_id).done == 40
    ledger.close()


def test_what_was_claimed_for_a_commit_no_crash_forgets(server: PostgresServer) -> None:
    """The claim is flushed, and with it every result before it: the store must never know more than the ledger."""
    ledger = Ledger.connect(server.database())
    tenants(ledger, "lund")
    job_id = open_job(ledger, files=40)
    for task in take(ledger):
        end(ledger, task)
    assert ledger.queue.claim_job(job_id, WORKER, LEASE_S)
    server.crash()
    server.start()

    assert ledger.door("lund").counts(job_id).done == 40
    ledger.close()


def test_transactions_that_lock_each_other_out_are_run_again(postgres_url: str) -> None:
    ledger = Ledger.connect(postgres_url)
    tenants(ledger, "a", "b")
    both = threading.Barrier(2, timeout=30)

    def cross(first: str, second: str) -> None:
        tries = []

        def work(db: sa.Connection) -> None:
            db.execute(sa.text("UPDATE tenants SET name = name || 'x' WHERE id = :id"), {"id": first})
            if not tries:
                tries.append(1)
                both.wait()
            db.execute(sa.text("UPDATE tenants SET name = name || 'x' WHERE id = :id"), {"id": second})

        ledger.transactions.write(work)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(cross, "ab", "ba"))
    assert [one.name for one in ledger.tenants.list()] == ["Axx", "Bxx"]
    ledger.close()


def test_two_that_finish_at_once_do_not_lock_each_other_out(postgres_url: str) -> None:
    """Both have written rows that hold on to the package before either moves the end of its chain."""
    ledger = Ledger.connect(postgres_url)
    tenants(ledger, "lund")
    open_job(ledger, files=2)
    both, todo = threading.Barrier(2, timeout=30), take(ledger)

    def meet(_db: object, _cursor: object, statement: str, *_more: object) -> None:
        if statement.startswith("SELECT packages.last_seq"):
            both.wait()

    sa.event.listen(ledger.engine, "before_cursor_execute", meet)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda task: end(ledger, task), todo))
    assert ledger.transactions.repeated == 0
    ledger.close()


def test_whoever_begins_a_job_waits_for_another_that_is_just_being_begun(postgres_url: str) -> None:
    """An older job that came in late must not begin beside the younger one that another worker is taking this moment."""
    ledger = Ledger.connect(postgres_url)
    tenants(ledger, "lund")
    older, younger = submit(ledger), submit(ledger)
    with ThreadPoolExecutor(1) as pool:
        with ledger.engine.begin() as db:
            db.execute(sa.select(packages.c.id).with_for_update(key_share=True))
            db.execute(sa.update(jobs).where(jobs.c.id == younger).values(state="scanning", worker="other", lease_until="9999"))
            claimed = pool.submit(ledger.queue.claim_job, older, WORKER, LEASE_S)
            waiting = sa.text(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            while not claimed.done() and not ledger.transactions.read(lambda other: other.scalar(waiting)):
                pass
        assert claimed.result(60) is None
    ledger.close()


# Beginning


def test_processes_that_start_together_migrate_once(postgres: PostgresServer) -> None:
    url = postgres.empty_database()
    with ThreadPoolExecutor(4) as pool:
        ledgers = list(pool.map(lambda _: Ledger.connect(url), range(4)))
    tenants(ledgers[0], "lund")

    assert [one.id for one in ledgers[3].tenants.list()] == ["lund"]
    for one in ledgers:
        one.close()
    postgres.drop(url)


def test_an_archive_of_the_first_release_goes_on(tmp_path: Path) -> None:
    """Its ledger has jobs and files, one job is open; all of it stands, is counted, and is worked on."""
    url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    _first_release(url)
    ledger = Ledger.connect(url)
    with ledger.engine.connect() as db:
        (row,) = db.execute(sa.select(jobs)).all()
        assert db.scalar(sa.text("SELECT version_num FROM alembic_version")) == database.HEAD
    told = ledger.door("Lund").counts("j" * 32)

    assert (row.tenant, row.created, row.cancel_asked) == ("Lund", "2026-01-01T00:00:00.000Z", False)
    assert (told.total, told.done, told.by_status["kept"], told.pending) == (3, 1, 1, 2)
    assert [task.path for task in ledger.claim(ledger.job("j" * 32), "w", 9, 60)] == ["b", "c"]
    ledger.close()


def _first_release(url: str) -> None:
    """A ledger as migration 0001 made it."""
    from alembic import command
    from alembic.config import Config

    engine = sa.create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(Path(database.migrations.__file__).parent))
    with engine.begin() as db:
        config.attributes["connection"] = db
        command.upgrade(config, "0001")
        db.execute(sa.text("INSERT INTO packages VALUES (1, 'urn:bevara:Lund:p', 'Lund', 'p', 0, 0, 'x')"))
        job = {"id": "j" * 32, "package_id": 1, "source": b"/", "state": "open", "started": "2026-01-01T00:00:00.000Z"}
        job |= {"policy_name": "default", "policy_version": "1", "policy_sha256": "a", "toolchain": "t"}
        _insert(db, "jobs", job)
        for name, status in (("a", "kept"), ("b", None), ("c", None)):
            row = {"job_id": "j" * 32, "package_id": 1, "raw_path": name.encode(), "path": name, "kind": "file", "attempts": 0}
            _insert(db, "tasks", {**row, "state": "done" if status else "pending", "status": status})
    engine.dispose()


def _insert(db: sa.Connection, table: str, row: dict[str, object]) -> None:
    db.execute(sa.insert(sa.table(table, *map(sa.column, row))).values(row))


def test_opening_an_archive_that_is_up_to_date_loads_no_migrations(tmp_path: Path) -> None:
    """0.2 s at the start of every command."""
    import subprocess
    import sys

    build(tmp_path / "a", FILES)
    code = "import sys; from pathlib import Path; from worker.archive import Archive; Archive(Path(sys.argv[1])).close()"
    code += "; print('alembic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a"], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


# Made again from the stores


def _stored(folder: Path, ledger: Ledger) -> list[str]:
    from worker.ledger.rebuild import rebuild_all

    with Archive(folder) as archive:
        return rebuild_all(ledger, {"Lund": archive.store})


def _index(ledger: Ledger) -> dict[str, list[str]]:
    """What the store proves; numbers of rows are the ledger's own."""
    from worker.ledger.schema import contents, entries

    found = {}
    with ledger.engine.connect() as db:
        for table in (packages, contents, entries, events):
            columns = [column for column in table.columns if column.name not in ("id", "package_id")]
            found[table.name] = sorted(map(str, db.execute(sa.select(*columns))))
    return found


def test_the_service_s_ledger_is_made_again_from_the_stores_alone(tmp_path: Path, ledger_url: str) -> None:
    folder = build(tmp_path / "a", FILES, {**FILES, b"brev.txt": b"nytt"})
    with Archive(folder) as archive:
        expected = _index(archive.ledger)
    ledger = Ledger.connect(ledger_url)
    said = _stored(folder, ledger)

    assert _index(ledger) == expected
    assert len(said) == 1
    (job, _) = ledger.door("Lund").jobs().items
    assert ledger.door("Lund").counts(job.id).done > 0
    assert _stored(folder, ledger) == said
    assert _index(ledger) == expected
    ledger.close()


def test_a_rebuild_leaves_what_is_not_in_a_store_alone_and_begins_unfinished_jobs_anew(tmp_path: Path, ledger_url: str) -> None:
    folder = build(tmp_path / "a", FILES)
    ledger = Ledger.connect(ledger_url)
    with ledger.engine.begin() as db:  # an embedded archive's tenant may be called anything; the service's is spelt small
        row = {"id": "Lund", "name": "Lund", "weight": 1, "state": "active", "settings": "{}", "created": ""}
        db.execute(sa.insert(metadata.tables["tenants"]).values(row))
    key = ledger.tenants.add_key("Lund", "k", ["read"])
    ledger.tenants.add_place("Lund", "store", "s3://a/b", is_store=True)
    half = submit(ledger, "Lund", "paket 1/å", idempotency_key="k", callback_url="https://a.example")
    scan(ledger, half, 5)
    in_hand, *_ = take(ledger)
    end(ledger, in_hand)
    never = open_job(ledger, "Lund", "other", 2)
    _stored(folder, ledger)

    assert ledger.tenants.verify_key(key.text)
    assert ledger.tenants.primary("Lund").name == "store"
    door = ledger.door("Lund")
    assert {job.id: (job.state, job.version) for job in door.jobs().items if job.id in (half, never)} == {
        half: ("accepted", None),
        never: ("accepted", None),
    }
    assert door.job(half).callback_url == "https://a.example"
    assert (door.counts(half).total, admit(ledger)) == (0, [])
    scan(ledger, half, 5)
    assert len(take(ledger)) == 5
    ledger.close()


def test_a_job_killed_between_the_two_commits_goes_on_after_a_rebuild(tmp_path: Path, ledger_url: str) -> None:
    """The store has its version: it is not done again, and ends."""
    from worker.ledger.rebuild import catch_up
    from worker.ledger.service_facts import Step

    folder = tmp_path / "a"
    ledger = Ledger.connect(ledger_url)
    with Archive(folder) as archive:
        run_job(archive, FILES)
        (name,) = archive.store.objects()
        assert catch_up(ledger, archive.store, name)
        assert not catch_up(ledger, archive.store, name)
        (job,) = ledger.door("Lund").jobs().items
        with ledger.engine.begin() as db:
            row = {"id": "Lund", "name": "Lund", "weight": 1, "state": "active", "settings": "{}", "created": ""}
            db.execute(sa.insert(metadata.tables["tenants"]).values(row))
            db.execute(sa.update(jobs).values(state="committing", version=None, worker="dead", lease_until="2000"))
            db.execute(sa.update(packages).values(version=0))
        assert catch_up(ledger, archive.store, name)
    step = ledger.queue.claim_job(job.id, WORKER, LEASE_S)
    assert (step.step, step.job.version) == (Step.COMMIT, 1)
    ledger.close()
