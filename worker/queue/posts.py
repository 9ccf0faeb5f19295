"""Sends ids into the queue. Knows what a message looks like, and nothing of what it is about.

Apart from ``actors``, because who sends need not have the actors: the scheduler does no work.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from dramatiq import Broker, Message

from worker.queue.actors import DRIVE_JOB, FILES, JOBS, PRESERVE_FILE


class Posts:
    """Messages to workers, over *broker*. Raises ``redis.ConnectionError`` when its server cannot be reached."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        for queue in (FILES, JOBS):
            broker.declare_queue(queue)

    def files(self, task_ids: Iterable[int], first: Collection[int] = ()) -> None:
        """Offer tasks to workers; those in *first* go before all that wait, where the broker can do that."""
        for task_id in task_ids:
            self._send(FILES, PRESERVE_FILE, task_id, first=task_id in first)

    def jobs(self, job_ids: Iterable[str], first: Collection[str] = ()) -> None:
        """Offer jobs that need a step; *first* as for ``files``."""
        for job_id in job_ids:
            self._send(JOBS, DRIVE_JOB, job_id, first=job_id in first)

    def _send(self, queue: str, actor: str, what: int | str, *, first: bool) -> None:
        message = Message[None](queue_name=queue, actor_name=actor, args=(what,), kwargs={}, options={})
        enqueue_first = getattr(self._broker, "enqueue_first", None) if first else None
        (enqueue_first or self._broker.enqueue)(message)
