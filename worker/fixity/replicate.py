"""Brings an object into another place, version by version, and calls it a copy only after it was read back in full.

What is copied is what the trusted inventory names, and each file only with its digest: a bad source is not spread. The order
keeps the target acceptable to OCFL validators for as long as it can: content first, what names it last. It adds and repairs
nothing: bytes of a held copy that are not right are the audit's to name and ``repair``'s to replace.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import sqlalchemy as sa

from worker.fixity.auditor import Auditor, folder_of
from worker.fixity.copies import AT_ONCE, Copy
from worker.fixity.inventories import fetch
from worker.fixity.known import Known, Reading
from worker.fixity.manifest import Manifest
from worker.fixity.object_audit import ObjectAudit, Surroundings
from worker.fixity.place import QUARANTINE, STORE, NotThereError, Place, UnreadableError
from worker.fixity.reading import Buffers
from worker.fixity.root import ROOT
from worker.fixity.rules import Rules
from worker.fixity.sources import NoQuorumError, Sources
from worker.fixity.verdicts import Verdict
from worker.ledger.schema_fixity import copies
from worker.ledger.transactions import Transactions
from worker.store import inventory
from worker.store.contract import StoreDamagedError
from worker.store.layout import INVENTORY, OBJECT_NAMASTE, ROOT_FILES, ROOT_NAMASTE, SIDECAR, sidecar


@dataclass(frozen=True, slots=True)
class Replicated:
    """How one copy went. ``why``: why not; empty: it is held, and was read back."""

    object_id: str
    place: str
    version: int
    files: int
    size_bytes: int
    why: str = ""


class Replicator:
    """See the module. Several may run at once: a copy is in one's hand at a time. One that is kept goes on where it stopped."""

    def __init__(self, transactions: Transactions, auditor: Auditor, scratch: Path | None = None) -> None:
        self._tx, self._auditor, self._scratch = transactions, auditor, scratch
        self._after: dict[tuple[str, str], int] = {}
        self._last = ("", "")

    def behind(self, tenant: str, place: str, limit: int = 100, after: int = 0) -> list[Copy]:
        """Copies that are wanted, or hold an older version than the package has: from an index of these alone."""
        c = copies.c
        return self._auditor.copies.some(c.tenant == tenant, c.place == place, c.wants.is_not(None), c.id > after, limit=limit)

    def run(self, primary: dict[str, str], *, most: int = 0) -> Iterator[Replicated]:
        """Bring every place up to its tenant's primary.

        Args:
            primary: Name of the primary place by tenant: never written to.
            most: Stop after so many; 0: all.
        """
        done = 0
        for key in self._in_turn(primary):
            while page := self.behind(*key, after=self._after.get(key, 0)):
                for copy in page:
                    if most and done >= most:
                        return
                    self._after[key], self._last = copy.id, key
                    done += 1
                    yield self.one(copy, primary.get(copy.tenant, ""))
            self._after.pop(key, None)

    def _in_turn(self, primary: dict[str, str]) -> list[tuple[str, str]]:
        """The places, beginning behind the one that was served last: one that takes nothing must not starve the others."""
        names = sorted((tenant, place) for tenant, place in self._auditor.places if primary.get(tenant) != place)
        return [key for key in names if key > self._last] + [key for key in names if key <= self._last]

    def one(self, copy: Copy, primary: str) -> Replicated:
        """Bring one copy up to date."""
        name = self._auditor.name
        mine = self._auditor.copies.take(copy.id, name, lease_s=3600)
        if mine is None:
            return Replicated(copy.object_id, copy.place, copy.version, 0, 0, "another process has it in hand")
        try:
            return self._one(mine, primary)
        except (NoQuorumError, UnreadableError) as why:
            return self._failed(mine, getattr(why, "what", str(why)))
        except BaseException:  # Ctrl-C, too: nobody else could take it for an hour
            self._failed(mine, "was broken off")
            raise

    def _one(self, copy: Copy, primary: str) -> Replicated:
        target = self._auditor.places[copy.tenant, copy.place]
        known = self._known(copy, primary)
        version = known.head or max(known.inventories, default=0)
        if not version or version not in known.inventories:
            return self._failed(copy, "the package's inventory is not known yet: the primary copy must be read first")
        _make_root(target, lambda: not self._auditor.copies.were_read(copy.place, copy.tenant))
        places = self._sources(copy, primary)
        sources = Sources(folder_of(copy.object_id), known, places, self._scratch)
        with sources.manifest(version) as manifest:
            if why := self._make_room(copy, target, known, version):
                return self._failed(copy, why, audit=copy.state == "held")
            self._write(target, sources, manifest, version)
            reading, began = self._read(copy, known, target)
            # What stands in the way of a new copy is laid aside; what a held copy has lost is a finding, and waits for repair.
            if copy.state == "wanted" and (wrong := self._wrong(reading)):
                for path in sorted(wrong):
                    self._lay_aside(target, sources.folder, path)
                self._write(target, sources, manifest, version, again=wrong)
                reading, began = self._read(copy, known, target)
        return self._ended(copy, reading, began)

    def _make_room(self, copy: Copy, target: Place, known: Known, version: int) -> str:
        """See to the root inventory and sidecar that a new version replaces: only what we know to be old goes; why not, or ""."""
        folder, buffers = folder_of(copy.object_id), Buffers()
        digests = {one.sha512 for number, one in known.inventories.items() if number <= version}
        for path, ours in (INVENTORY, digests), (SIDECAR, {hashlib.sha512(sidecar(one)).hexdigest() for one in digests}):
            try:
                found = fetch(target, f"{folder}/{path}", buffers)
            except NotThereError:
                continue
            with found.stream:
                if found.sha512 in ours:
                    continue
                if path == INVENTORY and _version(found.stream, copy.object_id) > version:
                    return f"this place holds a newer version than {version}, which is all that the ledger knows"
            if copy.state == "held":
                return f"its {path} is not one that is known: the audit names it"
            self._lay_aside(target, folder, path)
        return ""

    def _lay_aside(self, target: Place, folder: str, path: str) -> None:
        moment = self._auditor.clock.now()
        target.set_aside(f"{folder}/{path}", f"{QUARANTINE}/{moment[:10]}/copying-{moment[11:].replace(':', '')}/{folder}/{path}")

    def _wrong(self, reading: Reading) -> set[str]:
        return {fault.path for fault in reading.faults if fault.verdict in (Verdict.MISMATCH, Verdict.MISSING) and fault.path}

    def _known(self, copy: Copy, primary: str) -> Known:
        """What is known of the object; when its newest inventory is not, the primary copy is read in full first."""
        known = self._auditor.knowledge.of(copy.object_id)
        if (known.head or 1) in known.inventories or (known.head is None and known.inventories):
            return known
        first = self._auditor.copies.get(copy.tenant, primary, copy.object_id)
        if first and (taken := self._auditor.copies.take(first.id, self._auditor.name, lease_s=3600)):
            self._auditor.audit(taken)
        return self._auditor.knowledge.of(copy.object_id)

    def _sources(self, copy: Copy, primary: str) -> list[Place]:
        mine = [
            (name, place) for (tenant, name), place in self._auditor.places.items() if tenant == copy.tenant and name != copy.place
        ]
        return [place for name, place in sorted(mine, key=lambda one: one[0] != primary)]

    def _write(self, target: Place, sources: Sources, manifest: Manifest, version: int, *, again: Collection[str] = ()) -> None:
        folder = sources.folder
        there = {one.path: one.size_bytes for one in target.listing(folder) if one.kind == "file"}
        for path in _in_order(manifest, version):
            if path in there and path not in (INVENTORY, SIDECAR, *again):
                continue  # what it is worth shows when the copy is read back
            right = sources.right(path, version, manifest)
            if right is None:
                continue
            also = (INVENTORY,) if path == f"v{version}/{INVENTORY}" else (f"v{version}/{INVENTORY}",) if path == INVENTORY else ()
            with sources.file(right, also) as good:
                target.put_file(f"{folder}/{path}", good)

    def _read(self, copy: Copy, known: Known, target: Place) -> tuple[Reading, str]:
        began = self._auditor.clock.now()
        around = Surroundings()  # the ledger was asked when the inventory was learnt
        place = target.fresh()
        try:
            return ObjectAudit(place, folder_of(copy.object_id), known, around, began).run(), began
        finally:
            place.close()

    def _ended(self, copy: Copy, reading: Reading, began: str) -> Replicated:
        if reading.verdict is not Verdict.OK:
            fault = next(iter(reading.faults), None)
            why = reading.why_not or f"it did not read back whole: {fault.detail if fault else reading.verdict}"
            return self._failed(copy, why, audit=copy.state == "held" and not reading.why_not)
        rules, wants = self._auditor.rules(copy.tenant, copy.place), copies.c.wants
        held = {"state": "held", "version": reading.head, "files": reading.files, "size_bytes": reading.size_bytes}
        held["wants"] = sa.case((wants != copy.wants, wants))  # what was announced since it was taken

        def work(db: sa.Connection) -> None:
            self._auditor.copies.checked(db, copy, self._auditor.name, Verdict.OK, began=began, rules=rules, held=held)
            self._auditor.book.record(db, copy, [], began, full=True)

        self._tx.write(work)
        return Replicated(copy.object_id, copy.place, reading.head, reading.files, reading.size_bytes)

    def _failed(self, copy: Copy, why: str, *, audit: bool = False) -> Replicated:
        values: dict[str, Any] = {"worker": None, "lease_until": None, "why": why}
        if audit and copy.last_verdict in (None, Verdict.OK.value):  # else the audit has named it: read again, it says the same
            values["turn"] = AT_ONCE
        mine = sa.update(copies).where(copies.c.id == copy.id, copies.c.worker == self._auditor.name)
        self._tx.write(lambda db: db.execute(mine.values(values)))
        return Replicated(copy.object_id, copy.place, copy.version, 0, 0, why)


