"""Reads copies whose turn it is, one after another, and writes down what was found. Several may run at once.

Which bytes are right is ``object_audit``'s matter, what is done about wrong ones ``repair``'s.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from worker.fixity.audit_clock import CLOCK_BACK, AuditClock
from worker.fixity.book import Book
from worker.fixity.copies import Copies, Copy
from worker.fixity.external import read_external
from worker.fixity.knowledge import Knowledge
from worker.fixity.known import Cursor, Known, Reading
from worker.fixity.object_audit import ObjectAudit, Surroundings
from worker.fixity.place import STORE, Place, UnreadableError
from worker.fixity.reading import THREADS
from worker.fixity.root import read_root
from worker.fixity.rules import Rules
from worker.fixity.verdicts import BAD, Fault, Verdict
from worker.ledger import engine as database
from worker.ledger.schema_fixity import copies, findings, readings
from worker.ledger.transactions import Transactions
from worker.store.layout import INVENTORY, SIDECAR, object_path

LEASE_S = 300.0
_KEEP_S = 30.0  # how much work a killed auditor loses, and how often a lease is renewed
_NEIGHBOURS = 50  # registered before and after: stored at the same time
_PATIENCE = 3  # how often a package that is just being written to is left alone


def worker_name() -> str:
    """Names this process among auditors."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def folder_of(object_id: str) -> str:
    """Where an object lies below its place."""
    return f"{STORE}/{object_path(object_id)}"


@dataclass(slots=True)
class Ran:
    """What one run read and found. ``unread``: copies of which some part could not be read."""

    copies: int = 0
    files: int = 0
    size_bytes: int = 0
    seconds: float = 0.0
    verdicts: dict[Verdict, int] = field(default_factory=dict)
    unread: int = 0
    findings: list[int] = field(default_factory=list)
    stopped: bool = False
    clock: str | None = None

    def add(self, reading: Reading, new: list[int]) -> None:
        """Count one reading; one that was stopped in the middle, or whose copy another took over, has no verdict yet."""
        self.files += reading.read_files
        self.size_bytes += reading.spent_bytes
        if reading.cursor is not None or reading.lost:
            return
        self.copies += 1
        self.verdicts[reading.verdict] = self.verdicts.get(reading.verdict, 0) + 1
        self.unread += not reading.whole
        self.findings += new


