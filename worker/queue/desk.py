"""What the files of one job need around them, made once in a process and kept while the job has work here.

Opening a draft reads the package's whole inventory, so it is not done for every file. What is done with it is ``files``'.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from worker.app import Service
from worker.ledger.facts import Job
from worker.ledger.schema import jobs
from worker.pipeline import expected
from worker.pipeline.expected import Expected
from worker.pipeline.services import Services
from worker.places import REPORTS
from worker.queue.in_hand import InHand

log = logging.getLogger("bevara")

KEPT = 8  # jobs without work here right now whose draft stays open


@dataclass(slots=True)
class _Seat:
    """One job's services; ``lock`` is held while they are made, so that one slow store does not hold up the other jobs."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    services: Services | None = None
    users: int = 0


class Desk:
    """Services by job. Used by several threads."""

    def __init__(self, service: Service, in_hand: InHand) -> None:
        self._service, self._in_hand = service, in_hand
        self._seats: OrderedDict[str, _Seat] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def at(self, job: Job) -> Iterator[Services]:
        """The job's services, which stay open for as long as the block runs.

        Raises:
            PreservationError: Source, store or policy cannot be had.
        """
        with self._lock:
            seat = self._seats.setdefault(job.id, _Seat())
            self._seats.move_to_end(job.id)
            seat.users += 1
        try:
            with seat.lock:
                seat.services = seat.services or self._made(job)
            yield seat.services
        finally:
            with self._lock:
                seat.users -= 1
                idle = [name for name, other in self._seats.items() if not other.users]
                surplus = [self._seats.pop(name) for name in idle[: max(0, len(idle) - KEPT)]]
            for one in surplus:
                _close(one)

    def clear(self, job_id: str) -> None:
        """Close a job's services, unless a file is being worked on with them."""
        with self._lock:
            seat = self._seats.get(job_id)
            if seat is None or seat.users:
                return
            del self._seats[job_id]
        _close(seat)

    def close(self) -> None:
        """Close all. Nobody works any more."""
        with self._lock:
            seats, self._seats = list(self._seats.values()), OrderedDict()
        for seat in seats:
            _close(seat)

    def _made(self, job: Job) -> Services:
        service = self._service
        policy, source = service.policy_of(job), service.source_of(job)
        wanted = expected_of(service, job)
        try:
            draft = service.store_of(job.tenant).open_draft(job.object_id)
        except BaseException:
            if wanted:
                wanted.close()
            raise
        reports = service.bucket_of(job.tenant)

        def keep_picture(picture: Path, name: str) -> None:
            reports.put_file(f"{REPORTS}/{name}", picture)

        return Services(
            ledger=service.ledger,
            draft=draft,
            source=source,
            policy=policy,
            hosts=service.hosts,
            reports=service.scratch.folder,
            toolchain=service.toolchain,
            time_factor=service.machine.time_factor,
            is_ours=self._in_hand.has,
            expected=wanted,
            keep_picture=keep_picture,
        )


def expected_of(service: Service, job: Job) -> Expected | None:
    """The checksums that came along with *job*; None: none did. The caller closes it.

    Raises:
        ExpectedError: The list cannot be used.
    """
    asked = sa.select(jobs.c.expected).where(jobs.c.id == job.id)
    text = service.ledger.transactions.read(lambda db: db.scalar(asked))
    if not text:
        return None
    folder = service.scratch.folder / "expected"
    folder.mkdir(exist_ok=True)
    path = folder / f"{job.id}-{threading.get_ident()}.sqlite3"
    if text.lstrip().startswith("{"):
        return Expected(path, expected.from_json(text))
    bucket, prefix = service.places.located(job.tenant, job.source.decode())
    with bucket.get(f"{prefix}/{text}" if prefix else text) as manifest:
        return Expected(path, expected.from_manifest(manifest, text.rpartition("/")[0]))


def _close(seat: _Seat) -> None:
    if seat.services is None:
        return
    seat.services.draft.close()
    if seat.services.expected:
        seat.services.expected.close()
