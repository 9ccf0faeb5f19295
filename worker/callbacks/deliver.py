"""Sends what is due in the outbox, again and again over three days, until the receiver has taken it.

At least once: a process that dies between the receiver's answer and the ledger's note sends again, with the same id.
Slow receivers hold only their own tenant's callbacks up. What is sent was written by whoever changed the job; which
process does the sending (the scheduler that leads) is decided there.
"""

from __future__ import annotations

import logging
import random
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from actions.errors import PreservationError
from worker import __version__
from worker.callbacks import address, transport
from worker.callbacks.route import Route
from worker.callbacks.sign import Signer
from worker.callbacks.transport import Answer
from worker.ledger.service_facts import Callback

log = logging.getLogger(__name__)

BACKOFF_S = (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
"""Wait after the first, second, … attempt; the tenth was the last, a little over three days after the event.

Source: Standard Webhooks 1.0.0, "Deliverability and reliability"."""

JITTER = 0.2  # of a wait, so that what failed together does not come back together
MOST_RETRY_AFTER_S = 24 * 3600.0
PER_TENANT = 2  # sent at once, so that a slow receiver leaves threads to the others
GONE = 410


class Outbox(Protocol):
    """What is needed of ``worker.ledger.outbox.Outbox``."""

    def due(self, limit: int, now: str | None = None) -> list[Callback]:
        """Messages to send now, oldest first."""
        ...

    def delivered(self, callback_id: int) -> None:
        """It was taken."""
        ...

    def failed(self, callback_id: int, error: str, next_at: str | None) -> None:
        """It was not; None: never again."""
        ...


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator allows. ``timeout_s`` is for one attempt as a whole."""

    private: tuple[address.Network, ...] = ()
    http: bool = False
    ca_file: Path | None = None
    timeout_s: float = 15.0
    resolve: address.Resolver | None = None


class Courier:
    """Sends callbacks with a few threads. ``send_due`` is called every moment and never waits for a receiver."""

    def __init__(
        self,
        outbox: Outbox,
        settings_of: Callable[[str], str],
        rules: Rules,
        *,
        threads: int = 8,
        tell: Callable[[str, str], None] | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        """Take no work yet.

        Args:
            outbox: What is to be sent.
            settings_of: A tenant's settings, as JSON text.
            rules: What the operator allows.
            threads: How many are sent at once.
            tell: Called with tenant and ``delivered``, ``retry`` or ``dead`` after each attempt: for metrics.
            clock: Gives the time in UTC; None: this machine's.
        """
        self._outbox, self._settings_of, self._rules = outbox, settings_of, rules
        self._tell = tell or (lambda _tenant, _outcome: None)
        self._clock = clock or (lambda: datetime.now(UTC))
        # Without a clock of its own, what is due is the ledger's to say: this machine's may be wrong.
        self._now = (lambda: _text(clock())) if clock else (lambda: None)
        self._context: ssl.SSLContext = transport.tls(rules.ca_file)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="callback")
        self._threads = threads
        self._lock = threading.Lock()
        self._in_hand: dict[int, str] = {}  # callback → its tenant

    def send_due(self) -> int:
        """Begin to send what is due and return how many; what is in hand already is left alone."""
        with self._lock:
            free = self._threads - len(self._in_hand)
        if free <= 0:
            return 0
        chosen = self._choose(free)
        for callback in chosen:
            self._pool.submit(self._send, callback)
        return len(chosen)

    def close(self) -> None:
        """Begin nothing more; returns when what is in hand has ended, which its time limit bounds."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _choose(self, free: int) -> list[Callback]:
        limit = 100
        while True:
            due = self._outbox.due(limit, self._now())
            with self._lock:
                chosen = self._unblocked(due)[:free]
                self._in_hand.update({callback.id: callback.tenant for callback in chosen})
            if chosen or len(due) < limit or limit > 10_000:
                return chosen
            limit *= 10  # all of these wait for slow receivers: look behind them

    def _unblocked(self, due: Sequence[Callback]) -> list[Callback]:
        busy, free = Counter(self._in_hand.values()), []
        for callback in due:
            if callback.id not in self._in_hand and busy[callback.tenant] < PER_TENANT:
                busy[callback.tenant] += 1
                free.append(callback)
        return free

    def _send(self, callback: Callback) -> None:
        try:
            self._note(callback, self._attempt(callback))
        except PreservationError as known:  # the ledger is away: it stays due, and is sent again
            log.warning("callback %s of tenant %s: %s", callback.id, callback.tenant, known.reason)
        except Exception as bug:  # noqa: BLE001 -- a receiver's answer is hostile input; a dead thread would try it again at once, for ever
            log.error("callback %s of tenant %s: %s", callback.id, callback.tenant, type(bug).__name__)  # noqa: TRY400 -- a text may hold the address
            self._note(callback, Answer(0, f"internal error ({type(bug).__name__})"))
        finally:
            with self._lock:
                del self._in_hand[callback.id]

    def _attempt(self, callback: Callback) -> Answer:
        """One attempt; whatever keeps it from being sent is an answer too."""
        rules, body = self._rules, callback.body.encode()
        settings = self._settings_of(callback.tenant)
        try:
            route = Route.of(settings, callback.tenant)
            target = route.target(callback.url, http=rules.http)
            addresses = address.checked(target, private=rules.private, resolve=rules.resolve)
            signed = Signer.of(route.secrets, callback.tenant).headers(webhook_id(callback), int(self._clock().timestamp()), body)
        except PreservationError as refused:
            return Answer(0, f"{refused.what} [{refused.reason}]")
        except OSError:
            return Answer(0, "the host's name could not be resolved")
        headers = {"content-type": "application/json", "user-agent": f"bevara/{__version__}", "accept": "*/*", **signed}
        return transport.post(target, addresses, headers, body, context=self._context, timeout_s=rules.timeout_s)

    def _note(self, callback: Callback, answer: Answer) -> None:
        if answer.taken:
            self._outbox.delivered(callback.id)
            outcome = "delivered"
        else:
            wait_s = _wait_s(callback.attempts, answer)
            next_at = None if wait_s is None else _text(self._clock() + timedelta(seconds=wait_s))
            self._outbox.failed(callback.id, answer.why, next_at)
            outcome = "dead" if next_at is None else "retry"
        self._tell(callback.tenant, outcome)
        log.info("callback %s of job %s, tenant %s: %s, %s", callback.id, callback.job_id, callback.tenant, outcome, answer.why)


def webhook_id(callback: Callback) -> str:
    """The event's id for its receiver: the same over all attempts and replays, and never another event's."""
    return f"evt_{callback.job_id}_{callback.id}"


def _wait_s(attempts: int, answer: Answer) -> float | None:
    """Seconds until the next attempt; None: there is none. *attempts*: how many failed before this one."""
    if answer.status == GONE or attempts >= len(BACKOFF_S):
        return None
    asked_s = min(answer.retry_after_s or 0.0, MOST_RETRY_AFTER_S)
    return max(BACKOFF_S[attempts], asked_s) * (1 + JITTER * random.random())  # noqa: S311 -- spreads load, guards nothing


def _text(moment: datetime) -> str:
    """A time as the ledger writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] + "Z"
