"""One tenant's view of audits: what the API shows of findings, deadlines and approvals, and what reports are made of.

Every query names the tenant, and on PostgreSQL its transaction is bound to it as well (promise P7), as in
``worker.ledger.door``. Reading copies and deciding about them is ``auditor``'s and ``repair``'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from worker.fixity.book import Book, Entry
from worker.fixity.breaker import Tripped
from worker.fixity.copies import Copies, PlaceState
from worker.ledger.cursor import read_cursor, write_cursor
from worker.ledger.schema_fixity import approvals, breakers, findings
from worker.ledger.service_facts import Page
from worker.ledger.transactions import Transactions

T = TypeVar("T")


class OwnTransactions(Transactions):
    """Another's transactions, each bound to one tenant."""

    def __init__(self, of: Transactions, tenant: str) -> None:  # shares everything: SQLite's one writer above all
        self.engine, self.clock, self.on_server, self._writing = of.engine, of.clock, of.on_server, of._writing  # noqa: SLF001 -- its own kind
        self.repeated, self._own = 0, tenant

    def write(self, work: Callable[[sa.Connection], T], *, tenant: str | None = None, durable: bool = True) -> T:
        """As there."""
        del tenant
        return super().write(work, tenant=self._own, durable=durable)

    def read(self, work: Callable[[sa.Connection], T], *, tenant: str | None = None) -> T:
        """As there."""
        del tenant
        return super().read(work, tenant=self._own)

    def stream(self, stmt: sa.Select[Any], *, tenant: str | None = None) -> Iterator[Any]:
        """As there."""
        del tenant
        return super().stream(stmt, tenant=self._own)


class AuditDoor:
    """See the module. Cheap to make, one for each request."""

    def __init__(self, transactions: Transactions, tenant: str) -> None:
        self.transactions, self.tenant = OwnTransactions(transactions, tenant), tenant
        self._book, self._copies = Book(self.transactions), Copies(self.transactions)

    def states(self, now: str) -> list[PlaceState]:
        """How each of the tenant's stores stands."""
        return self._copies.states(now, self.tenant)

    def findings(
        self, *, state: str | None = None, place: str | None = None, cursor: str | None = None, limit: int = 100
    ) -> Page[Entry]:
        """Findings in the order they were opened.

        Raises:
            CursorError: *cursor* is not a cursor that this list gave.
        """
        f = findings.c
        where = [f.tenant == self.tenant]
        where += [f.state == state] if state else []
        where += [f.place == place] if place else []
        after = read_cursor("findings", cursor, int)[0] if cursor else 0
        found = self._book.some(*where, limit=limit + 1, after=after)
        shown = tuple(found[:limit])
        return Page(shown, write_cursor("findings", shown[-1].id) if len(found) > limit else None)

    def finding(self, number: int) -> Entry | None:
        """One of the tenant's findings."""
        found = self._book.some(findings.c.id == number, findings.c.tenant == self.tenant)
        return found[0] if found else None

    def open_by_verdict(self, place: str) -> dict[str, int]:
        """How many findings are open about a store, by verdict."""
        f = findings.c
        stmt = sa.select(f.verdict, sa.func.count().label("number")).where(
            f.tenant == self.tenant, f.place == place, f.state == "open"
        )
        return {row.verdict: row.number for row in self.transactions.read(lambda db: db.execute(stmt.group_by(f.verdict)).all())}

    def approvals(self, numbers: Sequence[int]) -> dict[int, list[tuple[str, str]]]:
        """(who, when) of those who agreed to the repair of findings, by finding."""
        a, found = approvals.c, dict[int, list[tuple[str, str]]]()
        stmt = sa.select(a.finding_id, a.who, a.at).where(a.tenant == self.tenant, a.finding_id.in_(numbers)).order_by(a.at, a.who)
        for row in self.transactions.read(lambda db: db.execute(stmt).all()) if numbers else ():
            found.setdefault(row.finding_id, []).append((row.who, row.at))
        return found

    def approve(self, number: int, who: str, now: str) -> None:
        """Somebody agrees to a repair; twice the same name counts once."""
        self._book.approve(number, self.tenant, who, now)

    def stopped(self) -> list[Tripped]:
        """Stores whose repair a breaker has stopped."""
        b = breakers.c
        stmt = sa.select(breakers).where(b.tenant == self.tenant, b.cleared.is_(None)).order_by(b.place)
        rows = self.transactions.read(lambda db: db.execute(stmt).all())
        return [Tripped(row.tenant, row.place, row.since, row.why) for row in rows]
