"""What is written when a task ends: its record, what it puts into the package, what that supersedes, its events.

Every method runs inside its caller's transaction, which is ``Ledger``'s matter. The first account of a task stands.

Many workers finish files of one package at once. Only the end of its chain and its job's counts are rows that they share: these
are locked last, in this order, and nobody waits for anything else while holding them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, ClassVar

import sqlalchemy as sa
from pydantic_core import PydanticSerializationError

from actions.errors import TransientError
from worker import __version__
from worker.ledger import counts
from worker.ledger import engine as database
from worker.ledger.events import EventDraft, carried, chain
from worker.ledger.facts import Entry, Held, Job, JobState, Previous, Task, TaskState, as_row
from worker.ledger.schema import contents, entries, events, jobs, packages, tasks
from worker.record import FileRecord, Status

UNCHANGED = 0
"""``tasks.version`` of a file that a job found unchanged: its record stands in an earlier version."""

_SUPERSEDED = (
    "superseded: {origin} was preserved anew, and its result does not hold this file any more. It left the package's"
    " current state; its bytes were not touched, and versions that hold it keep it"
)


class LostTaskError(TransientError):
    """The task is not this worker's any more: its lease ran out and it waits again, or its job was ended. Nothing was written."""

    code: ClassVar[str] = "task-lost"


@dataclass(frozen=True, slots=True)
class Finish:
    """All that is said of one task when it ends; see ``Ledger.finish``."""

    task: Task
    record: FileRecord
    contents: Sequence[Held] = ()
    entries: Sequence[Entry] = ()
    events: Sequence[EventDraft] = ()
    key: str | None = None


class _Statements:
    """What runs for every file."""

    def __init__(self, engine: sa.Engine) -> None:
        def prepare(stmt: sa.Executable) -> database.Prepared:
            return database.Prepared(engine, stmt)

        e, p, t = entries.c, packages.c, tasks.c
        done = ("status", "reason", "key", "sha512", "record", "entries", "dropped", "version")
        ended: dict[str, Any] = {
            "state": TaskState.DONE.value,
            "worker": None,
            "lease_until": None,
            **{name: sa.bindparam(name) for name in done},
        }
        end: dict[str, Any] = {"last_seq": sa.bindparam("seq"), "last_hash": sa.bindparam("hash_")}
        home: sa.BindParameter[int] = sa.bindparam("home")
        # Where a draft's content lies is what was said last: a draft that was lost is made again, elsewhere.
        self.contents = prepare(database.insert_or_replace(engine, contents, contents.c.version.is_(None)))
        self.entries = prepare(database.insert_or_replace(engine, entries))
        derived = sa.select(e.logical_path, e.sha512, e.source).where(e.package_id == home, e.source == sa.bindparam("origin"))
        self.derived = prepare(derived.where(e.dropped.is_(False)))
        self.events = prepare(sa.insert(events))
        task = sa.update(tasks).where(t.id == sa.bindparam("task_id"))
        self.finish = prepare(task.where(t.state != TaskState.DONE.value).values(ended))
        working = sa.exists().where(jobs.c.id == t.job_id, jobs.c.state == JobState.OPEN.value)
        mine = (t.state == TaskState.LEASED.value, t.worker == sa.bindparam("holder"))
        self.finish_leased = prepare(task.where(*mine, working).values(ended))
        # FOR NO KEY UPDATE: the rows that others add meanwhile hold the package's key, and must not wait for each other.
        self.chain_end = prepare(sa.select(p.last_seq, p.last_hash).where(p.id == home).with_for_update(key_share=True))
        self.move_end = prepare(sa.update(packages).where(p.id == home).values(end))
        before = sa.select(t.record, t.entries, t.sha512, t.key).where(t.package_id == home, t.path == sa.bindparam("wanted"))
        self.previous = prepare(before.where(t.state == TaskState.DONE.value).order_by(t.id.desc()).limit(1))


