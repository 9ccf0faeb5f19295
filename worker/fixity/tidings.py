"""Tells tenants' systems what audits found: one callback for each store with new findings, through the outbox.

Told in the very transaction that puts it into the outbox, so that a process that dies tells it later, and never twice. Ids and
counts only (promise P7): who wants more asks ``GET /v1/audit/findings``.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable

import sqlalchemy as sa

from worker.callbacks.events import AUDIT_FINDING, finding_body
from worker.ledger import engine as database
from worker.ledger.outbox import Outbox
from worker.ledger.schema_fixity import findings, told_findings
from worker.ledger.transactions import Transactions

SETTING = "audit_callback"
"""Of a tenant's settings: the address, which must lie below one of its ``callbacks``. Absent: nothing is told."""
_AT_ONCE = 1000


def tell(transactions: Transactions, outbox: Outbox, settings_of: Callable[[str], str], now: str) -> int:
    """Put what is new into the outbox; returns how many findings were seen to."""
    return transactions.write(lambda db: _tell(db, transactions, outbox, settings_of, now))


def _tell(db: sa.Connection, transactions: Transactions, outbox: Outbox, settings_of: Callable[[str], str], now: str) -> int:
    f = findings.c
    untold = ~sa.exists(sa.select(1).where(told_findings.c.finding_id == f.id))
    stmt = sa.select(f.id, f.tenant, f.place, f.verdict).where(f.tenant != "", untold).order_by(f.id).limit(_AT_ONCE)
    rows = db.execute(stmt).all()
    counts: dict[tuple[str, str], Counter[str]] = {}
    for row in rows:
        counts.setdefault((row.tenant, row.place), Counter())[row.verdict] += 1
    for (tenant, store), counted in sorted(counts.items()):
        if url := address(settings_of(tenant)):
            audit = uuid.uuid4().hex
            body = finding_body(now, tenant=tenant, audit_id=audit, store=store, counts=counted)
            outbox.add(db, tenant=tenant, job_id=audit, url=url, event=AUDIT_FINDING, body=body)
    if rows:
        told = [{"finding_id": row.id, "tenant": row.tenant, "at": now} for row in rows]
        db.execute(database.insert_or_ignore(transactions.engine, told_findings), told)
    return len(rows)


def address(settings: str) -> str | None:
    """Where a tenant wants to be told."""
    try:
        given = json.loads(settings or "{}").get(SETTING)
    except (ValueError, AttributeError):
        return None
    return given if isinstance(given, str) and given else None
