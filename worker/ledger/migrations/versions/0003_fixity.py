"""What audits keep: copies with their deadlines, findings and approvals, what was read, breakers, the clock.

On PostgreSQL each tenant's rows are walled off as the others are. What is known of an object's inventories and parts belongs
to its package's tenant.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_WHO = "current_setting('bevara.tenant', true)"
_BY_TENANT = ("copies", "findings", "approvals", "readings", "breakers", "externals")
_BY_OBJECT = ("inventories", "ranges")


def upgrade() -> None:
    """Add the tables, and the wall."""
    _copies()
    _known()
    _findings()
    _kept()
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE copies SET (fillfactor = 85)")  # room on each page for leases: they then touch no index
        _wall()


def _copies() -> None:
    op.create_table(
        "copies",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("object_id", sa.Text, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("files", sa.BigInteger, nullable=False),
        sa.Column("due", sa.String(24), nullable=False),
        sa.Column("turn", sa.String(24), nullable=False),
        sa.Column("why", sa.Text),
        sa.Column("last_checked", sa.String(24)),
        sa.Column("last_verdict", sa.String(10)),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("worker", sa.Text),
        sa.Column("lease_until", sa.String(24)),
        sa.Column("cursor", sa.Text),
        sa.UniqueConstraint("tenant", "place", "object_id", name="copies_once"),
        sa.Index("copies_by_turn", "tenant", "place", "turn"),
        sa.Index("copies_by_due", "tenant", "place", "due"),
        sa.Index("copies_of_object", "object_id"),
    )
    op.create_table(
        "externals",
        sa.Column("copy_id", sa.BigInteger, sa.ForeignKey("copies.id"), primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("sha512", sa.String(128)),
        sa.Column("size_bytes", sa.BigInteger),
    )


def _known() -> None:
    op.create_table(
        "inventories",
        sa.Column("object_id", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("sha512", sa.String(128), nullable=False),
        sa.Column("known_by", sa.String(8), nullable=False),
        sa.Column("known_since", sa.String(24), nullable=False),
        sa.Column("agreed", sa.String(24)),
    )
    op.create_table(
        "ranges",
        sa.Column("object_id", sa.Text, primary_key=True),
        sa.Column("sha512", sa.String(128), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
    )


def _findings() -> None:
    op.create_table(
        "findings",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("object_id", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("verdict", sa.String(10), nullable=False),
        sa.Column("about", sa.String(10), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("expected", sa.String(128)),
        sa.Column("found", sa.String(128)),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("times", sa.Integer, nullable=False),
        sa.Column("first_seen", sa.String(24), nullable=False),
        sa.Column("last_seen", sa.String(24), nullable=False),
        sa.Column("ended", sa.String(24)),
        sa.Column("remedy", sa.Text),
        sa.Column("owed", sa.Text),
        sa.Index("findings_by_state", "tenant", "state", "id"),
        sa.Index("findings_of_copy", "tenant", "place", "object_id", "state"),
    )
    op.create_table(
        "approvals",
        sa.Column("finding_id", sa.BigInteger, sa.ForeignKey("findings.id"), primary_key=True),
        sa.Column("who", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("at", sa.String(24), nullable=False),
    )


def _kept() -> None:
    op.create_table(
        "readings",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("place", sa.Text, primary_key=True),
        sa.Column("day", sa.String(10), primary_key=True),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("copies", "bad", "unreadable", "files", "size_bytes", "seconds")
        ),
    )
    op.create_table(
        "breakers",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("place", sa.Text, primary_key=True),
        sa.Column("since", sa.String(24), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("cleared", sa.String(24)),
        sa.Column("cleared_by", sa.Text),
    )
    op.create_table("clocks", sa.Column("name", sa.Text, primary_key=True), sa.Column("seen", sa.String(24), nullable=False))


def _wall() -> None:
    """FORCE, as in 0002: the owner, as whom the service connects, is held to it as well."""
    rules = dict.fromkeys(_BY_TENANT, f"tenant = {_WHO}")
    home = "EXISTS (SELECT 1 FROM packages p WHERE p.object_id = {table}.object_id AND p.tenant = {who})"
    rules |= {table: home.format(table=table, who=_WHO) for table in _BY_OBJECT}
    for table, own in rules.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_tenant ON {table} USING ({_WHO} = '*' OR {own})")


def downgrade() -> None:
    """There is no way back: a ledger is rebuilt from the store instead."""
    raise NotImplementedError
