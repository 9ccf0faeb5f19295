"""Tenants, their keys, places, policies and uploads: what an operator sets up, and what every request is checked against.

``Keys`` and ``Places`` are the larger parts. None of it is in the store: it is in the database's backup.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from worker.ledger import engine as database
from worker.ledger.keys import Keys
from worker.ledger.places import Places
from worker.ledger.schema import packages
from worker.ledger.schema_service import policies, tenants, uploads
from worker.ledger.service_facts import SCOPES, StoredPolicy, Tenant, Upload
from worker.ledger.tenant_errors import TenantError
from worker.ledger.transactions import ALL, Transactions

__all__ = ["SCOPES", "TenantError", "Tenants"]

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_WEIGHTS = range(1, 1001)


class Tenants(Keys, Places):
    """All of it, as ``Ledger.tenants``. Used by several threads."""

    def __init__(self, transactions: Transactions) -> None:
        self._tx = transactions

    def add(self, tenant: str, name: str, *, weight: int = 1, settings: str = "{}") -> Tenant:
        """Make a tenant.

        Args:
            weight: 1 … 1000; its share of the workers against the others'.
            settings: A JSON object.

        Raises:
            TenantError: The id is taken or not of the form ``[a-z0-9][a-z0-9-]{0,62}``, the weight or settings are not right.
        """
        if not _ID.fullmatch(tenant):
            raise TenantError("an id has small letters, digits and hyphens, at most 63", tenant, "Choose another id.")
        _check(tenant, weight, settings)

        def work(db: sa.Connection) -> Tenant:
            row = {"id": tenant, "name": name, "weight": weight, "state": "active", "settings": settings}
            into = database.insert_or_ignore(db.engine, tenants).values(**row, created=self._tx.clock.now())
            if db.execute(into.returning(tenants.c.id)).first() is None:
                raise TenantError("is a tenant already", tenant, "Choose another id.")
            return _tenant(db.execute(sa.select(tenants).where(tenants.c.id == tenant)).one())

        return self._tx.write(work, tenant=tenant)

    def list(self) -> list[Tenant]:
        """All tenants by id. An operator's question."""
        stmt = sa.select(tenants).order_by(tenants.c.id)
        return [_tenant(row) for row in self._tx.read(lambda db: db.execute(stmt).all(), tenant=ALL)]

    def get(self, tenant: str) -> Tenant | None:
        """One tenant."""
        stmt = sa.select(tenants).where(tenants.c.id == tenant)
        row = self._tx.read(lambda db: db.execute(stmt).one_or_none(), tenant=tenant)
        return None if row is None else _tenant(row)

    def holds(self, tenant: str) -> bool:
        """Whether any package of the tenant was ever committed."""
        stmt = sa.select(packages.c.id).where(packages.c.tenant == tenant, packages.c.version > 0).limit(1)
        return self._tx.read(lambda db: db.execute(stmt).first(), tenant=tenant) is not None

    def change(self, tenant: str, *, name: str | None = None, weight: int | None = None, settings: str | None = None) -> Tenant:
        """Change what is given.

        Raises:
            TenantError: There is no such tenant, or the weight or settings are not right.
        """
        _check(tenant, 1 if weight is None else weight, "{}" if settings is None else settings)
        given = {"name": name, "weight": weight, "settings": settings}
        return self._change(tenant, {column: value for column, value in given.items() if value is not None})

    def suspend(self, tenant: str, *, active: bool = False) -> Tenant:
        """Stop a tenant's keys and its files; what is being committed is committed. ``active=True``: let it all go on."""
        return self._change(tenant, {"state": "active" if active else "suspended"})

    def _change(self, tenant: str, values: dict[str, Any]) -> Tenant:
        def work(db: sa.Connection) -> Tenant:
            if values:
                db.execute(sa.update(tenants).where(tenants.c.id == tenant).values(values))
            row = db.execute(sa.select(tenants).where(tenants.c.id == tenant)).one_or_none()
            if row is None:
                raise TenantError.unknown(tenant)
            return _tenant(row)

        return self._tx.write(work, tenant=tenant)

    # Policies

    def put_policy(self, tenant: str, name: str, version: str, sha256: str, text: str) -> StoredPolicy:
        """Keep a policy's text; every text that was ever put stays, so that old decisions can be explained."""

        def work(db: sa.Connection) -> StoredPolicy:
            row = {"tenant": tenant, "name": name, "sha256": sha256, "version": version, "text": text}
            # put again, it is the newest again
            db.execute(database.insert_or_replace(db.engine, policies).values(**row, created=self._tx.clock.now()))
            same = (policies.c.tenant == tenant, policies.c.name == name, policies.c.sha256 == sha256)
            return _policy(db.execute(sa.select(policies).where(*same)).one())

        return self._tx.write(work, tenant=tenant)

    def policies(self, tenant: str) -> Sequence[StoredPolicy]:
        """The newest of each name, by name."""
        stmt = sa.select(policies).where(policies.c.tenant == tenant).order_by(policies.c.name, policies.c.created)
        rows = self._tx.read(lambda db: db.execute(stmt).all(), tenant=tenant)
        return [*{row.name: _policy(row) for row in rows}.values()]

    def policy(self, tenant: str, name: str, sha256: str | None = None) -> StoredPolicy | None:
        """The newest of that name, or exactly the one with that digest."""
        stmt = sa.select(policies).where(policies.c.tenant == tenant, policies.c.name == name)
        if sha256 is not None:
            stmt = stmt.where(policies.c.sha256 == sha256)
        newest = stmt.order_by(policies.c.created.desc()).limit(1)
        row = self._tx.read(lambda db: db.execute(newest).one_or_none(), tenant=tenant)
        return None if row is None else _policy(row)

    def policy_text(self, tenant: str, name: str, sha256: str | None = None) -> str | None:
        """The YAML of ``policy``."""
        found = self.policy(tenant, name, sha256)
        return None if found is None else found.text

    # Uploads

    def open_upload(self, tenant: str, expires_s: float) -> Upload:
        """Begin an upload that is let go of after *expires_s* seconds unless it was submitted."""
        upload_id = uuid.uuid4().hex

        def work(db: sa.Connection) -> Upload:
            moments = {"created": self._tx.clock.now(), "expires": self._tx.clock.after(expires_s)}
            db.execute(sa.insert(uploads).values(id=upload_id, tenant=tenant, state="open", files=0, bytes=0, **moments))
            return _upload(db.execute(sa.select(uploads).where(uploads.c.id == upload_id)).one())

        return self._tx.write(work, tenant=tenant)

    def upload(self, tenant: str, upload_id: str) -> Upload | None:
        """One upload."""
        stmt = sa.select(uploads).where(uploads.c.tenant == tenant, uploads.c.id == upload_id)
        row = self._tx.read(lambda db: db.execute(stmt).one_or_none(), tenant=tenant)
        return None if row is None else _upload(row)

    def grow_upload(self, tenant: str, upload_id: str, *, files: int, size_bytes: int) -> bool:
        """Count what came (or, negative, left); False: the upload is not open."""
        more = {"files": uploads.c.files + files, "bytes": uploads.c.bytes + size_bytes}
        return self._change_upload(tenant, upload_id, more)

    def close_upload(self, tenant: str, upload_id: str, state: str) -> bool:
        """Mark an open upload as ``submitted`` or ``expired``; False: it was not open."""
        return self._change_upload(tenant, upload_id, {"state": state})

    def stale_uploads(self, limit: int = 100) -> Sequence[Upload]:
        """Open uploads whose time is over, all tenants'."""
        stmt = sa.select(uploads).where(uploads.c.state == "open", uploads.c.expires < self._tx.clock.now())
        rows = self._tx.read(lambda db: db.execute(stmt.order_by(uploads.c.expires).limit(limit)).all(), tenant=ALL)
        return [_upload(row) for row in rows]

    def _change_upload(self, tenant: str, upload_id: str, values: dict[str, Any]) -> bool:
        mine = sa.update(uploads).where(uploads.c.tenant == tenant, uploads.c.id == upload_id, uploads.c.state == "open")
        return self._tx.write(lambda db: bool(db.execute(mine.values(values)).rowcount), tenant=tenant)


def _check(tenant: str, weight: int, settings: str) -> None:
    try:
        right = isinstance(json.loads(settings), dict)
    except ValueError:
        right = False
    if not right:
        raise TenantError("its settings are not a JSON object", tenant, "Write them as {…}.")
    if weight not in _WEIGHTS:
        raise TenantError(f"weight {weight} is not between 1 and 1000", tenant, "1 is the usual weight.")


def _tenant(row: sa.Row[Any]) -> Tenant:
    return Tenant(**row._mapping)  # noqa: SLF001 -- SQLAlchemy's public name for it


def _policy(row: sa.Row[Any]) -> StoredPolicy:
    return StoredPolicy(**row._mapping)  # noqa: SLF001 -- as above


def _upload(row: sa.Row[Any]) -> Upload:
    return Upload(**row._mapping)  # noqa: SLF001 -- as above
