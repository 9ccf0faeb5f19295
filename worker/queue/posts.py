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
            message = Message[None](queue_name=FILES, actor_name=PRESERVE_FILE, args=(task_id,), kwargs={}, options={})
            enqueue_first = getattr(self._broker, "enqueue_first", None) if task_id in first else None
            (enqueue_first or self._broker.enqueue)(message)

    def jobs(self, job_ids: Iterable[str]) -> None:
        """Offer jobs that need a step."""
        for job_id in job_ids:
            self._broker.enqueue(Message[None](queue_name=JOBS, actor_name=DRIVE_JOB, args=(job_id,), kwargs={}, options={}))
