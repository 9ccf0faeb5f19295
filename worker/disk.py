"""A full disk, told from every other failure: it says nothing of the file in hand, and the job can go on when there is room.

Knows the errors of the file system and of SQLite. What to stop is the job's matter.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from actions.errors import TransientError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
FULL_DATABASE = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN")
"""Beginnings of SQLite's error names: it cannot write, or not even make its helper files. Source: sqlite.org/rescode.html."""


class ArchiveFailedError(TransientError):
    """The archive's own disk is full or gone: no other file would fare better, so the job stops where it is."""

    code: ClassVar[str] = "disk-full"

    @classmethod
    def full(cls, folder: str, fault: str) -> ArchiveFailedError:
        """The sentence for a disk that took no more; *fault* is what the disk said."""
        return cls(f"the archive could not be written: {fault}", folder, "Make room, and run the same command again: it goes on.")


def disk_fault(error: BaseException) -> str:
    """What the disk said, when *error* is the archive's disk being full or closed to writing; empty for any other error."""
    if isinstance(error, OSError):
        return f"{error.strerror}" if error.errno in FULL else ""
    inner = getattr(error, "orig", error)  # SQLAlchemy's wrapping
    if isinstance(inner, sqlite3.OperationalError) and str(inner.sqlite_errorname).startswith(FULL_DATABASE):
        return str(inner)
    return ""


@contextmanager
def full_disk_told(folder: str) -> Iterator[None]:
    """Turn what a full disk makes of the block into one sentence about *folder*.

    Raises:
        ArchiveFailedError: The disk is full or closed to writing.
    """
    try:
        yield
    except Exception as error:
        if fault := disk_fault(error):
            raise ArchiveFailedError.full(folder, fault) from error
        raise
