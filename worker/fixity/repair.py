"""Puts bad files of a copy right, from a copy that is proven good; the bad bytes go to quarantine, never away.

Refuses rather than guesses: no quorum, a tripped breaker, a missing approval, or a package that a job works on, and nothing is
touched. What to repair is in the book of findings; whether it was repaired is measured by reading it back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import sqlalchemy as sa

from worker.fixity.auditor import Auditor, folder_of
from worker.fixity.book import Entry
from worker.fixity.breaker import Breaker
from worker.fixity.copies import AT_ONCE, Copy
from worker.fixity.known import Known
from worker.fixity.manifest import Manifest
from worker.fixity.object_audit import judged
from worker.fixity.place import QUARANTINE, STORE, NotThereError, Place, UnreadableError
from worker.fixity.reading import Reader, Wanted
from worker.fixity.root import right_root_file
from worker.fixity.sources import NoQuorumError, Right, Sources
from worker.fixity.verdicts import BAD, Verdict
from worker.ledger.schema import contents
from worker.ledger.schema_fixity import copies, findings
from worker.ledger.transactions import Transactions
from worker.store.layout import INVENTORY, SIDECAR

_NOTE = "finding.json"  # what is known of bytes that were set aside, beside them
_ORDER = {INVENTORY: 2, SIDECAR: 3}  # what an object says of itself comes after what it says it of


class Outcome(StrEnum):
    """How a finding's repair ended."""

    REPAIRED = "repaired"
    WOULD = "would be repaired"
    WAITS = "waits for approval"
    STOPPED = "stopped by the breaker"
    NO_QUORUM = "no quorum"
    BUSY = "the package is being written to"
    UNREADABLE = "could not be written or read back"
    NOT_BYTES = "is not a matter of bytes"


@dataclass(frozen=True, slots=True)
class Repaired:
    """What became of one finding."""

    finding: int
    place: str
    object_id: str
    path: str
    outcome: Outcome
    detail: str


