"""The ledger's tables, as SQLAlchemy Core sees them; the migrations create them.

Times are UTC ISO 8601 text with milliseconds, which sorts as it reads. Digests are lower-case hexadecimal.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
    text,
)

metadata = MetaData()

KEY = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only for INTEGER PRIMARY KEY
_PATH = Text().with_variant(Text(collation="C"), "postgresql")  # sorts by its bytes on both, whatever the server's language
_PENDING, _IN_FLIGHT = text("state = 'pending'"), text("state IN ('queued', 'leased')")
_ENDED = text("status IS NOT NULL")
_UNFINISHED = text("state IN ('accepted', 'scanning', 'open', 'committing', 'delivering')")

packages = Table(
    "packages",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("object_id", Text, nullable=False, unique=True),
    Column("tenant", Text, nullable=False),
    Column("package", Text, nullable=False),
    Column("version", Integer, nullable=False),  # newest committed OCFL version; 0: none yet
    Column("last_seq", BigInteger, nullable=False),  # newest event of the chain
    Column("last_hash", String(64), nullable=False),
    Index("packages_of_tenant", "tenant", "id"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("package_id", BigInteger, ForeignKey("packages.id"), nullable=False, index=True),
    Column("source", LargeBinary, nullable=False),
    Column("policy_name", Text, nullable=False),
    Column("policy_version", Text, nullable=False),
    Column("policy_sha256", String(64), nullable=False),
    Column("toolchain", Text, nullable=False),
    Column("state", String(10), nullable=False),  # worker.ledger.facts.JobState
    Column("started", String(24), nullable=False),
    Column("finished", String(24)),
    Column("version", Integer),  # the OCFL version that it ended in
    # The service's, since migration 0002
    Column("tenant", Text, nullable=False, server_default=""),
    Column("created", String(24), nullable=False, server_default=""),
    Column("priority", Integer, nullable=False, server_default="0"),  # -10 … 10; higher goes first inside its tenant
    Column("idempotency_key", Text),
    Column("request_sha256", String(64)),
    Column("callback_url", Text),
    Column("delivery", Text),
    Column("expected", Text),
    Column("cancel_asked", Boolean, nullable=False, server_default=false()),
    Column("retry_of", String(32)),
    Column("retry_reason", Text),
    Column("worker", Text),  # who carries out a step of it now; NULL with a lease: sent, nobody has taken it
    Column("lease_until", String(24)),
    Column("attempts", Integer, nullable=False, server_default="0"),  # claims of the step that it stands at
    Column("error_code", Text),
    Column("error", Text),
    Index("jobs_once_per_key", "tenant", "idempotency_key", unique=True),
    Index("jobs_newest", "tenant", "created", "id"),
    Index("jobs_unfinished", "package_id", "created", postgresql_where=_UNFINISHED, sqlite_where=_UNFINISHED),
)

job_counts = Table(
    "job_counts",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id"), primary_key=True),
    Column("total", BigInteger, nullable=False),  # tasks made; those that are neither below nor in flight wait
    *(
        Column(name, BigInteger, nullable=False)
        for name in ("kept", "migrated", "retained", "review", "returned", "failed", "cancelled")
    ),
)
"""What a million tasks come to, kept as they end: a status page must not count them."""

tasks = Table(
    "tasks",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("job_id", String(32), ForeignKey("jobs.id"), nullable=False),
    Column("package_id", BigInteger, ForeignKey("packages.id"), nullable=False),
    Column("raw_path", LargeBinary, nullable=False),
    Column("path", _PATH, nullable=False),
    Column("size_bytes", BigInteger),
    Column("mtime_ns", BigInteger),
    Column("kind", String(16), nullable=False),
    # worker.ledger.facts.TaskState; SQLite does not look at lengths, and widening would rewrite an archive's whole table there
    Column("state", String(10).with_variant(String(8), "sqlite"), nullable=False),
    Column("worker", Text),
    Column("lease_until", String(24)),
    Column("attempts", Integer, nullable=False),
    Column("status", String(10)),
    Column("reason", Text),
    Column("key", Text),  # idempotency: says which decision was carried out with which tools
    Column("sha512", String(128)),
    Column("record", Text),  # worker.record.FileRecord as JSON
    Column("entries", Text),  # what the task put into the package's state, as JSON
    Column("dropped", Text),  # logical paths that its result superseded, as JSON
    Column("version", Integer),  # OCFL version that carries the record; NULL: not committed, or unchanged
    # The service's, since migration 0002
    Column("not_before", String(24)),  # a store was away: not to be tried again before
    Column("losses", Integer, nullable=False, server_default="0"),  # leases that ran out because its worker died
    Index("tasks_once_per_job", "job_id", "raw_path", unique=True),
    # Admission reads only this, from its low end: package_id is what row-level security asks for.
    Index(
        "tasks_pending",
        "job_id",
        "not_before",
        "id",
        postgresql_where=_PENDING,
        sqlite_where=_PENDING,
        postgresql_include=["package_id"],
    ),
    Index("tasks_in_flight", "job_id", "worker", postgresql_where=_IN_FLIGHT, sqlite_where=_IN_FLIGHT),
    Index("tasks_by_status", "job_id", "status", "id", postgresql_where=_ENDED, sqlite_where=_ENDED),
    Index("tasks_in_order", "job_id", "path"),
    Index("tasks_of_file", "package_id", "path", "id"),
)

contents = Table(
    "contents",
    metadata,
    Column("package_id", BigInteger, ForeignKey("packages.id"), primary_key=True),
    Column("sha512", String(128), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("content_path", Text, nullable=False),
    Column("version", Integer),  # NULL: still in the draft
)

entries = Table(
    "entries",
    metadata,
    Column("package_id", BigInteger, ForeignKey("packages.id"), primary_key=True),
    Column("logical_path", _PATH, primary_key=True),
    Column("sha512", String(128), nullable=False),
    Column("source", Text),  # logical path that this was derived from
    Column("puid", Text),
    Column("mime", Text),
    Column("dropped", Boolean, nullable=False),  # superseded: leaves the state with the next version, and then this table
    Column("version", Integer),  # NULL: not committed yet
    Index("entries_by_source", "package_id", "source"),
)

events = Table(
    "events",
    metadata,
    Column("package_id", BigInteger, ForeignKey("packages.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("body", Text, nullable=False),  # canonical JSON; the hash is over exactly these bytes
    Column("object_path", Text),
    Column("job_id", String(32), nullable=False),
    Column("version", Integer),  # NULL: not committed yet
)
