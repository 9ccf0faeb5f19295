"""A real Redis server on loopback, with its own port and folder, ended by the fixture that started it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from tests.conftest import missing
from tests.servers.child import Child, free_port

START_S = 30.0


@dataclass
class RedisServer(Child):
    """A running server. ``stop``, ``kill`` and ``start`` keep its port; its data only when it is *kept*."""

    folder: Path
    port: int
    kept: bool = False
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        command += ["--save", "", "--appendonly", "yes" if self.kept else "no"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + START_S
        while True:
            try:
                with self.client() as client:
                    client.ping()
            except redis.ConnectionError as no:
                if self.process.poll() is not None or time.monotonic() > end:
                    text = (self.folder / "log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"Redis did not start: {no}\n{text}") from no
                time.sleep(0.02)
            else:
                return

    def flush(self) -> None:
        """Forget everything, as ``FLUSHALL`` would."""
        with self.client() as client:
            client.flushall()

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=5)


def new_server(*, kept: bool = False) -> RedisServer:
    """A server of its own, for a test that stops it; end it with ``end``."""
    if shutil.which("redis-server") is None:
        missing("Redis (redis-server)")
    server = RedisServer(Path(tempfile.mkdtemp(prefix="bevara-redis-")), free_port(), kept)
    try:
        server.start()
    except BaseException:
        end(server)
        raise
    return server


def end(server: RedisServer) -> None:
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The session's server. Not to be stopped: take ``new_server`` for that."""
    server = new_server()
    yield server
    end(server)


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """An empty Redis."""
    redis_server.flush()
    return redis_server.url
