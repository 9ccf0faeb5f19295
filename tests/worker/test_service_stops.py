"""Processes of the service that are told to end, or are ended, in the middle of a job: the others carry it on (promise P5)."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
import sqlalchemy as sa

from tests.installation import Installation, installed, wait_for
from tests.servers import redis as redis_servers
from tests.servers.child import free_port
from tests.servers.redis import RedisServer
from tests.worker.test_service import texts
from worker.ledger.schema import events, jobs, tasks

FILES = 80


@pytest.fixture
def redis_alone() -> Iterator[RedisServer]:
    server = redis_servers.new_server()
    yield server
    redis_servers.end(server)


@pytest.fixture
def site(tmp_path, postgres_url, redis_alone) -> Iterator[Installation]:
    """Stores in folders, a scheduler at work, leases that run out quickly, and a job of small files submitted."""
    with installed(tmp_path, postgres_url, redis_alone.url, BEVARA_LEASE_S="2") as one:
        one.tenant("lund")
        texts(one.inbox("lund") / "p", FILES)
        one.start("schedule")
        yield one


def some_done(site: Installation, job: str, number: int = 5) -> None:
    wait_for(lambda: len(site.records(job)) >= number)


def assert_whole(site: Installation, job: str) -> None:
    """Every file has one record, one ingestion, one status; nothing is still in anybody's hand."""
    ended = site.until_over("lund", job)
    assert (ended.state, ended.version, ended.error) == ("finished", 1, None)
    assert Counter(str(record.status) for record in site.records(job).values()) == {"kept": FILES}
    told = [json.loads(row.body) for row in site.ledger.stream(sa.select(events.c.body).where(events.c.job_id == job))]
    ingested = Counter(body["object"] for body in told if body["type"] == "ingestion")
    assert len(ingested) == FILES
    assert set(ingested.values()) == {1}
    held = list(site.ledger.stream(sa.select(tasks.c.id).where(tasks.c.worker.is_not(None))))
    held += list(site.ledger.stream(sa.select(jobs.c.id).where(jobs.c.worker.is_not(None))))
    assert held == []


def test_a_worker_that_is_told_to_end_finishes_what_it_has_in_hand(site) -> None:
    """SIGTERM: nothing is left with it, so the next worker waits for no lease."""
    first = site.start("work")
    job = site.submit("lund", "p")
    some_done(site, job)

    assert first.end() == 0
    left = [row.id for row in site.ledger.stream(sa.select(tasks.c.id).where(tasks.c.state == "leased"))]
    assert left == []
    assert len(site.records(job)) < FILES
    site.start("work")

    assert_whole(site, job)


def test_an_api_that_is_told_to_end_does_not_wait_for_those_who_watch(site) -> None:
    """Nobody could submit for as long as it did: up to the whole grace, whenever the service is started anew."""
    port = free_port()
    site.more["BEVARA_API_PORT"] = str(port)
    api, job = site.start("serve"), site.submit("lund", "p")
    key = site.ledger.tenants.add_key("lund", "k", ["read"]).text
    api.until("startup complete")

    watched = f"http://127.0.0.1:{port}/v1/jobs/{job}/events"
    with httpx.stream("GET", watched, headers={"Authorization": f"Bearer {key}"}, timeout=40) as answer:
        told = answer.iter_lines()
        assert next(told).startswith("event: job")
        api.term()
        rest = list(told)

    assert rest, "the stream came to its end and was not cut"
    assert api.end(30) == 0


def test_an_api_that_is_told_twice_ends_at_once(site) -> None:
    """Whatever it has open, here an upload that does not come."""
    port = free_port()
    site.more["BEVARA_API_PORT"] = str(port)
    api = site.start("serve")
    key = site.ledger.tenants.add_key("lund", "k", ["submit"]).text
    upload = site.ledger.tenants.open_upload("lund", 3600).id
    api.until("startup complete")

    head = f"PUT /v1/uploads/{upload}/files/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 9\r\n\r\nx"
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head.encode())
        wait_for(lambda: site.ledger.tenants.upload("lund", upload).files == 1)
        api.term()
        api.until("Shutting down")
        assert api.end(30) is not None


@pytest.mark.faults
def test_a_killed_worker_costs_only_what_it_had_in_hand(site) -> None:
    """kill -9, twice: leases run out, others take over, and nothing is done twice in the record."""
    job = site.submit("lund", "p")
    for number in (5, 30):
        doomed = site.start("work")
        some_done(site, job, number)
        doomed.kill()
    site.start("work")

    assert_whole(site, job)


@pytest.mark.faults
def test_another_scheduler_takes_the_lead(site) -> None:
    """kill -9 of the one that leads; the second one waited for that."""
    site.start("work")
    site.start("schedule")
    job = site.submit("lund", "p")
    some_done(site, job)
    site.children[0].kill()

    assert_whole(site, job)


@pytest.mark.faults
def test_an_emptied_queue_is_filled_again_at_once(site, redis_alone) -> None:
    """FLUSHALL in the middle: what was queued is sent again from the ledger, without waiting for any lease."""
    job = site.submit("lund", "p")
    wait_for(
        lambda: (
            bool(list(site.ledger.stream(sa.select(tasks.c.id).where(tasks.c.state == "queued").limit(1)))) or _scanned(site, job)
        )
    )
    site.start("work")
    some_done(site, job)
    redis_alone.flush()

    assert_whole(site, job)


def _scanned(site: Installation, job: str) -> bool:
    """Somebody has to scan before there is anything to queue."""
    if not any(child.name.startswith("work") for child in site.children):
        site.start("work", "--queues", "jobs")
    return False


@pytest.mark.faults
def test_a_queue_that_is_away_is_waited_for(site, redis_alone) -> None:
    """Redis ended and started again, empty: one line in each log, and the job goes on."""
    worker = site.start("work")
    job = site.submit("lund", "p")
    some_done(site, job)
    redis_alone.kill()
    wait_for(lambda: "waiting: the queue's server" in site.children[0].said())
    redis_alone.start()

    assert_whole(site, job)
    assert site.children[0].said().count("waiting: the queue's server") == 1
    assert worker.said().count("connection error") <= 4  # one for each consumer and minute
