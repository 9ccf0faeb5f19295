"""From a reference in a job to the bucket it means: only what a tenant has registered is ever reached (promise P7).

A reference names a *place*, never a host or a path of a machine. Which places there are is the ledger's; what a bucket
can do is ``store.bucket``'s.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from actions.errors import PermanentError
from worker.ledger.service_facts import Place
from worker.ledger.tenants import Tenants
from worker.pipeline.source import BucketSource, FolderSource, Source
from worker.store.bucket import Bucket
from worker.store.bucket_s3 import S3Endpoint
from worker.store.open_bucket import open_bucket

UPLOADS, REPORTS = "uploads", "reports"  # below the primary store's place, beside store/ and staging/


class PlaceError(PermanentError):
    """A job or an operator names a place that the tenant does not have, or not for this."""

    code: ClassVar[str] = "place"


class Places:
    """Every tenant's places, opened when first asked for. Used by several threads."""

    def __init__(self, tenants: Tenants, endpoints: Mapping[str, S3Endpoint]) -> None:
        self._tenants, self._endpoints = tenants, endpoints
        self._buckets: dict[tuple[str, str | None], Bucket] = {}
        self._lock = threading.Lock()

    def primary(self, tenant: str) -> Place:
        """The place that a tenant's versions are committed to.

        Raises:
            PlaceError: There is none.
        """
        place = self._tenants.primary(tenant)
        if place is None:
            remedy = f"Run `bevara tenant place add {tenant} NAME URL --store`."
            raise PlaceError("has no store to preserve in", f"tenant {tenant}", remedy)
        return place

    def named(self, tenant: str, name: str) -> Place:
        """A place by its name.

        Raises:
            PlaceError: The tenant has no such place.
        """
        place = self._tenants.place(tenant, name)
        if place is None:
            raise PlaceError("is not a place of this tenant", name, f"`bevara tenant place list {tenant}` shows those it has.")
        return place

    def bucket(self, place: Place) -> Bucket:
        """What stands behind *place*.

        Raises:
            PlaceError: Its S3 endpoint is not in this process's settings.
        """
        known = (place.url, place.endpoint)
        with self._lock:
            if known not in self._buckets:
                self._buckets[known] = open_bucket(place.url, self._endpoint(place))
            return self._buckets[known]

    def _endpoint(self, place: Place) -> S3Endpoint | None:
        if place.endpoint is None:
            return None
        endpoint = self._endpoints.get(place.endpoint)
        if endpoint is None:
            remedy = f"Set BEVARA_S3_{place.endpoint.upper().replace('-', '_')}_ENDPOINT, _ACCESS_KEY and _SECRET_KEY here."
            raise PlaceError(f"its S3 endpoint {place.endpoint!r} is not in the settings", place.name, remedy)
        return endpoint

    def located(self, tenant: str, reference: str) -> tuple[Bucket, str]:
        """The bucket and prefix that a reference means: ``s3://PLACE/prefix``, ``file://PLACE/folder``, ``upload://ID``.

        Raises:
            PlaceError: It means no place of the tenant.
        """
        scheme, _, rest = reference.partition("://")
        if scheme == "upload":
            return self.bucket(self.primary(tenant)), f"{UPLOADS}/{rest}"
        name, _, prefix = rest.partition("/")
        parts = prefix.removesuffix("/").split("/") if prefix else []
        if scheme not in ("s3", "file") or any(part in ("", ".", "..") for part in parts):
            raise PlaceError(
                "is no reference to a place", reference, "Write s3://PLACE/prefix, file://PLACE/folder or upload://ID."
            )
        return self.bucket(self.named(tenant, name)), "/".join(parts)

    def source(self, tenant: str, reference: str) -> Source:
        """Where a job's files come from.

        Raises:
            PlaceError: As ``located``; or the place is no source, or the folder is not there or a link out of it.
        """
        bucket, prefix = self.located(tenant, reference)
        scheme, _, rest = reference.partition("://")
        if scheme == "upload":
            return BucketSource(bucket, prefix)
        place = self.named(tenant, rest.partition("/")[0])
        if not place.is_source:
            remedy = f"Register it with `bevara tenant place add {tenant} … --source`."
            raise PlaceError("may not be read from", place.name, remedy)
        if not place.url.startswith("file:"):
            return BucketSource(bucket, prefix)
        root = Path(unquote(urlsplit(place.url).path))
        real, inside = os.path.realpath(os.fsencode(root / prefix)), os.path.realpath(os.fsencode(root))
        if not os.path.isdir(real) or not (real == inside or real.startswith(inside + b"/")):  # noqa: PTH112 -- bytes
            raise PlaceError("is not a folder of this place", reference, "Deliver it there, and submit the job again.")
        return FolderSource(real)
