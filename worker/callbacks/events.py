"""What a callback about an audit says; those about jobs are written where jobs end (``worker.ledger.steps``).

The form is the Standard Webhooks payload: type, timestamp, data. Ids and counts only, never a file's name (P7). A receiver
that wants more asks the API with its key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

AUDIT_FINDING = "audit.finding"


def finding_body(at: str, *, tenant: str, audit_id: str, store: str, counts: Mapping[str, int]) -> str:
    """The body of a callback about what an audit found.

    Args:
        at: When, as the ledger writes times.
        tenant: Whose copies.
        audit_id: The run that found it.
        store: The place's name.
        counts: Findings by verdict.
    """
    data = {"tenant": tenant, "audit": audit_id, "store": store, "counts": dict(sorted(counts.items()))}
    return json.dumps({"type": AUDIT_FINDING, "timestamp": at, "data": data}, separators=(",", ":"))
