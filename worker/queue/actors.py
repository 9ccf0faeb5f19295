"""dramatiq actors: thin shells around pipeline functions. A message carries an id and nothing else (P7)."""

from __future__ import annotations

from collections.abc import Callable

import dramatiq
from dramatiq import Actor, Broker

FILES, JOBS = "files", "jobs"  # queues
PRESERVE_FILE, DRIVE_JOB = "preserve_file", "drive_job"  # actors


def declare(broker: Broker, work: Callable[[int], None]) -> Actor[[int], None]:
    """Bind the actor of files to *broker*; *work* takes a task's number and never raises for a file's sake."""

    @dramatiq.actor(broker=broker, queue_name=FILES, actor_name=PRESERVE_FILE)
    def preserve_file(task_id: int) -> None:
        """Take one file to its end."""
        work(task_id)

    return preserve_file


def declare_jobs(broker: Broker, drive: Callable[[str], None]) -> Actor[[str], None]:
    """Bind the actor of jobs to *broker*; *drive* takes a job's id and carries out the step that it is at."""

    @dramatiq.actor(broker=broker, queue_name=JOBS, actor_name=DRIVE_JOB)
    def drive_job(job_id: str) -> None:
        """Carry out a job's next step."""
        drive(job_id)

    return drive_job
