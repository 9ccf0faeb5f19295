"""What the service costs beside the work itself: queue and ledger, several workers, newcomers, memory.

Real processes over PostgreSQL (which syncs, as in production), Redis and, where it is built, MinIO; all of it on this machine.
``BENCH_SCALE=0.05``: a trial with few files, whose figures mean nothing.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import httpx
import sqlalchemy as sa

from tests.bench import inputs
from tests.bench.idle import fill
from tests.bench.measure import RUNS, Row, in_turn, preserve
from tests.installation import Child, Installation, installed, wait_for
from tests.servers import postgres, redis, s3
from tests.servers.child import free_port
from worker.ledger.schema import job_counts, tasks

SCALE = float(os.environ.get("BENCH_SCALE", "1"))
IDLE = [sys.executable, "-m", "tests.bench.idle"]
RAMP = 0.1  # of a job's files: how long workers and window take to find their pace
LONG_S = 1800.0
TICK_S = os.sysconf("SC_CLK_TCK")


def queue(work: Path) -> list[Row]:
    """Queue and ledger by themselves: one worker process, an action that does nothing."""
    with site(work) as one:
        one.start("schedule")
        one.start(argv=[*IDLE, "0"]).until("started")
        rates = [_rate(one, round(5_000 * SCALE), number) for number in range(RUNS)]
    rate = statistics.median(rates)
    return [Row("queue and ledger alone, one worker", round(rate, 1), "files/s", "–", None, "≥ 150 files/s", rate >= 150)]


def office(work: Path) -> list[Row]:
    """The forty office documents through the service, against the same job without it. Each starts with cold hosts."""
    source = inputs.office(work / "office")
    for path in sorted(source.iterdir())[max(1, round(inputs.COUNT * SCALE)) :]:
        path.unlink()
    with site(work, store=True) as one:
        shutil.copytree(source, one.inbox("lund") / "p")
        one.start("schedule")
        numbers = iter(range(1000))
        through, embedded = in_turn(lambda: _through(one, f"p{next(numbers)}"), lambda: preserve(source, work))
    ratio = embedded / through
    return [
        Row(
            "40 office documents through the service",
            round(through, 2),
            "s",
            f"bevara preserve {embedded:.2f} s",
            round(ratio, 2),
            "≥ 0.8 ×",
            ratio >= 0.8,
        )
    ]


def two(work: Path) -> list[Row]:
    """Two worker processes against one, on an action that waits 200 ms."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    with site(work) as one:
        one.start("schedule")
        for number in range(RUNS):
            for workers, found in rates.items():
                children = [one.start(argv=[*IDLE, "0.2"]) for _ in range(workers)]
                for child in children:
                    child.until("started")
                found.append(_rate(one, round(400 * SCALE) * workers, 10 * number + workers))
                for child in children:
                    child.end()
    alone, both = (statistics.median(found) for found in rates.values())
    ratio = both / alone
    return [
        Row(
            "two worker processes, 200 ms a file",
            round(both, 1),
            "files/s",
            f"one: {alone:.1f} files/s",
            round(ratio, 2),
            "≥ 1.9 ×",
            ratio >= 1.9,
        )
    ]


def newcomer(work: Path) -> list[Row]:
    """A million files of one tenant wait; then one of another's. From when it waits until a worker has it; the slowest of them."""
    waiting, waits = round(1_000_000 * SCALE), []
    with site(work, "lund", "hoor") as one:
        _pending(one, fill(one.ledger, "lund", "million", 1), waiting)
        one.start("schedule")
        one.start(argv=[*IDLE, "0.2"]).until("started")
        wait_for(lambda: _done(one) >= 40 * RAMP)
        for number in range(3 * RUNS):
            started = time.perf_counter()
            job = fill(one.ledger, "hoor", f"small{number}", 1)
            wait_for(lambda job=job: _taken(one, job))  # type: ignore[misc]
            waits.append(time.perf_counter() - started)
    worst = max(waits)
    median = f"median {statistics.median(waits):.2f} s"
    return [Row(f"one file behind {waiting:,} of another tenant", round(worst, 2), "s", median, None, "≤ 2 s", worst <= 2)]


def memory(work: Path) -> list[Row]:
    """What API, scheduler and worker hold at most: after a job of 1,000 files, and after one of 10,000 more."""
    few, many = round(1_000 * SCALE), round(10_000 * SCALE)
    port = free_port()
    with site(work, store=True, BEVARA_API_PORT=str(port)) as one:
        key = one.ledger.tenants.add_key("lund", "bench", ("submit", "read")).text
        for name, count in (("few", few), ("many", many)):
            inputs.small(one.inbox("lund") / name, count)
        children = {name: one.start(name) for name in ("serve", "schedule", "work")}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
            wait_for(lambda: _answers(client))
            before, after = (_watched(client, children, name) for name in ("few", "many"))
    return [_held(name, few, many, before[name], after[name]) for name in children]


ROWS: dict[str, Callable[[Path], list[Row]]] = {
    "service-queue": queue,
    "service-office": office,
    "service-two": two,
    "service-newcomer": newcomer,
    "service-memory": memory,
}


