"""What the API needs of the service around it; ``worker.app.Service`` is it, tests make their own."""

from __future__ import annotations

from typing import Protocol

from worker.api.limits import Rates
from worker.api.shared_rates import SharedRates
from worker.ledger.ledger import Ledger
from worker.store.bucket import Bucket
from worker.store.contract import Store


class Surroundings(Protocol):
    """See the module. Used by many threads at once."""

    @property
    def settings(self) -> object:
        """Read for its ``limit_…`` and ``upload_days`` only; see ``worker.api.limits``."""
        ...

    @property
    def ledger(self) -> Ledger:
        """The ledger as the API sees it: on PostgreSQL without the right to see all tenants."""
        ...

    @property
    def rates(self) -> Rates | SharedRates:
        """What counts requests by key."""
        ...

    def bucket_of(self, tenant: str, place: str | None = None) -> Bucket:
        """A registered place of *tenant* by its name; None: its primary store's.

        Raises:
            PreservationError: There is no such place.
        """
        ...

    def store_of(self, tenant: str) -> Store:
        """The tenant's primary store."""
        ...

    def broker_alive(self) -> bool:
        """Whether the queue's server answers; True where there is none."""
        ...

    def check_scratch(self) -> None:
        """See that what passes through this process can be put down.

        Raises:
            TransientError: The scratch area cannot be used, or has no room.
        """
        ...
