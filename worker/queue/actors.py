"""dramatiq actors: thin shells around pipeline functions. A message carries a task's number and nothing else (P7)."""

from __future__ import annotations

from collections.abc import Callable

import dramatiq
from dramatiq import Actor, Broker

QUEUE = "files"


def declare(broker: Broker, work: Callable[[int], None]) -> Actor[[int], None]:
    """Bind the actor to *broker*; *work* takes a task's number and never raises for a file's sake."""

    @dramatiq.actor(broker=broker, queue_name=QUEUE, actor_name="preserve_file")
    def preserve_file(task_id: int) -> None:
        """Take one file to its end."""
        work(task_id)

    return preserve_file
