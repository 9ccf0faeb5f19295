"""The queue on Redis, as the service has it; the same actors as on the in-process broker.

As there, dramatiq's own retries and time limit are left out (``broker``). What Redis forgets, the ledger remembers.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import redis
from dramatiq import Message, MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from worker.queue.actors import FILES, JOBS

NAMESPACE = "bevara"
DEAD_MESSAGE_TTL_MS = 60_000  # a message says nothing that the ledger does not know: no use in keeping dead ones
HEARTBEAT_TIMEOUT_MS = (
    15_000  # messages that a dead worker had fetched come back after this; a busy one's come twice, and count once
)
MAINTENANCE = 10_000  # of a million commands, how many look for dead workers' messages: every few seconds with one idle worker
ANSWER_S = 10.0  # a server that gives no answer for so long is treated as gone
SELDOM_S = 60.0
IDLE_S = 30  # connections idle for longer are asked whether they still live


class _Seldom(logging.Filter):
    """Lets the same words of dramatiq's consumers through once a minute: they try to reach an absent server every few seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._said_s: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether *record* is to be written."""
        moment_s = time.monotonic()
        if moment_s - self._said_s.get(str(record.msg), -SELDOM_S) < SELDOM_S:
            return False
        self._said_s[str(record.msg)] = moment_s
        return True


def quieten() -> None:
    """Let libraries speak of errors only, and dramatiq not of the same one over and over. What matters, we say ourselves."""
    for library in ("dramatiq", "urllib3"):
        logging.getLogger(library).setLevel(logging.ERROR)
    seldom = _Seldom()
    for queue in (FILES, JOBS):
        logging.getLogger(f"dramatiq.worker.ConsumerThread({queue})").addFilter(seldom)


def client(url: str) -> redis.Redis:
    """A Redis client for *url* (``redis://`` or ``rediss://``, password and certificate authority in it), which reconnects."""
    retry = Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), 2)  # the processes wait and try again themselves
    return redis.Redis.from_url(
        url, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S, health_check_interval=IDLE_S, retry=retry
    )


def on_redis(url: str, *, namespace: str = NAMESPACE) -> ServiceBroker:
    """The service's broker. Connects when first used."""
    return ServiceBroker(  # type: ignore[no-untyped-call]  # dramatiq is partly typed
        client=client(url),
        middleware=[],
        namespace=namespace,
        dead_message_ttl=DEAD_MESSAGE_TTL_MS,
        heartbeat_timeout=HEARTBEAT_TIMEOUT_MS,
        maintenance_chance=MAINTENANCE,
    )


class Epoch:
    """Notices that Redis has forgotten what was in it: emptied, or started anew from nothing or from an old copy."""

    def __init__(self, server: redis.Redis, namespace: str = NAMESPACE) -> None:
        self._server, self._key = server, f"{namespace}:epoch"

    def is_new(self) -> bool:
        """Whether what the ledger believes to be queued may be gone; ``begin`` is to be called when it is queued again.

        Raises:
            redis.RedisError: The server gives no answer.
        """
        return self._server.get(self._key) != self._run()

    def begin(self) -> None:
        """From here on the queue holds what was sent."""
        self._server.set(self._key, self._run())

    def _run(self) -> bytes:
        return str(self._server.info("server")["run_id"]).encode()


class _Consumer(_RedisConsumer):
    """dramatiq's consumer, which fetches as soon as there is room for a message instead of when it next looks.

    So nothing need lie in this process ahead of its threads, where no other worker could take it and no newcomer overtake it.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)  # type: ignore[no-untyped-call]  # as above
        self._room = threading.Event()

    def ack(self, message: MessageProxy) -> None:
        try:
            super().ack(message)  # type: ignore[no-untyped-call]
        finally:
            self._room.set()

    def __next__(self) -> Any:
        if not self.message_cache and self.outstanding_message_count >= self.prefetch:
            self._room.wait(self.timeout / 1000)
            self._room.clear()
            if self.outstanding_message_count >= self.prefetch:
                return None
            self.misses = 0
        return super().__next__()  # type: ignore[no-untyped-call]


class ServiceBroker(RedisBroker):
    """dramatiq's broker on Redis, without delayed messages (waiting is the ledger's), and with a short cut for newcomers."""

    @property
    def consumer_class(self) -> type[_Consumer]:
        """What reads a queue."""
        return _Consumer

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue; no delay queue beside it, which would be polled in vain."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def enqueue_first(self, message: Message[Any]) -> None:
        """Put *message* before all that wait in its queue.

        Sent as every other one, and then moved: if another process sent at the same moment, its message goes first instead,
        which harms nothing.
        """
        self.enqueue(message)
        key = f"{self.namespace}:{message.queue_name}"
        self.client.rpoplpush(key, key)

    def _dispatch(self, command: str) -> Callable[..., Any]:
        """As dramatiq's; every fault of the server is a lost connection to it, which it waits for and mends."""
        dispatch = super()._dispatch(command)  # type: ignore[no-untyped-call]

        def do_dispatch(queue_name: str, *args: Any) -> Any:
            try:
                return dispatch(queue_name, *args)
            except redis.ConnectionError:
                raise
            except redis.RedisError as fault:  # no answer in time, out of memory, read-only while it fails over
                raise redis.ConnectionError(f"the queue's server: {type(fault).__name__}") from fault

        return do_dispatch
