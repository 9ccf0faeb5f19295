"""The line of copies to be read, without those that nobody can read yet; and each day's coverage, for reports of past periods."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_WHO = "current_setting('bevara.tenant', true)"


def upgrade() -> None:
    """Put another index in place, add the table, and the wall."""
    held = sa.text("state = 'held'")
    op.create_index("copies_in_line", "copies", ["tenant", "place", "turn"], postgresql_where=held, sqlite_where=held)
    op.drop_index("copies_by_turn", "copies")
    op.create_table(
        "coverage",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("place", sa.Text, primary_key=True),
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("at", sa.String(24), nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("held", "wanted", "size_bytes", "never")),
        sa.Column("oldest", sa.String(24)),
        sa.Column("interval_days", sa.Double, nullable=False),
        sa.Column("checked", sa.Text, nullable=False),
        sa.Column("due", sa.Text, nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        _wall()


def _wall() -> None:
    """FORCE, as in 0002: the owner, as whom the service connects, is held to it as well."""
    op.execute("ALTER TABLE coverage ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE coverage FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_tenant ON coverage USING ({_WHO} = '*' OR tenant = {_WHO})")


def downgrade() -> None:
    """There is no way back: a ledger is rebuilt from the store instead."""
    raise NotImplementedError
