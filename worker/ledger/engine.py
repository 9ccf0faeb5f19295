"""Opens the ledger's database and brings its schema up to date. The only place that knows one database from another.

SQLite runs in WAL with ``synchronous=NORMAL``: a killed process loses nothing; a power cut may lose the newest
transactions but never breaks the file. That is enough, because bytes are durable first (P3) and work that the ledger has
forgotten is done again, and because a commit is in the store before the ledger, and is checkpointed with a full sync.
"""

from __future__ import annotations

import select
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import ConnectionPoolEntry

from actions.errors import PermanentError
from worker.ledger import migrations


class LedgerDamagedError(PermanentError):
    """The database's file is not one, or is broken. Nothing is lost: the store holds all that it held."""

    code: ClassVar[str] = "ledger-damaged"


class LedgerRoleError(PermanentError):
    """The account that the API uses may see every tenant's rows: row-level security does not hold for it."""

    code: ClassVar[str] = "ledger-role"


_VERSIONS = Path(migrations.__file__).parent / "versions"
HEAD = max(path.name[:4] for path in _VERSIONS.glob("[0-9]*.py"))
"""The newest migration; compared first, because loading Alembic costs 0.2 s."""

_BUSY_MS = 30_000
_MIGRATING = 0x62657661  # "beva": PostgreSQL's advisory lock of whoever migrates
_CONNECT_S = 10
_RESTED_S = 5.0  # a connection that was not used for longer is asked whether it still lives


@dataclass(frozen=True, slots=True)
class Pool:
    """How many connections a process keeps to a PostgreSQL server, and how many more it may open at once."""

    kept: int = 8
    more: int = 8
    wait_s: float = 30.0


def sqlite_url(path: Path) -> str:
    """Where an embedded ledger lives."""
    return f"sqlite:///{path}"


def open_engine(url: str, *, everything: bool = True, pool: Pool | None = None) -> sa.Engine:
    """An engine on *url* with the newest schema in place.

    Args:
        url: ``sqlite:///…`` or ``postgresql+psycopg://…``.
        everything: Its connections may see all tenants' rows; False: none but those of the tenant a transaction names.

    Raises:
        OperationalError: The server does not answer.
        LedgerRoleError: Not *everything* may be seen, and the account is one that the wall does not hold.
    """
    engine = _server(sa.make_url(url), pool or Pool(), everything=everything) if _on_server(url) else _file(url)
    try:
        _make_ready(engine, everything=everything)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _make_ready(engine: sa.Engine, *, everything: bool) -> None:
    with engine.connect() as connection:
        if not everything and _above_the_wall(connection):
            raise LedgerRoleError(
                "is a superuser or has BYPASSRLS, so that nothing would keep one tenant from another's rows but our own queries",
                f"the account {engine.url.username!r} of the ledger",
                "Make an account without either, let it own the database, and name it in BEVARA_LEDGER_URL.",
            )
        known = "alembic_version" in sa.inspect(connection).get_table_names()
        version = connection.scalar(sa.text("SELECT version_num FROM alembic_version")) if known else None
    if version != HEAD:
        _migrate(engine)


def _above_the_wall(db: sa.Connection) -> bool:
    if db.dialect.name != "postgresql":
        return False
    role = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
    return bool(db.exec_driver_sql(role).scalar())


def _on_server(url: str) -> bool:
    return url.startswith("postgres")


def _file(url: str) -> sa.Engine:
    engine = sa.create_engine(url, hide_parameters=True)  # P7: an error's text must not tell a file's name
    sa.event.listen(engine, "connect", _configure_sqlite)
    sa.event.listen(engine, "begin", _begin_immediate)
    return engine


def _server(url: sa.URL, pool: Pool, *, everything: bool) -> sa.Engine:
    """A server that was restarted must not fail anybody's work: see ``_watch``."""
    engine = sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        hide_parameters=True,
        pool_size=pool.kept,
        max_overflow=pool.more,
        pool_timeout=pool.wait_s,
        connect_args={
            "connect_timeout": _CONNECT_S,
            "application_name": "bevara",
            "keepalives_idle": 30,
            "tcp_user_timeout": 60_000,
        },
    )

    def configure(connection: Any, _entry: ConnectionPoolEntry) -> None:
        # Not durable unless a transaction says so: see ``Transactions.write``, which says so by default.
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET timezone = 'UTC'")
        if everything:
            connection.execute("SET bevara.tenant = '*'")
        connection.commit()

    sa.event.listen(engine, "connect", configure)
    _watch(engine)
    return engine


