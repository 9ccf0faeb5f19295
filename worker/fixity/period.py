"""What happened to one tenant's copies in a period, from the ledger: what reports of audits are made of.

What was read is kept by day for ever. When each copy was last read, and what is overdue, is the state at the period's end, as
``coverage`` kept it; where nobody did, the state at the moment of asking, which then says so. How it is shown is
``worker.report``'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from worker.fixity.audit_door import AuditDoor
from worker.fixity.book import Entry
from worker.fixity.breaker import Tripped
from worker.fixity.copies import Copy, PlaceState
from worker.fixity.coverage import by_day, places, standing
from worker.fixity.known import Reading
from worker.fixity.retired import within
from worker.fixity.rules import Rules
from worker.fixity.verdicts import BAD, Verdict
from worker.ledger.events import now
from worker.ledger.schema_fixity import breakers, copies, findings, readings, samples
from worker.ledger.transactions import Transactions

_PAGE = 1000
_BAD = [verdict.value for verdict in BAD]


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of a store on a day, or in a period. ``copies``: readings that came to an end, of a copy each."""

    copies: int = 0
    bad: int = 0
    unreadable: int = 0
    files: int = 0
    size_bytes: int = 0
    seconds: int = 0

    def __add__(self, other: Read) -> Read:
        names = ("copies", "bad", "unreadable", "files", "size_bytes", "seconds")
        return Read(*(getattr(self, name) + getattr(other, name) for name in names))


@dataclass(frozen=True, slots=True)
class StorePeriod:
    """One store.

    Attributes:
        rules: The promise; of a past period the one that was kept with its state.
        state: How it stands at the end of the period; of one that is not over, at the moment of asking.
        days: What was read, by day of the period.
        checked: Copies by the day on which they were last read in full; "": never.
        covered: Copies that were read in full within the period.
        bad_objects: Objects of which bad bytes were found within the period.
        tripped: What stopped all repair within the period, or still does.
        as_of: The moment of ``state`` and ``checked``.
        retired: From when to when (None: still) it was used no more, within the period: it owed nothing meanwhile.
        kept: False: the period is past, nobody kept how the store stood at its end, and what is shown is how it stands now.
    """

    name: str
    rules: Rules
    state: PlaceState
    days: dict[str, Read]
    checked: dict[str, int]
    covered: int
    bad_objects: int
    tripped: tuple[Tripped, ...] = ()
    as_of: str = ""
    kept: bool = True
    retired: tuple[tuple[str, str | None], ...] = ()

    @property
    def read(self) -> Read:
        """All of the period."""
        return sum(self.days.values(), Read())


@dataclass(frozen=True, slots=True)
class Sample:
    """Copies that were chosen at random and read; ``population``: of how many."""

    at: str
    population: int
    read: int
    bad: int
    unreadable: int


@dataclass(frozen=True, slots=True)
class Period:
    """One tenant's audits from *first* to *last*, both included (UTC days).

    Attributes:
        made: When it was asked.
        findings: Asked anew each time; those open at any time within the period, in the order they were opened.
        needed: How many officers must agree to a repair.
    """

    tenant: str
    name: str
    first: str
    last: str
    made: str
    stores: tuple[StorePeriod, ...]
    samples: tuple[Sample, ...]
    needed: int
    findings: Callable[[], Iterator[tuple[Entry, tuple[tuple[str, str], ...]]]]

    @property
    def days(self) -> list[str]:
        """All days of the period."""
        return list(days_between(self.first, self.last))

    @property
    def past(self) -> bool:
        """Whether it was over when it was asked for."""
        return self.last < self.made[:10]

    @property
    def as_of(self) -> str:
        """The moment of the oldest state that is shown."""
        return min((store.as_of for store in self.stores), default=self.made)


def days_between(first: str, last: str) -> Iterator[str]:
    """Every day from *first* to *last*, both included."""
    begin, end = date.fromisoformat(first), date.fromisoformat(last)
    for number in range((end - begin).days + 1):
        yield (begin + timedelta(days=number)).isoformat()


