"""Writing files so that they are still there after a power cut.

POSIX promises a new name only after its folder was synced too; ext4 usually does both at once, others do not.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.digests import write_all

READ_ONLY = 0o444  # content is never opened for writing again; says so to people and tools alike


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folders(path: Path) -> None:
    """Create *path* and its parents, each name durable."""
    if path.is_dir():
        return
    make_folders(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def write_file(path: Path, pieces: Iterable[bytes], *, mode: int = READ_ONLY) -> None:
    """Write a whole small file: under another name first, then renamed into place, durable."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        for piece in pieces:
            write_all(fd, memoryview(piece))
        os.fsync(fd)
    finally:
        os.close(fd)
    temporary.rename(path)
    sync_folder(path.parent)


def remove_tree(path: Path, trash: Path) -> None:
    """Remove a folder in one step as seen from outside: moved away first, then emptied."""
    trash.mkdir(parents=True, exist_ok=True)
    away = trash / f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}"
    path.rename(away)
    shutil.rmtree(away)


@contextmanager
def regular_file(path: Path) -> Iterator[int]:
    """A regular file, opened for reading; a link, a pipe or a folder is refused with OSError."""
    # Not blocking: opening a named pipe would otherwise wait for somebody to write.
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        yield fd
    finally:
        os.close(fd)
