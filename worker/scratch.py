"""A process's own corner of the scratch area; what a killed process left there is removed by the next that starts.

What lies in scratch may be lost at any time: everything that matters is in the store or in the ledger.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from actions.errors import TransientError

_PROBE_BYTES = 4096


class ScratchUnusableError(TransientError):
    """The scratch folder cannot be used: nothing can be worked on."""

    code: ClassVar[str] = "scratch"


class Scratch:
    """A folder below *area* that this process alone uses, until closed.

    A lock tells the living from the dead: it ends with its process, however that ends.

    Raises:
        ScratchUnusableError: The area cannot be made or written.
    """

    def __init__(self, area: Path) -> None:
        try:
            area.mkdir(parents=True, exist_ok=True)
            _remove_dead(area)
            self.folder = area / f"process-{os.getpid()}-{secrets.token_hex(4)}"
            self.folder.mkdir()
            self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        except OSError as no:
            raise _unusable(area, no) from no

    def check(self) -> None:
        """Write a little and remove it again: what was good at start may be full, gone or read-only now.

        Raises:
            ScratchUnusableError: The folder takes nothing.
        """
        probe = self.folder / f"probe-{secrets.token_hex(4)}"
        with self.told():
            try:
                with probe.open("wb", buffering=0) as stream:
                    stream.write(bytes(_PROBE_BYTES))
                    os.fsync(stream.fileno())
            finally:
                probe.unlink(missing_ok=True)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell what the block finds wrong with the area as what it is.

        Raises:
            ScratchUnusableError: For every error of the file system.
        """
        try:
            yield
        except OSError as no:
            raise _unusable(self.folder.parent, no) from no

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)


def _unusable(area: Path, no: OSError) -> ScratchUnusableError:
    return ScratchUnusableError(
        f"cannot be used for what is being worked on: {no.strerror}",
        str(area),
        "Set BEVARA_SCRATCH to a folder on a local disk that the service may write, or make room there.",
    )


def _remove_dead(area: Path) -> None:
    for folder in area.glob("process-*"):
        try:
            fd = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:  # it is being made just now, or its process died before the lock: too little to look after
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:  # it lives
            pass
        finally:
            os.close(fd)
