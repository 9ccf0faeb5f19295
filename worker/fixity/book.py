"""The book of findings: what was found bad, how often, what was done about it, and who agreed to what.

A finding is opened once and seen again, never doubled; it ends when it was repaired, or when a full reading does not find it
any more. The package's own history is told of it as PREMIS events, as soon as no job of the package is at work.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from worker import __version__
from worker.fixity.copies import Copy
from worker.fixity.knowledge import busy
from worker.fixity.verdicts import BAD, Fault
from worker.ledger import engine as database
from worker.ledger.events import AUDIT_JOB, EventDraft, Success, chain
from worker.ledger.schema import events, packages
from worker.ledger.schema_fixity import approvals, findings
from worker.ledger.transactions import Transactions


@dataclass(frozen=True, slots=True)
class Entry:
    """One finding, as the book has it."""

    id: int
    tenant: str
    place: str
    object_id: str
    path: str
    verdict: str
    about: str
    detail: str
    expected: str | None
    found: str | None
    state: str
    times: int
    first_seen: str
    last_seen: str
    ended: str | None
    remedy: str | None
    owed: str | None


class Book:
    """See the module."""

    def __init__(self, transactions: Transactions) -> None:
        self._tx = transactions

    def record(self, db: sa.Connection, copy: Copy, faults: Sequence[Fault], now: str, *, full: bool) -> list[int]:
        """Open findings, or see them again; those of a *full* reading that were not seen have vanished. Returns the new ones."""
        f = findings.c
        mine = (f.tenant == copy.tenant, f.place == copy.place, f.object_id == copy.object_id, f.state == "open")
        known = {(row.path, row.verdict, row.about): row.id for row in db.execute(sa.select(findings).where(*mine))}
        new = []
        for fault in faults:
            number = known.pop((_storable(fault.path), fault.verdict.value, fault.about), None)
            if number is None:
                new.append(self._open(db, copy, fault, now))
            else:
                seen = {"times": f.times + 1, "last_seen": now, "detail": _storable(fault.detail), "found": fault.found}
                db.execute(sa.update(findings).where(f.id == number).values(seen))
        if full and known:
            gone = {"state": "vanished", "ended": now}
            db.execute(sa.update(findings).where(f.id.in_(list(known.values()))).values(gone))
        return new

    def _open(self, db: sa.Connection, copy: Copy, fault: Fault, now: str) -> int:
        facts = asdict(fault) | {"verdict": fault.verdict.value, "path": _storable(fault.path), "detail": _storable(fault.detail)}
        home = {"tenant": copy.tenant, "place": copy.place, "object_id": copy.object_id}
        times: dict[str, Any] = {"state": "open", "times": 1, "first_seen": now, "last_seen": now}
        owed = _events(_check_event(copy, fault, now)) if fault.verdict in BAD and fault.about == "bytes" else None
        answer = db.execute(sa.insert(findings).values(**facts, **home, **times, owed=owed).returning(findings.c.id))
        return int(answer.scalar_one())

    def note(self, fault: Fault, now: str) -> int:
        """A finding about this machine."""
        row: dict[str, Any] = asdict(fault) | {"verdict": fault.verdict.value, "tenant": "", "place": "", "object_id": ""}
        row |= {"state": "open", "times": 1, "first_seen": now, "last_seen": now}
        return int(self._tx.write(lambda db: db.execute(sa.insert(findings).values(**row).returning(findings.c.id)).scalar_one()))

    def repaired(self, number: int, copy: Copy, remedy: str, now: str) -> None:
        """It was put right, and read back."""

        def work(db: sa.Connection) -> None:
            row = db.execute(sa.select(findings).where(findings.c.id == number)).one()
            owed = json.loads(row.owed or "[]") + json.loads(_events(_recovery_event(copy, row, remedy, now)))
            values = {"state": "repaired", "ended": now, "remedy": remedy, "owed": json.dumps(owed, ensure_ascii=False)}
            db.execute(sa.update(findings).where(findings.c.id == number).values(values))

        self._tx.write(work)

    def not_repaired(self, number: int, why: str) -> None:
        """Why nothing could be done."""
        stmt = sa.update(findings).where(findings.c.id == number, findings.c.state == "open").values(remedy=why)
        self._tx.write(lambda db: db.execute(stmt))

    def end(self, number: int, why: str, now: str) -> None:
        """A person has looked at it and it needs nothing more."""
        stmt = sa.update(findings).where(findings.c.id == number, findings.c.state == "open")
        self._tx.write(lambda db: db.execute(stmt.values(state="vanished", ended=now, remedy=why)))

    # Asking

    def some(self, *where: sa.ColumnElement[bool], limit: int = 1000, after: int = 0) -> list[Entry]:
        """Findings that are so, in the order they were opened."""
        stmt = sa.select(findings).where(*where, findings.c.id > after).order_by(findings.c.id).limit(limit)
        return [_entry(row) for row in self._tx.read(lambda db: db.execute(stmt).all())]

    def open_of(self, tenant: str, place: str, object_id: str) -> list[Entry]:
        """What is open about one copy."""
        f = findings.c
        return self.some(f.tenant == tenant, f.place == place, f.object_id == object_id, f.state == "open", limit=100_000)

    def open_counts(self) -> dict[tuple[str, str, str], int]:
        """How many findings about copies are open, by tenant, place and verdict."""
        f = findings.c
        mine = (f.tenant, f.place, f.verdict)
        stmt = sa.select(*mine, sa.func.count().label("number")).where(f.state == "open", f.tenant != "").group_by(*mine)
        rows = self._tx.read(lambda db: db.execute(stmt).all())
        return {(row.tenant, row.place, row.verdict): row.number for row in rows}

    def get(self, number: int) -> Entry | None:
        """One finding."""
        found = self.some(findings.c.id == number)
        return found[0] if found else None

    # Agreeing

    def approve(self, number: int, tenant: str, who: str, now: str) -> int:
        """Somebody agrees to a repair; twice the same person counts once, however the name is written. Returns how many agree now.

        Raises:
            ValueError: The name is empty.
        """
        name = " ".join(unicodedata.normalize("NFC", who).split())
        if not name:
            raise ValueError("nobody agrees under an empty name")
        row = {"finding_id": number, "who": name, "tenant": tenant, "at": now}

        def work(db: sa.Connection) -> int:
            there = list(db.scalars(sa.select(approvals.c.who).where(approvals.c.finding_id == number)))
            if _folded(name) in map(_folded, there):
                return len(there)
            db.execute(database.insert_or_ignore(self._tx.engine, approvals), row)
            return len(there) + 1

        return self._tx.write(work)

    def approvals(self, number: int) -> Sequence[tuple[str, str]]:
        """(who, when) of those who agree."""
        stmt = sa.select(approvals.c.who, approvals.c.at).where(approvals.c.finding_id == number).order_by(approvals.c.at)
        return [(row.who, row.at) for row in self._tx.read(lambda db: db.execute(stmt).all())]

    # Telling the package's history

    def tell(self, limit: int = 100) -> int:
        """Put owed events at the end of their packages' chains; returns how many findings were told.

        Only while no job of the package is unfinished: a commit writes the chain into the store and then says of all
        events that it did.
        """
        f = findings.c
        done = 0
        for row in self._tx.read(
            lambda db: db.execute(sa.select(findings).where(f.owed.is_not(None)).order_by(f.id).limit(limit)).all()
        ):
            done += self._tx.write(lambda db, row=row: _told(db, row))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        return done


def _told(db: sa.Connection, row: sa.Row[Any]) -> int:
    home = db.execute(sa.select(packages).where(packages.c.object_id == row.object_id).with_for_update()).one_or_none()
    if home is not None:
        if busy(db, home.id):
            return 0
        seq, prev = home.last_seq, home.last_hash
        for draft in json.loads(row.owed):
            seq += 1
            event = chain(_draft(draft), seq=seq, prev_hash=prev, job=AUDIT_JOB)
            prev = event.hash
            values = {"seq": event.seq, "prev_hash": event.prev_hash, "hash": event.hash, "body": event.body}
            db.execute(sa.insert(events).values(package_id=home.id, object_path=draft["object_path"], job_id=AUDIT_JOB, **values))
        db.execute(sa.update(packages).where(packages.c.id == home.id).values(last_seq=seq, last_hash=prev))
    return int(
        db.execute(sa.update(findings).where(findings.c.id == row.id, findings.c.owed == row.owed).values(owed=None)).rowcount
    )


def _check_event(copy: Copy, fault: Fault, now: str) -> EventDraft:
    detail = f"copy in store {copy.place}: {fault.verdict}: {_storable(fault.path)}: {_storable(fault.detail)}"
    return EventDraft("fixity check", Success.FAIL, detail, (f"bevara {__version__}",), time=now, digest=fault.expected)


def _recovery_event(copy: Copy, row: sa.Row[Any], remedy: str, now: str) -> EventDraft:
    detail = f"copy in store {copy.place}: {row.path}: {remedy}"
    return EventDraft("recovery", Success.SUCCESS, detail, (f"bevara {__version__}",), time=now, digest=row.expected)


def _events(draft: EventDraft) -> str:
    return json.dumps([asdict(draft)], ensure_ascii=False)


def _draft(data: dict[str, Any]) -> EventDraft:
    return EventDraft(**{**data, "outcome": Success(data["outcome"]), "agents": tuple(data["agents"])})


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _storable(text: str) -> str:
    """A name as text that every database takes."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _entry(row: sa.Row[Any]) -> Entry:
    return Entry(**row._mapping)  # noqa: SLF001 -- SQLAlchemy's public name for it
