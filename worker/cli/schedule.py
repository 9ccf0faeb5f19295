"""``bevara schedule``: fills the queue, takes back what was lost, moves jobs on, sends callbacks. Several may run; one leads."""

from __future__ import annotations

import argparse
import time

from worker.cli import service as shared
from worker.observe.metrics import Metrics
from worker.queue.scheduler import Scheduler

STUCK_S = 300.0  # without a round that came to its end, although ledger and queue answer


def add(parser: argparse.ArgumentParser) -> None:
    """No options: the settings say it all."""
    del parser


def run(args: argparse.Namespace) -> int:
    """Schedule until told to end."""
    del args
    metrics = Metrics("schedule")
    with shared.opened("schedule", needs=shared.WORKING, scratch=False) as service:
        scheduler = Scheduler(service, metrics)

        def alive() -> bool:
            return time.monotonic() - scheduler.turned_s < STUCK_S

        with shared.admin_port(service, metrics, alive, scratch=False), shared.signals(lambda _: scheduler.stop()):
            scheduler.run()
    return 0
