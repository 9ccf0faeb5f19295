"""Ctrl-C and SIGTERM before a job listens for them: raised where the program is, and remembered, because a raise can get lost.

Python drops an exception that is raised inside a finaliser or a weak reference's callback; whoever begins to listen for
signals asks ``was_asked`` whether one had come by then.
"""

from __future__ import annotations

import signal
from types import FrameType

_asked = False


def listen() -> None:
    """From now on a SIGTERM means what Ctrl-C means."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)


def was_asked() -> bool:
    """Whether a signal has come since ``listen``."""
    return _asked


def _stop(number: int, frame: FrameType | None) -> None:
    del number, frame
    global _asked  # noqa: PLW0603 -- a process has one set of signal handlers
    _asked = True
    raise KeyboardInterrupt
