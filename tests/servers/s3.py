"""Real S3 servers on loopback, each with its own port and folder, ended by the fixture that started it.

MinIO and versitygw are built by ``docker/setup.sh``; where neither is there, rclone serves. What a run covered is printed
at its end (``pytest_terminal_summary`` in ``tests/conftest.py``).
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import urllib3
from minio import Minio

from tests.conftest import PROJECT, missing
from tests.servers.child import Child, free_port
from worker.store.bucket import Bucket
from worker.store.bucket_folder import FolderBucket
from worker.store.bucket_s3 import S3Bucket, S3Endpoint, client_of

START_S = 30.0
COVERED: set[str] = set()
"""Names of the servers that this run has used."""


def program(name: str) -> str | None:
    """A server's program: built for this project, beside the interpreter, or on the PATH."""
    for place in (PROJECT / "build" / "servers" / name, Path(sys.executable).with_name(name)):
        if place.is_file():
            return str(place)
    return shutil.which(name)


@dataclass
class S3Server(Child):
    """A running server. ``stop`` and ``start`` keep its data and its port."""

    name: str
    command: Callable[[int, Path], list[str]]
    environment: dict[str, str]
    endpoint: S3Endpoint
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            self.command(self.port, self.folder),
            env={**os.environ, "HOME": str(self.folder), **self.environment},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        log.close()
        self._wait()
        COVERED.add(self.name)

    def _wait(self) -> None:
        """Until it answers; its own client, which must not remember what it heard before."""
        pool = urllib3.PoolManager(retries=False, timeout=2)
        client = Minio(
            self.endpoint.endpoint,
            self.endpoint.access_key,
            self.endpoint.secret_key,
            secure=False,
            region="us-east-1",
            http_client=pool,
        )
        end = time.monotonic() + START_S
        while True:
            try:
                client.list_buckets()
            except Exception as no:
                if self.process is None or self.process.poll() is not None or time.monotonic() > end:
                    text = (self.folder / "log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"{self.name} did not start: {no}\n{text}") from no
                time.sleep(0.05)
            else:
                break
        pool.clear()

    def new_bucket(self) -> str:
        """The name of a bucket that was just made."""
        name = f"test-{secrets.token_hex(6)}"
        client_of(self.endpoint).make_bucket(name)
        return name

    def bucket(self, prefix: str = "", **more: int) -> S3Bucket:
        """A place in a bucket of its own."""
        return S3Bucket(client_of(self.endpoint), self.new_bucket(), prefix, **more)

    def through(self, port: int) -> S3Endpoint:
        """The same server behind a proxy at another port."""
        return replace(self.endpoint, name=f"{self.name}-{port}", endpoint=f"127.0.0.1:{port}")


def _minio(port: int, folder: Path) -> list[str]:
    data = folder / "data"
    data.mkdir(exist_ok=True)
    options = ["--quiet", "--address", f"127.0.0.1:{port}", "--config-dir", str(folder / "config"), str(data)]
    return [str(program("minio")), "server", *options]


def _versitygw(port: int, folder: Path) -> list[str]:
    (folder / "data").mkdir(exist_ok=True)
    return [str(program("versitygw")), "--quiet", "--port", f"127.0.0.1:{port}", "posix", str(folder / "data")]


def _rclone(port: int, folder: Path) -> list[str]:
    (folder / "data").mkdir(exist_ok=True)
    keys = f"{ACCESS},{SECRET}"
    options = [
        "--addr",
        f"127.0.0.1:{port}",
        "--auth-key",
        keys,
        "--config",
        str(folder / "rclone.conf"),
        "--vfs-cache-mode",
        "off",
    ]
    return [str(program("rclone")), "serve", "s3", *options, str(folder / "data")]


ACCESS, SECRET = "bevara-test", "a-secret-that-only-tests-know"
SERVERS: dict[str, tuple[Callable[[int, Path], list[str]], dict[str, str]]] = {
    "minio": (
        _minio,
        {
            "MINIO_ROOT_USER": ACCESS,
            "MINIO_ROOT_PASSWORD": SECRET,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            "MINIO_CI_CD": "1",  # the data may lie on the system's own disk
        },
    ),
    "versitygw": (_versitygw, {"ROOT_ACCESS_KEY": ACCESS, "ROOT_SECRET_KEY": SECRET}),
    "rclone": (_rclone, {}),
}
WANTED = ("minio", "versitygw")


def available() -> list[str]:
    """The servers that this machine has; rclone only where both others are missing."""
    return [name for name in WANTED if program(name)] or [name for name in ("rclone",) if program(name)]


@contextmanager
def running(name: str, folder: Path) -> Iterator[S3Server]:
    """The server *name* with its data in *folder*; skipped, or failed in CI, where it is missing."""
    if not program(name):
        missing(name)
    command, environment = SERVERS[name]
    port = free_port()
    endpoint = S3Endpoint(name, f"127.0.0.1:{port}", ACCESS, SECRET, "us-east-1", secure=False)
    server = S3Server(name, command, environment, endpoint, folder, port)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        client_of(endpoint)._http.clear()


def _fixture(name: str):
    @pytest.fixture(scope="session", name=f"{name}_server")
    def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
        with running(name, tmp_path_factory.mktemp(name)) as one:
            yield one

    return server


minio_server, versitygw_server, rclone_server = (_fixture(name) for name in SERVERS)
"""One of each for the run. A test that stops or disturbs a server starts its own with ``running``."""


def make_bucket(request: pytest.FixtureRequest, kind: str, folder: Path, **more: int) -> Bucket:
    """An empty place of a kind: ``folder bucket``, or the name of a server."""
    if kind == "folder bucket":
        return FolderBucket(folder / "place")
    if kind == "rclone" and any(program(name) for name in WANTED):
        pytest.skip("rclone serves only where neither MinIO nor versitygw is there")
    server: S3Server = request.getfixturevalue(f"{kind}_server")
    return server.bucket("place/of one", **more)
