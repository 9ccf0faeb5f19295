"""Verifies an archive, a place of the service or a store alone, offline: the store by itself, then a ledger that lies beside it.

Needs no database (promise P8). Composes the checks of ``worker.fixity``; each object is held in memory once, its files are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from worker.archive import LEDGER, MARKER
from worker.fixity.findings import RESTORE, Finding, Severity
from worker.fixity.history import History
from worker.fixity.ledger_check import check_ledger
from worker.fixity.objects import Inventory, ObjectCheck
from worker.fixity.structure import check_bytes, check_root, find_objects
from worker.store.bucket_folder import UNFINISHED
from worker.store.draft import read_note
from worker.store.layout import ROOT_NAMASTE

__all__ = ["Finding", "Severity", "is_verifiable", "verify"]

_OTHERS = ("store", "reports", "scratch", "copies.json", "quarantine")
_KNOWN = frozenset({MARKER[0], LEDGER, f"{LEDGER}-wal", f"{LEDGER}-shm", *_OTHERS})
_PLACE = frozenset({"store", "staging", "uploads", "reports", "quarantine", UNFINISHED})


def is_verifiable(folder: Path) -> bool:
    """Whether there is something to verify: an archive, a place of the service, or a storage root."""
    return (folder / MARKER[0]).exists() or (folder / "store").exists() or (folder / ROOT_NAMASTE[0]).exists()


def verify(archive: Path) -> Iterator[Finding]:
    """Every finding about the folder *archive*; none of severity error or warning: it is whole."""
    if (archive / ROOT_NAMASTE[0]).is_file():
        root = archive
    else:
        root = archive / "store"
        yield from _around(archive)
    if not root.is_dir():
        yield Finding("missing", "store", "the archive has no store", RESTORE)
        return
    yield from check_root(root)
    held: dict[str, tuple[Inventory, History]] = {}
    strange: list[Finding] = []
    for home in find_objects(root, strange):
        check = ObjectCheck(root, home)
        yield from check.run()
        if check.inventory is not None:
            history = History(home, check.where, check.inventory, check.sizes)
            yield from history.run()
            held[check.inventory.object_id] = (check.inventory, history)
    yield from strange
    yield from _drafts(archive / "scratch" / "drafts")
    if (archive / LEDGER).is_file():
        yield from check_ledger(archive / LEDGER, held)


def _around(archive: Path) -> Iterator[Finding]:
    """What lies beside the store. A place of the service has neither marker nor ledger: its ledger is elsewhere."""
    known = _KNOWN
    if (archive / MARKER[0]).exists() or (archive / LEDGER).exists():
        yield from check_bytes(archive / MARKER[0], MARKER[1], MARKER[0])
    else:
        known = _PLACE
    for name in sorted({entry.name for entry in archive.iterdir()} - known):
        what = "lies in the archive's folder, but is not part of the archive"
        yield Finding("stranger", name, what, "Nothing, if you put it there.", Severity.WARNING)


def _drafts(folder: Path) -> Iterator[Finding]:
    for draft in sorted(folder.iterdir()) if folder.is_dir() else ():
        if note := read_note(draft):
            what = f"version {note[1]} of {note[0]} is being made: its job was interrupted, or is running now"
            yield Finding("draft", f"scratch/drafts/{draft.name}", what, "Run the job again to finish it.", Severity.INFO)
