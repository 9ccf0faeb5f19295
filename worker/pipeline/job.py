"""One job in one process: open, scan, dispatch, commit, report (design.md §9, embedded).

The same actors and dispatcher serve the queue later; only the broker and the number of processes differ.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import dramatiq

from worker.archive import Archive
from worker.commit import commit_job
from worker.disk import ArchiveFailedError, disk_fault
from worker.ledger.facts import Found, Job
from worker.paths import archival_path
from worker.pipeline.aside import set_aside
from worker.pipeline.hosts import HostPool
from worker.pipeline.names import bar_taken_names
from worker.pipeline.preserve import preserve
from worker.pipeline.services import Services
from worker.pipeline.source import FolderSource
from worker.policy.decide import Policy
from worker.queue import actors, broker
from worker.queue.dispatcher import Dispatcher
from worker.record import FileRecord

log = logging.getLogger("bevara")

DRAIN_S = 10.0  # what Ctrl-C gives the files in hand; then they are dropped, and done again by the next run
DRAIN_STEP_S = 0.1
SPARE_THREADS = 2  # beside one a host: they read, hash and sync while hosts work


@dataclass(frozen=True, slots=True)
class Asked:
    """What to preserve. ``source`` is an absolute path in the file system's bytes."""

    tenant: str
    package: str
    source: bytes
    toolchain: str
    time_factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How far a job came. ``version`` None: nothing was new, or (``complete`` False) nothing was committed yet."""

    job: Job
    complete: bool
    version: int | None
    left: int


class EmbeddedJob:
    """A job that this process carries out from beginning to end. ``stop`` may be called from a signal handler."""

    def __init__(self, archive: Archive, policy: Policy, hosts: HostPool, asked: Asked) -> None:
        self._archive, self._policy, self._hosts, self._asked = archive, policy, hosts, asked
        self.job = archive.ledger.open_job(asked.tenant, asked.package, asked.source, policy.ref, asked.toolchain)
        self._dispatcher = Dispatcher(archive.ledger, self.job, window=4 * (hosts.size + SPARE_THREADS))
        self._source = FolderSource(asked.source)
        self._failure: BaseException | None = None
        self._drain_s = DRAIN_S

    def scan(self) -> tuple[int, int]:
        """Make tasks of the source's files; returns how many are left to do, and the bytes of all.

        Raises:
            OSError: The source folder cannot be listed.
        """
        files = size = 0

        def found() -> Iterator[Found]:
            nonlocal files, size
            for seen in self._source.files():
                files, size = files + 1, size + seen.size_bytes
                yield Found(seen.path, archival_path(seen.path), seen.size_bytes, seen.mtime_ns, seen.kind.value)

        self._archive.ledger.add_tasks(self.job, found())
        bar_taken_names(self._archive.ledger, self.job)
        done = self._archive.ledger.counts(self.job)["done"] if self.job.continued else 0
        return files - done, size

    def stop(self, *, at_once: bool = False) -> None:
        """Admit no more files; those in hand are finished, or with *at_once* dropped."""
        if at_once:
            self._drain_s = 0.0
        self._dispatcher.stop()

    def run(self, ended: Callable[[FileRecord], None]) -> Ended:
        """Work until every file has its record, then commit; *ended* is called for each, from any thread.

        Raises:
            ArchiveFailedError: The archive's disk is full; what was done stands, the same command goes on.
        """
        services = Services(
            self._archive.ledger,
            self._archive.store.open_draft(self.job.object_id),
            self._source,
            self._policy,
            self._hosts,
            self._archive.reports,
            self._asked.toolchain,
            self._asked.time_factor,
            lambda task: self._dispatcher.task(task.id) is not None,
        )
        complete = self._work(services, ended)
        if self._failure is not None:
            raise self._failure
        left = self._archive.ledger.counts(self.job)
        waiting = left["pending"] + left["leased"]
        if not complete or waiting:
            services.draft.close()
            return Ended(self.job, complete=False, version=None, left=waiting)
        version = commit_job(self._archive.store, self._archive.ledger, services.draft, self.job)
        return Ended(self.job, complete=True, version=version, left=0)

    def _work(self, services: Services, ended: Callable[[FileRecord], None]) -> bool:
        queue = broker.in_process()
        actor = actors.declare(queue, lambda task_id: self._one(services, task_id, ended))
        worker = dramatiq.Worker(queue, worker_threads=self._hosts.size + SPARE_THREADS, worker_timeout=100)
        worker.start()
        try:
            complete = self._dispatcher.run(actor.send)
            self._drain()
        finally:
            if self._given_back():
                self._hosts.abandon()  # ends what is still running, so that its threads come back
            worker.stop(timeout=5_000)
            queue.close()
        return complete

    def _drain(self) -> None:
        """Wait for the files in hand; a second signal cuts the wait short."""
        started_s = time.monotonic()
        while not self._dispatcher.drain(DRAIN_STEP_S) and time.monotonic() - started_s < self._drain_s:
            pass

    def _given_back(self) -> bool:
        """Whether something was still in flight. A ledger that cannot be told of it takes the tasks back when the job goes on."""
        try:
            return self._dispatcher.give_back() > 0
        except Exception as error:
            if not disk_fault(error):
                raise
            self._fail(error)
            return True

    def _one(self, services: Services, task_id: int, ended: Callable[[FileRecord], None]) -> None:
        """One message; whatever happens to a file, the next one goes on."""
        task = self._dispatcher.task(task_id)
        if task is None:
            return
        try:
            try:
                record = preserve(services, task)
            except Exception as bug:
                if self._dispatcher.task(task_id) is None:
                    return  # it was dropped, its host ended under it
                if disk_fault(bug):
                    raise
                # the place, not the message: that may hold a file's name (P7), and stands in the record
                log.error("task %s of job %s: our own fault, %s\n%s", task_id, self.job.id, type(bug).__name__, _place(bug))  # noqa: TRY400
                record = set_aside(services, task, bug)
        except Exception as worse:  # noqa: BLE001 -- not even setting aside worked: the archive itself is not fit
            self._fail(worse)
            return
        self._dispatcher.done(task_id)
        ended(record)

    def _fail(self, error: BaseException) -> None:
        """Stop the job: nothing that comes after would fare better. The first failure is the one that is told."""
        if fault := disk_fault(error):
            failure = ArchiveFailedError.full(str(self._archive.folder), fault)
        else:
            what = f"our own fault, and the archive was not touched by it: {type(error).__name__}: {error}"
            failure = ArchiveFailedError(what, str(self._archive.folder), "Report it with the trace above.", code="bug")
        failure.__cause__ = error
        self._failure = self._failure or failure
        self.stop(at_once=True)


def _place(bug: BaseException) -> str:
    return "".join(traceback.format_tb(bug.__traceback__))
