"""What goes wrong and is not the file's or the job's fault: how long to wait for it, and how to wait for the ledger.

Nothing is lost meanwhile: what waits is in the ledger, and its lease runs out if its process dies.
"""

from __future__ import annotations

import logging
import random
import threading
import traceback
from collections.abc import Callable
from typing import TypeVar

from actions.errors import PreservationError, TransientError
from worker.disk import disk_fault
from worker.ledger.transactions import LedgerUnreachableError
from worker.scratch import ScratchUnusableError
from worker.store.spool import ScratchFullError

log = logging.getLogger("bevara")

T = TypeVar("T")

FIRST_S, LONGEST_S = 5.0, 900.0
MOST_TRIES = 24  # with the waits above, more than four hours: an evening's maintenance of a store
LEDGER_S = (0.2, 5.0)  # first and longest wait between two tries
FULL_S = 30.0  # somebody has to make room: no sense in asking often


def backoff_s(attempts: int) -> float:
    """Seconds until a store that was away is asked again, after *attempts* tries; spread, so that not all ask at once."""
    return min(FIRST_S * 2.0 ** min(attempts - 1, 10), LONGEST_S) * random.uniform(0.5, 1.5)  # noqa: S311 -- spreads load


def wait_s(error: BaseException, attempts: int) -> float | None:
    """How long to wait before what raised *error* is tried again; None: waiting does not help. FULL_S: as often as it takes."""
    if disk_fault(error) or isinstance(error, ScratchFullError | ScratchUnusableError):
        return FULL_S
    return backoff_s(attempts) if isinstance(error, TransientError) else None


def blamed(error: Exception, check_scratch: Callable[[], object]) -> Exception:
    """*error*; or what is wrong with the scratch area, where an error that nobody knows came of that.

    A folder that is gone or closed fails every file and every step, and says nothing of any of them.
    """
    if isinstance(error, PreservationError):
        return error
    try:
        check_scratch()
    except TransientError as scratch:
        return scratch
    return error


def place_of(bug: BaseException) -> str:
    """Where *bug* was raised, without its message: that may hold a file's name (promise P7)."""
    return "".join(traceback.format_tb(bug.__traceback__))


class Patience:
    """Waits for the ledger, for as long as the process is not told to end. Says so once, and when it is over."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._away = threading.Event()

    def with_ledger(self, ask: Callable[[], T], give_up: T) -> T:
        """The answer to *ask*, asked again until the ledger is there; *give_up* when the process ends before.

        What is given up is in the ledger still, under a lease that runs out.
        """
        pause_s, longest_s = LEDGER_S
        while True:
            try:
                answer = ask()
            except LedgerUnreachableError as no:
                if not self._away.is_set():
                    self._away.set()
                    log.warning("waiting: %s", no)
                if self._stopping.wait(pause_s * random.uniform(0.5, 1.5)):  # noqa: S311 -- spreads load
                    return give_up
                pause_s = min(pause_s * 2, longest_s)
            else:
                if self._away.is_set():
                    self._away.clear()
                    log.warning("the ledger answers again: going on")
                return answer

    def rest(self, seconds: float) -> None:
        """Pause this thread, unless the process is to end."""
        self._stopping.wait(seconds)
