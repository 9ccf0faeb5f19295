"""Admits tasks from the ledger into the queue, a small window at a time (design.md §9).

The ledger is the truth: what is in the queue can be lost with the process, and is admitted again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from worker.ledger.facts import Job, Task
from worker.ledger.ledger import Ledger

LEASE_S = 6 * 3600.0  # embedded: the archive's lock already says that nobody else works on it
POLL_S = 0.5


class Dispatcher:
    """One job's tasks, in flight at most *window* at once."""

    def __init__(self, ledger: Ledger, job: Job, *, window: int) -> None:
        self._ledger, self._job, self._window = ledger, job, window
        self._worker = f"process {os.getpid()}"
        self._tasks: dict[int, Task] = {}
        self._changed = threading.Condition()
        self._stopping = False

    def run(self, send: Callable[[int], object]) -> bool:
        """Admit until nothing is left; False when it was stopped first. Returns when nothing is in flight, or ``stop`` gave up."""
        while not self._stopping:
            room = self._window - len(self._tasks)
            # Claims are a transaction each: half a window at a time instead of one by one.
            if room >= max(1, self._window // 2):
                fresh = self._ledger.claim(self._job, self._worker, room, LEASE_S)
                if not fresh and not self._tasks:
                    return True
                with self._changed:
                    self._tasks |= {task.id: task for task in fresh}
                for task in fresh:
                    send(task.id)
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or len(self._tasks) <= self._window // 2, POLL_S)
        return False

    def task(self, task_id: int) -> Task | None:
        """The task behind a message; None: it is no longer in flight (delivered twice, or given back)."""
        return self._tasks.get(task_id)

    def done(self, task_id: int) -> None:
        """The task has its record."""
        with self._changed:
            self._tasks.pop(task_id, None)
            self._changed.notify_all()

    def stop(self) -> None:
        """Admit nothing more. Safe in a signal handler: takes no lock."""
        self._stopping = True

    def drain(self, timeout_s: float) -> bool:
        """Wait for what is in flight; False when something still is after *timeout_s*."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._tasks, timeout_s)

    def give_back(self) -> int:
        """Return to the ledger what was admitted and not done; how many that were."""
        with self._changed:
            left = list(self._tasks)
            self._tasks.clear()
        self._ledger.release(left)
        return len(left)
