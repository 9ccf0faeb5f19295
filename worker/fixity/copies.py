"""The register of copies: which there are, when each must have been read, whose turn it is, and who has it in hand.

The deadline (``due``) is the promise and only a full reading moves it; the ``turn`` decides the order, and may be brought
forward or put off. Choosing reads one index from its beginning: what is overdue longest comes first, and nothing is too old.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlalchemy as sa

from worker.fixity.known import Cursor
from worker.fixity.rules import Rules, due_after, first_turn, turn_after
from worker.fixity.verdicts import Verdict
from worker.ledger import engine as database
from worker.ledger.clock import later
from worker.ledger.schema_fixity import HELD, copies
from worker.ledger.transactions import Transactions

AT_ONCE = "0"
"""Sorts before every time: the next to be taken."""
NEVER = "9"
_PAGE = 1000
_BACK_OFF_S = 600.0  # doubled with each try, up to a day: a store that is down for a day is asked some ten times
_BACK_OFF_MOST_S = 86_400.0
_DOUBLED_MOST = 10  # more is above the most anyway; and a place that is away for years must not count beyond a float


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy, as the register has it."""

    id: int
    tenant: str
    place: str
    object_id: str
    kind: str
    state: str
    version: int
    size_bytes: int
    files: int
    due: str
    turn: str
    why: str | None
    last_checked: str | None
    last_verdict: str | None
    tries: int
    worker: str | None
    lease_until: str | None
    cursor: str | None
    wants: int | None

    @property
    def key(self) -> str:
        """What spreads it."""
        return f"{self.tenant}\n{self.place}\n{self.object_id}"


@dataclass(frozen=True, slots=True)
class PlaceState:
    """How one place stands. ``oldest``: when the copy that was read longest ago was read; None: one never was."""

    tenant: str
    place: str
    held: int
    wanted: int
    size_bytes: int
    overdue: int
    never: int
    oldest: str | None


