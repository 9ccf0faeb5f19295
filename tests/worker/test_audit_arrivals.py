"""What was committed is seen to at the cost of what came, not of the archive; and nothing is forgotten, whoever was killed when."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from worker.fixity import arrivals as arriving
from worker.fixity import sweep as sweeping
from worker.fixity.arrivals import Arrivals
from worker.fixity.auditor import Auditor
from worker.fixity.copies import AT_ONCE, Copy
from worker.fixity.replicate import Replicated, Replicator
from worker.fixity.rules import Rules
from worker.ledger import news, reindex, uncommitted
from worker.ledger.engine import open_engine
from worker.ledger.schema import packages
from worker.ledger.schema_fixity import copies, sweeps
from worker.ledger.schema_fixity import news as news_rows
from worker.ledger.transactions import Transactions

MANY = 20_000
HASH = "0" * 64


class Archive:
    """A register alone: its places hold nothing, and nobody reads them."""

    def __init__(self, url: str) -> None:
        self.tx = Transactions(open_engine(url))
        self.stores = ["a", "b"]
        self.arrivals = Arrivals(self.tx)

    @property
    def auditor(self) -> Auditor:
        return Auditor(self.tx, dict.fromkeys([("lund", name) for name in self.stores], None), lambda _t, _p: Rules())

    def add(self, count: int, version: int = 1) -> None:
        """Packages that nobody told of."""
        first = self.tx.read(lambda db: db.scalar(sa.select(sa.func.count()).select_from(packages)))
        rows = [
            {
                "object_id": name(number),
                "tenant": "lund",
                "package": f"p{number}",
                "version": version,
                "last_seq": 0,
                "last_hash": HASH,
            }
            for number in range(first, first + count)
        ]
        self.tx.write(lambda db: db.execute(sa.insert(packages), rows))

    def commit(self, number: int, version: int) -> None:
        """As ``Ledger.finish_job`` does."""
        home = self.tx.read(lambda db: db.scalar(sa.select(packages.c.id).where(packages.c.object_id == name(number))))
        self.tx.write(lambda db: uncommitted.carry(db, home, version))

    def look(self, arrivals: Arrivals | None = None) -> int:
        return (arrivals or self.arrivals).look(self.auditor, "lund", "a", Rules())

    def behind(self, place: str = "b") -> list[Copy]:
        return Replicator(self.tx, self.auditor).behind("lund", place)

    def copy(self, number: int, place: str = "a") -> Copy:
        found = self.auditor.copies.get("lund", place, name(number))
        assert found
        return found

    def set(self, **values: Any) -> None:
        self.tx.write(lambda db: db.execute(sa.update(copies).values(**values)))

    def all_read(self) -> None:
        """Every copy is held and was read, as of version 1."""
        held = {"state": "held", "version": 1, "last_checked": "2026-11-01T00:00:00.000Z", "last_verdict": "ok"}
        self.set(**held, turn="2027-01-01T00:00:00.000Z", wants=None)

    def news(self) -> int:
        return self.tx.read(lambda db: db.scalar(sa.select(sa.func.count()).select_from(news_rows))) or 0


def name(number: int) -> str:
    return f"urn:bevara:lund:p{number}"


@pytest.fixture
def archive(ledger_url: str) -> Iterator[Archive]:
    made = Archive(ledger_url)
    yield made
    made.tx.engine.dispose()


@pytest.fixture
def read(archive: Archive) -> Archive:
    """Three packages in two stores, read."""
    archive.add(3)
    archive.look()
    archive.all_read()
    return archive


def test_no_statement_of_a_look_goes_through_the_register(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    archive.add(MANY)
    archive.look()
    archive.all_read()
    # PostgreSQL takes the wall's condition for one that few rows pass, and would take a page for a large part of so few packages
    monkeypatch.setattr(sweeping, "PAGE", 10)
    with archive.tx.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.exec_driver_sql("ANALYZE")
    archive.commit(7, 2)
    sent: list[tuple[str, Any]] = []

    def note(_db: object, _cursor: object, text: str, values: Any, *_: object) -> None:
        sent.append((text, values[0] if isinstance(values, list) else values))

    sa.event.listen(archive.tx.engine, "before_cursor_execute", note)
    archive.look()
    [wanted] = archive.behind()
    sa.event.remove(archive.tx.engine, "before_cursor_execute", note)

    assert wanted.object_id == name(7)
    assert archive.copy(7).turn == AT_ONCE
    asked = [one for one in sent if one[0].split()[0] in ("SELECT", "UPDATE", "DELETE") and "FROM set_config" not in one[0]]
    assert len(asked) > 5
    explain = "EXPLAIN" if archive.tx.on_server else "EXPLAIN QUERY PLAN"
    with archive.tx.engine.connect() as db:
        for text, values in asked:
            plan = [str(row[-1]) for row in db.exec_driver_sql(f"{explain} {text}", values)]
            assert not [line for line in plan if _goes_through(line)], (text, plan)
            assert "copies.object_id IN" not in text or _by_name(plan), (text, plan)
            assert "copies.wants IS NOT NULL" not in text or "DELETE" in text or "copies_wanting" in str(plan), (text, plan)


def _by_name(plan: list[str]) -> bool:
    """Copies are found by their names, and not all of a tenant's looked at."""
    found = [f"{line} {plan[at + 1] if 'Index Cond' in ''.join(plan[at + 1 : at + 2]) else ''}" for at, line in enumerate(plan)]
    return all("object_id" in line for line in found if "Index Cond" in line or "SEARCH" in line if "copies" in line.split("(")[0])


