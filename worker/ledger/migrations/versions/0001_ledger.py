"""Creates the ledger: packages, jobs, tasks, contents, entries, events.

Written out rather than taken from ``worker.ledger.schema``: a migration must do tomorrow what it does today.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create all tables."""
    _work()
    _holdings()


def _work() -> None:
    op.create_table(
        "packages",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("object_id", sa.Text, nullable=False, unique=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("package", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.Column("last_hash", sa.String(64), nullable=False),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("package_id", sa.BigInteger, sa.ForeignKey("packages.id"), nullable=False, index=True),
        sa.Column("source", sa.LargeBinary, nullable=False),
        sa.Column("policy_name", sa.Text, nullable=False),
        sa.Column("policy_version", sa.Text, nullable=False),
        sa.Column("policy_sha256", sa.String(64), nullable=False),
        sa.Column("toolchain", sa.Text, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("started", sa.String(24), nullable=False),
        sa.Column("finished", sa.String(24)),
        sa.Column("version", sa.Integer),
    )
    op.create_table(
        "tasks",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("job_id", sa.String(32), sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("package_id", sa.BigInteger, sa.ForeignKey("packages.id"), nullable=False),
        sa.Column("raw_path", sa.LargeBinary, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger),
        sa.Column("mtime_ns", sa.BigInteger),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("worker", sa.Text),
        sa.Column("lease_until", sa.String(24)),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("status", sa.String(10)),
        sa.Column("reason", sa.Text),
        sa.Column("key", sa.Text),
        sa.Column("sha512", sa.String(128)),
        sa.Column("record", sa.Text),
        sa.Column("entries", sa.Text),
        sa.Column("dropped", sa.Text),
        sa.Column("version", sa.Integer),
        sa.Index("tasks_once_per_job", "job_id", "raw_path", unique=True),
        sa.Index("tasks_to_do", "job_id", "state", "id"),
        sa.Index("tasks_in_order", "job_id", "path"),
        sa.Index("tasks_of_file", "package_id", "path", "id"),
    )


def _holdings() -> None:
    op.create_table(
        "contents",
        sa.Column("package_id", sa.BigInteger, sa.ForeignKey("packages.id"), primary_key=True),
        sa.Column("sha512", sa.String(128), primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("content_path", sa.Text, nullable=False),
        sa.Column("version", sa.Integer),
    )
    op.create_table(
        "entries",
        sa.Column("package_id", sa.BigInteger, sa.ForeignKey("packages.id"), primary_key=True),
        sa.Column("logical_path", sa.Text, primary_key=True),
        sa.Column("sha512", sa.String(128), nullable=False),
        sa.Column("source", sa.Text),
        sa.Column("puid", sa.Text),
        sa.Column("mime", sa.Text),
        sa.Column("dropped", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer),
        sa.Index("entries_by_source", "package_id", "source"),
    )
    op.create_table(
        "events",
        sa.Column("package_id", sa.BigInteger, sa.ForeignKey("packages.id"), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("prev_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("object_path", sa.Text),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("version", sa.Integer),
    )


def downgrade() -> None:
    """There is no way back: a ledger is rebuilt from the store instead."""
    raise NotImplementedError
