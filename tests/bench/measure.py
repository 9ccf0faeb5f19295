"""What the bench's rows share: a row of the table, runs that take turns, commands that are timed."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench import inputs

RUNS = int(os.environ.get("BENCH_RUNS", "3"))
BIN = inputs.PROJECT / ".venv" / "bin"


@dataclass(frozen=True)
class Row:
    """One line of the table; ``reach`` is what the ratio (or, without one, the value) must be at least."""

    name: str
    value: float
    unit: str
    against: str
    ratio: float | None
    reach: str
    ok: bool


def in_turn(*measures: Callable[[], float]) -> list[float]:
    """Medians of several measures that take turns, so that a noisy minute hits all of them."""
    taken: list[list[float]] = [[] for _ in measures]
    for _ in range(RUNS):
        for slot, measure in zip(taken, measures, strict=True):
            slot.append(measure())
    return [statistics.median(slot) for slot in taken]


def timed(argv: list[str | Path], *, accept: tuple[int, ...] = (0,)) -> float:
    """Seconds that a command takes, its start included."""
    started = time.perf_counter()
    done = subprocess.run([str(part) for part in argv], capture_output=True, check=False, env=environment())
    if done.returncode not in accept:
        sys.exit(f"bench: {argv[0]} exited {done.returncode}:\n{done.stderr.decode(errors='replace')[-2000:]}")
    return time.perf_counter() - started


def preserve(source: Path, work: Path) -> float:
    """Seconds of a whole job in a new archive."""
    archive = work / "archive"
    shutil.rmtree(archive, ignore_errors=True)
    return timed([BIN / "bevara", "preserve", source, "--archive", archive], accept=(0, 1))


def times(name: str, ours_s: float, against: str, theirs_s: float, reach: float) -> Row:
    """A row that says how many times faster ours is; *reach* 0: nothing was set to be reached."""
    ratio = theirs_s / ours_s
    reached = f"≥ {reach:g} ×" if reach else "–"
    return Row(name, round(ours_s, 2), "s", f"{against} {theirs_s:.2f} s", round(ratio, 2), reached, ratio >= reach)


def environment() -> dict[str, str]:
    """The yardstick finds fido and ocrmypdf where we do."""
    return {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
