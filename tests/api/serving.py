"""The API in a process of its own, as in service: ``python -m tests.api.serving FOLDER LEDGER-URL``; prints its port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from tests.conftest import PROJECT
from worker.api.app import create
from worker.app import Service
from worker.service_settings import ServiceSettings


@contextmanager
def served(folder: Path, ledger_url: str) -> Iterator[tuple[str, int]]:
    """Its address and process number; ended afterwards."""
    command = [sys.executable, "-m", "tests.api.serving", str(folder), ledger_url]
    with (folder / "api.log").open("ab") as log:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=PROJECT)
    assert child.stdout is not None
    try:
        port = child.stdout.readline().decode().strip()
        assert port, (folder / "api.log").read_text()
        yield f"http://127.0.0.1:{port}", child.pid
    finally:
        child.stdout.close()
        child.terminate()
        child.wait(30)


def main(folder: str, ledger_url: str) -> None:
    environ = {name: value for name, value in os.environ.items() if name.startswith("BEVARA_S3_")}
    environ |= {"BEVARA_LEDGER_URL": ledger_url, "BEVARA_SCRATCH": f"{folder}/scratch", "BEVARA_LIMIT_REQUESTS_PER_S": "100000"}
    Path(folder, "scratch").mkdir(exist_ok=True)
    listening = socket.create_server(("127.0.0.1", 0))
    with Service.open(ServiceSettings.load(environ), everything=False) as service:
        print(listening.getsockname()[1], flush=True)
        config = uvicorn.Config(create(service), log_config=None, access_log=False, timeout_graceful_shutdown=2)
        uvicorn.Server(config).run([listening])


if __name__ == "__main__":
    main(*sys.argv[1:])
