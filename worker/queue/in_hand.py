"""What this worker process has in hand, and the thread that says so to the ledger (promise P5).

A task that the ledger has given to somebody else meanwhile is dropped: its result is not written.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from actions.errors import TransientError
from worker.ledger.facts import Task
from worker.ledger.queue_side import QueueSide

log = logging.getLogger("bevara")

SETTLE_S = 0.5
BEATS_PER_LEASE = 4  # three may fail before work is taken away


class InHand:
    """Tasks by number. Used by several threads."""

    def __init__(self) -> None:
        self._tasks: dict[int, Task] = {}
        self._changed = threading.Condition()

    @contextmanager
    def holding(self, task: Task) -> Iterator[None]:
        """*task* is in hand for as long as the block runs, or until it is dropped."""
        with self._changed:
            self._tasks[task.id] = task
        try:
            yield
        finally:
            with self._changed:
                if self._tasks.get(task.id) is task:
                    del self._tasks[task.id]
                self._changed.notify_all()

    def has(self, task: Task) -> bool:
        """Whether *task* is still this worker's; another claim of the same task does not count."""
        return self._tasks.get(task.id) is task

    def now(self) -> dict[int, Task]:
        """All of it, as of this moment."""
        with self._changed:
            return dict(self._tasks)

    def drop(self, tasks: dict[int, Task]) -> None:
        """Forget *tasks*: what their threads still bring is not written."""
        with self._changed:
            for number, task in tasks.items():
                if self._tasks.get(number) is task:
                    del self._tasks[number]
            self._changed.notify_all()

    def wait_until_empty(self, timeout_s: float) -> bool:
        """Whether nothing was in hand any more within *timeout_s*."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._tasks, timeout_s)


class Heartbeat:
    """Keeps the leases of *worker* alive, a quarter of a lease at a time, until stopped.

    Args:
        lost: Called when the ledger says that tasks in hand are not ours any more.
        steps: Ids of the jobs of which this worker carries out a step now.
    """

    def __init__(
        self,
        queue: QueueSide,
        worker: str,
        in_hand: InHand,
        lease_s: float,
        lost: Callable[[int], None],
        *,
        steps: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        self._queue, self._worker, self._in_hand, self._lease_s, self._lost = queue, worker, in_hand, lease_s, lost
        self._steps = steps
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the beat that is under way."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        away = False
        while not self._stopping.wait(self._lease_s / BEATS_PER_LEASE):
            try:
                self.beat()
            except TransientError as no:  # the ledger is away: the leases may run out, and then the next beat says so
                if not away:
                    log.warning("no sign of life could be given: %s", no)
                away = True
            except Exception as bug:  # without beats, every task of this worker would be lost
                log.error("heartbeat: our own fault, %s", type(bug).__name__, exc_info=bug)  # noqa: TRY400 -- as below
            else:
                away = False

    def beat(self) -> None:
        """One sign of life; drops what was lost."""
        before = self._in_hand.now()  # what is claimed while the ledger answers is not in its answer
        ours = self._queue.heartbeat(self._worker, self._lease_s, before, self._steps())
        lost = {number: task for number, task in before.items() if number not in ours and self._in_hand.has(task)}
        if lost:  # a file whose result was written this moment is no longer leased, and its thread is about to let go of it
            self._stopping.wait(SETTLE_S)
            lost = {number: task for number, task in lost.items() if self._in_hand.has(task)}
        if lost:
            self._in_hand.drop(lost)
            self._lost(len(lost))
