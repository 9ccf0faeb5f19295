"""The scheduler process: fills the queue from the ledger, takes back what was lost, moves jobs on, sends callbacks.

Several may run; one leads, by a lease in the ledger, and the others watch. It holds nothing that a restart would lose.
What is fair, and which job needs a step, is the ledger's to say; what a step is, the workers'.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence

import redis

from actions.errors import PreservationError, TransientError
from worker.app import Service
from worker.callbacks.deliver import Courier, Rules
from worker.observe.metrics import Metrics
from worker.queue.flying import Flying, flying, newcomers
from worker.queue.patience import place_of
from worker.queue.posts import Posts
from worker.queue.redis_broker import Epoch
from worker.queue.window import Window

log = logging.getLogger("bevara")

ROUND_S = 0.1  # between two looks; what a newcomer waits at most before it is in the queue
LEAD_S = 6.0  # a leader that is silent for so long is followed by another
LEADER = "scheduler"
QUEUE_LEASE_S = 300.0  # a message that nobody took by then is sent again; an emptied Redis is noticed at once (``Epoch``)
JOB_LEASE_S = 60.0
LEAST_AHEAD = 4
JOBS_AT_ONCE = 100
EVERY_S = {"lead": LEAD_S / 4, "epoch": 1.0, "reap": 2.0, "callbacks": 1.0, "depth": 5.0}
AWAY_S = 1.0  # between two tries when ledger or queue are away


class Scheduler:
    """One process's scheduler. ``run`` returns after ``stop``, which may be called from a signal handler."""

    def __init__(self, service: Service, metrics: Metrics | None = None) -> None:
        settings = service.settings
        self._service, self._queue = service, service.ledger.queue
        self._metrics = metrics or Metrics("schedule")
        self._posts = Posts(service.broker)
        client: redis.Redis | None = getattr(service.broker, "client", None)
        self._epoch = Epoch(client) if client is not None else None
        self._window = Window(LEAST_AHEAD, settings.window)
        rules = Rules(private=settings.callback_private, http=settings.callback_http, ca_file=settings.callback_ca_file)
        self._courier = Courier(service.ledger.outbox, self._settings_of, rules, tell=self._metrics.observe_callback)
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(2)}"
        self.leads = False
        self._stopping = threading.Event()
        self._due: dict[str, float] = {}
        self._looked_s, self._sent, self._waited = time.monotonic(), 0, 0
        self._trouble = ""
        self.turned_s = time.monotonic()  # the last round that came to its end: for /healthz

    def run(self) -> None:
        """Go round until stopped."""
        log.info("scheduler %s: started", self.name)
        try:
            while not self._stopping.wait(AWAY_S if self._trouble else ROUND_S):
                self._go_round()
        finally:
            self._courier.close()
            if self.leads:
                self._told(lambda: self._queue.lead(LEADER, self.name, 0.0))  # the next one need not wait
        log.info("scheduler %s: ended", self.name)

    def stop(self) -> None:
        """End after the round that is under way."""
        self._stopping.set()

    def _go_round(self) -> None:
        if self._told(self.round):
            self.turned_s = time.monotonic()

    def _told(self, act: Callable[[], object]) -> bool:
        """Run *act*; what is away is said once, and again when it is back."""
        trouble = ""
        try:
            act()
        except redis.RedisError as away:
            trouble = f"the queue's server gives no answer ({type(away).__name__}). Look at BEVARA_REDIS_URL and at the server"
        except TransientError as away:
            trouble = str(away)
        except Exception as bug:  # noqa: BLE001 -- the next round may do better; without rounds nothing at all is done
            what = str(bug) if isinstance(bug, PreservationError) else type(bug).__name__
            log.error("scheduler: our own fault, %s\n%s", what, place_of(bug))  # noqa: TRY400 -- the place, not the message (P7)
            return False
        if trouble and not self._trouble:
            log.warning("waiting: %s", trouble)
        elif self._trouble and not trouble:
            log.warning("ledger and queue answer again: going on")
        self._trouble = trouble
        return not trouble

    def round(self) -> None:
        """One round, if we lead.

        Raises:
            LedgerUnreachableError: And nothing was lost.
            redis.RedisError: Likewise.
        """
        if self._is_due("lead"):
            self._lead()
        if not self.leads:
            return
        if self._is_due("epoch"):
            self._look_at_queue()
        if self._is_due("reap") and (taken := self._queue.reap()):
            self._metrics.reaped.inc(taken)
            log.warning("%s files taken back: their workers gave no sign of life, or nobody took them", taken)
            self._queue.requeue()  # what such a worker had fetched and not begun is in nobody's reach either
        self._admit()
        if steps := self._queue.to_drive(JOBS_AT_ONCE, JOB_LEASE_S):
            self._posts.jobs(steps, self._queue.newcomers(steps))
        if self._is_due("callbacks"):
            self._courier.send_due()
        if self._is_due("depth"):
            self._metrics.observe_depth(self._queue.depth())

    def _lead(self) -> None:
        leads = self._queue.lead(LEADER, self.name, LEAD_S)
        if leads != self.leads:
            log.info("scheduler %s: %s", self.name, "leads" if leads else "another leads now")
            if leads:  # whoever led before may have died between the ledger and the queue
                self._queue.requeue()
        self.leads = leads
        self._metrics.leader.set(leads)
        if not leads:
            self._metrics.observe_depth({})  # what it knew is getting old; the leader tells it now

    def _look_at_queue(self) -> None:
        """An emptied queue is filled again at once."""
        if self._epoch is not None and self._epoch.is_new():
            back = self._queue.requeue()
            self._epoch.begin()
            if back:
                log.warning("the queue was emptied or started anew: %s files are queued again from the ledger", back)

    def _admit(self) -> None:
        before = flying(self._service.ledger)
        moment_s = time.monotonic()
        self._window.seen(before.queued, max(0, self._waited + self._sent - before.queued), moment_s - self._looked_s)
        self._looked_s, self._sent, self._waited = moment_s, 0, before.queued
        if before.queued >= self._window.size:
            return
        most = self._service.settings.window_tenant
        total = before.leased + self._window.size
        admitted = self._queue.admit(window_total=total, window_tenant=before.leased + most, lease_s=QUEUE_LEASE_S)
        self._send(admitted, before)

    def _send(self, admitted: Sequence[int], before: Flying) -> None:
        """Offer them to the workers. A tenant that had nothing in flight does not wait behind all that others have."""
        first = set(newcomers(self._service.ledger, admitted, before)) if admitted and before.queued else set()
        sent = 0
        try:
            for task_id in admitted:
                self._posts.files([task_id], first)
                sent += 1
        finally:
            if sent < len(admitted):  # they are in no queue: to be admitted again
                self._queue.release(admitted[sent:])
            self._sent += sent
            self._metrics.admitted.inc(sent)

    def _settings_of(self, tenant: str) -> str:
        found = self._service.ledger.tenants.get(tenant)
        return found.settings if found else "{}"

    def _is_due(self, what: str) -> bool:
        moment_s = time.monotonic()
        if moment_s < self._due.get(what, 0.0):
            return False
        self._due[what] = moment_s + EVERY_S[what]
        return True
