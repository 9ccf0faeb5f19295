"""Since when a place is retired, and until when it was: it owes no audits meanwhile, and a report says so."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from worker.ledger.events import now

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_WHO = "current_setting('bevara.tenant', true)"


def upgrade() -> None:
    """Add the table, and the wall. When a place was retired before this, nobody kept: it counts from now."""
    op.create_table(
        "retirements",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("place", sa.Text, primary_key=True),
        sa.Column("since", sa.String(24), primary_key=True),
        sa.Column("ended", sa.String(24)),
    )
    before = sa.text("INSERT INTO retirements (tenant, place, since) SELECT tenant, name, :now FROM places WHERE state = 'retired'")
    op.execute(before.bindparams(now=now()))
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE retirements ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE retirements FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_tenant ON retirements USING ({_WHO} = '*' OR tenant = {_WHO})")


def downgrade() -> None:
    """There is no way back: a ledger is rebuilt from the store instead."""
    raise NotImplementedError
