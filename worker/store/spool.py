"""The scratch area that files pass through on their way into a store in a bucket, with a budget of bytes.

Threads wait for room here instead of filling the disk: a full scratch area says nothing of any file. What a process
leaves when it is killed is cleared away by the next one. Nothing in here is a record.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, ClassVar, cast

from actions.errors import TransientError

BUDGET_BYTES = 8 << 30
WAIT_S = 600.0  # then the thread says so, and the task waits in the queue instead
_SPARE_BYTES = 64 << 20  # of the disk, left for indexes and inventories
_LOOK_S = 1.0  # other processes use the disk too: looked at so often while waiting
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class ScratchFullError(TransientError):
    """The scratch area has no room now: wait, nothing is wrong with the file."""

    code: ClassVar[str] = "scratch-full"


@dataclass(frozen=True, slots=True)
class _Claim:
    size_bytes: int
    thread: threading.Thread  # not its number: that of an ended thread is given to a new one


class Spool:
    """One process's part of the scratch area *folder*. Used by several threads, and by all stores of the process.

    Args:
        budget_bytes: What files in hand may take together. One that is larger passes alone, when the disk has room.
        wait_s: How long a thread waits for room.
    """

    def __init__(self, folder: Path, budget_bytes: int = BUDGET_BYTES, *, wait_s: float = WAIT_S) -> None:
        self._budget, self._wait_s = budget_bytes, wait_s
        folder.mkdir(parents=True, exist_ok=True)
        _clear_away_the_dead(folder)
        self.folder = Path(tempfile.mkdtemp(prefix=f"spool-{os.getpid()}-", dir=folder))
        self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._claims: dict[Path, _Claim] = {}
        self._used, self._stopped = 0, False
        self._changed = threading.Condition()

    def claim(self, size_bytes: int) -> Path:
        """A name for a new file of about *size_bytes*, as soon as there is room. Give it back with ``release``.

        A thread that holds a file already does not wait: it may be what the others wait for.

        Raises:
            ScratchFullError: There was no room in time, or the process is stopping.
        """
        me, end_s = threading.current_thread(), time.monotonic() + self._wait_s
        with self._changed:
            while not self._fits(size_bytes, me):
                if self._stopped or time.monotonic() >= end_s:
                    raise self._full()
                self._changed.wait(min(_LOOK_S, max(0.0, end_s - time.monotonic())))
            path = self.folder / os.urandom(12).hex()
            self._claims[path] = _Claim(size_bytes, me)
            self._used += size_bytes
        return path

    def check(self) -> None:
        """See that the disk has room for anything at all, whatever the files in hand take of the budget.

        Raises:
            ScratchFullError: Every file would wait.
            OSError: The folder is gone.
        """
        if self._free_bytes() < self._spare_bytes:
            raise self._full()

    @property
    def _spare_bytes(self) -> int:
        return min(_SPARE_BYTES, self._budget)

    def _free_bytes(self) -> int:
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize

    def _fits(self, size_bytes: int, me: threading.Thread) -> bool:
        if self._free_bytes() < size_bytes + self._spare_bytes:
            return False
        alone = not self._claims or any(claim.thread is me for claim in self._claims.values())
        return alone or self._used + size_bytes <= self._budget

    def resize(self, path: Path, size_bytes: int) -> None:
        """The claimed file has become *size_bytes* long."""
        with self._changed:
            claim = self._claims[path]
            self._used += size_bytes - claim.size_bytes
            self._claims[path] = _Claim(size_bytes, claim.thread)
            self._changed.notify_all()

    def release(self, path: Path) -> None:
        """Remove a claimed file; one that is not (or no longer) claimed is passed over."""
        with self._changed:
            claim = self._claims.pop(path, None)
            if claim is None:
                return
            path.unlink(missing_ok=True)
            self._used -= claim.size_bytes
            self._changed.notify_all()

    @property
    def used_bytes(self) -> int:
        """What is claimed now."""
        with self._changed:
            return self._used

    def temporary(self) -> BinaryIO:
        """A file without a name, for what is needed for a moment; outside the budget."""
        return cast("BinaryIO", tempfile.TemporaryFile(dir=self.folder))

    def new_folder(self) -> Path:
        """A folder for an index; the caller removes it."""
        return Path(tempfile.mkdtemp(dir=self.folder))

    def stop(self) -> None:
        """Threads that wait for room give up at once."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def close(self) -> None:
        """Remove everything."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Tell a full disk in the block as what it is.

        Raises:
            ScratchFullError: The scratch area's disk took no more.
        """
        try:
            yield
        except OSError as no:
            if no.errno not in _FULL:
                raise
            raise self._full() from no

    def _full(self) -> ScratchFullError:
        remedy = "It is tried again. Give it more room, or let fewer files be worked on at once."
        return ScratchFullError("the scratch area has no room", str(self.folder.parent), remedy)


def _clear_away_the_dead(folder: Path) -> None:
    """Remove what processes left that no longer hold their lock."""
    for old in folder.glob("spool-*"):
        try:
            lock = os.open(old / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # being made, or being removed
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(old, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)
