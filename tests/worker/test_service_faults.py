"""Real processes die, servers go away, messages come twice, clocks jump, disks fill (promise P5): afterwards, one truth.

What must then be true is ``service_truth.assert_truthful``, and nothing else. ``BEVARA_SEED`` repeats a run's moments (not the
machine's).
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from tests import samples
from tests.installation import OVER, Child, Installation, installed, wait_for
from tests.servers import postgres as postgres_servers
from tests.servers import redis as redis_servers
from tests.servers.child import free_port
from tests.servers.faulty import Fault, FaultyProxy
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer
from tests.servers.s3 import S3Server
from tests.worker.service_truth import JOB_S, assert_nothing_is_left, assert_truthful
from tests.worker.test_bad_input import small_disk
from tests.worker.test_faults import family, holders
from worker.ledger.schema import jobs, tasks
from worker.queue.posts import Posts
from worker.queue.redis_broker import on_redis

pytestmark = pytest.mark.faults

KILLS, PACKAGES, FILES = 100, 5, 100  # so there are five scans and five commits to be killed in
AWAY_S = 30.0
TENANT = "lund"


@dataclass
class Site:
    """An installation with servers of its own, which may be ended."""

    at: Installation
    redis: RedisServer
    postgres: PostgresServer
    folder: Path
    _names: Iterator[int] = field(default_factory=lambda: iter(range(1000)))

    def deliver(self, files: int, pictures: int = 0) -> tuple[str, dict[str, bytes]]:
        """A delivery of small files, no two of them alike: its name, and what is in it."""
        name = f"p{next(self._names)}"
        sent = {f"brev-{n:03}.txt": f"Anteckning {n} i {name}, å ä ö.\n".encode() for n in range(files - pictures)}
        sent |= {f"karta-{n:03}.bmp": samples.picture(30 + n, 20, "BMP") for n in range(pictures)}
        home = self.at.inbox(TENANT) / name
        home.mkdir()
        for path, data in sent.items():
            (home / path).write_bytes(data)
        return name, sent

    def done(self, *job_ids: str) -> int:
        """Files of these jobs that have their record."""
        door = self.at.ledger.door(TENANT)
        return sum(counts.done for job_id in job_ids if (counts := door.counts(job_id)) is not None)

    def in_the_middle(self, job_id: str, files: int, at_least: int = 8) -> None:
        """Wait until the job has begun to work."""
        wait_for(lambda: self.done(job_id) >= at_least, JOB_S, self.at._dead)
        assert self.done(job_id) < files, "it was over before the fault came: make the job longer"

    def is_over(self, job_id: str) -> bool:
        return self.at.job(TENANT, job_id).state in OVER


@contextmanager
def new_site(folder: Path, endpoint=None, bucket: str | None = None, **more: str) -> Iterator[Site]:
    redis, postgres = redis_servers.new_server(), postgres_servers.new_server()
    try:
        with installed(folder, postgres.database(), redis.url, endpoint, BEVARA_HOSTS="1", **more) as one:
            one.tenant(TENANT, bucket)
            yield Site(one, redis, postgres, folder)
        assert holders(folder) == [], "a process outlived its service"
    finally:
        postgres_servers.end(postgres)
        redis_servers.end(redis)


@pytest.fixture(scope="module")
def site(tmp_path_factory, minio_server: S3Server) -> Iterator[Site]:
    """Two workers, two schedulers, two APIs, at work."""
    with new_site(tmp_path_factory.mktemp("faults"), minio_server.endpoint, minio_server.new_bucket()) as one:
        for command in ("schedule", "schedule", "work", "work"):
            one.at.start(command)
        yield one


# Kills


@dataclass
class Crew:
    """The service's processes: who is killed is replaced at once, as by any site's supervisor."""

    site: Site
    chance: random.Random
    members: dict[str, list[Child]] = field(default_factory=dict)
    killed: Counter[str] = field(default_factory=Counter)

    def start(self, **numbers: int) -> None:
        for command, number in numbers.items():
            self.members[command] = [self.site.at.start(command) for _ in range(number)]

    def kill_one(self) -> None:
        """Somebody, at this moment; a worker's hosts too."""
        kind = self.chance.choices(["work", "host", "schedule", "serve"], [4, 3, 2, 1])[0]
        if kind == "host":
            return self._kill_host()
        place = self.chance.randrange(len(self.members[kind]))
        victim = self.members[kind][place]
        assert victim.process.poll() is None, f"{kind} ended by itself: {victim.said()[-3000:]}"
        victim.kill()
        self.members[kind][place] = self.site.at.start(kind)
        self.killed[kind] += 1
        return None

    def _kill_host(self) -> None:
        hosts = [one for child in self.members["work"] for one in family(child.process.pid)[1:]]
        if hosts and (victim := self.chance.choice(hosts)).lives():
            with suppress(ProcessLookupError):
                os.kill(victim.pid, signal.SIGKILL)
                self.killed["host"] += 1


