"""Opens findings again from the packages' own histories: what an audit found, and what was repaired, stands there as events.

Only what a history tells can come back: a finding about bytes, from the moment when it went into its package's chain. How often
it was seen and who agreed to its repair is not told there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from worker.ledger.events import AUDIT_JOB, Success
from worker.ledger.schema import contents, events, packages
from worker.ledger.schema_fixity import findings, told_findings
from worker.ledger.transactions import Transactions

_CHECK = re.compile(r"copy in store ([a-z0-9-]+): (mismatch|missing|unexpected): (.*)", re.DOTALL)
_RECOVERY = re.compile(r"copy in store ([a-z0-9-]+): (.*)", re.DOTALL)
_BETWEEN = ": "


@dataclass(slots=True)
class _Package:
    """The findings of one package, while its history is gone through."""

    tenant: str
    object_id: str
    paths: set[str] = field(default_factory=set)
    found: list[dict[str, Any]] = field(default_factory=list)

    def hear(self, body: dict[str, Any]) -> None:
        """One event."""
        if body["type"] == "fixity check" and body["outcome"] == Success.FAIL.value and (told := _CHECK.fullmatch(body["detail"])):
            path, detail = self._parted(told[3])
            row = {"tenant": self.tenant, "place": told[1], "object_id": self.object_id, "path": path, "verdict": told[2]}
            row |= {"about": "bytes", "detail": detail, "expected": body["digest"], "state": "open", "times": 1}
            self.found.append(row | {"first_seen": body["time"], "last_seen": body["time"], "ended": None, "remedy": None})
        elif body["type"] == "recovery" and (told := _RECOVERY.fullmatch(body["detail"])):
            for row in self.found:
                begin = f"{row['path']}{_BETWEEN}"
                if (row["place"], row["state"]) == (told[1], "open") and told[2].startswith(begin):
                    row |= {"state": "repaired", "ended": body["time"], "remedy": told[2].removeprefix(begin)}

    def _parted(self, text: str) -> tuple[str, str]:
        """Path and detail: a name may hold what stands between the two, so content that is known goes first."""
        parts = text.split(_BETWEEN)
        for number in range(len(parts) - 1, 0, -1):
            path = _BETWEEN.join(parts[:number])
            if path in self.paths:
                return path, _BETWEEN.join(parts[number:])
        return parts[0], _BETWEEN.join(parts[1:])


def reopen(transactions: Transactions, places: Collection[tuple[str, str]]) -> tuple[int, int]:
    """Put findings that histories tell of, and the book does not, back into the book.

    Args:
        places: (tenant, place) that are still read: a finding elsewhere would stay open for ever, and is left out.

    Returns:
        How many are open, and how many were repaired.
    """
    is_open = repaired = 0
    for package in _packages(transactions):
        kept = [row for row in package.found if row["state"] == "repaired" or (package.tenant, row["place"]) in places]
        for row in kept:
            if transactions.write(lambda db, row=row: _put(db, row)):  # type: ignore[misc]  # mypy cannot infer a lambda with a default
                is_open += row["state"] == "open"
                repaired += row["state"] == "repaired"
    return is_open, repaired


def _packages(transactions: Transactions) -> Iterator[_Package]:
    stmt = sa.select(packages.c.id, packages.c.tenant, packages.c.object_id)
    told = sa.exists(sa.select(1).where(events.c.package_id == packages.c.id, events.c.job_id == AUDIT_JOB))
    for home in list(transactions.stream(stmt.where(told))):
        paths = sa.select(contents.c.content_path).where(contents.c.package_id == home.id)
        package = _Package(home.tenant, home.object_id, transactions.read(lambda db, paths=paths: set(db.scalars(paths))))  # type: ignore[misc]  # as above
        mine = sa.select(events.c.body).where(events.c.package_id == home.id, events.c.job_id == AUDIT_JOB)
        for row in transactions.stream(mine.order_by(events.c.seq)):
            package.hear(json.loads(row.body))
        yield package


def _put(db: sa.Connection, row: dict[str, Any]) -> bool:
    """Whether it was new. The tenant was told of it when it was found."""
    f = findings.c
    same = (f.tenant, f.place, f.object_id, f.path, f.first_seen)
    if db.execute(sa.select(f.id).where(*(column == row[column.name] for column in same))).first():
        return False
    number = db.execute(sa.insert(findings).values(**row).returning(f.id)).scalar_one()
    db.execute(sa.insert(told_findings).values(finding_id=number, tenant=row["tenant"], at=row["first_seen"]))
    return True
