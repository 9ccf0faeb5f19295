"""What the service's side of the ledger takes and gives: plain, frozen data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from worker.ledger.facts import Job, JobState
from worker.record import PolicyRef

T = TypeVar("T")

SCOPES = frozenset({"submit", "read", "officer", "admin"})
"""What a key can be good for."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A job that is asked for.

    Attributes:
        source: ``s3://PLACE/prefix``, ``file://PLACE/sub/folder`` or ``upload://ID``.
        priority: -10 … 10; higher goes first among the tenant's own jobs.
        idempotency_key: The same key gives the same job, however often it is submitted.
        request_sha256: Of the canonical request: the same key with another one is refused.
        delivery: Where derivatives go besides the store: ``s3://PLACE/prefix`` or ``file://PLACE/sub``.
        expected: Checksums as JSON, or the name of a manifest in the source.
        retry_of: Job whose failed files are tried again; ``retry_reason``: only those that failed for it.
    """

    tenant: str
    package: str
    source: str
    policy: PolicyRef
    toolchain: str = ""
    priority: int = 0
    idempotency_key: str | None = None
    request_sha256: str = ""
    callback_url: str | None = None
    delivery: str | None = None
    expected: str | None = None
    retry_of: str | None = None
    retry_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """The job that a submission became; ``new`` False: it was there already, by its idempotency key."""

    job_id: str
    new: bool


class Step(StrEnum):
    """What a job needs next."""

    SCAN = "scan"
    COMMIT = "commit"
    DELIVER = "deliver"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class JobStep:
    """A step that a worker has taken. ``attempts`` counts this claim of the same step."""

    job: Job
    step: Step
    attempts: int
    priority: int = 0
    callback_url: str | None = None
    delivery: str | None = None
    expected: str | None = None
    retry_of: str | None = None
    retry_reason: str | None = None
    cancel_asked: bool = False


@dataclass(frozen=True, slots=True)
class Depth:
    """One tenant's tasks that are not done. ``oldest_pending_s``: age of its oldest job with waiting tasks; 0.0: none."""

    pending: int
    queued: int
    leased: int
    oldest_pending_s: float


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a tenant by one of its keys."""

    tenant: str
    key_id: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Tenant:
    """One archive authority. ``settings`` is a JSON object as text; ``weight`` its share against the others'."""

    id: str
    name: str
    weight: int
    state: str
    settings: str
    created: str


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key: everything but its secret."""

    id: str
    tenant: str
    name: str
    scopes: frozenset[str]
    created: str
    expires: str | None
    revoked: str | None
    last_used: str | None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. ``text`` is shown once and kept nowhere."""

    id: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tenant's objects lie, come from or go to; see ``schema_service.places``."""

    id: str
    tenant: str
    name: str
    url: str
    endpoint: str | None
    is_store: bool
    is_source: bool
    is_delivery: bool
    position: int
    state: str


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """A tenant's own policy, as it was put. ``text`` is YAML."""

    tenant: str
    name: str
    version: str
    sha256: str
    text: str
    created: str


@dataclass(frozen=True, slots=True)
class Upload:
    """Files that a tenant sends before it submits them."""

    id: str
    tenant: str
    created: str
    expires: str
    state: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Callback:
    """One message to a tenant's own system. ``id`` stays the same over all attempts."""

    id: int
    tenant: str
    job_id: str
    url: str
    event: str
    body: str
    created: str
    next_at: str
    attempts: int
    delivered: str | None
    last_error: str | None
    state: str


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as its tenant sees it."""

    id: str
    tenant: str
    package: str
    object_id: str
    source: str
    policy: PolicyRef
    state: JobState
    priority: int
    created: str
    started: str
    finished: str | None
    version: int | None
    cancel_asked: bool
    callback_url: str | None
    delivery: str | None
    retry_of: str | None
    retry_reason: str | None
    error_code: str | None
    error: str | None
    idempotency_key: str | None


@dataclass(frozen=True, slots=True)
class Counts:
    """A job's files, as one moment saw them. ``by_status``: done ones by how they ended (worker.record.Status)."""

    total: int
    pending: int
    queued: int
    leased: int
    done: int
    cancelled: int
    by_status: dict[str, int]


@dataclass(frozen=True, slots=True)
class FileView:
    """One file of a job. ``record`` is the FileRecord as JSON; None: not done yet."""

    task_id: int
    path: str
    state: str
    size_bytes: int | None
    status: str | None
    reason: str | None
    attempts: int
    record: str | None


@dataclass(frozen=True, slots=True)
class PackageView:
    """A package. ``version`` 0: nothing is committed yet."""

    key: int
    object_id: str
    tenant: str
    package: str
    version: int
    last_seq: int
    last_hash: str


@dataclass(frozen=True, slots=True)
class EventView:
    """One event of a package's chain; ``body`` is the canonical JSON that ``hash`` is over."""

    seq: int
    hash: str
    body: str
    object_path: str | None
    job_id: str
    version: int | None


@dataclass(frozen=True, slots=True)
class EntryView:
    """One logical path of a package, with where its bytes lie. ``version`` None: not committed yet."""

    logical_path: str
    sha512: str
    sha256: str
    size_bytes: int
    content_path: str
    source: str | None
    puid: str | None
    mime: str | None
    version: int | None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, and where to go on. ``cursor`` None: that was all."""

    items: tuple[T, ...]
    cursor: str | None
