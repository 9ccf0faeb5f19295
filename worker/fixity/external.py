"""Objects that others keep: registered with their digest, read like our own, and never written to."""

from __future__ import annotations

import sqlalchemy as sa

from worker.fixity.copies import Copy
from worker.fixity.known import Cursor, Reading
from worker.fixity.object_audit import Surroundings, judged
from worker.fixity.place import Place
from worker.fixity.reading import Reader, Seen, StoppedError, Wanted
from worker.fixity.rules import Rules, due_after, first_turn
from worker.fixity.verdicts import BAD
from worker.ledger.schema_fixity import copies, externals
from worker.ledger.transactions import Transactions


def register(
    transactions: Transactions, tenant: str, place: str, key: str, *, rules: Rules, now: str, sha256: str | None, sha512: str | None
) -> bool:
    """Promise to audit what lies under *key* of *place*; False: it is registered already.

    Raises:
        ValueError: No digest is given: there is nothing to compare with.
    """
    if not (sha256 or sha512):
        raise ValueError("an external object needs a SHA-256 or SHA-512 that it must have")
    name = f"external:{place}:{key}"

    def work(db: sa.Connection) -> bool:
        if db.execute(
            sa.select(copies.c.id).where(copies.c.tenant == tenant, copies.c.place == place, copies.c.object_id == name)
        ).first():
            return False
        row = {"tenant": tenant, "place": place, "object_id": name, "kind": "external", "state": "held", "version": 0, "tries": 0}
        row |= {
            "size_bytes": 0,
            "files": 1,
            "due": due_after(now, rules),
            "turn": first_turn(now, rules, f"{tenant}\n{place}\n{name}"),
        }
        number = db.execute(sa.insert(copies).values(**row).returning(copies.c.id)).scalar_one()
        db.execute(sa.insert(externals).values(copy_id=number, tenant=tenant, key=key, sha256=sha256, sha512=sha512))
        return True

    return transactions.write(work)


def read_external(transactions: Transactions, copy: Copy, place: Place, around: Surroundings, began: str) -> Reading:
    """Read one in full. Asked again over a new connection before it is called bad."""
    reading = Reading(began, files=1)
    row = transactions.read(lambda db: db.execute(sa.select(externals).where(externals.c.copy_id == copy.id)).one())
    wanted = Wanted(row.key, row.sha512, row.sha256, row.size_bytes or 0)
    with Reader(place, threads=1, stop=around.stop, spent=around.spent) as reader:
        answer = reader.read_one(row.key, wanted)
    fault = judged(wanted, answer)
    if fault and fault.verdict in BAD:
        again = place.fresh()
        try:
            with Reader(again, threads=1) as reader:
                fault = judged(wanted, reader.read_one(row.key, wanted))
        finally:
            again.close()
    if isinstance(answer, StoppedError):
        reading.cursor = Cursor(began, "")
        return reading
    if isinstance(answer, Seen):
        reading.read_files, reading.read_bytes, reading.size_bytes = 1, answer.read_bytes, answer.size_bytes
    reading.faults = [fault] if fault else []
    return reading
