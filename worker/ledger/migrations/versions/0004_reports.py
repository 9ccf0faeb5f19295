"""What reports and callbacks of audits keep: samples with what they prove, and which findings a tenant's system was told of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_WHO = "current_setting('bevara.tenant', true)"


def upgrade() -> None:
    """Add the tables, and the wall."""
    op.create_table(
        "samples",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("at", sa.String(24), nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("population", "read", "bad", "unreadable")),
        sa.Index("samples_by_time", "tenant", "at"),
    )
    op.create_table(
        "told_findings",
        sa.Column("finding_id", sa.BigInteger, sa.ForeignKey("findings.id"), primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("at", sa.String(24), nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        _wall()


def _wall() -> None:
    """FORCE, as in 0002: the owner, as whom the service connects, is held to it as well."""
    for table in ("samples", "told_findings"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_tenant ON {table} USING ({_WHO} = '*' OR tenant = {_WHO})")


def downgrade() -> None:
    """There is no way back: a ledger is rebuilt from the store instead."""
    raise NotImplementedError
