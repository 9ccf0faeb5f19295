"""The worker process: takes messages with N threads, keeps its leases alive, and ends without losing anything.

A message becomes a file's way through the pipeline (``files``) or a job's step (``steps``). What is decided there is not
known here.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Sequence
from functools import partial

import dramatiq

from worker.app import Service
from worker.observe.metrics import Metrics
from worker.pipeline.preserve import preserve
from worker.queue import actors
from worker.queue.actors import FILES, JOBS
from worker.queue.desk import Desk
from worker.queue.files import Bearings, Files, Work
from worker.queue.in_hand import Heartbeat, InHand
from worker.queue.patience import Patience
from worker.queue.redis_broker import quieten
from worker.queue.steps import Steps

log = logging.getLogger("bevara")

JOB_THREADS = 2  # a long commit must not keep another job from being scanned
IDLE_MS = 100  # how long a thread without work sleeps before it looks again
GONE_S = 10.0  # what threads get to come back when their hosts have been ended
STEP_S = 0.05


class WorkerProcess:
    """One process's worker. ``run`` returns when it has been stopped and has nothing in hand.

    Args:
        queues: ``files``, ``jobs`` or both.
        threads: Files in hand at once; None: as the settings say.
        work: What is done with a file; a bench puts something else here.
    """

    def __init__(
        self,
        service: Service,
        *,
        queues: Sequence[str] = (FILES, JOBS),
        threads: int | None = None,
        metrics: Metrics | None = None,
        work: Work = preserve,
    ) -> None:
        self._service, self._queues, self._threads = service, queues, threads or service.threads
        self._metrics = metrics or Metrics("work")
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._stopping, self._at_once = threading.Event(), threading.Event()
        in_hand = InHand()
        lease_s = service.settings.lease_s
        self._here = Bearings(self.name, lease_s, in_hand, Desk(service, in_hand), Patience(self._stopping))
        self._metrics.watch_worker(lambda: self.in_hand, lambda: service.spool.used_bytes, service.settings.scratch_bytes)
        self._files = Files(service, self._here, self._metrics, work)
        self._steps = Steps(service, self._here, self._metrics)
        self._heartbeat = Heartbeat(
            service.ledger.queue, self.name, in_hand, lease_s, self._lost, steps=lambda: set(self._steps.in_hand)
        )
        self._lines: list[dramatiq.Worker] = []

    def run(self) -> None:
        """Work until ``stop``."""
        broker = self._service.broker
        quieten()
        actors.declare(broker, self._files.message)
        actors.declare_jobs(broker, self._steps.message)
        self._heartbeat.start()
        try:
            for queue in self._queues:
                self._lines.append(self._line(queue))
            log.info("worker %s: started, %s files at once", self.name, self._threads if FILES in self._queues else 0)
            self._stopping.wait()
            self._drain()
        finally:
            self._heartbeat.stop()
            self._here.desk.close()
        log.info("worker %s: ended", self.name)

    def stop(self, *, at_once: bool = False) -> None:
        """Take nothing more, finish what is in hand; *at_once*: drop that too. May be called from a signal handler."""
        if at_once:
            self._at_once.set()
        self._stopping.set()

    @property
    def in_hand(self) -> int:
        """Files being worked on now."""
        return len(self._here.in_hand.now())

    def _line(self, queue: str) -> dramatiq.Worker:
        """Threads for one queue: long steps of jobs must not stand in the way of files, nor files in theirs."""
        threads = self._threads if queue == FILES else JOB_THREADS
        line = dramatiq.Worker(self._service.broker, queues={queue}, worker_timeout=IDLE_MS, worker_threads=threads)
        line.queue_prefetch = threads  # what lies in this process cannot be taken by another, nor overtaken
        line.start()
        return line

    def _drain(self) -> None:
        """Wait for what is in hand, as long as the grace lasts; then give back what is left."""
        grace_s = self._service.settings.grace_s
        log.info("worker %s: stopping, %s files in hand are being finished", self.name, self.in_hand)
        stoppers = [
            threading.Thread(target=line.stop, kwargs={"timeout": int((grace_s + GONE_S) * 1000)}, name="stopper", daemon=True)
            for line in self._lines
        ]
        for stopper in stoppers:
            stopper.start()
        until_s = time.monotonic() + grace_s
        while any(one.is_alive() for one in stoppers) and time.monotonic() < until_s and not self._at_once.is_set():
            time.sleep(STEP_S)
        self._give_back()
        until_s = time.monotonic() + GONE_S
        for stopper in stoppers:
            stopper.join(max(0.0, until_s - time.monotonic()))

    def _give_back(self) -> None:
        """Release what is still in hand; without an answer from the ledger, its leases run out."""
        left, steps = self._here.in_hand.now(), set(self._steps.in_hand)
        if not left and not steps:
            return
        self._here.in_hand.drop(left)
        if left:
            self._service.abandon_hosts()  # ends what is still running, so that its threads come back
        queue = self._service.ledger.queue
        self._here.patience.with_ledger(lambda: queue.release(list(left), self.name), 0)
        for job_id in steps:
            self._here.patience.with_ledger(partial(queue.postpone_job, job_id, self.name, 0.0, "stopped"), give_up=False)
        log.warning("worker %s: %s files and %s steps of jobs were given back", self.name, len(left), len(steps))

    def _lost(self, number: int) -> None:
        log.warning("worker %s: %s files were taken away, its leases had run out", self.name, number)