def _watch(engine: sa.Engine) -> None:
    """Whether a connection still lives is looked at each time it is taken from the pool.

    Asking the server costs as much as a statement, for every file several times. A server that ends a connection says so, or at
    least closes it: something waits in the socket then. What a firewall forgot is silent, and is asked after a rest.
    """
    dialect: Any = engine.dialect

    def lives(connection: Any, rest_s: float) -> bool:
        try:
            said = select.poll()
            said.register(connection.fileno(), select.POLLIN)
            return (rest_s <= _RESTED_S and not said.poll(0)) or bool(dialect.do_ping(connection))
        except (dialect.loaded_dbapi.Error, OSError):
            return False

    def given_back(_connection: Any, entry: ConnectionPoolEntry) -> None:
        entry.info["rests_since_s"] = time.monotonic()

    def taken(connection: Any, entry: ConnectionPoolEntry, _proxy: Any) -> None:
        since_s = entry.info.get("rests_since_s")  # None: it was made just now
        if since_s is not None and not lives(connection, time.monotonic() - since_s):
            raise sa.exc.InvalidatePoolError

    sa.event.listen(engine, "checkin", given_back)
    sa.event.listen(engine, "checkout", taken)


def open_read_only(path: Path) -> sa.Engine:
    """An engine that cannot write: for ``verify``. Changes nothing in the archive's folder."""
    wal = path.with_name(path.name + "-wal")
    mode = "mode=ro" if wal.exists() and wal.stat().st_size else "mode=ro&immutable=1"
    return sa.create_engine(f"sqlite:///file:{_uri_path(path)}?{mode}&uri=true")


def integrity(db: sa.Connection) -> list[str]:
    """What the database itself finds wrong with its file; empty when nothing, or when it cannot tell."""
    if db.dialect.name != "sqlite":
        return []
    found = [str(row[0]) for row in db.exec_driver_sql("PRAGMA integrity_check(3)")]
    return [] if found == ["ok"] else found


def checkpoint(engine: sa.Engine) -> None:
    """Make everything committed so far survive a power cut."""
    if engine.dialect.name == "sqlite":
        raw = engine.raw_connection()
        try:
            # PASSIVE: syncs the log and never waits for readers.
            raw.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")
        finally:
            raw.close()


class Prepared:
    """A statement compiled once. For the few that run for every file: building and caching it anew costs more than running it.

    Only for statements whose parameters need no conversion (text, whole numbers, bytes, None).
    """

    def __init__(self, engine: sa.Engine, stmt: sa.Executable) -> None:
        compiled: Any = stmt.compile(engine)  # type: ignore[attr-defined]  # every executable clause has it
        self._sql: str = compiled.string
        self._names: list[str] | None = compiled.positiontup
        self._fixed: dict[str, Any] = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}

    def run(self, db: sa.Connection, values: dict[str, Any]) -> sa.CursorResult[Any]:
        """Execute with one set of parameters."""
        return db.exec_driver_sql(self._sql, self._parameters(values))

    def run_many(self, db: sa.Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Execute once for each row."""
        if rows:
            db.exec_driver_sql(self._sql, [self._parameters(row) for row in rows])

    def _parameters(self, values: dict[str, Any]) -> Any:
        merged = self._fixed | values
        return tuple(merged[name] for name in self._names) if self._names is not None else merged


def insert_or_ignore(engine: sa.Engine, table: sa.Table) -> sa.Insert:
    """INSERT that leaves a row that stands: the first result is the truth."""
    if engine.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


def insert_or_replace(engine: sa.Engine, table: sa.Table, where: sa.ColumnElement[bool] | None = None) -> sa.Insert:
    """INSERT that takes the place of the row with the same primary key; with *where*, only of a row that is so."""
    if engine.dialect.name == "postgresql":
        into = postgresql.insert(table)
        return into.on_conflict_do_update(index_elements=list(table.primary_key), set_=_others(table, into.excluded), where=where)
    lite = sqlite.insert(table)
    return lite.on_conflict_do_update(index_elements=list(table.primary_key), set_=_others(table, lite.excluded), where=where)


def _others(table: sa.Table, excluded: Any) -> dict[str, Any]:
    return {column.name: excluded[column.name] for column in table.columns if not column.primary_key}


def _uri_path(path: Path) -> str:
    return str(path.resolve()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _configure_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: sqlite3 would begin too late
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", f"busy_timeout={_BUSY_MS}", "cache_size=-2000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: sa.Connection) -> None:
    """Take the write lock at once; a reader that turns writer in the middle would fail instead of waiting."""
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get("read_only") else "BEGIN IMMEDIATE")


def _migrate(engine: sa.Engine) -> None:
    from alembic import command  # noqa: PLC0415 -- 0.2 s, needed once per archive
    from alembic.config import Config  # noqa: PLC0415 -- as above

    config = Config()
    config.set_main_option("script_location", str(_VERSIONS.parent))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            # Processes start together: one migrates, the others wait here and then find nothing to do.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_MIGRATING,))
            connection.exec_driver_sql("SET LOCAL bevara.tenant = '*'")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
