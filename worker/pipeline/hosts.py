"""The worker's side of the action hosts: who has one, what it may read, and when it is replaced.

A host that dies costs one attempt of one file (design.md §5). What an action means is not known here;
how the sandbox is built is ``actions.tools.bubblewrap``'s.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from actions import errors, wire
from actions.contract import Outcome
from actions.errors import PreservationError, ToolCrashedError, ToolTimeoutError
from actions.tools import bubblewrap, process

log = logging.getLogger("bevara")

START_LIMIT_S = 60.0  # a cold disk and two hosts at once; measured 0.4 s
FILES_PER_HOST = 500  # LibreOffice and MuPDF grow slowly; a new host costs about 1 s
TRACE_BYTES = 16_384  # of a host's log: holds the interpreter's last words
GRACE_S = 5.0  # a tool's own time limit should end it first, and say which tool it was


class ActionBugError(PreservationError):
    """An action raised what it should not: ours to mend, the file is set aside with the trace."""

    code = "bug"


@dataclass(frozen=True, slots=True)
class Result:
    """What an action answered, and the worker's path of the folder with its outputs."""

    outcome: Outcome
    folder: Path


class Host:
    """One slot: a scratch folder with ``in/`` and ``out/``, and the process that works there, if any.

    Used by one thread at a time. The process is started when first needed and replaced after a death,
    a timeout or ``FILES_PER_HOST`` files; the folders outlive it, so an attempt can be repeated.
    """

    def __init__(self, folder: Path, verapdf_lib: Path | None, readable: tuple[Path, ...] = ()) -> None:
        self._inbox, self._outbox = folder / "in", folder / "out"
        for part in (self._inbox, self._outbox):
            part.mkdir(parents=True, exist_ok=True)
        self._verapdf_lib, self._readable = verapdf_lib, readable
        self._log: BinaryIO = (folder / "log").open("wb")
        self._child: process.Child | None = None
        self._abandoned = False
        self._files = self._calls = 0
        self.tenant: str | None = None  # whose file it worked on last; None: nobody's yet
        self.deaths = 0
        self.sandbox = bubblewrap.boundary().kind

    def start(self) -> None:
        """Start the process if there is none.

        Raises:
            ToolCrashedError: It does not come up: the environment is not fit.
        """
        if self._child is not None:
            return
        if self._abandoned:
            raise ToolCrashedError("was ended because the job stops", "action host", "Run the same command again.")
        self._log.seek(0)
        self._log.truncate()  # a dead host's last words are not this one's
        child = bubblewrap.start_host(
            self._inbox, self._outbox, verapdf_lib=self._verapdf_lib, stderr=self._log.fileno(), readable=self._readable
        )
        self._child, self._files = child, 0
        try:
            wire.receive(_out(child), timeout_s=START_LIMIT_S)
        except (wire.PipeClosedError, wire.PipeTimeoutError) as dead:
            self.kill()
            raise ToolCrashedError(
                f"the action host did not start: {self._log_tail()}", "action host", "Run `bevara doctor`."
            ) from dead

    def warm(self, *tools: str) -> None:
        """Let *tools* start while the worker does something else."""
        self.start()
        if tools:
            self._exchange({"warm": list(tools)}, timeout_s=START_LIMIT_S, subject="warm-up")

    def load(self, original: Path, extension: str) -> Path:
        """Give the host one file to read, under a name that no tool can trip over; returns the worker's path of it.

        A hard link, not a copy: the host's mount of the folder is read-only. Where links cannot be made, a copy.
        """
        if self._child is not None and self._files >= FILES_PER_HOST:
            self.close()
        self._files += 1
        source = self._inbox / f"source{extension}"
        if self.sandbox == "none" or not _linked(original, source):
            shutil.copyfile(original, source)  # unboxed, a link would let a parser write into the archive
        return source

    def serve(self, tenant: str) -> None:
        """Work for *tenant* from now on; a process that worked for another one ends first (promise P6)."""
        if self.tenant not in (None, tenant):
            self.close()
        self.tenant = tenant

    def wipe(self) -> None:
        """Remove everything that the last file left."""
        for part in (self._inbox, self._outbox):
            for path in part.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
        self._calls = 0

    def call(self, action: str, source: Path, params: Mapping[str, Any], *, timeout_s: float) -> Result:
        """Run *action* on *source*, a path below this host's folder.

        Raises:
            PreservationError: As the action said it.
            ToolCrashedError: The host died. A new one is started by the next call.
            ToolTimeoutError: No answer in time; the host and all its tools were ended.
            ActionBugError: The action raised something that is not a PreservationError.
        """
        self.start()
        self._calls += 1
        folder = self._outbox / str(self._calls)
        request = {
            "action": action,
            "source": str(self.inner(source)),
            "workdir": str(self.inner(folder)),
            "params": {name: str(self.inner(value)) if isinstance(value, Path) else value for name, value in params.items()},
        }
        answer = self._exchange(request, timeout_s=timeout_s + GRACE_S, subject=action)
        if "outcome" in answer:
            return Result(wire.loaded(answer["outcome"]), folder)
        if "bug" in answer:
            raise ActionBugError(f"{action}: {answer['bug']}", "action", f"Report it with this trace: {answer['trace']}")
        raise _known(answer["error"])

    def formats(self, sources: Sequence[Path], *, timeout_s: float) -> list[dict[str, Any]]:
        """Name the formats of several files in one question; each answer is an ``Outcome`` as plain data, unchecked.

        Raises:
            ToolCrashedError: The host died on one of them.
            ToolTimeoutError: No answer in time.
            ActionBugError: As for ``call``.
        """
        self.start()
        answer = self._exchange({"formats": [str(source) for source in sources]}, timeout_s=timeout_s, subject="identify")
        outcomes = answer.get("outcomes")
        if not isinstance(outcomes, list) or len(outcomes) != len(sources):
            raise ActionBugError(f"identify: {answer.get('bug', 'gave no answer')}", "action", "Ask for one file at a time.")
        return outcomes

    def inner(self, path: Path) -> Path:
        """How the host names *path*."""
        if self.sandbox == "none":
            return path
        for ours, theirs in ((self._inbox, bubblewrap.IN), (self._outbox, bubblewrap.OUT)):
            if path.is_relative_to(ours):
                return theirs / path.relative_to(ours)
        if any(path == root or path.is_relative_to(root) for root in self._readable):
            return path
        raise ValueError(f"{path} is not in the host's folder")

    def kill(self) -> None:
        """End the process and everything it started, at once."""
        if self._child is not None:
            process.end_group(self._child)
            for pipe in (self._child.stdin, self._child.stdout):
                if pipe:
                    pipe.close()
            self._child = None

    def abandon(self) -> None:
        """End the process from another thread; the one that waits for an answer sees the pipe close. No new one is started."""
        self._abandoned = True
        if self._child is not None:
            process.end_group(self._child)

    def close(self) -> None:
        """End the process. Nothing of value is lost: what it wrote is in files that the worker has read."""
        self.kill()

    def discard(self) -> None:
        """End the process for good and remove the slot's folder."""
        self.kill()
        self._log.close()
        shutil.rmtree(self._inbox.parent, ignore_errors=True)

    def _exchange(self, request: dict[str, Any], *, timeout_s: float, subject: str) -> dict[str, Any]:
        child = self._child
        assert child is not None  # noqa: S101 -- start() was called
        try:
            wire.send(_in(child), request)
            return wire.receive(_out(child), timeout_s=timeout_s)
        except wire.PipeTimeoutError as late:
            self.kill()
            what = f"{subject} gave no answer within {timeout_s:.0f} s"
            raise ToolTimeoutError(what, "action host", "The file was set aside; try it by hand.") from late
        except (wire.PipeClosedError, ValueError) as dead:
            self.kill()
            self.deaths += 1
            whose = self._culprit() or f": {self._log_tail()}"
            what = f"the action host died ({_ended(child.returncode or 0)}) during {subject}{whose}"
            raise ToolCrashedError(what, "action host", "The file was set aside; its parser crashes on it.") from dead

    def _culprit(self) -> str:
        """The library whose code ran when the host crashed, with its version: what to report, and to whom."""
        self._log.flush()
        with Path(self._log.name).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - TRACE_BYTES))
            found = re.findall(rb'File "[^"\n]*/site-packages/(\w+)', log.read().rpartition(b"Fatal Python error")[2])
        from importlib import metadata  # noqa: PLC0415 -- 20 ms of every start, for hosts that crashed

        for package in dict.fromkeys(name.decode() for name in found):
            for distribution in metadata.packages_distributions().get(package, ()):
                return f" in {distribution} {metadata.version(distribution)}"
        return ""

    def _log_tail(self, size: int = 400) -> str:
        self._log.flush()
        with Path(self._log.name).open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - size))
            return log.read().decode(errors="replace").strip() or "it printed nothing"


