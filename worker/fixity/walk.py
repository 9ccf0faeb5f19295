"""Registers copies from what the places hold: after a rebuild of the ledger nothing else knows which there are.

What is found counts as held and never read, so it is due at once. Inventory digests are learnt as they are found, from that day
on; where two places hold different inventories of one version, none of them is believed. Reads inventories, and nothing else
of an object; whether the rest is right is the audit's to find out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from worker.evidence.names import is_evidence, read_evidence_id, read_package_id
from worker.fixity.copies import AT_ONCE
from worker.fixity.inventories import fetch
from worker.fixity.place import STORE, NotThereError, Place, UnreadableError
from worker.fixity.reading import Buffers
from worker.fixity.root import ROOT
from worker.ledger import engine as database
from worker.ledger.schema import packages
from worker.ledger.schema_fixity import copies, inventories
from worker.ledger.transactions import Transactions
from worker.store import inventory
from worker.store.contract import StoreDamagedError
from worker.store.layout import INVENTORY, SIDECAR, object_path, sidecar

KNOWN_BY = "rebuild"
_PAGE = 500
_TOLD = 20  # names told of one kind: more fill the screen and say no more


@dataclass(frozen=True, slots=True)
class Held:
    """One object in a place. ``sha512``: of its inventory; None: it and its sidecar do not agree, or it cannot be read."""

    object_id: str
    tenant: str
    version: int
    sha512: str | None


@dataclass(slots=True)
class Walked:
    """What came of it.

    Attributes:
        away: A place could not be listed to its end, so that its copies are not all registered.
        clashed: Objects and versions of which two places have different inventories.
    """

    copies: int = 0
    evidence: int = 0
    said: list[str] = field(default_factory=list)
    away: bool = False
    clashed: set[tuple[str, int]] = field(default_factory=set)


def walk(transactions: Transactions, places: Mapping[tuple[str, str], Place], now: str) -> Walked:
    """Register what every place holds; copies that are registered already stay as they are.

    Args:
        places: Stores by tenant and name. A place that several tenants share is listed once.
    """
    done, shared = Walked(), dict[int, tuple[Place, set[tuple[str, str]]]]()
    for key, place in sorted(places.items(), key=lambda one: one[0]):
        shared.setdefault(id(place), (place, set()))[1].add(key)
    for place, keys in shared.values():
        _Walk(transactions, place, dict(keys), now, done).run()
    return done


class _Walk:
    """One place's."""

    def __init__(self, tx: Transactions, place: Place, names: Mapping[str, str], now: str, done: Walked) -> None:
        self._tx, self._place, self._names, self._now, self._done = tx, place, names, now, done
        self._buffers, self._told = Buffers(), dict[str, int]()

    def run(self) -> None:
        page: list[Held] = []
        try:
            for held in self._found():
                page.append(held)
                if len(page) >= _PAGE:
                    self._keep(page)
                    page = []
        except UnreadableError as away:
            self._done.away = True
            self._done.said.append(
                f"{self._place.name}: could not be listed: {away.what}. Its copies are not all registered:"
                " see to the place, then run this again."
            )
        self._keep(page)
        for what, number in self._told.items():
            if number > _TOLD:
                self._done.said.append(f"{self._place.name}: {number - _TOLD} more {what}")

    def _found(self) -> Iterator[Held]:
        home = " "
        for folder in self._place.objects():
            if folder.startswith(f"{home}/"):
                continue  # content of ours that is itself a store
            held = self._read(folder)
            if held is None:
                continue
            home = folder
            if held.tenant not in self._names:
                self._tell("of tenants unknown here", f"{held.object_id} is of a tenant that has no place of this name")
                continue
            yield held

    def _read(self, folder: str) -> Held | None:
        try:
            found = fetch(self._place, f"{folder}/{INVENTORY}", self._buffers)
        except NotThereError:
            self._tell("without an inventory", f"{folder} has no inventory, and is not registered")
            return None
        with found.stream:
            try:
                name, version = inventory.head(found.stream)
            except (StoreDamagedError, ValueError):
                self._tell("whose inventory cannot be read", f"{folder}: its inventory cannot be read, and it is not registered")
                return None
        tenant = (read_evidence_id(name) or (read_package_id(name),))[0]
        if not tenant:
            return None  # another program's
        if folder != f"{STORE}/{object_path(name)}":
            self._tell("that lie where they do not belong", f"{folder} holds {name}, which does not belong there")
            return None
        sound = self._sidecar(folder) == sidecar(found.sha512)
        if not sound:
            self._tell("whose sidecar does not agree", f"{name}: its inventory and sidecar do not agree, and are not believed")
        return Held(name, tenant, version, found.sha512 if sound else None)

    def _sidecar(self, folder: str) -> bytes:
        try:
            found = fetch(self._place, f"{folder}/{SIDECAR}", self._buffers)
        except NotThereError:
            return b""
        with found.stream:
            return found.stream.read(1024)

    # Writing down

    def _keep(self, page: list[Held]) -> None:
        rows = [self._row(held.tenant, held.object_id, held.version, "object") for held in page]
        rows += [self._row(tenant, ROOT, 0, "root") for tenant in self._names]
        clashes = self._tx.write(lambda db: self._written(db, page, rows))
        self._done.copies += sum(not is_evidence(held.object_id) for held in page)
        self._done.evidence += sum(is_evidence(held.object_id) for held in page)
        for held in clashes:
            self._tell(
                "whose inventory differs",
                f"{held.object_id}: its inventory of version {held.version} is not the one that is known, or that another place"
                " has: an audit shows which is right",
            )
        self._tell_lost(page)

    def _row(self, tenant: str, name: str, version: int, kind: str) -> dict[str, Any]:
        facts = {
            "tenant": tenant,
            "place": self._names[tenant],
            "object_id": name,
            "kind": kind,
            "state": "held",
            "version": version,
        }
        return facts | {"size_bytes": 0, "files": 0, "tries": 0, "due": self._now, "turn": AT_ONCE, "why": "found by a rebuild"}

    def _written(self, db: sa.Connection, page: list[Held], rows: list[dict[str, Any]]) -> list[Held]:
        db.execute(database.insert_or_ignore(self._tx.engine, copies), rows)
        return [held for held in page if held.sha512 and not self._learnt(db, held, held.sha512)]

    def _learnt(self, db: sa.Connection, held: Held, sha512: str) -> bool:
        """Keep the digest; False: another one is known. Of two that were only found, neither is kept."""
        i, one = inventories.c, (held.object_id, held.version)
        if one in self._done.clashed:
            return False
        mine = (i.object_id == held.object_id, i.version == held.version)
        known = db.execute(sa.select(i.sha512, i.known_by).where(*mine)).one_or_none()
        if known is None:
            row = {"object_id": held.object_id, "version": held.version, "sha512": sha512, "known_by": KNOWN_BY}
            db.execute(sa.insert(inventories).values(**row, known_since=self._now))
            return True
        if known.sha512 == sha512:
            return True
        if known.known_by == KNOWN_BY:
            self._done.clashed.add(one)
            db.execute(sa.delete(inventories).where(*mine))
        return False

    def _tell_lost(self, page: list[Held]) -> None:
        """Packages that this place has and the ledger, made of the primary stores, does not."""
        names = [held.object_id for held in page if not is_evidence(held.object_id)]
        stmt = sa.select(packages.c.object_id).where(packages.c.object_id.in_(names), packages.c.version > 0)
        known = self._tx.read(lambda db: set(db.scalars(stmt))) if names else set()
        for name in names:
            if name not in known:
                self._tell("that the primary store lacks", f"{name} is here, and not in the primary store: it was lost there")

    def _tell(self, what: str, sentence: str) -> None:
        self._told[what] = self._told.get(what, 0) + 1
        if self._told[what] <= _TOLD:
            self._done.said.append(f"{self._place.name}: {sentence}")


def told(done: Walked, say: Callable[[str], None]) -> None:
    """Say what came of it, and what it means."""
    for sentence in done.said:
        say(sentence)
    say(
        f"{done.copies:,} copies of packages and {done.evidence:,} of evidence were found in the places;"
        " none counts as read, so all are due now: run `bevara audit run`"
    )
