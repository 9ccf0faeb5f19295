"""The embedded archive: one folder with store, ledger, reports and scratch (design.md §10).

Refuses a folder that holds something else, and a second process. What happens inside is the parts' matter.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from actions.errors import TransientError
from worker.disk import full_disk_told
from worker.ledger.ledger import Ledger
from worker.ledger.rebuild import reconcile
from worker.store import durable
from worker.store.contract import NotOursError
from worker.store.directory import DirectoryStore

MARKER = (
    "bevara-archive.json",
    b'{"schema": "bevara.archive/1", "about": "An archive kept by bevara; store/ is an OCFL 1.1 storage root."}\n',
)
LEDGER = "ledger.sqlite3"


class ArchiveBusyError(TransientError):
    """Another process works on this archive."""

    code: ClassVar[str] = "archive-busy"


class Archive:
    """An archive folder, opened for writing by this process alone. Use as a context manager, or ``close`` it.

    Args:
        folder: Absent or empty: an archive is made there.
        rebuild: Set the ledger aside and make it again from the store alone. Work that was not committed is
            forgotten, and done again by its job.

    Attributes:
        recovered: One sentence for each thing that a killed process had left half done.
        aside: Where the ledger lies that a rebuild set aside; None: there was no rebuild, or no ledger.

    Raises:
        NotOursError: The folder holds something, but no archive of ours.
        ArchiveBusyError: Another process has it open.
        ArchiveFailedError: Its disk is full.
    """

    def __init__(self, folder: Path, *, rebuild: bool = False) -> None:
        self.folder, self.scratch, self.reports = folder, folder / "scratch", folder / "reports"
        self.aside: Path | None = None
        with full_disk_told(str(folder)):
            self._open(rebuild=rebuild)

    def _open(self, *, rebuild: bool) -> None:
        self._claim_folder()
        self._lock = self._lock_folder()
        try:
            self.store = DirectoryStore(self.folder / "store", self.scratch)
            self.recovered = self.store.recover()
            if rebuild:
                self._set_ledger_aside()
            self.ledger = Ledger.open(self.folder / LEDGER)
            self.recovered += reconcile(self.ledger, self.store)
        except BaseException:
            os.close(self._lock)
            raise

    def _claim_folder(self) -> None:
        marker = self.folder / MARKER[0]
        if marker.is_file():
            return
        if self.folder.exists() and not self.folder.is_dir():
            raise NotOursError("is not a folder", str(self.folder), "Name a new or empty folder.")
        strange = sorted({entry.name for entry in self.folder.iterdir()} - {f"{MARKER[0]}.new"}) if self.folder.is_dir() else []
        if strange:
            raise NotOursError(f"holds {strange[0]!r} but no archive of ours", str(self.folder), "Name a new or empty folder.")
        durable.make_folders(self.folder.absolute())
        durable.write_file(marker, [MARKER[1]])

    def _lock_folder(self) -> int:
        for folder in (self.scratch, self.reports):
            durable.make_folders(folder.absolute())
        fd = os.open(self.scratch / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise ArchiveBusyError(
                f"another process (number {holder}) is working on this archive",
                str(self.folder),
                "Wait until it has ended, then try again.",
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        return fd

    def _set_ledger_aside(self) -> None:
        """Move the ledger into the scratch area: a new one is then made from the store, and this one can be looked into."""
        aside = self.scratch / f"ledger-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}"
        aside.mkdir()
        for path in self.folder.glob(f"{LEDGER}*"):
            path.rename(aside / path.name)
        self.aside = aside / LEDGER if (aside / LEDGER).is_file() else None

    def close(self) -> None:
        """Let go of the ledger and of the lock."""
        self.ledger.close()
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
