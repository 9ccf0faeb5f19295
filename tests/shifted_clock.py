"""A process of the service whose clock is wrong, or jumps: ``python -m tests.shifted_clock SECONDS[,SECONDS…] COMMAND…``.

The wall clock alone, as when somebody sets it: ``time.time`` and what is made of it. The monotonic clock goes on, as it does then.
Each offset holds for some seconds, then the next, over and over. Only Python's own; no file's time.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections.abc import Sequence

HOLDS_S = 2.0


def shift(offsets_s: Sequence[float]) -> None:
    """From here on, for every module that is imported later, the clock is wrong."""
    true, true_ns, real = time.time, time.time_ns, dt.datetime

    def offset_s() -> float:
        return offsets_s[int(time.monotonic() / HOLDS_S) % len(offsets_s)]

    class Shifted(real):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:
            return real.fromtimestamp(true() + offset_s(), tz)

        @classmethod
        def utcnow(cls) -> dt.datetime:
            return real.fromtimestamp(true() + offset_s(), dt.UTC).replace(tzinfo=None)

    time.time = lambda: true() + offset_s()
    time.time_ns = lambda: true_ns() + int(offset_s() * 1e9)
    dt.datetime = Shifted  # type: ignore[misc]


if __name__ == "__main__":
    shift([float(word) for word in sys.argv[1].split(",")])
    print(f"this process's clock is shifted: it is {time.ctime(time.time())}", file=sys.stderr, flush=True)
    from worker.cli.main import main

    raise SystemExit(main(sys.argv[2:]))
