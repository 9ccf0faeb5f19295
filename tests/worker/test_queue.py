"""Promise P7 at the queue: a message carries a task's number, and nothing that names a person."""

from __future__ import annotations

from worker.queue import actors, broker


def test_a_message_carries_a_number_and_nothing_else() -> None:
    """Redis, a log or a dump of the queue must not tell a file's name."""
    queue = broker.in_process()
    taken: list[int] = []
    actor = actors.declare(queue, taken.append)

    message = actor.send(17)

    assert tuple(message.args) == (17,)
    assert not message.kwargs
    assert not message.options
    queue.close()