class HostPool:
    """As many hosts as there are cores to keep busy; a file borrows one and gives it back."""

    def __init__(self, size: int, scratch: Path, verapdf_lib: Path | None, readable: tuple[Path, ...] = ()) -> None:
        shutil.rmtree(scratch, ignore_errors=True)  # what a killed run left
        self._hosts = [Host(scratch / str(number), verapdf_lib, readable) for number in range(size)]
        self._free: list[Host] = []  # the warmest last
        self._given_back = threading.Condition()
        # A sandbox ends with the thread that started it (PR_SET_PDEATHSIG), so these threads live as long as the pool.
        self._starters = ThreadPoolExecutor(size, thread_name_prefix="host-starter")
        self._started = threading.Event()
        self._starting = threading.Lock()

    @property
    def size(self) -> int:
        """How many files can be in hosts at once."""
        return len(self._hosts)

    @property
    def deaths(self) -> int:
        """How many hosts have died since the pool was made."""
        return sum(host.deaths for host in self._hosts)

    def start(self, *warm: str) -> None:
        """Begin to start every host and, in it, *warm* tools. Does not wait: the caller has policies to read meanwhile."""
        with self._starting:
            if self._started.is_set():
                return
            self._started.set()
        for host in self._hosts:
            self._starters.submit(self._start_one, host, warm)

    def _start_one(self, host: Host, warm: tuple[str, ...]) -> None:
        try:
            host.warm(*warm)
        except PreservationError as no:
            log.warning("a host did not start, its first file will try again: %s", no)
        finally:
            self._give_back(host)

    @contextmanager
    def borrow(self, tenant: str = "") -> Iterator[Host]:
        """A host for one file of *tenant*; its folders are wiped afterwards.

        A host that last worked for another tenant is replaced, so one that need not be is preferred.
        """
        if not self._started.is_set():
            self.start()
        host = self._take(tenant)
        try:
            host.serve(tenant)
            yield host
        finally:
            host.wipe()
            self._give_back(host)

    def _take(self, tenant: str) -> Host:
        with self._given_back:
            self._given_back.wait_for(lambda: self._free)
            place = max(range(len(self._free)), key=lambda at: (self._free[at].tenant in (None, tenant), at))
            return self._free.pop(place)

    def _give_back(self, host: Host) -> None:
        with self._given_back:
            self._free.append(host)
            self._given_back.notify()

    def abandon(self) -> None:
        """End every host's process now, whoever uses it: that call then fails, and its file is not recorded."""
        for host in self._hosts:
            host.abandon()

    def close(self) -> None:
        """End all hosts and remove their folders."""
        self._starters.shutdown(wait=True, cancel_futures=True)
        for host in self._hosts:
            host.discard()


def _ended(code: int) -> str:
    """How a process ended. A shell and bubblewrap tell of a signal as 128 and its number."""
    number = -code if code < 0 else code - 128
    return process.signal_name(number) if 0 < number < 65 else f"exit {code}"


def _linked(original: Path, source: Path) -> bool:
    try:
        os.link(original, source)
    except OSError:  # another file system, or one without links
        return False
    return True


def _in(child: process.Child) -> int:
    assert child.stdin is not None  # noqa: S101 -- start_host gives pipes
    return child.stdin.fileno()


def _out(child: process.Child) -> int:
    assert child.stdout is not None  # noqa: S101 -- start_host gives pipes
    return child.stdout.fileno()


def _known(error: Mapping[str, str]) -> PreservationError:
    """The error that the action raised, again; a kind that we do not know becomes the base class."""
    kind = getattr(errors, error["kind"], PreservationError)
    if not (isinstance(kind, type) and issubclass(kind, PreservationError)):
        kind = PreservationError
    return kind(error["what"], error["subject"], error["remedy"], code=error["reason"])
