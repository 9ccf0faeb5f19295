"""The service's ledger: tenants, keys, places, policies, uploads, callbacks; jobs and tasks that wait, are queued or cancelled.

On PostgreSQL each tenant's rows are walled off by row-level security. An archive's SQLite tables are only added to: rewriting
a million tasks would take minutes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_STATUSES = ("kept", "migrated", "retained", "review", "returned", "failed")

_BY_TENANT = ("packages", "jobs", "keys", "places", "policies", "uploads", "outbox")
_BY_PACKAGE = ("tasks", "contents", "entries", "events")
_WHO = "current_setting('bevara.tenant', true)"


def upgrade() -> None:
    """Add the tables, columns and indexes, and the wall."""
    _tenants()
    _traffic()
    _jobs()
    _counts()
    _tasks()
    if op.get_bind().dialect.name == "postgresql":
        _order_by_bytes()
        _wall()


def _tenants() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", sa.String(63), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("weight", sa.Integer, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("created", sa.String(24), nullable=False),
    )
    op.create_table(
        "keys",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), nullable=False, index=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created", sa.String(24), nullable=False),
        sa.Column("expires", sa.String(24)),
        sa.Column("revoked", sa.String(24)),
        sa.Column("last_used", sa.String(24)),
    )
    op.create_table(
        "places",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), nullable=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("endpoint", sa.Text),
        sa.Column("is_store", sa.Boolean, nullable=False),
        sa.Column("is_source", sa.Boolean, nullable=False),
        sa.Column("is_delivery", sa.Boolean, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.UniqueConstraint("tenant", "name", name="places_once_per_name"),
    )
    op.create_table(
        "policies",
        sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("created", sa.String(24), nullable=False),
    )


def _traffic() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), nullable=False, index=True),
        sa.Column("created", sa.String(24), nullable=False),
        sa.Column("expires", sa.String(24), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("files", sa.Integer, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "outbox",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("job_id", sa.String(32), nullable=False, index=True),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created", sa.String(24), nullable=False),
        sa.Column("next_at", sa.String(24), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("delivered", sa.String(24)),
        sa.Column("last_error", sa.Text),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Index("outbox_due", "state", "next_at"),
    )
    op.create_table(
        "leaders",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("until", sa.String(24), nullable=False),
    )


def _jobs() -> None:
    for column in (
        sa.Column("tenant", sa.Text, nullable=False, server_default=""),
        sa.Column("created", sa.String(24), nullable=False, server_default=""),
        sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("request_sha256", sa.String(64)),
        sa.Column("callback_url", sa.Text),
        sa.Column("delivery", sa.Text),
        sa.Column("expected", sa.Text),
        sa.Column("cancel_asked", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("retry_of", sa.String(32)),
        sa.Column("retry_reason", sa.Text),
        sa.Column("worker", sa.Text),
        sa.Column("lease_until", sa.String(24)),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("error_code", sa.Text),
        sa.Column("error", sa.Text),
    ):
        op.add_column("jobs", column)
    op.execute("UPDATE jobs SET created = started, tenant = (SELECT p.tenant FROM packages p WHERE p.id = jobs.package_id)")
    op.create_index("jobs_once_per_key", "jobs", ["tenant", "idempotency_key"], unique=True)
    op.create_index("jobs_newest", "jobs", ["tenant", "created", "id"])
    unfinished = sa.text("state IN ('accepted', 'scanning', 'open', 'committing', 'delivering')")
    op.create_index("jobs_unfinished", "jobs", ["package_id", "created"], postgresql_where=unfinished, sqlite_where=unfinished)


def _counts() -> None:
    op.create_table(
        "job_counts",
        sa.Column("job_id", sa.String(32), sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("total", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in (*_STATUSES, "cancelled")),
    )
    ended = ", ".join(f"count(CASE WHEN t.status = '{status}' THEN 1 END)" for status in _STATUSES)
    op.execute(
        f"INSERT INTO job_counts (job_id, total, {', '.join(_STATUSES)}, cancelled)"  # noqa: S608 -- our own words
        f" SELECT j.id, count(t.id), {ended}, 0 FROM jobs j LEFT JOIN tasks t ON t.job_id = j.id GROUP BY j.id"
    )


def _tasks() -> None:
    op.add_column("tasks", sa.Column("not_before", sa.String(24)))
    op.add_column("tasks", sa.Column("losses", sa.Integer, nullable=False, server_default="0"))
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("tasks", "state", type_=sa.String(10))
    op.drop_index("tasks_to_do", "tasks")
    pending, in_flight = sa.text("state = 'pending'"), sa.text("state IN ('queued', 'leased')")
    ended = sa.text("status IS NOT NULL")
    op.create_index(
        "tasks_pending",
        "tasks",
        ["job_id", "not_before", "id"],
        postgresql_where=pending,
        sqlite_where=pending,
        postgresql_include=["package_id"],
    )
    op.create_index("tasks_in_flight", "tasks", ["job_id", "worker"], postgresql_where=in_flight, sqlite_where=in_flight)
    op.create_index("tasks_by_status", "tasks", ["job_id", "status", "id"], postgresql_where=ended, sqlite_where=ended)


def _order_by_bytes() -> None:
    """Paths sort alike on every server, whatever language it was set up for: cursors and exports depend on it."""
    op.execute('ALTER TABLE tasks ALTER COLUMN path TYPE text COLLATE "C"')
    op.execute('ALTER TABLE entries ALTER COLUMN logical_path TYPE text COLLATE "C"')


def _wall() -> None:
    """FORCE: the owner, as whom the service connects, is held to it as well. Only a superuser is not."""
    rules = dict.fromkeys(_BY_TENANT, f"tenant = {_WHO}")
    rules["tenants"] = f"id = {_WHO}"
    rules |= {table: _mine("packages", f"{table}.package_id") for table in _BY_PACKAGE}
    rules["job_counts"] = _mine("jobs", "job_counts.job_id")
    for table, own in rules.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_tenant ON {table} USING ({_WHO} = '*' OR {own})")


def _mine(table: str, key: str) -> str:
    return f"EXISTS (SELECT 1 FROM {table} o WHERE o.id = {key} AND o.tenant = {_WHO})"  # noqa: S608 -- our own words


def downgrade() -> None:
    """There is no way back: a ledger is rebuilt from the store instead."""
    raise NotImplementedError
