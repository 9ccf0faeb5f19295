"""Promise P7 at the ledger: a tenant sees its own and nothing else; on PostgreSQL even when a query forgets to say whose."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from service_samples import admit, end, found, open_job, submit, take, tenants, whole_job

from tests.servers.postgres import PostgresServer
from worker.ledger.cursor import CursorError
from worker.ledger.ledger import Ledger
from worker.ledger.schema import events, jobs, metadata, packages, tasks
from worker.ledger.schema_service import keys
from worker.ledger.transactions import ALL
from worker.record import Status


def answers(ledger: Ledger, asker: str, job_id: str, package: str, path: str) -> list[object]:
    """Everything that *asker* can ask about a job and a package."""
    door = ledger.door(asker)
    return [
        door.job(job_id),
        door.counts(job_id),
        door.files(job_id).items,
        door.files(job_id, "kept").items,
        door.retry_reasons(job_id),
        door.package(package),
        door.events(package),
        door.entry(package, path),
        door.entries(package).items,
        door.jobs().items,
        door.packages().items,
        door.unfinished_jobs(),
    ]


def test_another_tenant_s_rows_answer_like_rows_that_do_not_exist(ledger: Ledger, api: Ledger) -> None:
    job_id = whole_job(ledger, "lund", "paket å")
    package, path = "urn:bevara:lund:paket%20%C3%A5", "original/000000"

    own = answers(api, "lund", job_id, package, path)
    assert all(own[:4]) and all(own[5:-1]), own  # noqa: PT018 -- told as a whole
    assert answers(api, "malmo", job_id, package, path) == answers(api, "malmo", "0" * 32, "urn:bevara:lund:x", path)
    assert answers(api, "malmo", job_id, "paket å", path) == answers(api, "malmo", "0" * 32, "x", path)


def test_both_tenants_may_call_their_package_alike(ledger: Ledger, api: Ledger) -> None:
    for tenant in ("lund", "malmo"):
        whole_job(ledger, tenant, "samma")

    assert api.door("malmo").package("samma").object_id == "urn:bevara:malmo:samma"
    assert api.door("lund").package("samma").object_id == "urn:bevara:lund:samma"
    assert api.door("lund").package("urn:bevara:malmo:samma") is None


def test_the_api_s_ledger_can_do_what_a_tenant_may(ledger: Ledger, api: Ledger) -> None:
    job_id = submit(api, "lund")
    submit(api, "malmo")

    assert not api.queue.cancel("malmo", job_id)
    assert api.queue.cancel("lund", job_id)
    assert [job.id for job in api.door("lund").jobs().items] == [job_id]


# Row-level security


def test_the_wall_holds_for_every_table_with_a_tenant_s_rows(postgres: PostgresServer, postgres_url: str) -> None:
    """A new table without the wall fails here; the role cannot climb over it."""
    from worker.ledger import schema_fixity  # noqa: F401 -- its tables too

    ledger = Ledger.connect(postgres_url)
    with ledger.engine.connect() as db:
        walls = "SELECT relname, relrowsecurity AND relforcerowsecurity FROM pg_class"
        rows = db.execute(sa.text(f"{walls} WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"))
        walled = dict(tuple(row) for row in rows)
        role = db.execute(sa.text("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")).one()
    ledger.close()

    assert tuple(role) == (False, False)
    assert {name for name, walls in walled.items() if not walls} == {"alembic_version", "leaders", "clocks"}
    assert set(walled) == set(metadata.tables) | {"alembic_version"}


def test_a_query_that_forgets_the_tenant_sees_nothing(postgres_url: str) -> None:
    ledger, api = Ledger.connect(postgres_url), Ledger.connect(postgres_url, everything=False)
    tenants(ledger, "lund", "malmo")
    whole_job(ledger, "lund", "a")
    ledger.tenants.add_key("lund", "k", ["read"])
    filled = {
        table.name
        for table in metadata.sorted_tables
        if ledger.transactions.read(lambda db, t=table: db.execute(sa.select(t)).first())
    }
    assert {"packages", "jobs", "tasks", "events", "entries", "contents", "job_counts", "keys", "tenants"} <= filled
    for table in (metadata.tables[name] for name in filled):
        seen = [api.transactions.read(lambda db, t=table: db.execute(sa.select(t)).all(), tenant=who) for who in (None, "malmo")]
        others = {row for row in seen[1] if row.id != "malmo"} if table.name == "tenants" else set(seen[1])
        assert (seen[0], others) == ([], set()), table.name
    assert api.transactions.read(lambda db: db.execute(sa.select(tasks)).all(), tenant="lund")
    ledger.close()
    api.close()


def test_a_tenant_s_transaction_can_change_nothing_of_another_s(postgres_url: str) -> None:
    ledger, api = Ledger.connect(postgres_url), Ledger.connect(postgres_url, everything=False)
    tenants(ledger, "lund", "malmo")
    job_id = whole_job(ledger, "lund", "a")
    for table in (packages, jobs, tasks, events, keys):
        column = next(iter(table.columns))
        changed = api.transactions.write(
            lambda db, t=table, c=column: db.execute(sa.update(t).values({c.name: c})).rowcount, tenant="malmo"
        )
        assert changed == 0, table.name
    with pytest.raises(sa.exc.ProgrammingError, match="row-level security"):
        api.transactions.write(
            lambda db: db.execute(
                sa.insert(packages).values(object_id="x", tenant="lund", package="x", version=0, last_seq=0, last_hash="")
            ),
            tenant="malmo",
        )
    with pytest.raises(sa.exc.ProgrammingError, match="row-level security"):
        api.transactions.write(
            lambda db: db.execute(sa.insert(events).values(package_id=1, seq=99, prev_hash="", hash="", body="", job_id=job_id)),
            tenant="malmo",
        )
    ledger.close()
    api.close()


def test_one_request_s_tenant_does_not_stay_on_the_connection(postgres_url: str) -> None:
    """Pooled connections go from tenant to tenant."""
    from worker.ledger.engine import Pool

    ledger = Ledger.connect(postgres_url)
    tenants(ledger, "lund", "malmo")
    ledger.close()
    api = Ledger.connect(postgres_url, everything=False, pool=Pool(kept=1, more=0))
    for who, sees in (("lund", {"lund"}), (None, set()), (ALL, {"lund", "malmo"}), (None, set()), ("malmo", {"malmo"})):
        seen = api.transactions.read(lambda db: set(db.scalars(sa.text("SELECT id FROM tenants"))), tenant=who)
        assert seen == sees
        with pytest.raises(ZeroDivisionError):
            api.transactions.write(lambda _: 1 // 0, tenant=who)
    api.close()


def test_an_account_that_the_wall_does_not_hold_is_refused(postgres: PostgresServer, postgres_url: str) -> None:
    """What the usual container image makes of POSTGRES_USER is a superuser."""
    from worker.ledger.engine import LedgerRoleError

    with pytest.raises(LedgerRoleError, match="superuser"):
        Ledger.connect(postgres_url.replace("bevara:", "admin:"), everything=False)


# Pages


def test_pages_of_jobs_show_each_once_while_new_ones_come(ledger: Ledger) -> None:
    door, before = ledger.door("lund"), [submit(ledger) for _ in range(7)]
    newest_first = [job.id for job in door.jobs().items]  # of one millisecond, in the order of their ids
    seen: list[str] = []
    cursor = None
    while True:
        page = door.jobs(cursor, limit=2)
        seen += [job.id for job in page.items]
        submit(ledger)  # newer than all: it shifts nothing
        if (cursor := page.cursor) is None:
            break

    assert len(seen) == len(set(seen))
    assert set(newest_first) == set(before)
    assert [job_id for job_id in seen if job_id in before] == newest_first


@pytest.mark.parametrize("status", [None, "kept"])
def test_pages_of_files_show_each_once_while_others_end(ledger: Ledger, status: str | None) -> None:
    job_id = open_job(ledger, files=9)
    seen: list[str] = []
    todo = take(ledger, 9)
    for task in todo[:5]:
        end(ledger, task)
    cursor = None
    while True:
        page = ledger.door("lund").files(job_id, status, cursor, limit=2)
        seen += [file.path for file in page.items]
        for task in todo[5:]:
            end(ledger, task, Status.REVIEW)
        if (cursor := page.cursor) is None:
            break

    assert seen == [one.path for one in found(9 if status is None else 5)]


def test_files_come_in_the_order_of_their_bytes_whatever_the_server_s_language(ledger: Ledger) -> None:
    from worker.ledger.facts import Found
    from worker.paths import archival_path

    job = ledger.queue.claim_job(submit(ledger), "w", 60).job
    names = ["a", "B", "ä", "å", "Ö", "z", "a b", "a-b", "ab"]
    ledger.add_tasks(job, [Found(name.encode(), archival_path(name.encode()), 1, 1) for name in names])
    paged: list[str] = []
    cursor = None
    while True:
        page = ledger.door("lund").files(job.id, cursor=cursor, limit=2)
        paged += [file.path for file in page.items]
        if (cursor := page.cursor) is None:
            break

    assert paged == sorted(names)


def test_pages_of_packages_and_entries(ledger: Ledger) -> None:
    for name in "cab":
        whole_job(ledger, "lund", name)
    whole_job(ledger, "malmo", "d")
    door = ledger.door("lund")
    first = door.packages(limit=2)

    assert [one.package for one in (*first.items, *door.packages(first.cursor, limit=2).items)] == ["c", "a", "b"]
    page = door.entries("a", limit=1)
    assert [one.logical_path for one in (*page.items, *door.entries("a", cursor=page.cursor).items)] == [
        "original/000000",
        "original/000001",
    ]
    assert [event.seq for event in door.events("a", after_seq=2, limit=1)] == [3]


MADE_UP = ["", "x", "å", "bnVsbA", "W10", "WyJqb2JzIiwxLDJd", "AAAA" * 99, "WyJmaWxlcyIsICJ4IiwgOTk5OTk5OTk5OTk5OTk5OTk5OTk5XQ"]


def test_a_cursor_that_a_client_made_up_is_refused(ledger: Ledger) -> None:
    job_id, door = submit(ledger), ledger.door("lund")
    for made_up in MADE_UP:
        for ask in (door.jobs, door.packages, lambda cursor: door.files(job_id, cursor=cursor)):
            with pytest.raises(CursorError):
                ask(made_up)


def test_a_cursor_of_one_list_is_none_of_another(ledger: Ledger) -> None:
    job_id = open_job(ledger, files=3)
    cursor = ledger.door("lund").files(job_id, limit=1).cursor

    with pytest.raises(CursorError):
        ledger.door("lund").jobs(cursor)
    with pytest.raises(CursorError):
        ledger.door("lund").files(job_id, "kept", cursor)


def test_counts_say_what_the_rows_say_at_every_moment(ledger: Ledger) -> None:
    job_id = open_job(ledger, files=6)

    def told() -> tuple[int, ...]:
        c = ledger.door("lund").counts(job_id)
        return (c.total, c.pending, c.queued, c.leased, c.done, c.cancelled)

    assert told() == (6, 6, 0, 0, 0, 0)
    ids = admit(ledger, total=4)
    assert told() == (6, 2, 4, 0, 0, 0)
    first, second = (ledger.queue.claim_task(task_id, "w", 60) for task_id in ids[:2])
    assert told() == (6, 2, 2, 2, 0, 0)
    end(ledger, first)
    end(ledger, first)
    ledger.queue.postpone(second.id, "w", 60, "why")
    assert told() == (6, 3, 2, 0, 1, 0)
    assert ledger.door("lund").counts(job_id).by_status["kept"] == 1
