"""A job's own steps: scan, commit, deliver, cancel. Each may be broken off anywhere and begun anew (promise P5).

Which step a job needs is the ledger's to say, and files are ``files``' matter. What goes into a version is
``worker.commit``'s, what is delivered ``worker.delivery``'s.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from actions.errors import PermanentError, PreservationError
from worker.app import Service
from worker.commit import commit_job
from worker.delivery import check_delivery, deliver
from worker.job_report import write_report
from worker.ledger.facts import Found, Job, JobState
from worker.ledger.rebuild import catch_up
from worker.ledger.service_facts import JobStep, Step
from worker.observe.logs import bound
from worker.observe.metrics import Metrics
from worker.paths import archival_path, raw_path
from worker.pipeline.expected import Expected
from worker.pipeline.names import bar_taken_names
from worker.pipeline.scan import Kind
from worker.queue.desk import expected_of
from worker.queue.files import Bearings
from worker.queue.patience import FULL_S, MOST_TRIES, backoff_s, blamed, place_of, wait_s

log = logging.getLogger("bevara")

BUG_TRIES = 5  # a step that fails by our own fault is tried so often, then its job ends and says so


class NothingThereError(PermanentError):
    """A source without any file. A prefix that is misspelled looks the same, so it is no package that was preserved."""

    code: ClassVar[str] = "source-empty"


@dataclass(frozen=True, slots=True)
class _After:
    """What a step leads to."""

    state: JobState
    error_code: str | None = None
    error: str | None = None


class Steps:
    """Takes one job a step further at a time. Used by several threads."""

    def __init__(self, service: Service, bearings: Bearings, metrics: Metrics) -> None:
        self._service, self._here, self._metrics = service, bearings, metrics
        self.in_hand: set[str] = set()
        self._do = {Step.SCAN: self._scan, Step.COMMIT: self._commit, Step.DELIVER: self._deliver, Step.CANCEL: self._cancel}

    def message(self, job_id: str) -> None:
        """One message: whatever step the job needs now."""
        here, queue = self._here, self._service.ledger.queue
        step = here.patience.with_ledger(lambda: queue.claim_job(job_id, here.name, here.lease_s), None)
        if step is None:
            log.debug("job %s: nothing to do, or another worker does it", job_id)
            return
        self.in_hand.add(job_id)
        try:
            span = self._service.tracing.span(str(step.step), job=job_id, tenant=step.job.tenant)
            with bound(job=job_id, tenant=step.job.tenant), span:
                after = self._taken(step)
                if after is not None:
                    self._moved(step, after)
        finally:
            self.in_hand.discard(job_id)

    def _taken(self, step: JobStep) -> _After | None:
        """Carry out *step*; None: not now."""
        job = step.job
        try:
            return self._do[step.step](step)
        except Exception as raised:  # noqa: BLE001 -- a job must end, and say why
            error = blamed(raised, self._service.check_scratch)
            pause_s = wait_s(error, step.attempts)
            if pause_s == FULL_S or (pause_s is not None and step.attempts < MOST_TRIES):
                self._later(step, pause_s, getattr(error, "reason", "disk-full"))
                return None
            if isinstance(error, PreservationError):
                log.warning("job %s: %s failed, %s", job.id, step.step, error.reason)
                return _After(JobState.FAILED, error.reason, f"{error.what}. {error.remedy}")
            log.error("job %s: %s, our own fault, %s\n%s", job.id, step.step, type(error).__name__, place_of(error))  # noqa: TRY400 -- P7
            if step.attempts < BUG_TRIES:
                self._later(step, backoff_s(step.attempts), "bug")
                return None
            return _After(JobState.FAILED, "bug", f"Our own fault in {step.step}: {type(error).__name__}. Report it.")

    def _later(self, step: JobStep, pause_s: float, why: str) -> None:
        here, queue = self._here, self._service.ledger.queue
        log.warning("job %s: %s waits %.0f s, %s", step.job.id, step.step, pause_s, why)
        self._metrics.observe_postponed(why)
        here.patience.with_ledger(lambda: queue.postpone_job(step.job.id, here.name, pause_s, why), give_up=False)

    def _moved(self, step: JobStep, after: _After) -> None:
        here, queue, job = self._here, self._service.ledger.queue, step.job

        def move() -> bool:
            return queue.job_moved(job.id, here.name, after.state, error_code=after.error_code, error=after.error)

        if not here.patience.with_ledger(move, give_up=False):
            log.warning("job %s: %s was done, but its lease had run out: it is looked at again", job.id, step.step)
            return
        log.info("job %s: %s done, %s", job.id, step.step, after.state)
        if after.state in (JobState.FINISHED, JobState.CANCELLED, JobState.FAILED):
            self._metrics.observe_job(job.tenant, after.state)

    def _scan(self, step: JobStep) -> _After | None:
        """Make a task of each file of the source, or of each that failed in the job that is tried again."""
        service, job = self._service, step.job
        service.policy_of(job)  # told now rather than of each file
        service.places.primary(job.tenant)
        if step.delivery:
            check_delivery(service, job, step.delivery)
        if self._caught_up(job) is not None:
            return None  # what its files are compared with has changed: it is scanned again, from the beginning
        if step.retry_of:
            service.ledger.add_tasks(job, service.ledger.queue.failed_files(step.retry_of, step.retry_reason))
            bar_taken_names(service.ledger, job)
            return _After(JobState.OPEN)
        expected = expected_of(service, job)
        try:
            service.ledger.add_tasks(job, self._found(job))
            if expected is not None:
                service.ledger.add_tasks(job, _missing(expected))
        finally:
            if expected is not None:
                expected.close()
        if not service.ledger.has_tasks(job):
            raise NothingThereError(
                "holds no files", "the job's source", "Compare its name with where the files are, and submit the job again."
            )
        bar_taken_names(service.ledger, job)
        return _After(JobState.OPEN)

    def _found(self, job: Job) -> Iterator[Found]:
        try:
            for seen in self._service.source_of(job).files():
                yield Found(seen.path, archival_path(seen.path), seen.size_bytes, seen.mtime_ns, seen.kind.value)
        except OSError as no:
            raise PermanentError(
                f"the source cannot be listed: {no.strerror}",
                f"job {job.id}",
                "Give the service's user the right to read the place, and submit the job again.",
                code="source",
            ) from no

    def _commit(self, step: JobStep) -> _After | None:
        if not self._version(step.job):
            return None
        write_report(self._service, step.job)
        return _After(JobState.DELIVERING if step.delivery else JobState.FINISHED)

    def _cancel(self, step: JobStep) -> _After | None:
        """What was finished before the job was cancelled is committed: the archive says truly what it holds (P1)."""
        if not self._version(step.job):
            return None
        write_report(self._service, step.job)
        return _After(JobState.CANCELLED)

    def _version(self, job: Job) -> bool:
        """Make the package's next version, unless a worker that died had got so far; False: the job has begun anew."""
        store, ledger = self._service.store_of(job.tenant), self._service.ledger
        self._here.desk.clear(job.id)
        store.recover()
        stands = self._caught_up(job)
        if stands is None:
            commit_job(store, ledger, store.open_draft(job.object_id), job)
        return stands is not False

    def _caught_up(self, job: Job) -> bool | None:
        """Bring the ledger up to the store, where a process died or the ledger was put back from a backup.

        True: it turns out that this job's version stands. False: another job's does, and what was said of this one's files is
        forgotten with all else that stood on the older version, so the job begins anew. None: nothing stands in its way.
        """
        ledger = self._service.ledger
        if not catch_up(ledger, self._service.store_of(job.tenant), job.object_id):
            return None
        now = ledger.job(job.id) or job
        if now.version is not None:
            log.info("job %s: its version stood in the store already", job.id)
            return True
        if now.state in (JobState.ACCEPTED, JobState.SCANNING, JobState.OPEN):
            log.warning("job %s: the store has a version that the ledger did not know, of another job: it begins anew", job.id)
            return False
        return None

    def _deliver(self, step: JobStep) -> _After:
        if step.delivery:
            deliver(self._service, step.job, step.delivery)
        return _After(JobState.FINISHED)


def _missing(expected: Expected) -> Iterator[Found]:
    """A task for every file that the list names; one that was found has its task already, and this one is passed over."""
    for path in expected.paths():
        yield Found(raw_path(path), path, None, None, Kind.MISSING.value)
