"""What goes into the ledger and comes out: plain, frozen data that the pipeline holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from worker.record import FileRecord, PolicyRef


class JobState(StrEnum):
    """A job is open until its version is committed, or another job takes over its package.

    The service's jobs go accepted → scanning → open → committing → delivering → finished; an embedded one begins open.
    """

    ACCEPTED = "accepted"
    SCANNING = "scanning"
    OPEN = "open"
    COMMITTING = "committing"
    DELIVERING = "delivering"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"
    SUPERSEDED = "superseded"


UNFINISHED = (JobState.ACCEPTED, JobState.SCANNING, JobState.OPEN, JobState.COMMITTING, JobState.DELIVERING)
"""States of a job that something is still to be done for; the others are final."""


class TaskState(StrEnum):
    """What a task waits for. Queued: its number is in the queue, and no worker has taken it yet."""

    PENDING = "pending"
    QUEUED = "queued"
    LEASED = "leased"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Found:
    """A file that the source was seen to hold. ``kind`` says what it is (file, symlink, fifo …)."""

    raw_path: bytes
    path: str
    size_bytes: int | None
    mtime_ns: int | None
    kind: str = "file"


@dataclass(frozen=True, slots=True)
class Job:
    """What was asked. ``package_key`` is the ledger's own number of the package; ``continued``: begun by an earlier process."""

    id: str
    object_id: str
    tenant: str
    package: str
    package_key: int
    source: bytes
    policy: PolicyRef
    toolchain: str
    state: JobState
    started: str
    finished: str | None
    version: int | None
    continued: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """The unit that a worker takes: one file of a job. ``attempts`` counts this claim.

    ``worker``: who has the lease, without which nothing is written; None: embedded, where the archive's lock says it.
    """

    id: int
    job: Job
    raw_path: bytes
    path: str
    size_bytes: int | None
    mtime_ns: int | None
    kind: str
    attempts: int
    worker: str | None = None


@dataclass(frozen=True, slots=True)
class Previous:
    """How a file of this name ended the last time. ``entries`` is what it put into the package."""

    record: FileRecord
    sha512: str | None
    key: str | None
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One logical path that a task puts into the package's state.

    Attributes:
        source: Logical path that it was derived from; None: it was delivered.
        puid: As re-identified. ``mime`` likewise.
    """

    logical_path: str
    sha512: str
    source: str | None = None
    puid: str | None = None
    mime: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """Durable content, as the ledger keeps it."""

    sha512: str
    sha256: str
    size_bytes: int
    content_path: str


def as_row(facts: Any, **more: Any) -> dict[str, Any]:
    """A flat frozen dataclass as a table row; ``asdict`` copies deeply and is ten times slower."""
    return {name: getattr(facts, name) for name in facts.__slots__} | more