def _after(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


def period(
    transactions: Transactions,
    tenant: str,
    first: str,
    last: str,
    *,
    rules: Callable[[str], Rules],
    stores: Sequence[str],
    name: str = "",
    clock: Callable[[], str] = now,
) -> Period:
    """Ask the ledger.

    Args:
        rules: The promise about a store.
        stores: The tenant's, in the order to show; others that ever held copies follow.
        name: Of the tenant, for people.
    """
    door, made = AuditDoor(transactions, tenant), clock()
    asked = _Asked(
        door, first, last, {one.place: one for one in door.states(made)}, within(door.transactions, tenant, first, _after(last))
    )
    before = places(door.transactions, tenant, last) if last < made[:10] else set()
    names = [*stores, *sorted((asked.states.keys() | before | asked.retired.keys()) - set(stores))]
    found = tuple(asked.store(one, rules(one), made) for one in names)
    needed = max((one.rules.repair.approvals for one in found), default=0)
    return Period(tenant, name or tenant, first, last, made, found, asked.samples(), needed, asked.findings)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The questions of one period. A day's last moment sorts before the next day's text."""

    door: AuditDoor
    first: str
    last: str
    states: dict[str, PlaceState]
    retired: dict[str, list[tuple[str, str | None]]]

    def store(self, name: str, rules: Rules, made: str) -> StorePeriod:
        """One store, as it stood at the period's end, if that is known."""
        past = self.last < made[:10]
        at_end = standing(self.door.transactions, self.door.tenant, name, self.last) if past else None
        if at_end:
            rules = replace(rules, interval_days=at_end.interval_days)
            as_of, state, checked = at_end.at, at_end.state, dict(at_end.checked)
        else:
            as_of, state = made, self.states.get(name) or PlaceState(self.door.tenant, name, 0, 0, 0, 0, 0, None)
            checked = by_day(self.door.transactions, self.door.tenant, name, copies.c.last_checked)
        covered = sum(number for day, number in checked.items() if self.first <= day <= self.last)
        days, bad, tripped = self.days(name), self.bad_objects(name), self.tripped(name)
        kept = not past or at_end is not None
        gone = tuple(self.retired.get(name, ()))
        return StorePeriod(name, rules, state, days, checked, covered, bad, tripped, as_of, kept, gone)

    @property
    def after(self) -> str:
        return _after(self.last)

    def _rows(self, stmt: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        return self.door.transactions.read(lambda db: db.execute(stmt).all())

    def days(self, place: str) -> dict[str, Read]:
        r = readings.c
        mine = (r.tenant == self.door.tenant, r.place == place, r.day >= self.first, r.day <= self.last)
        rows = self._rows(sa.select(readings).where(*mine).order_by(r.day))
        return {row.day: Read(row.copies, row.bad, row.unreadable, row.files, row.size_bytes, row.seconds) for row in rows}

    def bad_objects(self, place: str) -> int:
        f = findings.c
        mine = (f.tenant == self.door.tenant, f.place == place, f.about == "bytes", f.verdict.in_(_BAD))
        within = (f.first_seen >= self.first, f.first_seen < self.after)
        return int(self._rows(sa.select(sa.func.count(f.object_id.distinct())).where(*mine, *within))[0][0])

    def tripped(self, place: str) -> tuple[Tripped, ...]:
        b = breakers.c
        mine = (b.tenant == self.door.tenant, b.place == place, b.since < self.after)
        still = sa.or_(b.cleared.is_(None), b.cleared >= self.first)
        return tuple(
            Tripped(row.tenant, row.place, row.since, row.why) for row in self._rows(sa.select(breakers).where(*mine, still))
        )

    def samples(self) -> tuple[Sample, ...]:
        s = samples.c
        mine = (s.tenant == self.door.tenant, s.at >= self.first, s.at < self.after)
        rows = self._rows(sa.select(samples).where(*mine).order_by(s.at))
        return tuple(Sample(row.at, row.population, row.read, row.bad, row.unreadable) for row in rows)

    def findings(self) -> Iterator[tuple[Entry, tuple[tuple[str, str], ...]]]:
        """With who agreed to the repair, and when; a page at a time."""
        f, after = findings.c, 0
        mine = (f.tenant == self.door.tenant, f.first_seen < self.after, sa.or_(f.ended.is_(None), f.ended >= self.first))
        page = sa.select(findings).where(*mine).order_by(f.id).limit(_PAGE)
        while rows := self._rows(page.where(f.id > after)):
            after = rows[-1].id
            agreed = self.door.approvals([row.id for row in rows])
            for row in rows:
                yield Entry(**row._mapping), tuple(agreed.get(row.id, ()))  # noqa: SLF001 -- SQLAlchemy's public name for it


@dataclass(slots=True)
class SampleSums:
    """A sample's sums by tenant, while it is read. *tenants*: of every copy that could have been chosen, by its number."""

    tenants: dict[int, str]
    _seen: dict[str, list[Verdict]] = field(default_factory=dict)

    def add(self, copy: Copy, reading: Reading) -> None:
        """Count one that was read, or could not be."""
        if reading.cursor is None:
            self._seen.setdefault(copy.tenant, []).append(reading.verdict)

    def keep(self, transactions: Transactions, at: str) -> None:
        """Write them down for reports."""
        for tenant, seen in sorted(self._seen.items()):
            away, bad = seen.count(Verdict.UNREADABLE), sum(verdict in BAD for verdict in seen)
            row: dict[str, Any] = {"tenant": tenant, "at": at, "read": len(seen) - away, "bad": bad, "unreadable": away}
            row["population"] = sum(owner == tenant for owner in self.tenants.values())
            transactions.write(lambda db, row=row: db.execute(sa.insert(samples).values(**row)), tenant=tenant)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
