"""API keys: made once, shown once, kept as a hash.

A key reads ``bvr_<id>_<secret>``. The secret has 256 random bits, so a plain SHA-256 of it cannot be guessed back, and a slow
password hash would only slow each request. Texts of keys never reach a log: this module puts them into no error.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import uuid
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from worker.ledger.clock import later, seconds_between
from worker.ledger.schema_service import keys, tenants
from worker.ledger.service_facts import SCOPES, Key, NewKey, Principal
from worker.ledger.tenant_errors import TenantError
from worker.ledger.transactions import ALL, Transactions

_FORM = re.compile(r"bvr_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_USED_EVERY_S = 60.0  # how exactly "last used" is kept: a write for each request would be one too many
_NOBODY = "0" * 64


class Keys:
    """See the module and ``Tenants``."""

    _tx: Transactions

    def add_key(self, tenant: str, name: str, scopes: Iterable[str], expires: str | None = None) -> NewKey:
        """Make a key; its text is only in the answer.

        Args:
            scopes: Words of ``SCOPES``.
            expires: UTC as the ledger writes times; None: when it is revoked.

        Raises:
            TenantError: No such tenant, a scope that is none, or no scope at all.
        """
        wanted = frozenset(scopes)
        if not wanted or wanted - SCOPES:
            said = ", ".join(sorted(wanted - SCOPES)) or "none was given"
            raise TenantError(f"scopes are {', '.join(sorted(SCOPES))}; {said}", f"key {name!r}", "Name one or more of them.")
        return self._tx.write(lambda db: self._make(db, tenant, name, wanted, expires), tenant=tenant)

    def keys(self, tenant: str) -> list[Key]:
        """A tenant's keys, revoked ones too, oldest first."""
        stmt = sa.select(keys).where(keys.c.tenant == tenant).order_by(keys.c.created, keys.c.id)
        return [_key(row) for row in self._tx.read(lambda db: db.execute(stmt).all(), tenant=tenant)]

    def verify_key(self, text: str) -> Principal | None:
        """Who a key speaks for; None: malformed, unknown, revoked, expired, or its tenant is suspended.

        This is the one question that is asked before the tenant is known, so the wall is open for this one row.
        """
        form = _FORM.fullmatch(text)
        if form is None:
            return None
        stmt = sa.select(keys, tenants.c.state, self._tx.clock.now().label("now")).join(tenants, tenants.c.id == keys.c.tenant)
        row = self._tx.read(lambda db: db.execute(stmt.where(keys.c.id == form[1])).one_or_none(), tenant=ALL)
        same = hmac.compare_digest(_hash(form[2]), row.hash if row is not None else _NOBODY)
        if row is None or not same or row.revoked or row.state != "active" or (row.expires and row.expires <= row.now):
            return None
        if row.last_used is None or seconds_between(row.last_used, row.now) >= _USED_EVERY_S:
            used = sa.update(keys).where(keys.c.id == row.id).values(last_used=row.now)
            self._tx.write(lambda db: db.execute(used), tenant=row.tenant, durable=False)
        return Principal(row.tenant, row.id, frozenset(row.scopes.split()))

    def still_holds(self, principal: Principal) -> bool:
        """Whether a key that was verified some time ago is still one: not revoked, expired, or a suspended tenant's."""
        moment = self._tx.clock.now()
        stmt = sa.select(keys.c.id).join(tenants, tenants.c.id == keys.c.tenant)
        stmt = stmt.where(keys.c.id == principal.key_id, keys.c.tenant == principal.tenant, keys.c.revoked.is_(None))
        stmt = stmt.where(tenants.c.state == "active", keys.c.expires.is_(None) | (keys.c.expires > moment))
        return self._tx.read(lambda db: db.execute(stmt).first(), tenant=principal.tenant) is not None

    def revoke_key(self, key_id: str, tenant: str = ALL) -> bool:
        """End a key at once; False: unknown, or already revoked. With *tenant* only a key of that tenant."""
        mine = sa.update(keys).where(keys.c.id == key_id, keys.c.revoked.is_(None), *_of(tenant))
        return self._tx.write(lambda db: bool(db.execute(mine.values(revoked=self._tx.clock.now())).rowcount), tenant=tenant)

    def rotate_key(self, key_id: str, overlap_s: float, tenant: str = ALL) -> NewKey:
        """Make a key like this one, which itself expires after *overlap_s* seconds, or when it would have, if that is sooner.

        Raises:
            TenantError: There is no such key, or it is revoked.
        """

        def work(db: sa.Connection) -> NewKey:
            wanted = sa.select(keys, self._tx.clock.now().label("now")).where(
                keys.c.id == key_id, keys.c.revoked.is_(None), *_of(tenant)
            )
            old = db.execute(wanted.with_for_update()).one_or_none()
            if old is None:
                raise TenantError("is not a key that can be used", f"key {key_id}", "See the tenant's keys, and add a new one.")
            new = self._make(db, old.tenant, old.name, frozenset(old.scopes.split()), old.expires)
            ends = min(filter(None, (old.expires, later(old.now, overlap_s))))
            db.execute(sa.update(keys).where(keys.c.id == key_id).values(expires=ends))
            return new

        return self._tx.write(work, tenant=tenant)

    def _make(self, db: sa.Connection, tenant: str, name: str, scopes: frozenset[str], expires: str | None) -> NewKey:
        if db.execute(sa.select(tenants.c.id).where(tenants.c.id == tenant)).first() is None:
            raise TenantError.unknown(tenant)
        key_id, secret = uuid.uuid4().hex[:16], secrets.token_urlsafe(32)
        row: dict[str, Any] = {
            "id": key_id,
            "tenant": tenant,
            "name": name,
            "hash": _hash(secret),
            "scopes": " ".join(sorted(scopes)),
        }
        db.execute(sa.insert(keys).values(**row, created=self._tx.clock.now(), expires=expires))
        return NewKey(key_id, f"bvr_{key_id}_{secret}")


def _of(tenant: str) -> tuple[sa.ColumnElement[bool], ...]:
    return () if tenant == ALL else (keys.c.tenant == tenant,)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(row: sa.Row[Any]) -> Key:
    scopes = frozenset(row.scopes.split())
    return Key(row.id, row.tenant, row.name, scopes, row.created, row.expires, row.revoked, row.last_used)
