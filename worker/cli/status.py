"""``bevara status``: a job of a running service, once or until it has ended."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from typing import Any

from worker.cli.service_client import add_service, connect, show, watch
from worker.client import Client
from worker.report.summary import FILES_SHOWN
from worker.report.words import NEED_A_PERSON


def add(parser: argparse.ArgumentParser) -> None:
    """Options of ``status``."""
    parser.add_argument("job", metavar="JOB", help="the job's id, as `bevara submit` printed it")
    add_service(parser)
    parser.add_argument("--watch", action="store_true", help="stay and show how far it is, until it has ended")


def run(args: argparse.Namespace) -> int:
    """Show the job; see the exit codes in ``worker.cli.main``."""
    with connect(args) as client:
        job = client.job(args.job)
        if args.watch and not job["ended"]:
            job = watch(client, job)
        waiting = () if args.json else islice(_waiting(client, job), FILES_SHOWN)
        return show(job, as_json=args.json, waiting=waiting)


def _waiting(client: Client, job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Files that need a person."""
    for status in NEED_A_PERSON:
        if job["counts"]["by_status"].get(status.value):
            yield from client.files(job["id"], status.value)
