"""The tables of audits: copies and their deadlines, findings, approvals, what was read, breakers, the clock.

Kept apart from ``worker.ledger.schema`` because nothing of the main job needs them. Times are UTC text as there.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint, text

from worker.ledger.schema import KEY, metadata

HELD = text("state = 'held'")
"""As the index of the line has it: a parameter in its place would keep a database from using that index."""
_WANTING = text("wants IS NOT NULL")

copies = Table(
    "copies",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("place", Text, nullable=False),  # name of the store place; of an external object: the place that it is kept in
    Column("object_id", Text, nullable=False),
    Column("kind", String(8), nullable=False),  # object | external
    Column("state", String(8), nullable=False),  # wanted: not there yet | held | retired
    Column("version", Integer, nullable=False),  # OCFL version that this copy holds; 0: none
    Column("size_bytes", BigInteger, nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("due", String(24), nullable=False),  # the promise: overdue after it
    Column("turn", String(24), nullable=False),  # when it is taken: before the promise, later after a failed try, at once on demand
    Column("why", Text),  # what moved the turn; NULL: the interval
    Column("last_checked", String(24)),  # when the last full reading began: no byte of it was read earlier
    Column("last_verdict", String(10)),
    Column("tries", Integer, nullable=False),  # readings in a row that could not be finished
    Column("worker", Text),
    Column("lease_until", String(24)),
    Column("cursor", Text),  # worker.fixity.cursor.Cursor as JSON: where an audit that stopped goes on
    # Since migration 0006: the version that another store is to bring it; NULL: it lacks none that anybody told of
    Column("wants", Integer),
    UniqueConstraint("tenant", "place", "object_id", name="copies_once"),
    Index("copies_in_line", "tenant", "place", "turn", postgresql_where=HELD, sqlite_where=HELD),
    Index("copies_by_due", "tenant", "place", "due"),
    Index("copies_wanting", "tenant", "place", "id", postgresql_where=_WANTING, sqlite_where=_WANTING),
    Index("copies_of_object", "object_id"),
)

inventories = Table(
    "inventories",
    metadata,
    Column("object_id", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("sha512", String(128), nullable=False),
    Column("known_by", String(8), nullable=False),  # commit | reading
    Column("known_since", String(24), nullable=False),
    Column("agreed", String(24)),  # when PREMIS, records and older inventories were last compared with it; NULL: not yet
)
"""The inventory digests that we know by ourselves: who replaces inventory and sidecar together meets them."""

ranges = Table(
    "ranges",
    metadata,
    Column("object_id", Text, primary_key=True),
    Column("sha512", String(128), primary_key=True),  # of the whole content
    Column("number", Integer, primary_key=True),  # from 0, each worker.fixity.cursor.RANGE_BYTES long
    Column("sha256", String(64), nullable=False),
)
"""Digests of parts of large content, taken while the whole matched: so that an audit can go on in the middle of it."""

findings = Table(
    "findings",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("object_id", Text, nullable=False),
    Column("path", Text, nullable=False),  # below the object; "": the object, the ledger or the place as a whole
    Column("verdict", String(10), nullable=False),
    Column("about", String(10), nullable=False),  # worker.fixity.verdicts.Fault.about
    Column("detail", Text, nullable=False),
    Column("expected", String(128)),
    Column("found", String(128)),
    Column("state", String(10), nullable=False),  # open | repaired | vanished: a later reading did not find it any more
    Column("times", Integer, nullable=False),  # how often it was seen
    Column("first_seen", String(24), nullable=False),
    Column("last_seen", String(24), nullable=False),
    Column("ended", String(24)),
    Column("remedy", Text),  # what was done about it, or why nothing could be
    Column("owed", Text),  # events about it that the package's chain does not have yet, as JSON; NULL: none
    Index("findings_by_state", "tenant", "state", "id"),
    Index("findings_of_copy", "tenant", "place", "object_id", "state"),
)

approvals = Table(
    "approvals",
    metadata,
    Column("finding_id", BigInteger, ForeignKey("findings.id"), primary_key=True),
    Column("who", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("at", String(24), nullable=False),
)

readings = Table(
    "readings",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("place", Text, primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("copies", BigInteger, nullable=False),
    Column("bad", BigInteger, nullable=False),  # copies with a believed finding
    Column("unreadable", BigInteger, nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("seconds", BigInteger, nullable=False),
)
"""What was read, by day: for the breaker, for budgets and for reports."""

breakers = Table(
    "breakers",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("place", Text, primary_key=True),
    Column("since", String(24), nullable=False),
    Column("why", Text, nullable=False),
    Column("cleared", String(24)),
    Column("cleared_by", Text),
)

clocks = Table("clocks", metadata, Column("name", Text, primary_key=True), Column("seen", String(24), nullable=False))
"""The latest time that was ever seen: a clock that went back shows."""

externals = Table(
    "externals",
    metadata,
    Column("copy_id", BigInteger, ForeignKey("copies.id"), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("key", Text, nullable=False),  # below its place
    Column("sha256", String(64)),
    Column("sha512", String(128)),
    Column("size_bytes", BigInteger),
)
"""Objects that others keep: read and never written to."""

coverage = Table(
    "coverage",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("place", Text, primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("at", String(24), nullable=False),  # when on that day it was taken last
    Column("held", BigInteger, nullable=False),
    Column("wanted", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("never", BigInteger, nullable=False),
    Column("oldest", String(24)),
    Column("interval_days", Double, nullable=False),  # the promise of that day
    Column("checked", Text, nullable=False),  # JSON: copies by the day of their last full reading; "": never read
    Column("due", Text, nullable=False),  # JSON: copies by the day of their deadline
)
"""How a place stood at the end of a day: copies tell of their last reading only, and a report may be of a past period."""

samples = Table(
    "samples",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("at", String(24), nullable=False),
    Column("population", BigInteger, nullable=False),  # copies that there were to choose from
    Column("read", BigInteger, nullable=False),  # of those that were chosen
    Column("bad", BigInteger, nullable=False),
    Column("unreadable", BigInteger, nullable=False),
    Index("samples_by_time", "tenant", "at"),
)
"""Copies that were chosen at random and read: what they prove of the rest stands in reports."""

told_findings = Table(
    "told_findings",
    metadata,
    Column("finding_id", BigInteger, ForeignKey("findings.id"), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("at", String(24), nullable=False),
)
"""Findings that stand in the outbox, or that the tenant wants no callback of."""

news = Table(
    "news",
    metadata,
    Column("package_id", BigInteger, ForeignKey("packages.id"), primary_key=True, autoincrement=False),
    Column("tenant", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Index("news_of_tenant", "tenant", "package_id"),
)
"""Packages with a version that the auditor has not seen to yet."""

sweeps = Table(
    "sweeps",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("after", BigInteger, nullable=False),  # packages.id: where the round goes on
    Column("stores", Text, nullable=False),  # JSON: those that this round goes over, the primary first
    Column("done", Text),  # JSON: those that a whole round has gone over; NULL: none has
)
"""How far the slow round over all packages is, which finds what nobody told of."""

retirements = Table(
    "retirements",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("place", Text, primary_key=True),
    Column("since", String(24), primary_key=True),
    Column("ended", String(24)),  # it is used again, and its copies are in the line again; NULL: it is retired
)
"""Places that owe nothing."""

TENANT_TABLES = (
    *("copies", "findings", "approvals", "readings", "breakers", "externals", "coverage", "samples", "told_findings"),
    *("news", "sweeps", "retirements"),
)
OBJECT_TABLES = ("inventories", "ranges")
