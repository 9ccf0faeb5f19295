"""The ledger against the store: it indexes what the store proves, so where they differ, the ledger is wrong.

Reads only. An archive without a ledger is whole: this check is then left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from worker.fixity.findings import REBUILD, REOPEN, Finding, Severity
from worker.fixity.history import History
from worker.fixity.objects import Inventory
from worker.ledger import engine as database
from worker.ledger.events import AUDIT_JOB, first_prev, hash_of
from worker.ledger.facts import JobState, TaskState
from worker.ledger.ledger import object_id
from worker.ledger.schema import contents, entries, events, jobs, packages, tasks


def check_ledger(path: Path, held: dict[str, tuple[Inventory, History]]) -> Iterator[Finding]:
    """Every finding of the ledger at *path*; *held* is what the store holds, by object id."""
    engine = database.open_read_only(path)
    try:
        with engine.connect() as db:
            for complaint in database.integrity(db):
                yield Finding("ledger-damaged", path.name, f"the database is damaged: {complaint}", REBUILD)
                return
            if not held and not sa.inspect(db).has_table(packages.name):
                what = "was only begun, and the store holds nothing yet: the archive's first job was interrupted"
                yield Finding("ledger-behind", path.name, what, REOPEN, Severity.INFO)
                return
            rows = db.execute(sa.select(packages).order_by(packages.c.object_id)).all()
            for row in rows:
                yield from _Package(db, path.name, row, held.get(row.object_id)).run()
            for name, (_, history) in held.items():
                if history.ours and name not in {row.object_id for row in rows}:
                    yield Finding(
                        "ledger-package-missing",
                        f"{path.name} {name}",
                        "the store holds this package, the ledger does not",
                        REBUILD,
                    )
    except sa.exc.DatabaseError as broken:
        yield Finding("ledger-damaged", path.name, f"the database cannot be read: {broken.orig}", REBUILD)
    finally:
        engine.dispose()


class _Package:
    """One package's rows."""

    def __init__(self, db: sa.Connection, name: str, row: sa.Row[Any], held: tuple[Inventory, History] | None) -> None:
        self._db, self._row, self._held = db, row, held
        self._where = f"{name} {row.object_id}"
        self._open = bool(
            db.execute(sa.select(jobs.c.id).where(jobs.c.package_id == row.id, jobs.c.state == JobState.OPEN)).first()
        )

    def run(self) -> Iterator[Finding]:
        row, head = self._row, self._held[0].head if self._held else 0
        if object_id(row.tenant, row.package) != row.object_id:
            yield self._finding("ledger-differs", "tenant or package name is not that of the object")
        if row.version < head:
            yield Finding(
                "ledger-behind",
                self._where,
                f"knows version {row.version} of {head}: a commit was interrupted",
                REOPEN,
                Severity.WARNING,
            )
            return
        if row.version > head:
            yield self._finding("ledger-differs", f"claims version {row.version}, the store has {head}")
        yield from self._events()
        if self._held:
            yield from self._entries(self._held[0])
            yield from self._contents(self._held[0])
            yield from self._tasks(self._held[1])
            yield from self._jobs(self._held[1], head)

    def _finding(self, code: str, what: str) -> Finding:
        return Finding(code, self._where, what, REBUILD)

    def _rows(self, table: sa.Table, *order: sa.Column[Any]) -> sa.CursorResult[Any]:
        stmt = sa.select(table).where(table.c.package_id == self._row.id).order_by(*order)
        return self._db.execute(stmt.execution_options(yield_per=1000))

    def _events(self) -> Iterator[Finding]:
        stored = {event.seq: event for event in self._held[1].events()} if self._held else {}
        prev, last = first_prev(self._row.object_id), 0
        for row in self._rows(events, events.c.seq):
            known = stored.pop(row.seq, None)
            yield from self._event(row, known, prev, last)
            prev, last = row.hash, row.seq
        for seq in sorted(stored):
            yield self._finding("event-removed", f"event {seq} is in the store, but was removed from the ledger")
        if (self._row.last_seq, self._row.last_hash) != (last, prev):
            yield self._finding(
                "event-removed",
                f"the newest event is {last}, the ledger remembers {self._row.last_seq}: events were removed or added",
            )

    def _event(self, row: sa.Row[Any], known: Any, prev: str, last: int) -> Iterator[Finding]:
        told_by_audit = row.version is None and row.job_id == AUDIT_JOB  # goes into the store with the package's next version
        if known is None and not told_by_audit and (row.version is not None or not self._open):
            yield self._finding("event-added", f"event {row.seq} is in the ledger, but not in the store")
        if row.seq != last + 1:
            yield self._finding("event-order", f"event {row.seq} follows event {last}: events are missing or were reordered")
        if hash_of(row.body) != row.hash or (known and (known.hash, known.body) != (row.hash, row.body)):
            yield self._finding("event-changed", f"event {row.seq} was changed")
        elif row.prev_hash != prev or not _agrees(row):
            yield self._finding(
                "event-changed", f"event {row.seq} is not told as its own body tells it, or does not follow the one before"
            )
        if known and known.version != row.version:
            yield self._finding(
                "event-changed", f"event {row.seq} is said to be of version {row.version}, and is of {known.version}"
            )

    def _entries(self, inventory: Inventory) -> Iterator[Finding]:
        newest, recorded = inventory.states[inventory.head], dict[str, dict[str, Any]]()
        for _, line in self._held[1].records() if self._held else ():
            recorded |= {entry["path"]: entry for entry in line.get("entries", ())}
        state = {path: digest for path, digest in newest.items() if path in recorded or not path.startswith("metadata/")}
        for row in self._rows(entries, entries.c.logical_path):
            wanted, told = state.pop(row.logical_path, None), recorded.get(row.logical_path, {})
            if row.version is None:
                if not self._open:
                    yield self._finding("entry-added", f"{row.logical_path} was changed in the ledger only, and no job is open")
            elif (wanted, False) != (row.sha512, row.dropped) or (row.source, row.puid, row.mime) != tuple(
                told.get(name) for name in ("source", "puid", "mime")
            ):
                yield self._finding("entry-differs", f"{row.logical_path} is not what the store's newest version holds")
        for path in state:
            yield self._finding("entry-removed", f"{path} is in the store, but was removed from the ledger")

    def _contents(self, inventory: Inventory) -> Iterator[Finding]:
        held = set(inventory.manifest.values())  # not what was superseded before a version ever carried it
        sizes = {
            entry["sha512"]: entry["size_bytes"]
            for _, line in (self._held[1].records() if self._held else ())
            for entry in line["entries"]
            if entry["sha512"] in held
        }
        for row in self._rows(contents, contents.c.sha512):
            if row.version is None:
                continue
            told = (inventory.manifest.get(row.content_path), inventory.fixity.get(row.content_path), sizes.pop(row.sha512, None))
            if told != (row.sha512, row.sha256, row.size_bytes) or not row.content_path.startswith(f"v{row.version}/"):
                yield self._finding("content-differs", f"content {row.sha512[:16]}… is told otherwise than in the store")
        for sha512 in sizes:
            yield self._finding("content-removed", f"content {sha512[:16]}… was removed from the ledger")

    def _tasks(self, history: History) -> Iterator[Finding]:
        stmt = sa.select(tasks).where(tasks.c.package_id == self._row.id, tasks.c.version > 0).order_by(tasks.c.version, tasks.c.id)
        for row, stored in zip_longest(self._db.execute(stmt.execution_options(yield_per=1000)), history.records()):
            if row is None:
                yield self._finding("task-removed", f"the record of {stored[1].get('path')} was removed from the ledger")
            elif stored is None:
                yield self._finding("task-added", f"the record of {row.path} is in the ledger only")
            elif not _same_record(row, *stored):
                yield self._finding("task-differs", f"the record of {row.path} is told otherwise than in the store")

    def _jobs(self, history: History, head: int) -> Iterator[Finding]:
        rows = {row.version: row for row in self._rows(jobs, jobs.c.started, jobs.c.id) if row.version is not None}
        for number in range(1, head + 1):
            job, row = history.job(number), rows.get(number)
            if job and (
                row is None or (row.id, row.policy_sha256, row.toolchain) != (job["job"], job["policy"]["sha256"], job["toolchain"])
            ):
                yield self._finding("job-differs", f"the job of version {number} is told otherwise than in the store")


def _agrees(row: sa.Row[Any]) -> bool:
    """Whether an event's columns say what its body says."""
    try:
        body = json.loads(row.body)
    except ValueError:
        return False
    return bool((body["seq"], body["prev"], body["object"], body["job"]) == (row.seq, row.prev_hash, row.object_path, row.job_id))


def _same_record(row: sa.Row[Any], version: int, line: dict[str, Any]) -> bool:
    try:
        told = {
            "path": row.path,
            "job": row.job_id,
            "size_bytes": row.size_bytes,
            "mtime_ns": row.mtime_ns,
            "kind": row.kind,
            "key": row.key,
            "dropped": json.loads(row.dropped),
        }
        record = line["record"]
        columns = (row.version, row.state, row.status, row.reason, row.sha512)
        return told | {"entries": json.loads(row.entries), "record": json.loads(row.record)} == line and columns == (
            version,
            TaskState.DONE,
            record["status"],
            record["reason"],
            record.get("sha512"),
        )
    except (ValueError, TypeError, KeyError):
        return False
