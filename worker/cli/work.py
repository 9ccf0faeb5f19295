"""``bevara work``: a worker of the service. Any number may run, on any number of machines."""

from __future__ import annotations

import argparse

from actions.errors import PermanentError
from worker.cli import service as shared
from worker.observe.metrics import Metrics
from worker.queue.actors import FILES, JOBS
from worker.queue.worker import WorkerProcess


def add(parser: argparse.ArgumentParser) -> None:
    """Options of ``work``."""
    parser.add_argument(
        "--queues", default=f"{FILES},{JOBS}", metavar="Q,Q", help="what to take: files, jobs or both (default: %(default)s)"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="files in hand at once (default: BEVARA_THREADS)")


def run(args: argparse.Namespace) -> int:
    """Work until told to end; files in hand are finished first."""
    queues = tuple(dict.fromkeys(part.strip() for part in args.queues.split(",") if part.strip()))
    if not queues or not set(queues) <= {FILES, JOBS}:
        raise PermanentError(f"is not {FILES}, {JOBS} or both", f"--queues {args.queues}", "Leave it out for both.", code="usage")
    if args.threads is not None and args.threads < 1:
        raise PermanentError("must be 1 or more", f"--threads {args.threads}", "Leave it out.", code="usage")
    metrics = Metrics("work")
    with shared.opened("work", needs=shared.WORKING) as service:
        worker = WorkerProcess(service, queues=queues, threads=args.threads, metrics=metrics)
        with shared.admin_port(service, metrics), shared.signals(lambda at_once: worker.stop(at_once=at_once)):
            worker.run()
    return 0
