"""How far a job has come: a live bar on a terminal, a few quiet lines anywhere else.

Printing never stops a job (see ``terminal``), and any thread may advance it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as RichProgress
from rich.table import Column

from worker.record import Status
from worker.report.names import one_line
from worker.report.terminal import Terminal, is_terminal

QUIET_INTERVAL_S = 10.0
QUIET_STEP = 0.1  # of the files
_REDRAWS_PER_S = 4


class Progress:
    """Counts files as they end and shows it; a context manager.

    Args:
        total_files: Files of the job.
        total_bytes: Their size; the estimate weighs files and bytes alike, since small files cost a start and large ones a read.
        stream: Where to print.
        clock: Seconds that only grow.
    """

    def __init__(self, total_files: int, total_bytes: int, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._total_files, self._total_bytes = total_files, total_bytes
        self._terminal = Terminal(stream)
        self._clock = clock
        self._lock = threading.RLock()
        self._counts: Counter[Status | None] = Counter()
        self._done_bytes = 0
        self._started_s = self._last_line_s = clock()
        self._last_step = 0
        self._bar: RichProgress | None = None
        self._task = TaskID(0)
        if is_terminal(stream):
            self._bar, self._task = _live_bar(self._terminal, total_files)

    def __enter__(self) -> Self:
        self._started_s = self._last_line_s = self._clock()
        if self._bar is not None:
            self._bar.start()
        else:
            self._print(f"{self._total_files} files, {_size(self._total_bytes)}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._lock:
            if self._bar is not None:
                self._bar.update(self._task, completed=self._done, told=self._told())
                self._bar.stop()
            else:
                self._print(f"{'done' if kind is None and self._done >= self._total_files else 'stopped'}: {self._told()}")

    def advance(self, status: Status | None, size_bytes: int) -> None:
        """Count one file that has ended; None: no status yet, it was only sent."""
        with self._lock:
            self._counts[status] += 1
            self._done_bytes += size_bytes
            if self._bar is not None:
                self._bar.update(self._task, completed=self._done, told=self._told())
            else:
                self._quiet_line()

    def message(self, text: str) -> None:
        """Print one line above the bar; what it contains cannot move the cursor or forge a line."""
        with self._lock:
            if self._bar is not None:
                self._bar.console.print(one_line(text), markup=False, highlight=False, emoji=False, soft_wrap=True)
            else:
                self._print(one_line(text))

    @property
    def _done(self) -> int:
        return self._counts.total()

    def _quiet_line(self) -> None:
        now_s = self._clock()
        step = int(self._done / max(self._total_files, 1) / QUIET_STEP)
        if self._done < self._total_files and (step > self._last_step or now_s - self._last_line_s >= QUIET_INTERVAL_S):
            self._last_step, self._last_line_s = step, now_s
            self._print(self._told())

    def _told(self) -> str:
        elapsed_s = max(self._clock() - self._started_s, 1e-3)
        left_s = remaining_s(elapsed_s, self._done, self._total_files, self._done_bytes, self._total_bytes)
        parts = [
            f"{self._done}/{self._total_files} files",
            f"about {_time(left_s)} left" if left_s is not None else f"in {_time(elapsed_s)}",
            f"{self._done / elapsed_s:.1f} files/s",
        ]
        if self._total_bytes or not self._done:  # a job that is watched from afar tells no sizes
            parts.append(f"{_size(self._done_bytes)}, {_size(int(self._done_bytes / elapsed_s))}/s")
        return ", ".join(parts) + self._by_status()

    def _by_status(self) -> str:
        counted = [f"{self._counts[status]} {status}" for status in Status if self._counts[status]]
        return f" ({', '.join(counted)})" if counted else ""

    def _print(self, line: str) -> None:
        self._terminal.write(line + "\n")
        self._terminal.flush()


def remaining_s(elapsed_s: float, done: int, total: int, done_bytes: int, total_bytes: int) -> float | None:
    """Estimate the seconds left from the shares of files and bytes that are done. None: nothing to go by, or nothing left."""
    if done <= 0 or done >= total:
        return None
    files = done / total
    share = (files + min(done_bytes / total_bytes, 1.0)) / 2 if total_bytes else files
    return elapsed_s * (1 - share) / share


def _live_bar(terminal: Terminal, total_files: int) -> tuple[RichProgress, TaskID]:
    bar = RichProgress(
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[told]}", markup=False, table_column=Column(ratio=1)),
        console=terminal.console(),
        refresh_per_second=_REDRAWS_PER_S,
        expand=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    return bar, bar.add_task("", total=max(total_files, 1), told="starting")


def _size(size_bytes: int) -> str:
    value = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _time(seconds: float) -> str:
    minutes, rest_s = divmod(round(seconds), 60)
    hours, rest_min = divmod(minutes, 60)
    if hours:
        return f"{hours} h {rest_min} min"
    return f"{minutes} min {rest_s} s" if minutes else f"{rest_s} s"
