"""The one place that starts a process and waits for it.

Every tool gets its own process group, and the whole group is ended on a timeout: a converter's
grandchildren otherwise go on for hours (field.md, "Known traps"). Long-lived tools use ``start``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias

from actions.errors import ToolCrashedError, ToolFailedError, ToolMissingError, ToolTimeoutError

Child: TypeAlias = subprocess.Popen[bytes]
PIPE, DEVNULL = subprocess.PIPE, subprocess.DEVNULL

STDERR_TAIL_CHARS = 2000  # enough for a Java or Ghostscript message; keeps ledger rows small


@dataclass(frozen=True, slots=True)
class Done:
    """How a process ended; ``stdout`` and ``stderr`` are decoded with replacement, never raising."""

    code: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str | Path],
    *,
    subject: str,
    timeout_s: float,
    accept: Collection[int] = (0,),
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    stdout: IO[bytes] | None = None,
) -> Done:
    """Run *argv* to its end.

    Args:
        subject: What the error should name (a file's name, a package).
        timeout_s: Wall-clock seconds; then the whole process group gets SIGKILL.
        accept: Exit codes that the tool documents as success.
        stdout: An open file for its output; None: collected in ``Done.stdout``, for tools that print little.

    Raises:
        ToolMissingError: The program is not on this machine.
        ToolTimeoutError: Still running after *timeout_s*.
        ToolCrashedError: Ended by a signal.
        ToolFailedError: Any exit code outside *accept*.
    """
    name = Path(str(argv[0])).name
    child = start(argv, cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=stdout or subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, err = child.communicate(stdin, timeout=timeout_s)
    except subprocess.TimeoutExpired as late:
        end_group(child)
        child.communicate()
        raise ToolTimeoutError(
            f"{name} was still running after {timeout_s:g} s", subject, "Open the file by hand; it may be damaged or very large."
        ) from late
    except BaseException:
        end_group(child)
        raise
    done = Done(child.returncode, (out or b"").decode(errors="replace"), err.decode(errors="replace"))
    tail = (done.stderr or done.stdout).strip()[-STDERR_TAIL_CHARS:]
    if done.code < 0:
        raise ToolCrashedError(f"{name} ended by {signal_name(-done.code)}: {tail}", subject, f"Run {name} by hand on this file.")
    if done.code not in accept:
        raise ToolFailedError(f"{name} exited {done.code}: {tail}", subject, f"Run {name} by hand on this file.")
    return done


def start(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[bytes] | None = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = subprocess.DEVNULL,
    stderr: int | IO[bytes] | None = subprocess.DEVNULL,
) -> Child:
    """Start a long-lived child in its own process group; the caller ends it with ``end_group``.

    Raises:
        ToolMissingError: The program is not on this machine.
    """
    try:
        return subprocess.Popen(
            [str(part) for part in argv], cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True
        )
    except FileNotFoundError as missing:
        raise ToolMissingError("is not on this machine", str(argv[0]), "Run `bevara doctor` to see how to get it.") from missing


def end_group(child: Child) -> None:
    """End *child* and everything in its process group, and wait until it is gone. Harmless when it has ended."""
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def signal_name(number: int) -> str:
    """The signal's usual name, e.g. ``SIGSEGV``, or its number when this system does not know it."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