@contextmanager
def asked_all_the_time(url: str, key: str, job_ids: list[str], files: int) -> Iterator[list[int]]:
    """A client that looks at the jobs meanwhile: perhaps no answer, never a wrong one. How many were done, at each."""
    stop, seen, wrong = threading.Event(), [0], []

    def look() -> None:
        latest = dict.fromkeys(job_ids, 0)
        while not stop.wait(0.2):
            for job_id in job_ids:
                try:
                    answer = httpx.get(f"{url}/v1/jobs/{job_id}", headers={"Authorization": f"Bearer {key}"}, timeout=10)
                except httpx.TransportError:
                    continue
                if answer.status_code != 200:
                    wrong.append(f"{answer.status_code} {answer.text}")
                    continue
                done = answer.json()["counts"]["done"]
                if not latest[job_id] <= done <= files:
                    wrong.append(f"{job_id}: {done} done after {latest[job_id]}")
                latest[job_id] = done
                seen.append(sum(latest.values()))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
    assert wrong == []


def test_a_hundred_kills_at_random_moments_change_nothing(tmp_path: Path, minio_server: S3Server) -> None:
    """kill -9 of workers, hosts, schedulers and API, over 500 files in five packages."""
    seed = int(os.environ.get("BEVARA_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    print(f"BEVARA_SEED={seed}")
    port = free_port()
    more = {"BEVARA_API_PORT": str(port), "BEVARA_LIMIT_REQUESTS_PER_S": "100000"}
    with new_site(tmp_path, minio_server.endpoint, minio_server.new_bucket(), **more) as site:
        key = site.at.ledger.tenants.add_key(TENANT, "test", ["read"]).text
        crew = Crew(site, random.Random(seed))
        crew.start(work=2, schedule=2, serve=1)
        sent = dict(site.deliver(FILES, pictures=4) for _ in range(PACKAGES))
        ids = {site.at.submit(TENANT, name): name for name in sent}
        with asked_all_the_time(f"http://127.0.0.1:{port}", key, list(ids), FILES) as seen:
            _kill(site, crew, list(ids))
            for job_id in ids:
                site.at.until_over(TENANT, job_id, JOB_S)
            wait_for(lambda: seen[-1] == PACKAGES * FILES, JOB_S, lambda: f"the API's last answer: {seen[-1]}")
        print(f"killed: {dict(crew.killed)}")
        for job_id, name in ids.items():
            assert_truthful(site.at, TENANT, job_id, sent[name], tmp_path / "down" / name, poisoned=True)
        for child in [one for group in crew.members.values() for one in group]:
            assert child.end() == 0, child.said()[-2000:]
        assert_nothing_is_left(site.at, TENANT)


def _kill(site: Site, crew: Crew, job_ids: list[str]) -> None:
    """As the work goes on, so that the last kills come when it is nearly done, on any machine."""
    total = PACKAGES * FILES
    while (number := crew.killed.total()) < KILLS:
        due = crew.chance.uniform(0.9, 1.0) * total * number / KILLS

        def reached(due: float = due) -> bool:
            return site.done(*job_ids) >= due or all(map(site.is_over, job_ids))

        wait_for(reached, JOB_S, lambda: f"{site.done(*job_ids)} of {total} done after {crew.killed}\n{site.at._dead()}")
        assert not all(map(site.is_over, job_ids)) or number > KILLS * 0.9, "the work was over too soon for the kills"
        time.sleep(crew.chance.uniform(0, 0.3))
        crew.kill_one()


# Redis and PostgreSQL


def test_an_emptied_queue_loses_nothing(site: Site, tmp_path: Path) -> None:
    """FLUSHALL, three times in the middle of a job."""
    name, sent = site.deliver(90)
    job_id = site.at.submit(TENANT, name)
    for done in (8, 30, 50):
        wait_for(lambda done=done: site.done(job_id) >= done, JOB_S, site.at._dead)
        site.redis.flush()

    assert_truthful(site.at, TENANT, job_id, sent, tmp_path)
    assert_nothing_is_left(site.at, TENANT)


def test_a_queue_that_is_started_again_loses_nothing(site: Site, tmp_path: Path) -> None:
    """Killed, away for a while, and empty when it is back."""
    name, sent = site.deliver(80)
    job_id = site.at.submit(TENANT, name)
    site.in_the_middle(job_id, 80)
    site.redis.kill()
    time.sleep(3)
    site.redis.start()

    assert_truthful(site.at, TENANT, job_id, sent, tmp_path)


@pytest.mark.parametrize("how", ["stop", "crash"])
def test_a_ledger_that_is_started_again_loses_nothing(site: Site, tmp_path: Path, how: str) -> None:
    """PostgreSQL ended in the middle of a job, in order or at once; nobody fails a file for it, and no process ends."""
    name, sent = site.deliver(80)
    job_id = site.at.submit(TENANT, name)
    site.in_the_middle(job_id, 80)
    getattr(site.postgres, how)()
    time.sleep(3)
    site.postgres.start()
    site.at.ledger.engine.dispose()

    assert_truthful(site.at, TENANT, job_id, sent, tmp_path)
    assert [child.name for child in site.at.children if child.process.poll() is not None] == []


# Messages and submissions


def test_each_message_three_times_and_to_both_workers(site: Site, tmp_path: Path) -> None:
    """Of tasks that wait, are in hand, or are done; and of the job itself. Each file has one record and one ingestion."""
    name, sent = site.deliver(60)
    job_id, broker, stop = site.at.submit(TENANT, name), on_redis(site.redis.url), threading.Event()

    def repeat() -> None:
        posts = Posts(broker)
        while not stop.wait(0.1):
            numbers = [row.id for row in site.at.ledger.stream(sa.select(tasks.c.id).where(tasks.c.job_id == job_id))]
            posts.files([number for number in numbers for _ in range(3)])
            posts.jobs([job_id] * 3)

    with repeating(repeat, stop):
        site.at.until_over(TENANT, job_id, JOB_S)
    broker.close()

    assert_truthful(site.at, TENANT, job_id, sent, tmp_path)


@contextmanager
def repeating(work: Callable[[], None], stop: threading.Event) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_the_same_job_ten_times_at_once_is_one_job(site: Site, tmp_path: Path) -> None:
    """One key, ten clients, two processes of the API: one job, and each client is told of it."""
    name, sent = site.deliver(5)
    key = site.at.ledger.tenants.add_key(TENANT, "submit", ["submit", "read"]).text
    ports = [free_port(), free_port()]
    for port in ports:
        site.at.more["BEVARA_API_PORT"] = str(port)
        site.at.start("serve")
    for port in ports:
        wait_for(lambda port=port: _answers(port), JOB_S, site.at._dead)
    start = threading.Barrier(10)

    def submit(number: int) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "en-gang"}
        body = {"package": name, "source": f"file://in/{name}"}
        start.wait()
        return httpx.post(f"http://127.0.0.1:{ports[number % 2]}/v1/jobs", json=body, headers=headers, timeout=120)

    with ThreadPoolExecutor(10) as clients:
        answers = list(clients.map(submit, range(10)))

    assert {answer.status_code for answer in answers} == {202}, [answer.text for answer in answers]
    (job_id,) = {answer.json()["id"] for answer in answers}
    made = sa.select(jobs.c.id).where(jobs.c.tenant == TENANT, jobs.c.source == f"file://in/{name}".encode())
    assert [row.id for row in site.at.ledger.stream(made)] == [job_id]
    assert_truthful(site.at, TENANT, job_id, sent, tmp_path)


def _answers(port: int) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/v1/openapi.json", timeout=10).status_code < 500
    return False


# The store


@pytest.fixture(scope="module")
def proxy(minio_server: S3Server) -> Iterator[FaultyProxy]:
    with FaultyProxy(minio_server.port) as one:
        yield one


@pytest.fixture(scope="module")
def behind(tmp_path_factory, minio_server: S3Server, proxy: FaultyProxy) -> Iterator[Site]:
    """Two workers and a scheduler, whose store is behind a proxy that misbehaves as it is told."""
    folder = tmp_path_factory.mktemp("behind")
    with new_site(folder, minio_server.through(proxy.port), minio_server.new_bucket()) as one:
        for command in ("schedule", "work", "work"):
            one.at.start(command)
        yield one


FAULTS = {
    "wrong bytes once": [Fault("flip", times=1, method="GET")],
    "closes half-way through a body": [Fault("cut", times=12, method="GET")],
    "says 503": [Fault("503", times=60)],
    "breaks connections": [Fault("refuse", times=40)],
    "is slow": [Fault("delay", times=30, seconds=1.0), Fault("slow", times=10, method="GET", seconds=2.0)],
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_store_that_misbehaves_costs_time_and_nothing_else(
    behind: Site, proxy: FaultyProxy, minio_server: S3Server, tmp_path: Path, what: str
) -> None:
    """In the middle of the files, and what is left of it in the commit."""
    name, sent = behind.deliver(40)
    job_id = behind.at.submit(TENANT, name)
    behind.in_the_middle(job_id, 40, at_least=3)
    before = len(proxy.done)
    proxy.add(*FAULTS[what])
    try:
        behind.at.until_over(TENANT, job_id, JOB_S)
    finally:
        proxy.clear()

    assert len(proxy.done) > before, "the store was not asked"
    assert_truthful(behind.at, TENANT, job_id, sent, tmp_path, endpoint=minio_server.endpoint)
    assert_nothing_is_left(behind.at, TENANT, minio_server.endpoint)


def test_a_store_that_cannot_be_reached_for_half_a_minute_is_waited_for(
    behind: Site, proxy: FaultyProxy, minio_server: S3Server, tmp_path: Path
) -> None:
    """No file is failed for it, and no process ends."""
    name, sent = behind.deliver(40)
    job_id = behind.at.submit(TENANT, name)
    behind.in_the_middle(job_id, 40, at_least=3)
    proxy.vanish()
    time.sleep(AWAY_S)
    proxy.listen()

    assert_truthful(behind.at, TENANT, job_id, sent, tmp_path, endpoint=minio_server.endpoint)
    assert [child.name for child in behind.at.children if child.process.poll() is not None] == []


# Clocks and disks


def test_clocks_that_jump_take_nothing_from_anybody(tmp_path: Path) -> None:
    """One worker's clock is an hour fast, the other's an hour slow, the scheduler's jumps: leases go by the ledger's own clock."""
    with new_site(tmp_path / "site") as site:
        for offsets, command in (("3600", "work"), ("-3600", "work"), ("7200,-7200,0", "schedule")):
            argv = [sys.executable, "-m", "tests.shifted_clock", offsets, command]
            site.at.start(command, argv=argv)
        name, sent = site.deliver(60)
        job_id = site.at.submit(TENANT, name)

        assert_truthful(site.at, TENANT, job_id, sent, tmp_path / "down")
        asked = sa.select(tasks.c.attempts, tasks.c.losses).where(tasks.c.job_id == job_id)
        assert {tuple(row) for row in site.at.ledger.stream(asked)} == {(1, 0)}, "a lease was taken away by somebody's clock"
        assert all("clock is shifted" in child.said() for child in site.at.children)


def test_a_full_scratch_disk_is_waited_for(tmp_path: Path) -> None:
    """Filled in the middle of a job: no file is blamed, and the job goes on when there is room."""
    with (
        small_disk(tmp_path / "scratch", 200) as scratch,
        new_site(tmp_path / "site", BEVARA_SCRATCH=str(scratch), BEVARA_SCRATCH_BYTES="20MiB") as site,
    ):
        for command in ("schedule", "work", "work"):
            site.at.start(command)
        name, sent = site.deliver(300)
        job_id = site.at.submit(TENANT, name)
        site.in_the_middle(job_id, 300)
        ballast = _fill(scratch)
        stood = _comes_to_rest(site, job_id)
        ballast.unlink()

        assert stood < 300, "it was over before the disk was full: make the job longer"
        assert_truthful(site.at, TENANT, job_id, sent, tmp_path / "down")


def _fill(disk: Path) -> Path:
    """Take every block that is left."""
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(1 << 16))
    return ballast


def _comes_to_rest(site: Site, job_id: str) -> int:
    """How many files are done when nothing has moved for some seconds."""
    before, after = -1, site.done(job_id)
    while before != after:
        time.sleep(4)
        before, after = after, site.done(job_id)
    return after
