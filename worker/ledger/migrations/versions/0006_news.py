"""News of packages, what a copy lacks, and how far the slow round is: so that a look costs what came, and not the archive."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_WHO = "current_setting('bevara.tenant', true)"
_NEWER = "SELECT p.version FROM packages p WHERE p.object_id = copies.object_id AND p.version > copies.version"


def upgrade() -> None:
    """Add the column, the tables, and the wall; say of each copy what it lacks."""
    op.create_index("packages_of_tenant", "packages", ["tenant", "id"])
    op.add_column("copies", sa.Column("wants", sa.Integer))
    op.execute("UPDATE copies SET wants = 1 WHERE state = 'wanted'")
    op.execute(f"UPDATE copies SET wants = ({_NEWER}) WHERE state = 'held' AND version > 0 AND EXISTS ({_NEWER})")  # noqa: S608 -- our own words
    wanting = sa.text("wants IS NOT NULL")
    op.create_index("copies_wanting", "copies", ["tenant", "place", "id"], postgresql_where=wanting, sqlite_where=wanting)
    op.create_table(
        "news",
        sa.Column("package_id", sa.BigInteger, sa.ForeignKey("packages.id"), primary_key=True, autoincrement=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Index("news_of_tenant", "tenant", "package_id"),
    )
    op.create_table(
        "sweeps",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("after", sa.BigInteger, nullable=False),
        sa.Column("stores", sa.Text, nullable=False),
        sa.Column("done", sa.Text),
    )
    if op.get_bind().dialect.name == "postgresql":
        _wall()


def _wall() -> None:
    """FORCE, as in 0002: the owner, as whom the service connects, is held to it as well."""
    for table in ("news", "sweeps"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_tenant ON {table} USING ({_WHO} = '*' OR tenant = {_WHO})")


def downgrade() -> None:
    """There is no way back: a ledger is rebuilt from the store instead."""
    raise NotImplementedError
