"""One package against everything that was ever signed of it.

A history only grows, so every signed day is a mark that the chain must still pass through: the same number of events, the
same hash, the same tree; and each signed version must still have the inventory that it had.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from actions.errors import PreservationError
from worker.evidence.packages import Chain, Inventory, read_chain, read_inventory
from worker.evidence.register import Entry
from worker.fixity.findings import RESTORE, Finding
from worker.store.contract import NotInStoreError, Store

_CHANGED = "The history was changed after it was signed. Restore the package from a copy that verifies; do not repair it by hand."
_AGAIN = "Check the disk, the network and the rights, then verify again."
_CHUNK = 1 << 20


class PackageCheck:
    """Compares a package with its *entries*, the oldest first. After ``run``: ``unsigned`` versions, bytes streams ``read``."""

    def __init__(self, store: Store, entries: list[Entry], *, content: bool) -> None:
        self._store, self._entries, self._content = store, entries, content
        self._name = entries[0].leaf.object
        self.unsigned: dict[int, str] = {}
        self.read = 0

    @staticmethod
    def created(store: Store, name: str) -> dict[int, str]:
        """The day of each version, as the inventory tells it.

        Raises:
            PreservationError, OSError: It cannot be read.
        """
        return read_inventory(store.inventory(name)).created

    def run(self) -> Iterator[Finding]:
        """Every finding of this package."""
        last = self._entries[-1]
        try:
            found = read_inventory(self._store.inventory(self._name))
        except NotInStoreError:
            what = f"the package is gone; the evidence of {self._days()} knows it, with {last.leaf.seq} events"
            yield Finding("package-missing", self._name, what, "Restore the package from another copy.")
            return
        except (PreservationError, OSError, ValueError, KeyError) as broken:
            yield Finding("unreadable", self._name, f"its inventory cannot be read: {_why(broken)}", _AGAIN)
            return
        self.unsigned = {version: day for version, day in found.created.items() if version > last.leaf.version}
        if found.version < last.leaf.version:
            what = (
                f"ends at version {found.version}; the evidence of {last.day} knows version {last.leaf.version}: it was rolled back"
            )
            yield Finding("version-removed", self._name, what, _CHANGED)
        yield from self._inventories(found)
        yield from self._chain(found)
        if self._content and found.version >= last.leaf.version:
            yield from self._contents()

    def _days(self) -> str:
        first, last = self._entries[0].day, self._entries[-1].day
        return first if first == last else f"{first} to {last}"

    def _inventories(self, newest: Inventory) -> Iterator[Finding]:
        for entry in self._entries:
            leaf = entry.leaf
            if leaf.version > newest.version:
                continue  # told already: version-removed
            where = f"{self._name} v{leaf.version}/inventory.json"
            try:
                sha512 = _sha512(self._store, self._name, f"v{leaf.version}/inventory.json")
            except NotInStoreError:
                yield Finding("missing", where, f"is gone; the evidence of {entry.day} knows it", RESTORE)
                continue
            except (PreservationError, OSError) as broken:
                yield Finding("unreadable", where, f"cannot be read: {_why(broken)}", _AGAIN)
                continue
            if sha512 != leaf.inventory_sha512 or (leaf.version == newest.version and newest.sha512 != leaf.inventory_sha512):
                what = f"is not the inventory that was signed on {entry.day}: files, their digests or names were replaced"
                yield Finding("inventory-replaced", where, what, _CHANGED)

    def _chain(self, found: Inventory) -> Iterator[Finding]:
        marks = {entry.leaf.seq: (entry.leaf.hash, entry.leaf.events_root) for entry in self._entries}
        passed: dict[int, tuple[str, str]] = {}
        chain = Chain(self._name)

        def mark(seq: int, told: str, _body: str, tree: Chain = chain) -> None:
            if seq in marks and tree.tree.size == seq:
                passed[seq] = (told, tree.tree.root().hex())

        try:
            read_chain(self._store, found, mark, chain)
        except (PreservationError, OSError) as broken:
            yield Finding("unreadable", self._name, f"its events cannot be read: {_why(broken)}", _AGAIN)
            return
        for problem in chain.problems:
            yield Finding(problem.code, f"{self._name} {self._placed(problem.seq)}", problem.what, _CHANGED)
        before = 0
        for entry in self._entries:
            yield from self._mark(entry, before, chain.seq, passed.get(entry.leaf.seq))
            before = entry.leaf.seq

    def _placed(self, seq: int) -> str:
        day = next((entry.day for entry in self._entries if seq and seq <= entry.leaf.seq), None)
        return f"event {seq}, signed on {day}" if day else "events"

    def _mark(self, entry: Entry, before: int, ends: int, passed: tuple[str, str] | None) -> Iterator[Finding]:
        leaf = entry.leaf
        which = f"event {leaf.seq}" if leaf.seq == before + 1 else f"events {before + 1} to {leaf.seq}"
        if ends < leaf.seq:
            whole = ends <= before
            lost = which if whole else f"event {leaf.seq}" if leaf.seq == ends + 1 else f"events {ends + 1} to {leaf.seq}"
            newest = entry is self._entries[-1] and leaf.seq == ends + 1 and not whole
            was = "were" if " to " in lost else "was"
            what = f"the history ends with event {ends}; {lost}, signed on {entry.day}, {was} removed"
            if whole:
                what += ": everything that was told on that day"
            elif newest:
                what += ": the newest event"
            yield Finding("events-removed", f"{self._name} {lost}", what, _CHANGED)
        elif passed != (leaf.hash, leaf.events_root):
            what = f"the history up to event {leaf.seq} is not the one that was signed on {entry.day}: it was told anew"
            yield Finding("history-rewritten", f"{self._name} {which}", what, _CHANGED)

    def _contents(self) -> Iterator[Finding]:
        try:
            for item in self._store.contents(self._name):
                where = f"{self._name} {item.content_path}"
                try:
                    sha512 = _sha512(self._store, self._name, item.content_path)
                except NotInStoreError:
                    yield Finding("missing", where, "is missing", RESTORE)
                    continue
                except (PreservationError, OSError) as broken:
                    yield Finding("unreadable", where, f"cannot be read: {_why(broken)}", _AGAIN)
                    continue
                self.read += 1
                if sha512 != item.sha512:
                    yield Finding("corrupt", where, f"its bytes are not those that were signed (SHA-512 {sha512[:16]}…)", RESTORE)
        except (PreservationError, OSError) as broken:
            yield Finding("unreadable", self._name, f"its manifest cannot be read: {_why(broken)}", _AGAIN)


def _sha512(store: Store, name: str, content_path: str) -> str:
    digest = hashlib.sha512()
    with store.open_content(name, content_path) as stream:
        while piece := stream.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()


def _why(broken: Exception) -> str:
    return broken.what if isinstance(broken, PreservationError) else str(getattr(broken, "strerror", None) or broken)
