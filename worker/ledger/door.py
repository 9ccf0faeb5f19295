"""The only way in for a tenant's questions: every query carries the tenant (promise P7).

On PostgreSQL the transaction is bound to the tenant as well, so that row-level security is a second wall behind the first.
What another tenant has and what does not exist look the same: None, or an empty page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa

from worker.ledger import counts
from worker.ledger.cursor import CursorError, behind, read_cursor, write_cursor
from worker.ledger.facts import UNFINISHED, TaskState
from worker.ledger.schema import contents, entries, events, jobs, packages, tasks
from worker.ledger.service_facts import Counts, EntryView, EventView, FileView, JobView, PackageView, Page
from worker.ledger.transactions import Transactions
from worker.record import PolicyRef, Status

__all__ = ["CursorError", "Door"]

T = TypeVar("T")

_ENDED = sa.text("tasks.status IS NOT NULL")  # as the partial index says it
_JOB = (jobs, packages.c.package, packages.c.object_id)
_GIVEN_UP = tasks.c.state.in_((TaskState.PENDING, TaskState.QUEUED)) & sa.or_(jobs.c.cancel_asked, jobs.c.state.in_(counts.OVER))
_STATE = sa.case((_GIVEN_UP, TaskState.CANCELLED.value), else_=tasks.c.state).label("state")
_FILE = [tasks.c.id, tasks.c.path, _STATE, *(tasks.c[name] for name in ("size_bytes", "status", "reason", "attempts", "record"))]


class Door:
    """One tenant's view of the ledger. Cheap to make, one for each request."""

    def __init__(self, transactions: Transactions, tenant: str) -> None:
        self._tx, self._tenant = transactions, tenant

    # Jobs

    def job(self, job_id: str) -> JobView | None:
        """A job of this tenant."""
        row = self._read(lambda db: db.execute(self._jobs().where(jobs.c.id == job_id)).one_or_none())
        return None if row is None else _job(row)

    def jobs(self, cursor: str | None = None, limit: int = 50, state: str | None = None) -> Page[JobView]:
        """Jobs, newest first; with *state* only those in it.

        Raises:
            CursorError: *cursor* is not a cursor that this list gave.
        """
        order = (jobs.c.created, jobs.c.id)
        stmt = self._jobs().order_by(*(column.desc() for column in order))
        if state is not None:
            stmt = stmt.where(jobs.c.state == state)
        if cursor is not None:
            stmt = stmt.where(behind(order, read_cursor("jobs", cursor, str, str), falling=True))
        return self._page(stmt, limit, _job, lambda row: write_cursor("jobs", row.created, row.id))

    def unfinished_jobs(self) -> int:
        """How many jobs are not ended."""
        mine = (jobs.c.tenant == self._tenant, jobs.c.state.in_(UNFINISHED))
        return self._read(lambda db: db.scalar(sa.select(sa.func.count()).select_from(jobs).where(*mine))) or 0

    def counts(self, job_id: str) -> Counts | None:
        """How far a job is, truthfully and at once, however many files it has."""
        return self._read(lambda db: counts.of_job(db, job_id) if self._owns(db, job_id) else None)

    def files(
        self, job_id: str, status: str | None = None, cursor: str | None = None, limit: int = 100, reason: str | None = None
    ) -> Page[FileView]:
        """A job's files: all in path order; with *status*, done ones that ended so, in the order in which they were found.

        Raises:
            CursorError: *cursor* is not a cursor that this list gave.
        """
        t = tasks.c
        stmt = sa.select(*_FILE).join(jobs, jobs.c.id == t.job_id).where(t.job_id == job_id, jobs.c.tenant == self._tenant)
        if reason is not None:
            stmt = stmt.where(t.reason == reason)
        if status is None:
            order: tuple[Any, ...] = (t.path, t.id)
            place = read_cursor("files", cursor, str, int) if cursor is not None else None
        else:
            stmt, order = stmt.where(t.status == status, _ENDED), (t.id,)
            place = read_cursor(f"files {status}", cursor, int) if cursor is not None else None
        if place is not None:
            stmt = stmt.where(behind(order, place))

        def here(row: Any) -> str:
            return write_cursor("files", row.path, row.id) if status is None else write_cursor(f"files {status}", row.id)

        return self._page(stmt.order_by(*order), limit, lambda row: FileView(*row), here)

    def retry_reasons(self, job_id: str) -> dict[str, int]:
        """For what reasons files of a job failed, and how many each."""
        t = tasks.c
        mine = sa.exists().where(jobs.c.id == t.job_id, jobs.c.tenant == self._tenant)
        stmt = sa.select(t.reason, sa.func.count().label("number")).where(
            t.job_id == job_id, t.status == Status.FAILED.value, _ENDED, mine
        )
        return {row.reason: row.number for row in self._read(lambda db: db.execute(stmt.group_by(t.reason)).all())}

    # Packages

    def package(self, wanted: str) -> PackageView | None:
        """A package by its object id or its name."""
        row = self._read(lambda db: db.execute(self._packages(wanted)).first())
        return None if row is None else PackageView(*row)

    def packages(self, cursor: str | None = None, limit: int = 50) -> Page[PackageView]:
        """Packages in the order in which they were first seen.

        Raises:
            CursorError: *cursor* is not a cursor that this list gave.
        """
        stmt = sa.select(packages).where(packages.c.tenant == self._tenant).order_by(packages.c.id)
        if cursor is not None:
            stmt = stmt.where(packages.c.id > read_cursor("packages", cursor, int)[0])
        return self._page(stmt, limit, lambda row: PackageView(*row), lambda row: write_cursor("packages", row.id))

    def events(self, wanted: str, after_seq: int = 0, limit: int = 100) -> tuple[EventView, ...]:
        """A package's events after number *after_seq*, in order."""
        e = events.c
        home = self._packages(wanted).with_only_columns(packages.c.id).scalar_subquery()
        stmt = sa.select(e.seq, e.hash, e.body, e.object_path, e.job_id, e.version).where(e.package_id == home, e.seq > after_seq)
        return tuple(EventView(*row) for row in self._read(lambda db: db.execute(stmt.order_by(e.seq).limit(limit)).all()))

    def entry(self, wanted: str, logical_path: str) -> EntryView | None:
        """One file of a package's committed state, by logical path: ``original/…``, ``preservation/…``, ``access/…``."""
        stmt = self._entries(wanted).where(entries.c.logical_path == logical_path)
        row = self._read(lambda db: db.execute(stmt).one_or_none())
        return None if row is None else EntryView(*row)

    def changing(self, wanted: str, logical_path: str, source: str | None = None) -> list[str]:
        """Logical paths that a job is changing just now: of *logical_path*, and with *source* of what was derived from that."""
        e = entries.c
        home = self._packages(wanted).with_only_columns(packages.c.id).scalar_subquery()
        named = e.logical_path == logical_path if source is None else (e.logical_path == logical_path) | (e.source == source)
        stmt = sa.select(e.logical_path).where(e.package_id == home, e.version.is_(None), named)
        return [str(path) for path in self._read(lambda db: db.scalars(stmt).all())]

    def held(self, wanted: str, logical_path: str, sha512: str, version: int) -> EntryView | None:
        """Content that a package holds, as the file *logical_path* that it is in *version*; what it is was not kept."""
        c = contents.c
        home = self._packages(wanted).with_only_columns(packages.c.id).scalar_subquery()
        stmt = sa.select(c.sha256, c.size_bytes, c.content_path).where(c.package_id == home, c.sha512 == sha512)
        row = self._read(lambda db: db.execute(stmt.where(c.version.is_not(None))).one_or_none())
        return None if row is None else EntryView(logical_path, sha512, *row, source=None, puid=None, mime=None, version=version)

    def entries(self, wanted: str, source: str | None = None, cursor: str | None = None, limit: int = 100) -> Page[EntryView]:
        """A package's committed state in path order; with *source* only what was derived from that logical path.

        Raises:
            CursorError: *cursor* is not a cursor that this list gave.
        """
        stmt = self._entries(wanted).order_by(entries.c.logical_path)
        if source is not None:
            stmt = stmt.where(entries.c.source == source)
        if cursor is not None:
            stmt = stmt.where(entries.c.logical_path > read_cursor("entries", cursor, str)[0])
        return self._page(stmt, limit, lambda row: EntryView(*row), lambda row: write_cursor("entries", row.logical_path))

    # How

    def _read(self, work: Callable[[sa.Connection], T]) -> T:
        return self._tx.read(work, tenant=self._tenant)

    def _page(self, stmt: sa.Select[Any], limit: int, view: Callable[[Any], T], here: Callable[[Any], str]) -> Page[T]:
        rows = self._read(lambda db: db.execute(stmt.limit(limit + 1)).all())
        shown = rows[:limit]
        return Page(tuple(view(row) for row in shown), here(shown[-1]) if len(rows) > limit else None)

    def _owns(self, db: sa.Connection, job_id: str) -> bool:
        return db.execute(sa.select(jobs.c.id).where(jobs.c.id == job_id, jobs.c.tenant == self._tenant)).first() is not None

    def _jobs(self) -> sa.Select[Any]:
        return sa.select(*_JOB).join(packages, packages.c.id == jobs.c.package_id).where(jobs.c.tenant == self._tenant)

    def _packages(self, wanted: str) -> sa.Select[Any]:
        """The one that has the id *wanted*, or else the one that has that name: no name of a package begins like an id of ours."""
        named = (packages.c.object_id == wanted) | (packages.c.package == wanted)
        first = (packages.c.object_id == wanted).desc()
        return sa.select(packages).where(packages.c.tenant == self._tenant, named).order_by(first).limit(1)

    def _entries(self, wanted: str) -> sa.Select[Any]:
        e, c = entries.c, contents.c
        home = self._packages(wanted).with_only_columns(packages.c.id).scalar_subquery()
        columns = (e.logical_path, e.sha512, c.sha256, c.size_bytes, c.content_path, e.source, e.puid, e.mime, e.version)
        same = (c.package_id == e.package_id) & (c.sha512 == e.sha512)
        stmt = sa.select(*columns).select_from(entries.join(contents, same))
        return stmt.where(e.package_id == home, e.version.is_not(None))


def _job(row: Any) -> JobView:
    return JobView(
        id=row.id,
        tenant=row.tenant,
        package=row.package,
        object_id=row.object_id,
        source=row.source.decode("utf-8", "replace"),
        policy=PolicyRef(name=row.policy_name, version=row.policy_version, sha256=row.policy_sha256),
        **{
            name: getattr(row, name)
            for name in (
                "state",
                "priority",
                "created",
                "started",
                "finished",
                "version",
                "cancel_asked",
                "callback_url",
                "delivery",
            )
        },
        **{name: getattr(row, name) for name in ("retry_of", "retry_reason", "error_code", "error", "idempotency_key")},
    )
