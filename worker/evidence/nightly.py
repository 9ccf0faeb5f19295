"""A day's evidence for every tenant of the service, signed once the day is over and written to each of its stores.

What evidence is, and when it may be signed, is ``daily``'s; who runs this, and that only one does, is the auditor's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta

import sqlalchemy as sa

from actions.errors import PreservationError
from worker.evidence.daily import make
from worker.evidence.keys import KeyFolder
from worker.evidence.names import evidence_id
from worker.ledger.events import now
from worker.ledger.schema import packages
from worker.ledger.transactions import Transactions
from worker.store.contract import Store

log = logging.getLogger("bevara")
_AGAIN_S = 600.0  # after what went wrong: a store that is away, evidence that is not whole


class Nightly:
    """See the module.

    Args:
        keys: Opened anew each time: a key that was rotated is used from then on.
        stores_of: A tenant's stores, the primary first.
        stamp: Asks a time stamping authority.
    """

    def __init__(
        self,
        transactions: Transactions,
        keys: Callable[[], KeyFolder],
        stores_of: Callable[[str], Sequence[Store]],
        *,
        stamp: Callable[[bytes], bytes] | None = None,
        clock: Callable[[], str] = now,
    ) -> None:
        self._tx, self._keys, self._stores_of, self._stamp, self._clock = transactions, keys, stores_of, stamp, clock
        self._done: dict[str, str] = {}
        self._again: dict[str, float] = {}

    def sign(self, tenant: str) -> list[str]:
        """Sign yesterday, when it is not signed yet; returns the ids of objects that every store now has, new or not.

        Never raises for a tenant whose evidence cannot be made: it is said in the log, and tried again.
        """
        day = (date.fromisoformat(self._clock()[:10]) - timedelta(days=1)).isoformat()
        if self._done.get(tenant, "") >= day or time.monotonic() < self._again.get(tenant, 0.0):
            return []
        try:
            return self._sign(tenant, day)
        except (PreservationError, OSError) as broken:
            why = broken.reason if isinstance(broken, PreservationError) else type(broken).__name__
            log.warning("evidence of %s, tenant %s: not signed: %s (%s)", day, tenant, broken, why)
            self._again[tenant] = time.monotonic() + _AGAIN_S
            return []

    def newest(self) -> dict[str, str]:
        """The newest signed day of each tenant that this process has seen to."""
        return dict(self._done)

    def _sign(self, tenant: str, day: str) -> list[str]:
        keys = self._keys()
        remembered = keys.remembered(tenant)
        if remembered and remembered.day >= day:
            self._done[tenant] = remembered.day
            return [evidence_id(tenant, remembered.day)]
        made = make(self._stores_of(tenant), tenant, keys, self._heads(tenant), day=day, clock=self._clock, stamp=self._stamp)
        for line in [*made.behind, *filter(None, [made.unstamped])]:
            log.warning("evidence of %s, tenant %s: %s", day, tenant, line)
        if made.left_out:
            log.warning(
                "evidence of %s, tenant %s: %s packages left out: their history does not hold", day, tenant, len(made.left_out)
            )
        log.info("evidence of %s, tenant %s: signed, in %s stores", day, tenant, len(self._stores_of(tenant)))
        self._done[tenant] = day
        return [evidence_id(tenant, one.day) for one in made.days]

    def _heads(self, tenant: str) -> Iterator[tuple[str, int]]:
        stmt = sa.select(packages.c.object_id, packages.c.version).where(packages.c.tenant == tenant, packages.c.version > 0)
        for row in self._tx.stream(stmt):
            yield row.object_id, row.version