class Copies:
    """Several auditors use it at once."""

    def __init__(self, transactions: Transactions) -> None:
        self._tx = transactions

    def note(
        self, tenant: str, place: str, found: Iterable[tuple[str, str]], *, now: str, rules: Rules, kind: str = "object"
    ) -> int:
        """Register copies that are not yet: (object id, state). Returns how many were new."""
        new, source = 0, iter(found)
        insert = database.insert_or_ignore(self._tx.engine, copies)
        mine = (copies.c.tenant == tenant, copies.c.place == place)
        count = sa.select(sa.func.count()).select_from(copies).where(*mine)
        while page := list(islice(source, _PAGE)):
            rows = [_new(tenant, place, name, state, now=now, rules=rules) | {"kind": kind} for name, state in page]

            def work(db: sa.Connection, rows: list[dict[str, Any]] = rows) -> int:
                names = [row["object_id"] for row in rows]
                before = db.scalar(count.where(copies.c.object_id.in_(names))) or 0
                db.execute(insert, rows)
                return len(rows) - before

            new += self._tx.write(work)
        return new

    def claim(self, tenant: str, place: str, worker: str, now: str, *, lease_s: float, limit: int = 1) -> list[Copy]:
        """Take the copies whose turn it is, oldest turn first, for *lease_s* seconds.

        Walks the index of the line from its beginning, past what others have in hand. Not durable: a claim that a crash of the
        server forgets is a copy that is read twice, and a flush would wait for whatever else the server's disk is doing.
        """
        c, clock = copies.c, self._tx.clock
        free = sa.or_(c.lease_until.is_(None), c.lease_until < clock.now())
        chosen = sa.select(c.id).where(c.tenant == tenant, c.place == place, c.turn <= now, HELD, free)
        chosen = chosen.order_by(c.turn).limit(limit).with_for_update(skip_locked=True)
        # A fixed list of numbers: PostgreSQL may run a sub-query in UPDATE … WHERE IN more than once.
        first = sa.update(copies).values(worker=worker, lease_until=clock.after(lease_s)).returning(copies)

        def work(db: sa.Connection) -> list[Copy]:
            numbers = list(db.scalars(chosen))
            rows = db.execute(first.where(c.id.in_(numbers))).all() if numbers else []
            return sorted((_copy(row) for row in rows), key=lambda copy: copy.turn)

        return self._tx.write(work, durable=False)

    def take(self, copy_id: int, worker: str, *, lease_s: float) -> Copy | None:
        """Take one copy whatever its turn; None: another auditor has it."""
        c, clock = copies.c, self._tx.clock
        free = sa.or_(c.lease_until.is_(None), c.lease_until < clock.now(), c.worker == worker)
        stmt = sa.update(copies).where(c.id == copy_id, free).values(worker=worker, lease_until=clock.after(lease_s))
        row = self._tx.write(lambda db: db.execute(stmt.returning(copies)).one_or_none())
        return _copy(row) if row else None

    def extend(self, copy: Copy, worker: str, lease_s: float) -> bool:
        """Keep a copy in hand; False: it is another's by now."""
        mine = sa.update(copies).where(copies.c.id == copy.id, copies.c.worker == worker)
        stmt = mine.values(lease_until=self._tx.clock.after(lease_s))
        return bool(self._tx.write(lambda db: db.execute(stmt).rowcount, durable=False))

    # How a reading ended. Each inside its caller's transaction, and only while the copy is still the worker's.

    def checked(
        self, db: sa.Connection, copy: Copy, worker: str, verdict: Verdict, *, began: str, rules: Rules, held: dict[str, Any]
    ) -> bool:
        """A full reading: the deadline moves. *held*: version, files and size_bytes as found."""
        due, turn, wants = due_after(began, rules), turn_after(began, rules, copy.key), copies.c.wants
        values = {
            "due": due,
            "turn": turn,
            "why": None,
            "last_checked": began,
            "last_verdict": verdict.value,
            "tries": 0,
            "cursor": None,
            "wants": sa.case((wants > held["version"], wants)),
        }
        return self._end(db, copy, worker, values | held)

    def put_off(
        self, db: sa.Connection, copy: Copy, worker: str, now: str, why: str, *, verdict: Verdict, keep_cursor: bool
    ) -> bool:
        """It could not be read, or not all of it: another try later. The deadline stays.

        Args:
            keep_cursor: Go on where an earlier try stopped; else from the beginning, so that nothing unread is passed over.
        """
        wait = min(_BACK_OFF_S * 2 ** min(copy.tries, _DOUBLED_MOST), _BACK_OFF_MOST_S)
        values: dict[str, Any] = {"turn": later(now, wait), "why": why, "tries": copy.tries + 1, "last_verdict": verdict.value}
        return self._end(db, copy, worker, values if keep_cursor else values | {"cursor": None})

    def stopped(self, db: sa.Connection, copy: Copy, worker: str, cursor: Cursor) -> bool:
        """It was stopped in the middle and goes on from there, before others of its turn."""
        return self._end(db, copy, worker, {"cursor": cursor.text()})

    def keep_cursor(self, copy: Copy, worker: str, cursor: Cursor, lease_s: float) -> bool:
        """Remember how far it is, while it goes on."""
        mine = sa.update(copies).where(copies.c.id == copy.id, copies.c.worker == worker)
        stmt = mine.values(cursor=cursor.text(), lease_until=self._tx.clock.after(lease_s))
        return bool(self._tx.write(lambda db: db.execute(stmt).rowcount))

    def _end(self, db: sa.Connection, copy: Copy, worker: str, values: dict[str, Any]) -> bool:
        mine = sa.update(copies).where(copies.c.id == copy.id, copies.c.worker == worker)
        return bool(db.execute(mine.values(**values, worker=None, lease_until=None)).rowcount)

    # Moving turns

    def forward(self, why: str, *where: sa.ColumnElement[bool]) -> int:
        """Bring copies to the front of the line; their deadlines stay."""
        stmt = sa.update(copies).where(copies.c.state == "held", *where).values(turn=AT_ONCE, why=why)
        return self._tx.write(lambda db: int(db.execute(stmt).rowcount))

    def set_state(self, db: sa.Connection, copy_id: int, state: str, **values: Any) -> None:
        """Say that a copy is wanted, held or retired."""
        db.execute(sa.update(copies).where(copies.c.id == copy_id).values(state=state, **values))

    # Asking

    def get(self, tenant: str, place: str, object_id: str) -> Copy | None:
        """One copy."""
        stmt = sa.select(copies).where(copies.c.tenant == tenant, copies.c.place == place, copies.c.object_id == object_id)
        row = self._tx.read(lambda db: db.execute(stmt).one_or_none())
        return _copy(row) if row else None

    def of_object(self, object_id: str) -> list[Copy]:
        """All copies of one object."""
        stmt = sa.select(copies).where(copies.c.object_id == object_id).order_by(copies.c.id)
        return [_copy(row) for row in self._tx.read(lambda db: db.execute(stmt).all())]

    def were_read(self, place: str, tenant: str | None = None) -> bool:
        """Whether copies in a place were ever read in full: then it has a storage root, or is not there."""
        c = copies.c
        mine = [c.place == place, c.state == "held", c.last_checked.is_not(None), *([c.tenant == tenant] if tenant else [])]
        stmt = sa.select(c.id).where(*mine).order_by(c.due).limit(1)  # held ones come first in the index of deadlines
        return self._tx.read(lambda db: db.execute(stmt).first()) is not None

    def some(self, *where: sa.ColumnElement[bool], limit: int = _PAGE) -> list[Copy]:
        """Copies that are so, by number."""
        stmt = sa.select(copies).where(*where).order_by(copies.c.id).limit(limit)
        return [_copy(row) for row in self._tx.read(lambda db: db.execute(stmt).all())]

    def places(self) -> Sequence[tuple[str, str]]:
        """(tenant, place) of all copies."""
        stmt = sa.select(copies.c.tenant, copies.c.place).distinct().order_by(copies.c.tenant, copies.c.place)
        return [(row.tenant, row.place) for row in self._tx.read(lambda db: db.execute(stmt).all())]

    def states(self, now: str, tenant: str | None = None) -> list[PlaceState]:
        """How every place stands."""
        c = copies.c
        held, wanted = c.state == "held", c.state == "wanted"

        def number(what: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
            return sa.func.count(sa.case((what, 1)))

        stmt = sa.select(
            c.tenant,
            c.place,
            number(held).label("held"),
            number(wanted).label("wanted"),
            sa.func.coalesce(sa.func.sum(sa.case((held, c.size_bytes))), 0).label("size_bytes"),
            number(held & (c.due < now)).label("overdue"),
            number(held & c.last_checked.is_(None)).label("never"),
            sa.func.min(sa.case((held, c.last_checked))).label("oldest"),
        ).group_by(c.tenant, c.place)
        if tenant is not None:
            stmt = stmt.where(c.tenant == tenant)
        rows = self._tx.read(lambda db: db.execute(stmt.order_by(c.tenant, c.place)).all())
        return [
            PlaceState(r.tenant, r.place, r.held, r.wanted, int(r.size_bytes), r.overdue, r.never, None if r.never else r.oldest)
            for r in rows
        ]

    def overdue(self, now: str, tenant: str, place: str) -> int:
        """How many copies are past their deadline; reads the overdue ones only."""
        c = copies.c
        stmt = sa.select(sa.func.count()).where(c.tenant == tenant, c.place == place, c.due < now, c.state == "held")
        return int(self._tx.read(lambda db: db.scalar(stmt)) or 0)


def _new(tenant: str, place: str, name: str, state: str, *, now: str, rules: Rules) -> dict[str, Any]:
    turn = first_turn(now, rules, f"{tenant}\n{place}\n{name}") if state == "held" else NEVER
    due = due_after(now, rules) if state == "held" else NEVER
    facts = {"tenant": tenant, "place": place, "object_id": name, "kind": "object", "state": state, "due": due, "turn": turn}
    return facts | {"version": 0, "size_bytes": 0, "files": 0, "tries": 0, "wants": 1 if state == "wanted" else None}


def _copy(row: sa.Row[Any]) -> Copy:
    return Copy(**row._mapping)  # noqa: SLF001 -- SQLAlchemy's public name for it
