"""The service's copies: every tenant's store places from the ledger, and what audits need to work on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

from actions.errors import PreservationError
from worker.fixity.bucket_place import BucketPlace
from worker.fixity.folder_place import FolderPlace
from worker.fixity.place import Place as AuditPlace
from worker.fixity.rules import Rules
from worker.ledger.ledger import Ledger
from worker.ledger.service_facts import Place
from worker.places import Places
from worker.service_settings import ServiceSettings
from worker.store.bucket_s3 import S3Endpoint
from worker.store.open_bucket import open_bucket


class ServiceCopies:
    """See the module. The same face as ``worker.archive_copies.ArchiveCopies``.

    Args:
        ledger: Already open, and closed by others; None: our own.
        wrong: Told of a tenant's settings or a place that cannot be used, which is then left out, or as if there were no
            settings; None: it is raised.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        only: str | None = None,
        *,
        ledger: Ledger | None = None,
        wrong: Callable[[PreservationError], None] | None = None,
    ) -> None:
        self.ledger, self._own = ledger or Ledger.connect(settings.ledger_url, everything=True), ledger is None
        self._endpoints, self._only, self._wrong = settings.s3, only, wrong
        self._registry = Places(self.ledger.tenants, settings.s3)
        self._rules = {one.id: self._rules_of(one.settings) for one in self.ledger.tenants.list()}
        self.primary: dict[str, str] = {}
        self.places: dict[tuple[str, str], AuditPlace] = {}
        self._stores: set[tuple[str, str]] = set()
        for tenant in self.tenants():
            for one in self.ledger.tenants.places(tenant):
                self._add(tenant, one)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for place in self.places.values():
            place.close()
        if self._own:
            self.ledger.close()

    def _rules_of(self, settings: str) -> Rules:
        try:
            return Rules.of(settings)
        except PreservationError as wrong:
            if self._wrong is None:
                raise
            self._wrong(wrong)
            return Rules()

    def rules(self, tenant: str, place: str) -> Rules:
        """A tenant's promise."""
        del place
        return self._rules.get(tenant, Rules())

    def tenants(self) -> list[str]:
        """Whose packages the service holds."""
        return [one for one in self._rules if self._only in (None, one)]

    def used(self, tenant: str) -> set[str]:
        """Names of the tenant's places as they are registered at this moment, whether they can be opened or not."""
        return self.ledger.tenants.used(tenant)

    def stores(self) -> dict[tuple[str, str], AuditPlace]:
        """Places that hold copies."""
        return {key: place for key, place in self.places.items() if key in self._stores}

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Jobs are many processes' here: the ledger says whether one works on a package, and is asked for each."""
        yield True

    def _add(self, tenant: str, one: Place) -> None:
        key = (tenant, one.name)
        if one.is_store:
            self.primary.setdefault(tenant, one.name)  # stores come in their order: what ``Tenants.primary`` says
        try:
            self.places[key] = self._opened(one)
        except PreservationError as wrong:
            if self._wrong is None:
                raise
            self._wrong(wrong)
            return
        if one.is_store:
            self._stores.add(key)

    def _opened(self, one: Place) -> AuditPlace:
        parts = urlsplit(one.url)
        if parts.scheme == "file":
            return FolderPlace(one.name, Path(unquote(parts.path)), is_store=one.is_store)
        endpoint: S3Endpoint | None = self._registry._endpoint(one)  # noqa: SLF001 -- tells the missing setting by its name
        return BucketPlace(one.name, lambda: open_bucket(one.url, endpoint), is_store=one.is_store)