@contextmanager
def site(work: Path, *tenants: str, store: bool = False, **more: str) -> Iterator[Installation]:
    """An installation with servers of its own, and settings as they come but for *more*; *store*: on MinIO, where there is one."""
    database, queue_server = postgres.new_server(options=()), redis.new_server()
    try:
        with tempfile.TemporaryDirectory(dir=work) as data, _bucket_server(Path(data) if store else None) as server:
            settings = {"BEVARA_LEASE_S": "60", "BEVARA_THREADS": "0", **more}
            endpoint = server.endpoint if server else None
            with installed(work / "site", database.database(), queue_server.url, endpoint, **settings) as one:
                for name in tenants or ("lund",):
                    one.tenant(name, server.new_bucket() if server else None)
                yield one
    finally:
        redis.end(queue_server)
        postgres.end(database)


def _bucket_server(data: Path | None):
    return s3.running("minio", data) if data and s3.program("minio") else nullcontext()


def _rate(one: Installation, files: int, number: int) -> float:
    """Files a second of a job that only claims, waits and records; and, for the curious, the processors' time that it took."""
    job = fill(one.ledger, "lund", f"p{number}", files)
    first, last = max(1, round(files * RAMP)), files
    wait_for(lambda: _done(one, job) >= first, LONG_S)
    so_far, started, before = _done(one, job), time.perf_counter(), _cpu(one.children)
    wait_for(lambda: _done(one, job) >= last, LONG_S)
    seconds, done = time.perf_counter() - started, last - so_far
    spent = ", ".join(
        f"{name} {(used - before[name]) / done * 1000:.2f}" for name, used in _cpu(one.children).items() if used > before[name]
    )
    print(f"bench: {done / seconds:.1f} files/s; ms of processor for each: {spent}", file=sys.stderr, flush=True)
    return done / seconds


def _through(one: Installation, package: str) -> float:
    """Seconds from asking for the job until it is finished; the worker is running, its hosts are not."""
    worker = one.start("work")
    worker.until("started")
    started = time.perf_counter()
    job = one.submit("lund", package, source="file://in/p")
    ended = one.until_over("lund", job, LONG_S)
    seconds = time.perf_counter() - started
    worker.end()
    if ended.state != "finished":
        sys.exit(f"bench: the job ended as {ended.state}: {ended.error}")
    return seconds


def _pending(one: Installation, job: str, count: int) -> None:
    """As many more waiting tasks beside the one that *job* has, made by the database."""
    more = """INSERT INTO tasks (job_id, package_id, raw_path, path, kind, state, attempts)
        SELECT job_id, package_id, convert_to('g/' || n, 'UTF8'), 'g/' || n, kind, 'pending', 0
        FROM tasks, generate_series(1, :count) AS n WHERE job_id = :job AND path NOT LIKE 'g/%'"""
    with one.ledger.engine.begin() as db:
        db.execute(sa.text(more), {"count": count, "job": job})
        db.execute(sa.update(job_counts).where(job_counts.c.job_id == job).values(total=job_counts.c.total + count))


def _done(one: Installation, job: str | None = None) -> int:
    asked = sa.select(sa.func.coalesce(sa.func.sum(job_counts.c.kept), 0))
    with one.ledger.engine.connect() as db:
        return int(db.scalar(asked if job is None else asked.where(job_counts.c.job_id == job)) or 0)


def _taken(one: Installation, job: str) -> bool:
    with one.ledger.engine.connect() as db:
        return db.scalar(sa.select(tasks.c.state).where(tasks.c.job_id == job)) in ("leased", "done")


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/v1/jobs").status_code == 200
    except httpx.TransportError:
        return False


def _watched(client: httpx.Client, children: dict[str, Child], package: str) -> dict[str, float]:
    """A job through the API, which is asked for its state and its files all the while; most memory of each process, in MB."""
    answer = client.post("/v1/jobs", json={"package": package, "source": f"file://in/{package}", "policy": "skanearkiv"})
    answer.raise_for_status()
    job, cursor, state = answer.json()["id"], None, ""
    while state not in ("finished", "failed", "cancelled"):
        time.sleep(0.2)
        state = client.get(f"/v1/jobs/{job}").raise_for_status().json()["state"]
        page = client.get(f"/v1/jobs/{job}/files", params={"cursor": cursor} if cursor else {}).raise_for_status().json()
        cursor = page["next"]
    if state != "finished":
        sys.exit(f"bench: the job ended as {state}")
    return {name: _peak_mb(child) for name, child in children.items()}


def _held(name: str, few: int, many: int, before: float, after: float) -> Row:
    growth = after / before
    ok = growth <= 1.1 and after <= 250
    against = f"{before:.1f} MB after {few:,}"
    return Row(
        f"memory of `bevara {name}`, {many:,} files", round(after, 1), "MB", against, round(growth, 3), "≤ 1.1 ×, ≤ 250 MB", ok
    )


def _peak_mb(child: Child) -> float:
    status = Path(f"/proc/{child.process.pid}/status").read_text("ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1000


def _cpu(children: list[Child]) -> dict[str, float]:
    """Seconds of processor that each of our processes that lives has used, by name and number."""
    used = {f"{child.name}-{number}": _used_s(child.process.pid) for number, child in enumerate(children)}
    return {name: seconds for name, seconds in used.items() if seconds}


def _used_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK_S