class Repairer:
    """See the module.

    Args:
        guard: Keeps others from committing to a place while it is written to; yields whether that could be had.
    """

    def __init__(
        self,
        transactions: Transactions,
        auditor: Auditor,
        *,
        scratch: Path | None = None,
        guard: Callable[[], AbstractContextManager[bool]] = lambda: nullcontext(True),
    ) -> None:
        self._tx, self._auditor, self._scratch, self._guard = transactions, auditor, scratch, guard
        self.breaker = Breaker(transactions)

    def run(self, *, dry: bool = False, only: int | None = None, wait: Callable[[Entry], bool] = lambda _: False) -> list[Repaired]:
        """Repair what is open, may be repaired, and belongs to places at hand; a copy at a time.

        Args:
            wait: Whether a finding is to be left alone this time.
        """
        f = findings.c
        bad = [verdict.value for verdict in BAD]
        where = [f.state == "open", f.verdict.in_(bad), f.object_id != ""]
        if only is not None:
            where.append(f.id == only)
        done, after = list[Repaired](), 0
        while page := self._auditor.book.some(*where, limit=1000, after=after):
            after = page[-1].id
            done += self._page(page, wait, dry=dry)
        self._auditor.book.tell()
        return done

    def _page(self, page: list[Entry], wait: Callable[[Entry], bool], *, dry: bool) -> list[Repaired]:
        by_copy: dict[tuple[str, str, str], list[Entry]] = {}
        for entry in (one for one in page if not wait(one)):
            by_copy.setdefault((entry.tenant, entry.place, entry.object_id), []).append(entry)
        done = []
        for (tenant, place, object_id), entries in by_copy.items():
            copy = self._auditor.copies.get(tenant, place, object_id)
            if copy is None or (tenant, place) not in self._auditor.places:
                continue
            done += self._copy(copy, entries, dry=dry)
        return done

    def _copy(self, copy: Copy, entries: list[Entry], *, dry: bool) -> list[Repaired]:
        now, rules = self._auditor.clock.now(), self._auditor.rules(copy.tenant, copy.place)
        if tripped := self.breaker.check(copy.tenant, copy.place, rules, now, dry=dry):
            return [self._refused(entry, Outcome.STOPPED, tripped.why, note=not dry) for entry in entries]
        if copy.kind == "external":
            return [self._refused(entry, Outcome.NOT_BYTES, "it is kept by others: tell them", note=not dry) for entry in entries]
        allowed, done = list[Entry](), list[Repaired]()
        for entry in entries:
            missing = rules.repair.approvals - len(self._auditor.book.approvals(entry.id))
            if entry.about != "bytes":
                why = (
                    "the ledger or the PREMIS document differs, the bytes are right: run `bevara ledger rebuild`, and find out why"
                )
                done.append(self._refused(entry, Outcome.NOT_BYTES, why, note=not dry))
            elif missing > 0 and not dry:
                done.append(self._refused(entry, Outcome.WAITS, f"{missing} more must agree: `bevara audit approve`"))
            else:
                allowed.append(entry)
        if allowed:
            done += self._allowed(copy, sorted(allowed, key=lambda entry: _ORDER.get(entry.path, 1)), dry=dry)
        return done

    def _allowed(self, copy: Copy, entries: list[Entry], *, dry: bool) -> list[Repaired]:
        if not dry and self._auditor.copies.take(copy.id, self._auditor.name, lease_s=600) is None:
            return [self._refused(entry, Outcome.BUSY, "another auditor has it in hand", note=False) for entry in entries]
        done, touched = list[Repaired](), True
        try:
            with self._guard() as free:
                known = self._auditor.knowledge.of(copy.object_id, copy.version)
                if known.busy or not free:
                    done = [self._refused(entry, Outcome.BUSY, "a job works on this package", note=False) for entry in entries]
                else:
                    done = self._from_sources(copy, known, entries, dry=dry)
            touched = any(one.outcome in (Outcome.REPAIRED, Outcome.UNREADABLE) for one in done)
        finally:
            if not dry:
                self._let_go(copy, again=touched)
        return done

    def _from_sources(self, copy: Copy, known: Known, entries: list[Entry], *, dry: bool) -> list[Repaired]:
        mine = self._auditor.places[copy.tenant, copy.place]
        others = [place for (tenant, name), place in self._auditor.places.items() if tenant == copy.tenant and name != copy.place]
        sources = Sources(folder_of(copy.object_id), known, [*others, mine], self._scratch)
        version = copy.version or max(known.inventories, default=0)
        done = list[Repaired]()
        if copy.kind == "root":
            with Manifest() as empty:
                return [self._one(copy, known, entry, _Work(mine, sources, empty, 0), dry=dry) for entry in entries]
        try:
            with sources.manifest(version) as manifest:
                for entry in entries:
                    done.append(self._one(copy, known, entry, _Work(mine, sources, manifest, version), dry=dry))
        except NoQuorumError as why:
            done += [self._refused(entry, Outcome.NO_QUORUM, str(why), note=not dry) for entry in entries[len(done) :]]
        return done

    def _one(self, copy: Copy, known: Known, entry: Entry, work: _Work, *, dry: bool) -> Repaired:
        path = f"{STORE if copy.kind == 'root' else folder_of(copy.object_id)}/{entry.path}"
        # Of the finding and not of the moment: a repair that was killed is taken up where it was.
        aside = f"{QUARANTINE}/{entry.first_seen[:10]}/{entry.id}/{copy.object_id.replace('/', '_')}/{entry.path}"
        try:
            if not entry.path:
                return self._refused(
                    entry, Outcome.NO_QUORUM, "the object as a whole: repair what is named beside it first", note=not dry
                )
            right = self._right(copy, entry, work)
            if right is not None:
                self._ledger_agrees(known, right)
                with work.sources.file(right, _twins(entry.path, work.version)) as good:
                    if not dry:
                        self._replace(work.place, path, aside, good=good, right=right, entry=entry)
            elif not dry:
                self._set_aside(work.place, path, aside, entry)
        except NoQuorumError as why:
            return self._refused(entry, Outcome.NO_QUORUM, str(why), note=not dry)
        except UnreadableError as away:
            return self._refused(entry, Outcome.UNREADABLE, away.what, note=not dry)
        if dry:
            would = "a copy has the right bytes" if right is not None else "nothing belongs there: it would be set aside"
            return Repaired(entry.id, entry.place, entry.object_id, entry.path, Outcome.WOULD, would)
        what = (
            "set aside: nothing belongs there" if right is None else "written anew from a copy whose digests match, and read back"
        )
        remedy = f"{what}; what was there is in {aside.rpartition('/' + entry.path)[0]}"
        self._auditor.book.repaired(entry.id, copy, remedy, self._auditor.clock.now())
        return Repaired(entry.id, entry.place, entry.object_id, entry.path, Outcome.REPAIRED, remedy)

    def _right(self, copy: Copy, entry: Entry, work: _Work) -> Right | None:
        right = right_root_file(entry.path) if copy.kind == "root" else work.sources.right(entry.path, work.version, work.manifest)
        if right is None and entry.verdict != Verdict.UNEXPECTED.value:
            raise NoQuorumError("no version of this object knows it: nothing says which bytes are right")
        return right

    def _ledger_agrees(self, known: Known, right: Right) -> None:
        """The ledger's own digests of this content, where it has any, must be the inventory's."""
        if known.package_key is None:
            return
        c = contents.c
        stmt = sa.select(c.sha512, c.sha256).where(c.package_id == known.package_key, c.content_path == right.path)
        row = self._tx.read(lambda db: db.execute(stmt).first())
        if row is not None and (row.sha512 != right.sha512 or right.sha256 not in (None, row.sha256)):
            raise NoQuorumError("the ledger tells other digests for it than the inventory: one of them was changed")

    def _replace(self, place: Place, path: str, aside: str, *, good: Path, right: Right, entry: Entry) -> None:
        wanted = Wanted(path, right.sha512, right.sha256, good.stat().st_size)
        if _reads_right(place, path, wanted):
            if _is_there(place, f"{_home(aside)}/{_NOTE}"):
                return  # a repair that was killed had written it
            raise UnreadableError("reads right now: it is read in full once more before anything is written", path, "")
        self._set_aside(place, path, aside, entry)
        place.put_file(path, good)
        if not _reads_right(place, path, wanted):
            raise UnreadableError("what was written did not read back the same", path, "Look at this store's disks.")

    def _set_aside(self, place: Place, path: str, aside: str, entry: Entry) -> None:
        note = {
            "finding": entry.id,
            "object": entry.object_id,
            "path": entry.path,
            "verdict": entry.verdict,
            "detail": entry.detail,
        }
        note |= {"expected": entry.expected, "found": entry.found, "since": entry.first_seen}
        place.put_bytes(f"{_home(aside)}/{_NOTE}", json.dumps(note, ensure_ascii=False, indent=1).encode() + b"\n")
        names = (
            aside,
            *(f"{aside}~{number}" for number in range(2, 100)),
        )  # what an earlier try wrote, and read back wrong, is kept
        place.set_aside(path, next((name for name in names if not _is_there(place, name)), aside))

    def _refused(self, entry: Entry, outcome: Outcome, why: str, *, note: bool = True) -> Repaired:
        if note and entry.remedy != f"{outcome}: {why}":
            self._auditor.book.not_repaired(entry.id, f"{outcome}: {why}")
        return Repaired(entry.id, entry.place, entry.object_id, entry.path, outcome, why)

    def _let_go(self, copy: Copy, *, again: bool) -> None:
        """A repaired copy is whole only when it was read in full again: next. One that was not touched keeps its turn."""
        mine = sa.update(copies).where(copies.c.id == copy.id, copies.c.worker == self._auditor.name)
        values: dict[str, str | None] = {"worker": None, "lease_until": None}
        values |= {"turn": AT_ONCE, "why": "after repair", "cursor": None} if again else {}
        self._tx.write(lambda db: db.execute(mine.values(values)))


def _home(aside: str) -> str:
    """The finding's folder in the quarantine."""
    return "/".join(aside.split("/")[:3])


def _is_there(place: Place, path: str) -> bool:
    try:
        place.open(path).close()
    except NotThereError:
        return False
    return True


def _reads_right(place: Place, path: str, wanted: Wanted) -> bool:
    """Whether the right bytes stand there, over a new connection."""
    again = place.fresh()
    try:
        with Reader(again, threads=1) as reader:
            return judged(wanted, reader.read_one(path, wanted)) is None
    finally:
        again.close()


@dataclass(frozen=True, slots=True)
class _Work:
    place: Place
    sources: Sources
    manifest: Manifest
    version: int


def _twins(path: str, version: int) -> tuple[str, ...]:
    """Where the same bytes stand in a whole copy."""
    pairs: Mapping[str, str] = {INVENTORY: f"v{version}/{INVENTORY}", f"v{version}/{INVENTORY}": INVENTORY}
    return (pairs[path],) if path in pairs else ()
