"""A worker's files: a message becomes a claimed task, the task goes through the pipeline, and every trouble has its answer.

Permanent ends are the pipeline's. Here: what is away is waited for, what is ours to mend is set aside, what was lost is
dropped, and the next file goes on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from actions.errors import PermanentError, PreservationError
from worker.app import Service
from worker.ledger.facts import Task
from worker.ledger.results import LostTaskError
from worker.ledger.transactions import LedgerUnreachableError
from worker.observe.logs import bound
from worker.observe.metrics import Metrics
from worker.pipeline.aside import give_up, set_aside
from worker.pipeline.preserve import preserve
from worker.pipeline.services import DroppedError, Services
from worker.queue.desk import Desk
from worker.queue.in_hand import InHand
from worker.queue.patience import FULL_S, MOST_TRIES, Patience, backoff_s, blamed, place_of, wait_s
from worker.record import FileRecord

log = logging.getLogger("bevara")

BUG_TRIES = 3  # how often even setting aside may fail before the file ends without it

REST_S = 1.0  # after a file was put off: the next one of the same place would most likely fare the same
SAID_S = 60.0

Work = Callable[[Services, Task], FileRecord]


@dataclass(frozen=True, slots=True)
class Bearings:
    """Who this worker is, and what it shares between its threads."""

    name: str
    lease_s: float
    in_hand: InHand
    desk: Desk
    patience: Patience


class Files:
    """Takes one task at a time to its end. Used by several threads.

    Args:
        work: The pipeline; a bench puts another one here.
    """

    def __init__(self, service: Service, bearings: Bearings, metrics: Metrics, work: Work = preserve) -> None:
        self._service, self._here, self._metrics, self._work = service, bearings, metrics, work
        self._warned_s: dict[tuple[str, str], float] = {}

    def message(self, task_id: int) -> None:
        """One message. Never raises for a file's sake."""
        here, queue = self._here, self._service.ledger.queue
        task = here.patience.with_ledger(lambda: queue.claim_task(task_id, here.name, here.lease_s), give_up=None)
        if task is None:
            log.debug("task %s: nothing to do, the message came twice or the task was cancelled", task_id)
            return
        job, tenant = task.job.id, task.job.tenant
        span = self._service.tracing.span("file", job=job, task=task.id, tenant=tenant)
        with here.in_hand.holding(task), bound(job=job, task=task.id, tenant=tenant), span:
            try:
                record = self._ended(task)
            except (LostTaskError, DroppedError):
                log.info("task %s of job %s: not ours any more, dropped", task.id, task.job.id)
                return
            except LedgerUnreachableError:
                self._back(task, lambda: queue.release([task.id], here.name))
                return
            if record is not None:
                log.info("task %s of job %s: %s (%s)", task.id, task.job.id, record.status, record.reason)
                self._metrics.observe_record(record, task.job.tenant)

    def _ended(self, task: Task) -> FileRecord | None:
        """The task's record; None: it was put back."""
        try:
            with self._here.desk.at(task.job) as services:
                return self._worked(services, task)
        except (LostTaskError, DroppedError, LedgerUnreachableError):
            raise
        except Exception as error:
            if not self._here.in_hand.has(task):
                raise DroppedError from error  # its host was ended under it
            return self._troubled(task, blamed(error, self._service.check_scratch))

    def _worked(self, services: Services, task: Task) -> FileRecord:
        try:
            return self._work(services, task)
        except Exception as bug:
            known = isinstance(bug, PreservationError | DroppedError) or wait_s(bug, 1) is not None
            if known or not self._here.in_hand.has(task):
                raise
            if (scratch := blamed(bug, self._service.check_scratch)) is not bug:
                raise scratch from bug
            # the place, not the message: that may hold a file's name (P7), and stands in the record
            log.error("task %s of job %s: our own fault, %s\n%s", task.id, task.job.id, type(bug).__name__, place_of(bug))  # noqa: TRY400
            return set_aside(services, task, bug)

    def _troubled(self, task: Task, error: Exception) -> FileRecord | None:
        """Not the file's fault, or not even setting it aside worked: wait, as long as that can help."""
        pause_s, most, known = wait_s(error, task.attempts), MOST_TRIES, error
        if pause_s is None and not isinstance(error, PreservationError):
            log.error(
                "task %s of job %s: could not be set aside, %s\n%s", task.id, task.job.id, type(error).__name__, place_of(error)
            )
            known = PermanentError(f"our own fault: {type(error).__name__}", f"task {task.id}", "Report it.", code="bug")
            pause_s, most = backoff_s(task.attempts), BUG_TRIES
        hopeless = pause_s is None or (task.attempts >= most and pause_s != FULL_S)  # a full disk is waited for without end
        if hopeless and isinstance(known, PreservationError):
            return give_up(self._service.ledger, task, known)
        reason, pause_s = getattr(known, "reason", "disk-full"), pause_s or FULL_S
        level = logging.WARNING if self._is_news(task.job.tenant, reason) else logging.INFO
        log.log(level, "task %s of job %s: waits %.0f s, %s", task.id, task.job.id, pause_s, reason)
        self._metrics.observe_postponed(reason)
        self._back(task, lambda: self._service.ledger.queue.postpone(task.id, self._here.name, pause_s, reason))
        self._here.patience.rest(REST_S)
        return None

    def _is_news(self, tenant: str, reason: str) -> bool:
        """Whether it was not said in the last minute already: a store that is away is away for every file."""
        moment_s, asked = time.monotonic(), (tenant, reason)
        news = moment_s - self._warned_s.get(asked, -SAID_S) >= SAID_S
        if news:
            self._warned_s[asked] = moment_s
        return news

    def _back(self, task: Task, give: Callable[[], object]) -> None:
        """Put *task* back; without an answer from the ledger its lease runs out, which is the same, later."""
        self._here.in_hand.drop({task.id: task})
        self._here.patience.with_ledger(give, give_up=None)
