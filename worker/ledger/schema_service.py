"""The ledger's tables that only the service uses: tenants, keys, places, policies, uploads, callbacks, leadership.

They are not in the store, and a rebuild leaves them alone. The migrations create them; conventions are those of ``schema``.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from worker.ledger.schema import KEY, metadata

tenants = Table(
    "tenants",
    metadata,
    Column("id", String(63), primary_key=True),
    Column("name", Text, nullable=False),
    Column("weight", Integer, nullable=False),  # share of the workers, against other tenants' weights
    Column("state", String(10), nullable=False),  # active | suspended
    Column("settings", Text, nullable=False),  # JSON object
    Column("created", String(24), nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("tenant", String(63), ForeignKey("tenants.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("hash", String(64), nullable=False),  # SHA-256 of the secret, which is kept nowhere
    Column("scopes", Text, nullable=False),  # words of worker.ledger.keys.SCOPES, with a blank between
    Column("created", String(24), nullable=False),
    Column("expires", String(24)),
    Column("revoked", String(24)),
    Column("last_used", String(24)),
)

places = Table(
    "places",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("tenant", String(63), ForeignKey("tenants.id"), nullable=False),
    Column("name", String(63), nullable=False),
    Column("url", Text, nullable=False),  # file:///absolute/folder or s3://bucket/prefix
    Column("endpoint", Text),  # name of an S3 endpoint in the settings
    Column("is_store", Boolean, nullable=False),
    Column("is_source", Boolean, nullable=False),
    Column("is_delivery", Boolean, nullable=False),
    Column("position", Integer, nullable=False),  # among the tenant's stores; 0: primary
    Column("state", String(10), nullable=False),  # active | retired
    UniqueConstraint("tenant", "name", name="places_once_per_name"),
)

policies = Table(
    "policies",
    metadata,
    Column("tenant", String(63), ForeignKey("tenants.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("sha256", String(64), primary_key=True),  # of the resolved policy
    Column("version", Text, nullable=False),
    Column("text", Text, nullable=False),  # YAML
    Column("created", String(24), nullable=False),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("tenant", String(63), ForeignKey("tenants.id"), nullable=False, index=True),
    Column("created", String(24), nullable=False),
    Column("expires", String(24), nullable=False),
    Column("state", String(10), nullable=False),  # open | submitted | expired
    Column("files", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("tenant", String(63), nullable=False),
    Column("job_id", String(32), nullable=False, index=True),
    Column("url", Text, nullable=False),
    Column("event", Text, nullable=False),  # e.g. job.finished
    Column("body", Text, nullable=False),  # exactly what is signed and sent
    Column("created", String(24), nullable=False),
    Column("next_at", String(24), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("delivered", String(24)),
    Column("last_error", Text),
    Column("state", String(10), nullable=False),  # pending | delivered | dead
    Index("outbox_due", "state", "next_at"),
)

leaders = Table(
    "leaders",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", String(24), nullable=False),
)