class Auditor:
    """See the module.

    Args:
        places: By tenant and place name; those of one tenant are each other's copies.
        rules: Of a tenant's place.
        stop: Asked between chunks.
    """

    def __init__(
        self,
        transactions: Transactions,
        places: Mapping[tuple[str, str], Place],
        rules: Callable[[str, str], Rules],
        *,
        clock: AuditClock | None = None,
        stop: Callable[[], bool] = lambda: False,
        threads: int = THREADS,
        lease_s: float = LEASE_S,
    ) -> None:
        self.copies, self.book, self.knowledge = Copies(transactions), Book(transactions), Knowledge(transactions)
        self.clock = clock or AuditClock(transactions)
        self.name = worker_name()
        self.places, self.rules = places, rules
        self._tx, self._stop, self._threads, self._lease_s = transactions, stop, threads, lease_s

    def run(self, *, most_bytes: int = 0, most_copies: int = 0, told: Callable[[Copy, Reading], None] = lambda _c, _r: None) -> Ran:
        """Read every copy whose turn it is, until none is left, the budget is spent, or it is told to stop."""
        ran, started = Ran(), time.monotonic()
        ran.clock = self.clock.check()
        if ran.clock:
            self.book.note(Fault("", Verdict.OVERDUE, ran.clock, about="clock"), self.clock.now())
        left, spent = set(self.places), dict.fromkeys(self.places, 0)
        while left and not ran.stopped:
            for key in sorted(left):
                if self._stop() or (most_bytes and ran.size_bytes >= most_bytes) or (most_copies and ran.copies >= most_copies):
                    ran.stopped = True
                    break
                rules = self.rules(*key)
                rest = [most_bytes - ran.size_bytes] * bool(most_bytes) + [rules.bytes_per_run - spent[key]] * bool(
                    rules.bytes_per_run
                )
                closed = not rules.open_at(datetime.now().astimezone()) or min(rest, default=1) <= 0
                taken = [] if closed else self.copies.claim(*key, self.name, self.clock.now(), lease_s=self._lease_s)
                if not taken:
                    left.discard(key)
                    continue
                reading, new = self.audit(taken[0], min(rest, default=0))
                spent[key] += reading.spent_bytes
                ran.add(reading, new)
                told(taken[0], reading)
        self.settle_clock()
        self.book.tell()
        ran.seconds = time.monotonic() - started
        return ran

    def audit(self, copy: Copy, most_bytes: int = 0) -> tuple[Reading, list[int]]:
        """Read one copy that this auditor has in hand; returns the numbers of new findings."""
        known, started = self.knowledge.of(copy.object_id, copy.version), time.monotonic()
        watch = _Watch(self, copy, most_bytes, self.rules(copy.tenant, copy.place).bytes_per_s)
        place = self.places[copy.tenant, copy.place]
        cursor = Cursor.of(copy.cursor) if copy.cursor else None
        around = Surroundings(
            others=self._others(copy),
            threads=self._threads,
            stop=watch.stop,
            enough=watch.enough,
            spent=watch.spent,
            progress=watch.progress,
            database=self._read,
        )
        began = self.clock.now()
        if copy.kind == "external":
            reading = read_external(self._tx, copy, place, around, began)
        elif copy.kind == "root":
            reading = _unreadable_told(lambda: read_root(place, began), began)
        else:
            reading = ObjectAudit(place, folder_of(copy.object_id), known, around, began, cursor).run()
        reading.spent_bytes = watch.read_bytes
        reading.lost = watch.lost
        if reading.lost:
            return reading, []
        return reading, self._settle(copy, known, reading, time.monotonic() - started)

    def settle_clock(self) -> None:
        """A clock that went back is done with once every copy that it put in doubt was read again."""
        f = findings.c
        noted = self.book.some(f.about == "clock", f.state == "open")
        if noted and not self.copies.some(copies.c.why == CLOCK_BACK, limit=1):
            for one in noted:
                self.book.end(one.id, "every copy that it put in doubt was read again", self.clock.now())

    def _others(self, copy: Copy) -> list[Place]:
        return [place for (tenant, name), place in self.places.items() if tenant == copy.tenant and name != copy.place]

    def _read(self, work: Callable[[sa.Connection], list[Fault]]) -> list[Fault]:
        return self._tx.read(work)

    # Writing down

    def _settle(self, copy: Copy, known: Known, reading: Reading, seconds: float) -> list[int]:
        now = self.clock.now()
        if reading.cursor is None and not reading.why_not and reading.verdict in BAD and self._moving(copy, known, reading):
            reading.why_not, reading.faults = "the package was being written to while it was read", []
        new = self._tx.write(lambda db: self._write(db, copy, reading, seconds, now))
        if new and any(fault.verdict in BAD and fault.about == "bytes" for fault in reading.faults):
            self._bring_neighbours(copy, reading.began)
        return new

    def _write(self, db: sa.Connection, copy: Copy, reading: Reading, seconds: float, now: str) -> list[int]:
        rules, verdict = self.rules(copy.tenant, copy.place), reading.verdict
        if reading.cursor is not None:
            mine = self.copies.stopped(db, copy, self.name, reading.cursor)
        elif not reading.whole:  # also when other parts of it were found bad: what was not read keeps its deadline
            why = reading.why_not or "parts of it could not be read"
            mine = self.copies.put_off(db, copy, self.name, now, why, verdict=verdict, keep_cursor=bool(reading.why_not))
        else:
            held = {"version": max(reading.head, copy.version), "files": reading.files, "size_bytes": reading.size_bytes}
            mine = self.copies.checked(db, copy, self.name, verdict, began=reading.began, rules=rules, held=held)
        if not mine or reading.cursor is not None:
            return []
        faults = reading.faults or ([Fault("", Verdict.UNREADABLE, reading.why_not)] if reading.why_not else [])
        new = self.book.record(db, copy, faults, now, full=reading.whole)
        if reading.whole:
            self.knowledge.learn(db, copy.object_id, reading, now)
        self._count(db, copy, reading, seconds, now)
        return new

    def _count(self, db: sa.Connection, copy: Copy, reading: Reading, seconds: float, now: str) -> None:
        r, day = readings.c, now[:10]
        numbers = {
            "copies": 1,
            "bad": int(reading.verdict in BAD),
            "unreadable": int(not reading.whole),
            "files": reading.read_files,
            "size_bytes": reading.read_bytes,
            "seconds": round(seconds),
        }
        row = {"tenant": copy.tenant, "place": copy.place, "day": day}
        db.execute(database.insert_or_ignore(self._tx.engine, readings), row | dict.fromkeys(numbers, 0))
        mine = sa.update(readings).where(r.tenant == copy.tenant, r.place == copy.place, r.day == day)
        db.execute(mine.values({name: r[name] + number for name, number in numbers.items()}))

    def _moving(self, copy: Copy, before: Known, reading: Reading) -> bool:
        """Whether a commit came in between: what looks bad may be the next version on its way in."""
        after = self.knowledge.of(copy.object_id, copy.version)
        if after.head != before.head:
            return True
        if not (before.busy or after.busy) or copy.tries >= _PATIENCE:
            return False
        coming = f"v{(after.head or 0) + 1}/"
        return any(fault.path in (INVENTORY, SIDECAR, "") or fault.path.startswith(coming) for fault in reading.faults)

    def _bring_neighbours(self, copy: Copy, began: str) -> None:
        """Errors come in groups: what was stored at the same time in the same place is read next, once."""
        c = copies.c
        unread = sa.or_(c.last_checked.is_(None), c.last_checked < began[:10])
        near = c.id.between(copy.id - _NEIGHBOURS, copy.id + _NEIGHBOURS)
        self.copies.forward(
            "a neighbour was found bad", c.tenant == copy.tenant, c.place == copy.place, near, unread, c.id != copy.id
        )