def _goes_through(line: str) -> bool:
    whole = line.startswith("SCAN ") or "Seq Scan on " in line
    return whole and any(table in line.split() for table in ("copies", "packages"))


def test_a_restart_goes_on_with_the_round_where_it_was(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "PAGE", 2)
    monkeypatch.setattr(sweeping, "PIECE", 1)
    archive.add(6)
    assert archive.look() == 14  # and the two storage roots: in a hurry, because no round was ever made
    position = sa.select(sweeps.c.after)

    seen = []
    for _ in range(4):
        assert archive.look(Arrivals(archive.tx)) == 0
        seen.append(archive.tx.read(lambda db: db.scalar(position)))

    assert seen == [2, 4, 6, 0]


def test_a_hurry_that_was_broken_off_goes_on_there(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "PAGE", 2)
    archive.add(6)
    moments = iter(range(100))
    monkeypatch.setattr(sweeping, "time", SimpleNamespace(monotonic=lambda: float(next(moments))))
    monkeypatch.setattr(sweeping, "HURRY_S", 1.5)  # one page

    new = [archive.look(Arrivals(archive.tx)) for _ in range(4)]

    assert new == [6, 4, 4, 0]
    archive.stores.append("c")
    assert [archive.look(Arrivals(archive.tx)) for _ in range(4)] == [3, 2, 2, 0]
    assert len(archive.behind("c")) == 6


def test_what_nobody_told_of_is_found_by_the_round(read: Archive) -> None:
    """A row of news that is lost, a version that another program's release committed."""
    read.commit(1, 2)
    read.tx.write(lambda db: db.execute(sa.delete(news_rows)))
    read.add(1)

    assert read.look(Arrivals(read.tx)) == 2

    assert (read.copy(1).turn, read.copy(1, "b").wants) == (AT_ONCE, 2)
    assert {one.object_id for one in read.behind()} == {name(1), name(3)}
    assert read.copy(3).turn != AT_ONCE  # it is spread


def test_what_was_found_bad_is_not_read_for_ever_because_it_is_old(read: Archive) -> None:
    """The store lost a version: that is a finding, and its deadline stands."""
    read.commit(1, 2)
    read.look()
    read.set(turn="2027-01-01T00:00:00.000Z", last_verdict="missing")

    read.look()

    assert read.copy(1).turn != AT_ONCE


