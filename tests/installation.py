"""A whole installation of the service on this machine, made of real processes: what the tests of the service, its faults and the
bench stand on. Every process that it starts, it ends, by its number.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from actions.catalog import CATALOG
from tests.conftest import PROJECT
from worker.ledger.ledger import Ledger
from worker.ledger.service_facts import JobView, Submission
from worker.policy.load import load_policy
from worker.record import FileRecord, PolicyRef
from worker.store.bucket_s3 import S3Endpoint

OVER = {"finished", "cancelled", "failed", "superseded"}
PATIENCE_S = 120.0


@dataclass
class Child:
    """One process of the service, in a session of its own."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    def said(self) -> str:
        return self.log.read_text("utf-8", errors="replace")

    def until(self, words: str) -> None:
        """Wait until it has logged *words*."""
        wait_for(lambda: words in self.said() or self.process.poll() is not None)
        assert words in self.said(), f"{self.name} ended before it said {words!r}: {self.said()[-3000:]}"

    def term(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """As the kernel would, or a power cut: no chance to say anything."""
        self.process.kill()
        self.process.wait(30)

    def end(self, timeout_s: float = 60) -> int:
        """Ask it to end; its exit code."""
        if self.process.poll() is None:
            self.term()
        return self.process.wait(timeout_s)


@dataclass
class Installation:
    """Settings, a ledger of our own to look into, and the processes that were started."""

    folder: Path
    ledger_url: str
    redis_url: str
    endpoint: S3Endpoint | None = None
    more: dict[str, str] = field(default_factory=dict)
    children: list[Child] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = Ledger.connect(self.ledger_url)
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        """Of every process: this one's, without settings of its own."""
        ours = {
            "BEVARA_LEDGER_URL": self.ledger_url,
            "BEVARA_REDIS_URL": self.redis_url,
            "BEVARA_SCRATCH": str(self.folder / "scratch"),
            "BEVARA_ADMIN_PORT": "0",
            "BEVARA_LOG": "text",
            "BEVARA_THREADS": "4",
            "BEVARA_LEASE_S": "6",
        }
        if self.endpoint is not None:
            s3 = {
                "ENDPOINT": f"http://{self.endpoint.endpoint}",
                "ACCESS_KEY": self.endpoint.access_key,
                "SECRET_KEY": self.endpoint.secret_key,
                "REGION": self.endpoint.region,
            }
            ours |= {f"BEVARA_S3_MAIN_{key}": value for key, value in s3.items()}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BEVARA_") or name == "BEVARA_VERAPDF_LIB"}
        return {**kept, **ours, **self.more}

    def start(self, *command: str, argv: list[str] | None = None) -> Child:
        """Start ``bevara COMMAND…``, or *argv*."""
        name = "-".join(part.strip("-") for part in command) or "child"
        log = self.folder / f"{name}-{len(self.children)}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                argv or [sys.executable, "-m", "worker.cli", *command],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                cwd=PROJECT,
                env=self.environment,
                start_new_session=True,
            )
        child = Child(name, log, process)
        self.children.append(child)
        return child

    def tenant(self, name: str, bucket: str | None = None, **more: int) -> str:
        """A tenant with a store (in *bucket*, or a folder), the folder ``in`` to read from, and ``out`` to deliver to."""
        tenants = self.ledger.tenants
        tenants.add(name, name.title(), **more)
        if bucket is None:
            tenants.add_place(name, "store", (self.folder / name / "place").as_uri(), is_store=True)
        else:
            tenants.add_place(name, "store", f"s3://{bucket}/{name}", endpoint="main", is_store=True)
        for place, role in (("in", "is_source"), ("out", "is_delivery")):
            at = self.folder / name / place
            at.mkdir(parents=True)
            tenants.add_place(name, place, at.as_uri(), **{role: True})
        return name

    def inbox(self, tenant: str) -> Path:
        """Where the tenant's deliveries lie."""
        return self.folder / tenant / "in"

    def submit(self, tenant: str, package: str, *, policy: str = "skanearkiv", source: str | None = None, **more: object) -> str:
        """Submit a job over ``in/<package>``; its id."""
        ref: PolicyRef = load_policy(policy, CATALOG).ref
        request = Submission(tenant, package, source or f"file://in/{package}", ref, **more)  # type: ignore[arg-type]
        return self.ledger.queue.submit(request).job_id

    def job(self, tenant: str, job_id: str) -> JobView:
        found = self.ledger.door(tenant).job(job_id)
        assert found is not None
        return found

    def until_over(self, tenant: str, job_id: str, timeout_s: float = PATIENCE_S) -> JobView:
        """The job when it has ended."""
        wait_for(lambda: self.job(tenant, job_id).state in OVER, timeout_s, self._dead)
        return self.job(tenant, job_id)

    def records(self, job_id: str) -> dict[str, FileRecord]:
        """How each file ended; each is told of once."""
        job = self.ledger.job(job_id)
        assert job is not None
        told = list(self.ledger.records(job))
        found = {record.path: record for record in told}
        assert len(found) == len(told)
        return found

    def _dead(self) -> str:
        return "\n".join(f"--- {child.name} ({child.process.poll()})\n{child.said()[-2500:]}" for child in self.children)

    def close(self) -> None:
        """End every process that is left, and see that none stays."""
        for child in self.children:
            if child.process.poll() is None:
                child.term()
        for child in self.children:
            try:
                child.process.wait(60)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
        self.ledger.close()


@contextmanager
def installed(
    folder: Path, ledger_url: str, redis_url: str, endpoint: S3Endpoint | None = None, **more: str
) -> Iterator[Installation]:
    """An installation for the block; its processes end with it."""
    one = Installation(folder, ledger_url, redis_url, endpoint, more)
    try:
        yield one
    finally:
        one.close()


def wait_for(ready: Callable[[], bool], timeout_s: float = PATIENCE_S, why: Callable[[], str] = lambda: "") -> None:
    """Wait until *ready* says so; a test does not assert on time, but it must end."""
    end = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() > end:
            raise AssertionError(f"still waiting after {timeout_s:.0f} s\n{why()}")
        time.sleep(0.05)
