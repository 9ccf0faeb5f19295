"""The ledger's tables, as SQLAlchemy Core sees them; the migrations create them.

Times are UTC ISO 8601 text with milliseconds, which sorts as it reads. Digests are lower-case hexadecimal.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Text

metadata = MetaData()

_KEY = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only for INTEGER PRIMARY KEY

packages = Table(
    "packages",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("object_id", Text, nullable=False, unique=True),
    Column("tenant", Text, nullable=False),
    Column("package", Text, nullable=False),
    Column("version", Integer, nullable=False),  # newest committed OCFL version; 0: none yet
    Column("last_seq", BigInteger, nullable=False),  # newest event of the chain
    Column("last_hash", String(64), nullable=False),
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
    Column("state", String(10), nullable=False),  # open | finished | superseded
    Column("started", String(24), nullable=False),
    Column("finished", String(24)),
    Column("version", Integer),  # the OCFL version that it ended in
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("job_id", String(32), ForeignKey("jobs.id"), nullable=False),
    Column("package_id", BigInteger, ForeignKey("packages.id"), nullable=False),
    Column("raw_path", LargeBinary, nullable=False),
    Column("path", Text, nullable=False),
    Column("size_bytes", BigInteger),
    Column("mtime_ns", BigInteger),
    Column("kind", String(16), nullable=False),
    Column("state", String(8), nullable=False),  # pending | leased | done
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
    Index("tasks_once_per_job", "job_id", "raw_path", unique=True),
    Index("tasks_to_do", "job_id", "state", "id"),
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
    Column("logical_path", Text, primary_key=True),
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
