"""Choosing the next copy to read costs the same however many there are: it walks the line from its beginning, and no further."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from worker.fixity.copies import Copies
from worker.ledger.engine import open_engine
from worker.ledger.schema_fixity import copies
from worker.ledger.transactions import Transactions

NOW = "2026-11-22T12:00:00.000Z"
FEW, MANY = 2_000, 40_000


def fill(tx: Transactions, first: int, end: int) -> None:
    """Half of them due, in no order; as many again that nobody can read, before all others in every other respect."""
    some = [
        _row(f"p{number}", "held", f"2026-{1 + number * 7 % 12:02d}-{1 + number * 11 % 28:02d}") for number in range(first, end)
    ]
    some += [_row(f"q{number}", "retired", "0") for number in range(first, end)]
    tx.write(lambda db: db.execute(sa.insert(copies), some))
    with tx.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.exec_driver_sql("ANALYZE")


def _row(name: str, state: str, turn: str) -> dict[str, Any]:
    facts = {"tenant": "lund", "place": "a", "object_id": name, "kind": "object", "state": state, "due": turn, "turn": turn}
    return facts | {"version": 1, "size_bytes": 1, "files": 1, "tries": 0}


def chosen(tx: Transactions) -> tuple[str, Any]:
    """The statement of a claim that chooses, as it is sent, with its values."""
    sent: list[tuple[str, Any]] = []

    def note(_db: object, _cursor: object, text: str, values: Any, *_: object) -> None:
        sent.append((text, values))

    sa.event.listen(tx.engine, "before_cursor_execute", note)
    [copy] = Copies(tx).claim("lund", "a", "w", NOW, lease_s=60)
    sa.event.remove(tx.engine, "before_cursor_execute", note)
    earliest = sa.select(sa.func.min(copies.c.turn)).where(copies.c.state == "held")
    assert copy.turn == tx.read(lambda db: db.scalar(earliest))
    return next((text, values) for text, values in sent if text.startswith("SELECT copies"))


def work(tx: Transactions) -> int:
    """What the database does to choose: pages that are touched, or steps of SQLite's machine."""
    text, values = chosen(tx)
    if tx.on_server:
        with tx.engine.begin() as db:
            [plan] = db.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text}", values).scalar_one()
            assert "copies_in_line" in json.dumps(plan), plan
            return int(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    with tx.engine.connect().execution_options(read_only=True) as db:
        plan = str(db.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).all())
        assert "copies_in_line" in plan
        assert "B-TREE" not in plan  # nothing is sorted
        raw: Any = db.connection.driver_connection
        raw.set_progress_handler(step, 1)
        db.exec_driver_sql(text, values).all()
        raw.set_progress_handler(None, 0)
    return steps


def test_choosing_does_not_grow_with_the_register(ledger_url: str) -> None:
    tx = Transactions(open_engine(ledger_url))
    fill(tx, 0, FEW)
    before = work(tx)
    fill(tx, FEW, MANY)
    after = work(tx)
    tx.engine.dispose()

    assert after <= before + 40, (before, after)  # a deeper tree; twenty times as many copies


def test_what_others_have_in_hand_is_passed_over_and_comes_back(ledger_url: str) -> None:
    tx = Transactions(open_engine(ledger_url))
    fill(tx, 0, 50)
    register = Copies(tx)
    [first], [second] = (register.claim("lund", "a", worker, NOW, lease_s=60) for worker in ("w1", "w2"))
    [dead] = register.claim("lund", "a", "w3", NOW, lease_s=-1)  # its worker is gone
    [again] = register.claim("lund", "a", "w4", NOW, lease_s=60)
    tx.engine.dispose()

    assert len({first.id, second.id, dead.id}) == 3
    assert again.id == dead.id