def test_a_version_that_comes_while_its_package_is_read_is_read_afterwards(read: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "PIECE", 0)  # the round is elsewhere
    auditor = read.auditor
    taken = auditor.copies.take(read.copy(1).id, "reader", lease_s=60)
    assert taken
    read.commit(1, 2)
    read.look()
    assert (read.news(), read.copy(1).turn != AT_ONCE) == (1, True)
    assert [one.wants for one in read.behind()] == [2]

    held = {"version": 1, "files": 1, "size_bytes": 1}
    ended = {"began": "2026-11-29T00:00:00.000Z", "rules": Rules(), "held": held}
    read.tx.write(lambda db: auditor.copies.checked(db, taken, "reader", sweeping.Verdict.OK, **ended))
    read.look()

    assert (read.news(), read.copy(1).turn) == (0, AT_ONCE)


def test_a_look_that_was_killed_in_the_middle_is_made_again(read: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    read.add(1, version=0)
    read.commit(3, 1)
    monkeypatch.setattr(sweeping, "PIECE", 0)
    with monkeypatch.context() as killed:
        killed.setattr(arriving, "want", _killed)
        with pytest.raises(KeyboardInterrupt):
            read.look()
    assert read.copy(3).turn != AT_ONCE  # noted, and the rest rolled back

    read.look(Arrivals(read.tx))

    assert (read.news(), read.copy(3).turn, read.copy(3).why) == (0, AT_ONCE, "a package was committed")
    assert [one.object_id for one in read.behind()] == [name(3)]


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_news_that_come_while_older_ones_are_seen_to_stay(read: Archive) -> None:
    read.commit(1, 2)
    some = read.tx.read(lambda db: news.some(db, "lund", after=0, limit=10))
    read.commit(1, 3)

    read.tx.write(lambda db: news.seen(db, some))

    assert read.news() == 1


def test_what_was_brought_is_wanted_no_more_unless_a_newer_version_came(read: Archive) -> None:
    read.commit(1, 2)
    read.look()
    auditor, [lacking] = read.auditor, read.behind()
    for version, newer, left in ((2, 0, None), (2, 3, 3)):
        read.set(wants=2)
        taken = auditor.copies.take(lacking.id, auditor.name, lease_s=60)
        assert taken
        if newer:
            read.commit(1, newer)
            read.look()
        held = {"version": version, "files": 1, "size_bytes": 1}
        ended = {"began": "2026-11-29T00:00:00.000Z", "rules": Rules(), "held": held}
        read.tx.write(
            lambda db, taken=taken, ended=ended: auditor.copies.checked(db, taken, auditor.name, sweeping.Verdict.OK, **ended)
        )

        assert read.copy(1, "b").wants == left


def test_copies_that_cannot_be_made_starve_no_others(archive: Archive) -> None:
    """Each of a few rounds takes the next ones, of each store in turn."""
    archive.stores.append("c")
    archive.add(5)
    archive.look()
    tried: list[tuple[str, str]] = []

    class Refused(Replicator):
        def one(self, copy: Copy, primary: str) -> Replicated:
            del primary
            tried.append((copy.place, copy.object_id))
            return Replicated(copy.object_id, copy.place, 0, 0, 0, "the store takes nothing")

    replicator = Refused(archive.tx, archive.auditor)
    for _ in range(6):
        assert len(list(replicator.run({"lund": "a"}, most=2))) == 2

    assert set(tried) == {(place, name(number)) for place in "bc" for number in range(5)}
    assert [place for place, _ in tried[:4]] == ["b", "b", "c", "c"]


def test_another_tenants_news_are_left_to_its_own_look(read: Archive) -> None:
    row = {"object_id": "urn:bevara:malmo:p", "tenant": "malmo", "package": "p", "version": 0, "last_seq": 0, "last_hash": HASH}
    home = read.tx.write(lambda db: db.execute(sa.insert(packages).values(row).returning(packages.c.id)).scalar_one())
    read.tx.write(lambda db: uncommitted.carry(db, home, 1))

    assert read.look() == 0
    assert read.news() == 1


def test_an_index_made_again_announces_what_the_ledger_had_not_known(read: Archive) -> None:
    def again(version: int) -> None:
        read.tx.write(lambda db: reindex._home(db, name(1), "lund", "p1", version))

    again(1)
    assert read.news() == 0
    again(2)
    assert read.news() == 1

    read.look()

    assert (read.copy(1).turn, read.copy(1, "b").wants) == (AT_ONCE, 2)
