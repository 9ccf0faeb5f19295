"""A real PostgreSQL server on loopback with its own port and folder, and a fresh database for each test that asks.

Runs as an unprivileged account, because PostgreSQL refuses root. The ledger's role is neither superuser nor exempt from row-level
security, as in production. Texts sort the Swedish way on purpose: nothing may depend on the server's language.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from tests.conftest import missing
from tests.servers.child import free_port
from worker.ledger.ledger import Ledger

ROLE, PASSWORD = "bevara", "not-a-secret"
START_S = 60.0
_TEMPLATE = "bevara_template"
_FAST = ("-c", "fsync=off", "-c", "full_page_writes=off")  # a test ends processes, not the machine
_SETTINGS = ("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200")


def programs() -> Path | None:
    """The folder of the newest server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    on_path = shutil.which("postgres")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


@dataclass
class PostgresServer:
    """A running server. ``stop``, ``kill`` and ``start`` keep its data and its port."""

    folder: Path
    port: int
    options: tuple[str, ...] = _FAST
    process: subprocess.Popen[bytes] | None = field(default=None)

    def create(self) -> None:
        """Make the cluster, the role and a database with the newest schema, from which others are copied."""
        binaries = programs()
        assert binaries is not None
        account = self._account()
        if account:
            shutil.chown(self.folder, account, pwd.getpwnam(account).pw_gid)
        words = self.folder / "superuser"
        words.write_text(PASSWORD)
        if account:
            shutil.chown(words, account)
        sort = ["--locale-provider=icu", "--icu-locale=sv-SE", "--locale=C.UTF-8"]
        made = [
            binaries / "initdb",
            "-D",
            self.folder / "data",
            "-U",
            "admin",
            "--auth=scram-sha-256",
            f"--pwfile={words}",
            "-E",
            "UTF8",
        ]
        subprocess.run(
            [*made, *sort, "--no-sync"], check=True, capture_output=True, user=account, group=self._group(), cwd=self.folder
        )
        self.start()
        with self.admin() as db:
            db.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}' NOSUPERUSER NOBYPASSRLS NOCREATEDB")
            db.execute(f"CREATE DATABASE {_TEMPLATE} OWNER {ROLE}")
        Ledger.connect(self.url(_TEMPLATE)).close()

    def start(self) -> None:
        binaries = programs()
        assert binaries is not None
        command = [binaries / "postgres", "-D", self.folder / "data", "-p", str(self.port), *_SETTINGS, *self.options]
        with (self.folder / "log").open("ab") as log:
            account = {"user": self._account(), "group": self._group(), "extra_groups": [] if self._account() else None}
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, **account)
        end = time.monotonic() + START_S
        while True:
            try:
                self.admin().close()
            except psycopg.OperationalError as no:
                if self.process.poll() is not None or time.monotonic() > end:
                    text = (self.folder / "log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"PostgreSQL did not start: {no}\n{text}") from no
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """End it as an operator would, without waiting for clients."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)  # "fast shutdown"
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGQUIT)
                self.process.wait()
            self.process = None

    def crash(self) -> None:
        """End it as a power cut of the database alone would: all that was not flushed is gone ("immediate shutdown")."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()
            self.process = None

    def admin(self) -> psycopg.Connection:
        """A superuser's connection; nothing of the product has one."""
        where = {"host": "127.0.0.1", "port": self.port, "user": "admin", "password": PASSWORD, "dbname": "postgres"}
        return psycopg.connect(**where, autocommit=True, connect_timeout=5)

    def database(self) -> str:
        """The address of a fresh database with the newest schema."""
        name = f"test_{secrets.token_hex(6)}"
        with self.admin() as db:
            db.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} OWNER {ROLE}")
        return self.url(name)

    def empty_database(self) -> str:
        """The address of a database in which nothing was made yet."""
        name = f"test_{secrets.token_hex(6)}"
        with self.admin() as db:
            db.execute(f"CREATE DATABASE {name} OWNER {ROLE}")
        return self.url(name)

    def drop(self, url: str) -> None:
        with self.admin() as db:
            db.execute(f"DROP DATABASE IF EXISTS {url.rsplit('/', 1)[1]} WITH (FORCE)")

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://{ROLE}:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def _account(self) -> str | None:
        if os.geteuid():
            return None
        names = {entry.pw_name for entry in pwd.getpwall()}
        return "postgres" if "postgres" in names else "nobody"

    def _group(self) -> int | None:
        account = self._account()
        return pwd.getpwnam(account).pw_gid if account else None


def new_server(**more: tuple[str, ...]) -> PostgresServer:
    """A server of its own, for a test that stops it; end it with ``end``."""
    if programs() is None:
        missing("PostgreSQL (postgresql)")
    # not below pytest's folder: only root may enter that
    server = PostgresServer(Path(tempfile.mkdtemp(prefix="bevara-postgres-")), free_port(), **more)
    try:
        server.create()
    except BaseException:
        end(server)
        raise
    return server


def end(server: PostgresServer) -> None:
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The session's server. Not to be stopped: take ``new_server`` for that."""
    server = new_server()
    yield server
    end(server)


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """A fresh database with the newest schema."""
    url = postgres.database()
    yield url
    postgres.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The same test on both databases."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'service.sqlite3'}"
    return request.getfixturevalue("postgres_url")
