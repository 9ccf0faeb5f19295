"""What the C library is told of memory, once, when a process starts: threads share what others gave back.

glibc gives each thread an arena of its own, and what a thread freed there waits for that thread: a process came to hold what
its largest jobs had needed, once for each of its threads. Our threads hold Python's lock when they ask for memory, so they would
hardly ever wait for each other. Large buffers are no matter of this: they are mapped, and unmapped.
"""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8  # malloc.h


def share() -> None:
    """Have all threads use one arena. Before any are started; where the C library has no arenas, nothing is done."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
