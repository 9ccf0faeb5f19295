"""How the ledger's transactions run: whose rows they may see, how durable they are, what is tried again, what is told.

Statements are the other modules' matter. SQLite has one writer at a time, which waits in this process; on PostgreSQL nothing
in this process waits for another thread, and a transaction that the server broke off to end a deadlock is run again.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

import sqlalchemy as sa

from actions.errors import TransientError
from worker.ledger.clock import Clock

T = TypeVar("T")

ALL = "*"
"""The tenant of those that work for all: row-level security lets them see every row."""

_TRIES = 6  # a deadlock's other side has ended by then; more would hide a fault of ours
_PAGE = 1000  # rows fetched at once: keeps memory flat
_BROKEN_OFF = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected
_AWAY = frozenset({"57P01", "57P02", "57P03", "53300"})  # shut down, crashed, starting, no connection left


class LedgerUnreachableError(TransientError):
    """The database's server does not answer. Nothing is lost: what was not committed is done again."""

    code: ClassVar[str] = "ledger-unreachable"


class Transactions:
    """One engine's transactions. Used by several threads.

    Attributes:
        repeated: How many were run again because the server broke them off. Few or none, since all lock in one order.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.clock = Clock(engine)
        self.on_server = engine.dialect.name == "postgresql"
        # SQLite has one writer: waiting here is fair and cheap, waiting in SQLite is a busy loop.
        self._writing = threading.Lock()
        self.repeated = 0

    def write(self, work: Callable[[sa.Connection], T], *, tenant: str | None = None, durable: bool = True) -> T:
        """Run *work* in one transaction and return its answer. It may run more than once, and must only touch the database.

        Args:
            tenant: Whose rows it may see and change, on a connection that sees none by itself.
            durable: Whether it must survive a crash of the database's server. False is for what a worker says all the time
                (claims, heartbeats, results): forgetting its last half second only means that a few files are done again,
                because their bytes are in the store first (P3); and a commit's flush would cost more than the rest of it.

        Raises:
            LedgerUnreachableError: The server is away, or went away in the middle.
        """
        if not self.on_server:
            with self._writing, self.engine.begin() as db:
                return work(db)
        for attempt in range(1, _TRIES + 1):
            try:
                with self._told(), self.engine.begin() as db:
                    self._set(db, tenant, durable=durable)
                    return work(db)
            except sa.exc.DBAPIError as error:
                if attempt == _TRIES or _state(error) not in _BROKEN_OFF:
                    raise
                self.repeated += 1
                time.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 -- spreads the two sides of a deadlock
        raise AssertionError  # the last attempt returned or raised

    def read(self, work: Callable[[sa.Connection], T], *, tenant: str | None = None) -> T:
        """Run *work*, which only reads. Each of its statements sees one moment.

        Raises:
            LedgerUnreachableError: As for ``write``.
        """
        with self._told(), self.engine.connect().execution_options(read_only=True) as db:
            self._set(db, tenant, durable=False)
            return work(db)

    def stream(self, stmt: sa.Select[Any], *, tenant: str | None = None) -> Iterator[Any]:
        """Rows of a query, a page at a time; others may write meanwhile."""
        with self._told(), self.engine.connect().execution_options(read_only=True) as db:
            self._set(db, tenant, durable=False)
            yield from db.execution_options(yield_per=_PAGE).execute(stmt)

    def _set(self, db: sa.Connection, tenant: str | None, *, durable: bool) -> None:
        """For this transaction only; a connection by itself is not durable, see ``engine``."""
        if not self.on_server:
            return
        if tenant is not None:
            db.exec_driver_sql("SELECT set_config('bevara.tenant', %s, true)", (tenant,))
        if durable:
            db.exec_driver_sql("SET LOCAL synchronous_commit = on")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.DBAPIError as error:
            if not self.on_server or not unreachable(error):
                raise
            raise away(self.engine.url, error) from error


def unreachable(error: sa.exc.DBAPIError) -> bool:
    """Whether the server was away, rather than refusing what it was asked."""
    state = _state(error)
    lost = isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError) and state is None
    return error.connection_invalidated or lost or (state or "")[:2] == "08" or state in _AWAY


def away(url: sa.URL, error: sa.exc.DBAPIError) -> LedgerUnreachableError:
    """What a person is told; the server's own words hold no password, and the statement's values are left out."""
    said = str(error.orig).strip().splitlines()
    return LedgerUnreachableError(
        f"does not answer: {said[0] if said else type(error.orig).__name__}",
        f"the ledger on {url.host or 'this machine'}",
        "Work goes on by itself when it is back. If it is running, look at BEVARA_LEDGER_URL, the password and the network.",
    )


def _state(error: sa.exc.DBAPIError) -> str | None:
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state
