"""Registers evidence that was signed as copies of its stores, so that it is read by a deadline like everything else.

A store that did not take an object is noted as wanting it: replication brings it. The service's auditor does this by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import sqlalchemy as sa

from actions.errors import PreservationError
from worker.fixity.copies import Copies
from worker.fixity.rules import Rules
from worker.ledger.schema_fixity import copies
from worker.ledger.transactions import Transactions
from worker.store.contract import Store


def note_evidence(
    transactions: Transactions, tenant: str, stores: Mapping[str, Store], names: Sequence[str], *, now: str, rules: Rules
) -> int:
    """Note *names* in every store of the tenant; returns how many copies were new.

    Args:
        stores: By the name of their place. One that is away is passed over: the next run notes what it holds.
        names: Ids of evidence objects; those that are registered already are not asked for again.
    """
    c, new = copies.c, 0
    for place, store in stores.items():
        mine = sa.select(c.object_id).where(c.tenant == tenant, c.place == place, c.kind == "object")
        known = transactions.read(lambda db, mine=mine: set(db.scalars(mine)))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        with suppress(PreservationError, OSError):
            found = [(name, "held" if store.head(name) else "wanted") for name in names if name not in known]
            new += Copies(transactions).note(tenant, place, found, now=now, rules=rules)
    return new
