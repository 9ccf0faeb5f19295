"""``bevara gc``: names, and with ``--apply`` removes, what killed work left in the tenants' stores and nothing refers to."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from actions.errors import PermanentError
from worker.app import Service
from worker.cli.service import connected
from worker.ledger.events import now
from worker.ledger.facts import UNFINISHED
from worker.ledger.schema import entries, events, jobs, packages
from worker.ledger.schema_service import uploads
from worker.places import UPLOADS
from worker.service_settings import ServiceSettings
from worker.store.bucket import Blob, Bucket

HOUR_S = 3600.0


def add(parser: argparse.ArgumentParser) -> None:
    """Options of ``gc``."""
    parser.add_argument("--apply", action="store_true", help="remove what is found; without it, it is only named")
    parser.add_argument(
        "--grace", type=float, default=24.0, metavar="HOURS", help="leave alone what is younger (default: %(default)g)"
    )
    parser.add_argument("--tenant", metavar="T", help="only this tenant's store")


def run(args: argparse.Namespace) -> int:
    """Go through the stores, one tenant's after the other."""
    if args.grace < 0:
        raise PermanentError("must not be negative", f"--grace {args.grace:g}", "24 is the usual.", code="usage")
    total = 0
    with connected(ServiceSettings.load()) as service:
        for tenant in service.ledger.tenants.list():
            if args.tenant in (None, tenant.id) and service.ledger.tenants.primary(tenant.id) is not None:
                total += _tenant(service, tenant.id, grace_s=args.grace * HOUR_S, apply=args.apply)
    verb = "removed" if args.apply else "found; --apply removes them"
    print(f"{total} keys that nothing refers to: {verb}.")
    return 0


def _tenant(service: Service, tenant: str, *, grace_s: float, apply: bool) -> int:
    found = list(service.store_of(tenant).gc(grace_s, busy=_busy(service, tenant), apply=apply))
    for key in found:
        print(f"{tenant}: {key}")
    bucket = service.bucket_of(tenant)
    for upload in list(_over(service, tenant)):
        keys = [blob.key for blob in _of_upload(bucket, upload.id)]
        if keys:
            print(f"{tenant}: {UPLOADS}/{upload.id}, {len(keys)} keys of an upload whose time is over")
        if apply:
            service.ledger.tenants.close_upload(tenant, upload.id, "expired")
            bucket.delete(keys)
        found += keys
    return len(found)


def _busy(service: Service, tenant: str) -> set[str]:
    """Packages with an unfinished job, or with results that no version carries: what is staged for them is needed."""
    mine = sa.select(packages.c.object_id).where(packages.c.tenant == tenant)
    working = mine.where(sa.exists().where(jobs.c.package_id == packages.c.id, jobs.c.state.in_(UNFINISHED)))
    news = [
        mine.where(sa.exists().where(table.c.package_id == packages.c.id, table.c.version.is_(None))) for table in (entries, events)
    ]
    return {row.object_id for stmt in (working, *news) for row in service.ledger.stream(stmt)}


def _over(service: Service, tenant: str) -> Iterator[sa.Row[Any]]:
    """Uploads whose time is over and that no unfinished job reads from. A job's failed files can be retried until then."""
    for upload in service.ledger.stream(sa.select(uploads).where(uploads.c.tenant == tenant, uploads.c.expires < now())):
        source = f"upload://{upload.id}".encode()
        at_work = (
            sa.select(jobs.c.id).where(jobs.c.tenant == tenant, jobs.c.source == source, jobs.c.state.in_(UNFINISHED)).limit(1)
        )
        if not list(service.ledger.stream(at_work)):
            yield upload


def _of_upload(bucket: Bucket, upload_id: str) -> Iterator[Blob]:
    for prefix in (f"{UPLOADS}/{upload_id}/", f"{UPLOADS}/{upload_id}.parts/"):
        yield from bucket.list(prefix)