def register(auditor: Auditor, tenant: str, primary: str, found: Iterator[str], rules: Rules) -> int:
    """Note every object as held by its primary place, and as wanted by the tenant's others. Returns how many copies were new."""
    names, now, new = list(found), auditor.clock.now(), 0
    for owner, place in auditor.places:
        if owner == tenant:
            state = "held" if place == primary else "wanted"
            new += auditor.copies.note(tenant, place, [(ROOT, "held")], now=now, rules=rules, kind="root")
            new += auditor.copies.note(tenant, place, ((name, state) for name in names), now=now, rules=rules)
    return new


def _in_order(manifest: Manifest, version: int) -> Iterator[str]:
    for path, _, _ in manifest.contents():
        yield path
    for number in range(1, version + 1):
        yield f"v{number}/{INVENTORY}"
        yield f"v{number}/{SIDECAR}"
    yield INVENTORY
    yield SIDECAR
    yield OBJECT_NAMASTE[0]


def _version(stream: BinaryIO, object_id: str) -> int:
    """Of what may be an inventory of this object; 0: it is none."""
    try:
        name, version = inventory.head(stream)
    except (StoreDamagedError, ValueError):
        return 0
    return version if name == object_id else 0


def _make_root(target: Place, new: Callable[[], bool]) -> None:
    """A new place gets its storage root: the namaste last, because it says that the rest is there.

    One that had its root before is never given another: a disk that is not mounted leaves an empty folder, on another disk.
    """
    try:
        target.open(f"{STORE}/{ROOT_NAMASTE[0]}").close()
    except (NotThereError, UnreadableError):
        if not new() or any(True for _ in _listed(target)):
            raise  # not mounted; or damaged or half made: the audit names and repairs it
    else:
        return
    for name, data in reversed(ROOT_FILES.items()):
        target.put_bytes(f"{STORE}/{name}", data)


def _listed(target: Place) -> Iterator[Any]:
    try:
        yield from target.listing(STORE)
    except UnreadableError:
        return