def _unreadable_told(read: Callable[[], Reading], began: str) -> Reading:
    try:
        return read()
    except UnreadableError as away:
        return Reading(began, why_not=away.what)


class _Watch:
    """Keeps a copy in hand while it is read, and the reading within its budget. Called by several threads."""

    def __init__(self, auditor: Auditor, copy: Copy, most_bytes: int, bytes_per_s: int) -> None:
        self._auditor, self._copy, self._most, self._rate = auditor, copy, most_bytes, bytes_per_s
        self._lock = threading.Lock()
        self.read_bytes, self._began, self._kept = 0, time.monotonic(), time.monotonic()
        self.lost = False

    def stop(self) -> bool:
        """Whether to end now: told to, or the copy is another auditor's."""
        return self.lost or self._auditor._stop()  # noqa: SLF001 -- one part

    def enough(self) -> bool:
        """Whether the budget is spent. Not asked in the middle of a file: a budget smaller than it would never pass it."""
        return 0 < self._most <= self.read_bytes

    def spent(self, size_bytes: int) -> None:
        """Count; waits where the place may be read only so fast."""
        with self._lock:
            self.read_bytes += size_bytes
            ahead_s = self.read_bytes / self._rate - (time.monotonic() - self._began) if self._rate else 0.0
            renew = time.monotonic() - self._kept > _KEEP_S
            if renew:
                self._kept = time.monotonic()
        if renew and not self._auditor.copies.extend(self._copy, self._auditor.name, self._auditor._lease_s):  # noqa: SLF001 -- one part
            self.lost = True
        if ahead_s > 0:
            time.sleep(min(ahead_s, 1.0))

    def progress(self, cursor: Cursor) -> None:
        """Remember where the reading is, now and then."""
        if time.monotonic() - self._kept > _KEEP_S / 2:
            with self._lock:
                self._kept = time.monotonic()
            self.lost = self.lost or not self._auditor.copies.keep_cursor(
                self._copy,
                self._auditor.name,
                cursor,
                self._auditor._lease_s,  # noqa: SLF001 -- one part
            )
