"""A store place that is a folder of this machine: read with O_DIRECT, so that the disk answers and not the page cache.

What is written goes through ``worker.store.durable``. Which bytes are right is not known here.
"""

# ruff: noqa: D102 -- the protocol documents every method

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from worker.digests import CHUNK_BYTES
from worker.fixity.place import STORE, Listed, NotThereError, UnreadableError
from worker.store import durable
from worker.store.layout import OBJECT_NAMASTE, ROOT_FILES

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECT_FROM_BYTES = 256 * 1024  # below it one read by the cache's way is faster, after the clean pages were dropped
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_CHECK = "Check the disk, the mount and the rights; the audit tries again by itself."


class FolderPlace:
    """See ``worker.fixity.place.Place``.

    Args:
        is_store: It has an OCFL root; False: others keep their objects there.
        cached: Read by way of the page cache: faster where the bytes are in memory, and then says little of the disk.
    """

    opens_ahead = True

    def __init__(self, name: str, root: Path, *, cached: bool = False, is_store: bool = True) -> None:
        self.name, self.url, self.root = name, root.absolute().as_uri(), root
        self._cached, self._is_store = cached, is_store

    def listing(self, folder: str) -> Iterator[Listed]:
        top = self.root / folder
        if not top.is_dir():
            self._answers()
            return
        length = len(os.fspath(top)) + 1
        waiting = [os.fspath(top)]
        while waiting:
            here = waiting.pop()
            with self._told(here), os.scandir(here) as found:
                entries = list(found)
            if not entries and len(here) > length:
                yield Listed(here[length:], 0, "folder")
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                    continue
                kind = "file" if entry.is_file(follow_symlinks=False) else "other"
                size = entry.stat(follow_symlinks=False).st_size if kind == "file" else 0
                yield Listed(entry.path[length:], size, kind)

    def objects(self) -> Iterator[str]:
        self._answers()
        for folder, names, files in os.walk(self.root / STORE, onerror=_raise):
            if OBJECT_NAMASTE[0] in files or "inventory.json" in files:
                names.clear()
                yield Path(folder).relative_to(self.root).as_posix()
            elif Path(folder) == self.root / STORE:
                names[:] = sorted(name for name in names if name != "extensions")

    def open(self, path: str, offset_bytes: int = 0) -> _FileStream:
        place = os.path.join(self.root, path)  # noqa: PTH118 -- runs for every file: Path costs more than the open
        try:
            fd = os.open(place, _FLAGS)
        except OSError as error:
            if error.errno in _ABSENT:
                self._answers()
                raise NotThereError("is not there", path, _CHECK) from None
            raise _unreadable(path, error) from error
        return _FileStream(fd, path, offset_bytes, cached=self._cached)

    def fresh(self) -> FolderPlace:
        return FolderPlace(self.name, self.root, is_store=self._is_store)

    def put_file(self, path: str, source: Path) -> None:
        target = self.root / path
        with self._told(path):
            durable.make_folders(target.parent)
            with source.open("rb") as stream:
                durable.write_file(target, iter(lambda: stream.read(CHUNK_BYTES), b""))

    def put_bytes(self, path: str, data: bytes) -> None:
        with self._told(path):
            durable.make_folders((self.root / path).parent)
            durable.write_file(self.root / path, [data])

    def set_aside(self, path: str, target: str) -> None:
        goal = self.root / target
        with self._told(path):
            if not os.path.lexists(self.root / path):
                return
            durable.make_folders(goal.parent)
            if os.path.lexists(goal):
                raise FileExistsError(errno.EEXIST, "stands in the way", target)
            (self.root / path).rename(goal)
            durable.sync_folder(goal.parent)
            durable.sync_folder((self.root / path).parent)

    def delete(self, path: str) -> None:
        with self._told(path):
            (self.root / path).unlink(missing_ok=True)
            with contextlib.suppress(FileNotFoundError):
                durable.sync_folder((self.root / path).parent)

    def close(self) -> None:
        """Nothing is held."""

    def _answers(self) -> None:
        """An unmounted disk leaves an empty folder: that nothing is there may only be said by a root that is.

        Where others keep their objects there is no such sign, but a folder that holds nothing at all is no place of theirs.
        """
        if self._is_store:
            what, answers = "has no storage root", any((self.root / STORE / name).exists() for name in ROOT_FILES)
        else:
            with self._told(os.fspath(self.root)), os.scandir(self.root) as found:
                what, answers = "is an empty folder", any(found)
        if not answers:
            raise UnreadableError(f"{what}: it is not mounted, or was moved", self.name, _CHECK)

    @contextlib.contextmanager
    def _told(self, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _unreadable(path, error) from error


class _FileStream:
    """One file; with O_DIRECT where the file system can and the file is large enough."""

    def __init__(self, fd: int, path: str, offset_bytes: int, *, cached: bool) -> None:
        self._fd, self._path, self._offset = fd, path, offset_bytes
        try:
            status = os.fstat(fd)
            _regular(status, path)
            self._size = status.st_size
            if not cached:
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                if self._size >= _DIRECT_FROM_BYTES:
                    _go_direct(fd)
                elif self._size:  # the disk works on it while others are read
                    os.posix_fadvise(fd, 0, self._size, os.POSIX_FADV_WILLNEED)
        except BaseException:
            os.close(fd)
            raise

    def readinto(self, buffer: memoryview) -> int:
        if self._offset >= self._size:
            return 0
        try:
            got = os.preadv(self._fd, [buffer], self._offset)
        except OSError as error:
            raise _unreadable(self._path, error) from error
        self._offset += got
        return got

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


def _regular(status: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotThereError("is no regular file", path, _CHECK)


def _go_direct(fd: int) -> None:

    with contextlib.suppress(OSError):  # tmpfs and some network file systems refuse; their pages were dropped already
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_DIRECT)


def _unreadable(path: str, error: OSError) -> UnreadableError:
    return UnreadableError(f"could not be read or written: {error.strerror}", path, _CHECK)


def _raise(error: OSError) -> None:
    raise _unreadable(str(error.filename), error)