class Results:
    """See the module."""

    def __init__(self, engine: sa.Engine) -> None:
        self._sql = _Statements(engine)
        self._counts = counts.Counting(engine)

    def previous(self, db: sa.Connection, job: Job, path: str) -> Previous | None:
        """See ``Ledger.previous``."""
        row = self._sql.previous.run(db, {"home": job.package_key, "wanted": path}).one_or_none()
        if row is None:
            return None
        put = tuple(Entry(e["path"], e["sha512"], e["source"], e["puid"], e["mime"]) for e in json.loads(row.entries))
        return Previous(FileRecord.model_validate_json(row.record), row.sha512, row.key, put)

    def finish_many(self, db: sa.Connection, done: Sequence[Finish]) -> list[FileRecord | None]:
        """See ``Ledger.finish_many``.

        Raises:
            ValueError: An entry names bytes that were not said to be durable.
        """
        standing: list[FileRecord | None] = []
        told: dict[int, tuple[Job, list[EventDraft]]] = {}
        ended: dict[str, list[str]] = {}
        for one in done:
            drafts = self._finish(db, one)
            if drafts is None:
                standing.append(self._standing(db, one.task))
                continue
            standing.append(one.record)
            told.setdefault(one.task.job.package_key, (one.task.job, []))[1].extend(drafts)
            ended.setdefault(one.task.job.id, []).append(one.record.status.value)
        for _, (job, drafts) in sorted(told.items()):
            self.append(db, job, drafts)
        for job_id, statuses in sorted(ended.items()):
            self._counts.ended(db, job_id, statuses)
        return standing

    def _finish(self, db: sa.Connection, done: Finish) -> list[EventDraft] | None:
        """Write one task's end but its events, which are returned; None: it was ended before, or is not this worker's."""
        job, sql = done.task.job, self._sql
        left = self._superseded(db, done)
        row = {"task_id": done.task.id, **self._result(db, done), "dropped": _json([one.logical_path for one in left])}
        holder = done.task.worker
        if not (sql.finish.run(db, row) if holder is None else sql.finish_leased.run(db, row | {"holder": holder})).rowcount:
            return None
        held = sorted(done.contents, key=attrgetter("sha512"))  # one order for all: two that hold the same bytes cannot deadlock
        sql.contents.run_many(db, [as_row(one, package_id=job.package_key, version=None) for one in held])
        put = sorted(done.entries, key=attrgetter("logical_path"))
        sql.entries.run_many(db, [as_row(one, package_id=job.package_key, dropped=False, version=None) for one in put])
        self._drop(db, job, left)
        return [*done.events, *(_farewell(one, job) for one in left)]

    def _standing(self, db: sa.Connection, task: Task) -> FileRecord | None:
        """The record that stands; None: the task has none, so another worker is to make it."""
        record = db.scalar(sa.select(tasks.c.record).where(tasks.c.id == task.id, tasks.c.state == TaskState.DONE))
        return FileRecord.model_validate_json(record) if record else None

    def append(self, db: sa.Connection, job: Job, told: Sequence[EventDraft]) -> None:
        """Put events at the end of the package's chain."""
        if not told:
            return
        end: Any = self._sql.chain_end.run(db, {"home": job.package_key}).one()
        seq, prev = int(end[0]), str(end[1])
        rows = []
        for draft in told:
            seq += 1
            event = chain(draft, seq=seq, prev_hash=prev, job=job.id)
            prev = event.hash
            rows.append(as_row(event, package_id=job.package_key, object_path=draft.object_path, job_id=job.id, version=None))
        self._sql.events.run_many(db, rows)
        self._sql.move_end.run(db, {"home": job.package_key, "seq": seq, "hash_": prev})

    def _superseded(self, db: sa.Connection, done: Finish) -> list[sa.Row[Any]]:
        """Entries that were derived, over any number of steps, from what the task puts, and are not in its result.

        They would vouch for an original that they were not made from, or that the policy now decides otherwise about. A
        result that puts nothing (an unchanged file, one that could not be read) supersedes nothing.
        """
        put = {entry.logical_path for entry in done.entries}
        found: dict[str, sa.Row[Any]] = {}
        asked = [entry.logical_path for entry in done.entries]
        while asked:
            for row in self._sql.derived.run(db, {"home": done.task.job.package_key, "origin": asked.pop()}):
                if row.logical_path not in put and row.logical_path not in found:
                    found[row.logical_path] = row
                    asked.append(row.logical_path)
        if found and done.record.status is Status.FAILED and self._same_original(db, done):
            return []  # a tool's failure decides nothing: what was proven of these very bytes still is
        return [found[path] for path in sorted(found)]

    def _same_original(self, db: sa.Connection, done: Finish) -> bool:
        e, home = entries.c, done.task.job.package_key
        return all(
            entry.sha512 == db.scalar(sa.select(e.sha512).where(e.package_id == home, e.logical_path == entry.logical_path))
            for entry in done.entries
            if entry.source is None
        )

    def _drop(self, db: sa.Connection, job: Job, left: Sequence[sa.Row[Any]]) -> None:
        """Mark entries as gone from the next version; they stay in this table until it is committed."""
        for one in left:
            mine = (entries.c.package_id == job.package_key, entries.c.logical_path == one.logical_path)
            db.execute(sa.update(entries).where(*mine).values(dropped=True, version=None))

    def _result(self, db: sa.Connection, done: Finish) -> dict[str, Any]:
        measured = {held.sha512: held for held in done.contents}
        put = []
        for entry in done.entries:
            held = measured.get(entry.sha512) or self._held(db, done.task.job.package_key, entry.sha512)
            put.append(
                {
                    "path": entry.logical_path,
                    "sha512": entry.sha512,
                    "sha256": held.sha256,
                    "size_bytes": held.size_bytes,
                    "source": entry.source,
                    "puid": entry.puid,
                    "mime": entry.mime,
                }
            )
        return {
            "status": done.record.status.value,
            "reason": done.record.reason,
            "key": done.key,
            "sha512": done.record.sha512,
            "record": record_json(done.record),
            "entries": _json(put),
            "version": UNCHANGED if done.record.unchanged else None,
        }

    def _held(self, db: sa.Connection, package_key: int, sha512: str) -> Held:
        row = db.execute(sa.select(contents).where(contents.c.package_id == package_key, contents.c.sha512 == sha512)).one_or_none()
        if row is None:  # promise P3
            raise ValueError(f"an entry names SHA-512 {sha512[:16]}…, which was not said to be durable")
        return Held(row.sha512, row.sha256, row.size_bytes, row.content_path)


def _farewell(one: sa.Row[Any], job: Job) -> EventDraft:
    """The event of a file that left the current state.

    LoC's "metadata modification": what changed is what the package says of itself. "Deletion" and "deaccession" would say
    that the file left the archive, which takes a decision that nobody made (gallring).
    """
    detail = _SUPERSEDED.format(origin=one.source)
    agents = (f"bevara {__version__}",)
    return EventDraft(
        "metadata modification",
        detail=detail,
        agents=agents,
        object_path=one.logical_path,
        digest=one.sha512,
        policy=job.policy.sha256,
    )


def record_json(record: FileRecord) -> str:
    """A record as JSON; what a tool said that no text can carry is replaced rather than lost with the whole record."""
    try:
        return record.model_dump_json(exclude_defaults=True)
    except PydanticSerializationError:  # lone surrogates in a tool's output or a file's inner names
        return json.dumps(_carried(record.model_dump(mode="python", exclude_defaults=True)), ensure_ascii=False, default=str)


def _carried(value: Any) -> Any:
    if isinstance(value, str):
        return carried(value)
    if isinstance(value, dict):
        return {_carried(key): _carried(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_carried(item) for item in value]
    return value


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
