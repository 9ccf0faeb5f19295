"""The ledger's promises: once, in order, and never a task that nobody can take."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from store_samples import FILES, POLICY, begin, keep, run_job

from worker.archive import Archive
from worker.ledger.events import EventDraft, canonical, first_prev, hash_of
from worker.ledger.facts import Entry, Found, Held, JobState
from worker.ledger.ledger import Ledger
from worker.ledger.schema import events, jobs, metadata, tasks
from worker.record import FileRecord, PolicyRef, Status

OTHER = PolicyRef(name="default", version="2", sha256="b" * 64)
HELD = Held("1" * 128, "2" * 64, 3, "v1/content/original/a")


@pytest.fixture
def ledger(ledger_url: str):
    """On both databases."""
    one = Ledger.connect(ledger_url)
    yield one
    one.close()


def open_job(ledger: Ledger, names: int = 1, policy: PolicyRef = POLICY):
    job = ledger.open_job("lund", "p", b"/in", policy, "tools")
    ledger.add_tasks(job, [Found(b"%03d" % n, f"{n:03d}", 1, 1) for n in range(names)])
    return job


def record(message: str = "Kept.") -> FileRecord:
    return FileRecord(path="a", size_bytes=3, sha512=HELD.sha512, status=Status.KEPT, reason="ok", message=message)


def test_the_migrations_make_the_schema_that_the_code_uses(ledger: Ledger) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from worker.ledger import schema_fixity  # noqa: F401 -- its tables belong to the schema

    with ledger.engine.connect() as db:
        assert compare_metadata(MigrationContext.configure(db), metadata) == []


def test_a_job_that_was_interrupted_is_continued(ledger: Ledger) -> None:
    first = open_job(ledger, 3)
    ledger.claim(first, "killed", 2, 3600)
    again = open_job(ledger, 3)

    assert (again.id, again.continued) == (first.id, True)
    assert ledger.counts(again) == {"pending": 3, "leased": 0, "done": 0}


def test_another_policy_takes_the_package_over(ledger: Ledger) -> None:
    first = open_job(ledger)
    second = open_job(ledger, policy=OTHER)

    assert second.id != first.id
    assert ledger.job(first.id).state is JobState.SUPERSEDED


def test_the_same_files_twice_make_the_tasks_once(ledger: Ledger) -> None:
    job = open_job(ledger, 5)

    assert ledger.add_tasks(job, [Found(b"%03d" % n, f"{n:03d}", 1, 1) for n in range(7)]) == 2
    assert ledger.counts(job)["pending"] == 7


def test_no_task_is_taken_by_two_workers(ledger: Ledger) -> None:
    job, taken, lock = open_job(ledger, 200), list[int](), threading.Lock()

    def work(name: str) -> None:
        while found := ledger.claim(job, name, 7, 60):
            with lock:
                taken.extend(task.id for task in found)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(taken) == len(set(taken)) == 200


def test_a_lease_that_ran_out_is_taken_back(ledger: Ledger) -> None:
    job = open_job(ledger, 2)
    ledger.claim(job, "dead", 1, -1)
    ledger.claim(job, "alive", 1, 3600)

    assert ledger.reap() == 1
    (again,) = ledger.claim(job, "next", 5, 60)
    assert again.attempts == 2


def test_the_first_account_of_a_task_stands(ledger: Ledger) -> None:
    """At-least-once delivery: a second finish gives the standing record and adds nothing."""
    job = open_job(ledger)
    (task,) = ledger.claim(job, "w", 1, 60)
    told = [EventDraft("ingestion", object_path="original/a")]
    ledger.finish(task, record("first"), held=[HELD], put=[Entry("original/a", HELD.sha512)], told=told)
    standing = ledger.finish(task, record("second"), held=[HELD], put=[Entry("original/a", HELD.sha512)], told=told)

    assert standing.message == "first"
    with ledger.engine.connect() as db:
        assert db.scalar(sa.select(sa.func.count()).select_from(events)) == 1


def test_an_entry_without_durable_bytes_is_refused_and_nothing_is_kept(ledger: Ledger) -> None:
    """Promise P3."""
    job = open_job(ledger)
    (task,) = ledger.claim(job, "w", 1, 60)
    with pytest.raises(ValueError, match="durable"):
        ledger.finish(task, record(), put=[Entry("original/a", "f" * 128)], told=[EventDraft("ingestion")])

    assert ledger.counts(job)["done"] == 0
    assert not ledger.has_news(job)


def test_events_are_chained_from_the_package_on(ledger: Ledger) -> None:
    """Promise P4: also when several threads finish at once."""
    job = open_job(ledger, 40)

    def work() -> None:
        while found := ledger.claim(job, "w", 3, 60):
            for task in found:
                ledger.finish(task, record(), told=[EventDraft("ingestion", detail="å"), EventDraft("validation")])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with ledger.engine.connect() as db:
        rows = db.execute(sa.select(events).order_by(events.c.seq)).all()
    prev = first_prev(job.object_id)
    for seq, row in enumerate(rows, 1):
        body = json.loads(row.body)
        assert (row.seq, row.prev_hash, row.hash) == (seq, prev, hash_of(canonical(body)))
        assert (body["seq"], body["prev"]) == (seq, prev)
        prev = row.hash
    assert len(rows) == 80


def test_what_a_tool_said_never_stops_the_ledger(ledger: Ledger) -> None:
    """Hostile output: lone surrogates, zero bytes, controls."""
    job = open_job(ledger)
    (task,) = ledger.claim(job, "w", 1, 60)
    nasty = "\ud800\x00\x1b[31m\uffff å"
    ledger.finish(task, record(nasty), told=[EventDraft("validation", detail=nasty, agents=(nasty,))])

    (kept,) = ledger.records(job)
    assert kept.message.endswith("å")


def test_an_unknown_word_for_an_event_is_a_fault_of_ours(ledger: Ledger) -> None:
    job = open_job(ledger)
    with pytest.raises(KeyError):
        ledger.append_events(job, [EventDraft("magic")])


def test_running_again_adds_nothing(tmp_path: Path) -> None:
    with Archive(tmp_path / "a") as archive:
        assert run_job(archive, FILES) == 1
        assert run_job(archive, FILES) is None
        assert archive.store.head("urn:bevara:Lund:paket%201%2F%C3%A5") == 1
        job = begin(archive, [])
        assert archive.ledger.previous(job, "brev.txt").record.unchanged
        assert not list((tmp_path / "a" / "scratch" / "drafts").iterdir())


def test_work_of_a_superseded_job_is_committed_by_the_next(tmp_path: Path) -> None:
    """What was finished stands: its bytes and events go into the version of the job that took over."""
    with Archive(tmp_path / "a") as archive:
        job = begin(archive, FILES)
        draft = archive.store.open_draft(job.object_id)
        for task in archive.ledger.claim(job, "w", 2, 60):
            keep(archive, draft, task, FILES[task.raw_path])
        draft.close()

        assert run_job(archive, FILES, OTHER) == 1
        with archive.ledger.engine.connect() as db:
            assert db.scalar(sa.select(sa.func.count()).select_from(events).where(events.c.version == 1)) == 3 * (2 + len(FILES))


def test_records_come_in_path_order(tmp_path: Path) -> None:
    with Archive(tmp_path / "a") as archive:
        run_job(archive, FILES)
        with archive.ledger.engine.connect() as db:
            job = archive.ledger.job(db.scalar(sa.select(jobs.c.id)))
            assert db.scalar(sa.select(sa.func.count()).select_from(tasks)) == len(FILES)
        paths = [one.path for one in archive.ledger.records(job)]

    assert paths == sorted(paths)
    assert len(paths) == len(FILES)
