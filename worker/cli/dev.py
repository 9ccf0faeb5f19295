"""``bevara dev``: API, scheduler and worker in one process, over SQLite, folders and an in-process queue, for trying it out.

The parts are the service's own. What is missing is what a service needs them apart for: other machines, and restarts that
nobody notices.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.api.app import create
from worker.app import Service
from worker.cli import service as shared
from worker.cli.serve import listen, serve
from worker.ledger.tenants import Tenants
from worker.observe import logs
from worker.observe.metrics import Metrics
from worker.queue.scheduler import Scheduler
from worker.queue.worker import WorkerProcess
from worker.service_settings import ServiceSettings

TENANT, KEY = "demo", "bevara dev"


def add(parser: argparse.ArgumentParser) -> None:
    """Options of ``dev``."""
    parser.add_argument(
        "--folder", default="bevara-dev", metavar="DIR", help="where everything is kept; made when absent (default: ./%(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Run all of it until Ctrl-C."""
    folder = Path(args.folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    settings = ServiceSettings.load(_environment(folder))
    logs.configure("dev", form=settings.log, level=settings.log_level)
    metrics = Metrics("dev")
    with shared.connected(settings) as service, listen(settings) as listening:
        shared.scratch_told(service)
        key = _demo(service.ledger.tenants, folder)
        port = listening.getsockname()[1]
        _welcome(folder, f"http://{settings.api_host}:{port}", key)
        with shared.admin_port(service, metrics), _at_work(service, metrics):
            serve(create(service, metrics), listening, settings)
        print("bevara dev: ended.")
    return 0


def _environment(folder: Path) -> dict[str, str]:
    """The person's own settings, over ours."""
    ours = {
        "BEVARA_LEDGER_URL": f"sqlite:///{folder / 'ledger.sqlite3'}",
        "BEVARA_SCRATCH": str(folder / "scratch"),
        "BEVARA_LOG": "text",
        "BEVARA_ADMIN_PORT": "0",
        "BEVARA_GRACE_S": "10",
    }
    return {**ours, **os.environ}


@contextmanager
def _at_work(service: Service, metrics: Metrics) -> Iterator[None]:
    """Scheduler and worker in threads, for as long as the block runs."""
    scheduler, worker = Scheduler(service, metrics), WorkerProcess(service, metrics=metrics)
    threads = [threading.Thread(target=part.run, name=type(part).__name__) for part in (scheduler, worker)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        scheduler.stop()
        worker.stop()
        for thread in threads:
            thread.join()


def _demo(tenants: Tenants, folder: Path) -> str:
    """The tenant with its places, and a new key in place of the last run's."""
    if tenants.get(TENANT) is None:
        tenants.add(TENANT, "For trying it out")
        for name in ("archive", "in", "out"):
            place = folder / name
            place.mkdir(exist_ok=True)
            roles = {"is_store": name == "archive", "is_source": name == "in", "is_delivery": name == "out"}
            tenants.add_place(TENANT, name, place.as_uri(), endpoint=None, position=None, **roles)
    for known in tenants.keys(TENANT):
        if known.name == KEY and known.revoked is None:
            tenants.revoke_key(known.id, TENANT)
    return tenants.add_key(TENANT, KEY, ("submit", "read", "officer")).text


def _welcome(folder: Path, url: str, key: str) -> None:
    body = json.dumps({"package": "first", "source": "file://in/first"})
    print(
        f"""\
bevara dev: the API answers at {url}/v1, its description is {url}/v1/openapi.json

Put files into {folder / "in" / "first"}, then:

  export BEVARA_API_KEY={key}
  curl -sS -H "Authorization: Bearer $BEVARA_API_KEY" -H "Content-Type: application/json" \\
    -d '{body}' {url}/v1/jobs

or send a folder from anywhere:  bevara submit FOLDER --url {url} --watch
The archive grows in {folder / "archive"}. Ctrl-C ends everything; nothing is lost.
""",
        flush=True,
    )
