"""A tenant's places: which stores hold its copies, where its packages come from, where derivatives may go."""

from __future__ import annotations

import re
import uuid
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from worker.ledger.events import now
from worker.ledger.schema import packages
from worker.ledger.schema_fixity import copies, retirements
from worker.ledger.schema_service import places, tenants
from worker.ledger.service_facts import Place
from worker.ledger.tenant_errors import TenantError
from worker.ledger.transactions import Transactions

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class Places:
    """See the module and ``Tenants``."""

    _tx: Transactions

    def add_place(
        self,
        tenant: str,
        name: str,
        url: str,
        *,
        endpoint: str | None = None,
        is_store: bool = False,
        is_source: bool = False,
        is_delivery: bool = False,
        position: int | None = None,
    ) -> Place:
        """Register a place, or use one again that was retired: its copies are due at once (``worker.fixity.retired``).

        Args:
            url: ``file:///absolute/folder`` or ``s3://bucket/prefix``.
            endpoint: Name of an S3 endpoint in the settings.
            position: Among the tenant's stores, 0 is the primary; None: after those that there are.

        Raises:
            TenantError: The name is taken or not of its form, the address is not of its or another store's, or the tenant is
                unknown. The name of a retired place is taken for every address but its own.
        """
        _check(name, url)
        roles = {"is_store": is_store, "is_source": is_source, "is_delivery": is_delivery}

        def work(db: sa.Connection) -> Place:
            # the tenant's row orders those who add places at once
            if db.execute(sa.select(tenants.c.id).where(tenants.c.id == tenant).with_for_update(key_share=True)).first() is None:
                raise TenantError.unknown(tenant)
            known = db.execute(sa.select(places).where(places.c.tenant == tenant, places.c.name == name)).one_or_none()
            if known and (known.state, known.url, known.endpoint) != ("retired", url, endpoint):
                raise TenantError("is a place of this tenant already", name, "Choose another name; a retired place keeps its own.")
            if is_store:
                _apart(db, tenant, url, endpoint)
            last = sa.select(sa.func.count()).where(places.c.tenant == tenant, places.c.is_store)
            row: dict[str, Any] = {
                "id": known.id if known else uuid.uuid4().hex,
                "tenant": tenant,
                "name": name,
                "url": url,
                "endpoint": endpoint,
                **roles,
            }
            row["position"] = position if position is not None else (db.scalar(last) if is_store else 0)
            stmt = sa.update(places).where(places.c.id == row["id"]) if known else sa.insert(places)
            db.execute(stmt.values(**row, state="active"))
            return Place(**row, state="active")

        return self._tx.write(work, tenant=tenant)

    def places(self, tenant: str, *, retired: bool = False) -> list[Place]:
        """A tenant's places: stores first, in order."""
        p = places.c
        stmt = sa.select(places).where(p.tenant == tenant, *(() if retired else (p.state == "active",)))
        stmt = stmt.order_by(p.is_store.desc(), p.position, p.name)
        return [_place(row) for row in self._tx.read(lambda db: db.execute(stmt).all(), tenant=tenant)]

    def place(self, tenant: str, name: str) -> Place | None:
        """An active place by its name."""
        stmt = sa.select(places).where(places.c.tenant == tenant, places.c.name == name, places.c.state == "active")
        row = self._tx.read(lambda db: db.execute(stmt).one_or_none(), tenant=tenant)
        return None if row is None else _place(row)

    def used(self, tenant: str) -> set[str]:
        """Names of a tenant's active places."""
        return {place.name for place in self.places(tenant)}

    def primary(self, tenant: str) -> Place | None:
        """The store that versions are committed to: the active one that comes first."""
        return next((place for place in self.places(tenant) if place.is_store), None)

    def retire_place(self, tenant: str, name: str, *, lost: bool = False) -> bool:
        """Use a place no more; what lies there stays, and owes no audits. False: there is no such active place.

        Args:
            lost: The store is gone, and with it what the next one lacks: go on all the same.

        Raises:
            TenantError: It is the first store, and the next lacks packages: as the first it would never get them.
        """
        mine = sa.update(places).where(places.c.tenant == tenant, places.c.name == name, places.c.state == "active")

        def work(db: sa.Connection) -> bool:
            if not lost:
                _next_is_whole(db, tenant, name)
            found = bool(db.execute(mine.values(state="retired")).rowcount)
            if found:
                db.execute(sa.insert(retirements).values(tenant=tenant, place=name, since=now()))
            return found

        return self._tx.write(work, tenant=tenant)


def _check(name: str, url: str) -> None:
    if not _NAME.fullmatch(name):
        raise TenantError("a place's name has small letters, digits and hyphens, at most 63", name, "Choose another name.")
    parts = urlsplit(url)
    whole = parts.scheme in ("file", "s3") and not (parts.query or parts.fragment or ".." in parts.path.split("/"))
    right = (
        parts.path.startswith("/") and not parts.netloc
        if parts.scheme == "file"
        else bool(parts.netloc) and "@" not in parts.netloc
    )
    if not (whole and right):
        raise TenantError(
            "is neither file:///absolute/folder nor s3://bucket/prefix", url, "Write the address in one of these forms."
        )


def _apart(db: sa.Connection, tenant: str, url: str, endpoint: str | None) -> None:
    """Two copies in one place are one copy, whatever the place is called."""
    p = places.c
    stores = sa.select(p.name, p.url, p.endpoint).where(p.tenant == tenant, p.is_store, p.state == "active")
    for row in db.execute(stores):
        if (row.url.rstrip("/"), row.endpoint) == (url.rstrip("/"), endpoint):
            remedy = "Two copies in one place are one: name another disk, machine or bucket."
            raise TenantError(f"is the address of the store {row.name} already", url, remedy)


def _next_is_whole(db: sa.Connection, tenant: str, name: str) -> None:
    """Whether the store that comes first without *name* has every package in its newest version."""
    p, c = places.c, copies.c
    stores = sa.select(p.name).where(p.tenant == tenant, p.is_store, p.state == "active").order_by(p.position, p.name)
    first, *others = db.scalars(stores).all() or [None]
    if first != name or not others:
        return
    mine = (c.tenant == tenant, c.place == others[0], c.object_id == packages.c.object_id, c.version >= packages.c.version)
    lacking = sa.select(sa.func.count()).where(
        packages.c.tenant == tenant, packages.c.version > 0, ~sa.exists().where(*mine, c.state == "held")
    )
    if number := db.scalar(lacking):
        raise TenantError(
            f"is the first store, and the next, {others[0]}, does not hold {number:,} packages in their newest version",
            name,
            "Let it be filled first (`bevara copies replicate`), or retire it first if another is whole. With --lost, what it"
            " lacks is lost.",
        )


def _place(row: sa.Row[Any]) -> Place:
    return Place(**row._mapping)  # noqa: SLF001 -- SQLAlchemy's public name for it
