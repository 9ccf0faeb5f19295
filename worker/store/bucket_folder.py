"""A plain folder as a place for bytes: a key is a path below it.

A write appears under its name at once and whole, and only when it is durable. Nothing is read or written through a link
that leads out of the folder. For a store that other machines write too, the folder lies on a file system that they share.
"""

# ruff: noqa: D102 -- the protocol documents every method

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

from worker.digests import write_all
from worker.listing import Name, names
from worker.store import durable
from worker.store.body import reader
from worker.store.bucket import BadKeyError, Blob, StoreUnreachableError, check_key, check_new_key, pieces
from worker.store.contract import NotInStoreError
from worker.store.inside import Inside

UNFINISHED = ".bevara-unfinished"  # beside the keys and on their file system; never listed, and no key may begin with it
_HIDDEN = os.fsencode(UNFINISHED)
_KNOWN_FOLDERS = 4096  # remembered as durable; bounds memory
_DELETE_BATCH = 1000  # then their folders are made durable
_TRIES = 100  # a folder may be removed as empty by another process between its making and its first file
_GONE = frozenset(
    {errno.ESTALE, errno.EIO, errno.ENXIO, errno.ENOTCONN, errno.EHOSTDOWN, errno.ETIMEDOUT, errno.EACCES, errno.EPERM}
)
_NO_LINKS = frozenset({errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EXDEV, errno.ENOSYS})


class FolderBucket:
    """See ``worker.store.bucket.Bucket``.

    Args:
        folder: Absolute. Made with the first write, when its parent is there: a file system that is not mounted is
            not mistaken for an empty place.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = folder.as_uri()
        self._inside = Inside(folder, UNFINISHED)
        self._folders: OrderedDict[Path, None] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, key: str, data: bytes) -> None:
        self._write(key, [data])

    def put_file(self, key: str, path: Path) -> None:
        with path.open("rb", buffering=0) as source:
            self.put_stream(key, cast("BinaryIO", source), os.fstat(source.fileno()).st_size)

    def put_stream(self, key: str, stream: BinaryIO, size_bytes: int) -> None:
        self._write(key, pieces(stream, size_bytes))

    def get(self, key: str, offset_bytes: int = 0, length_bytes: int | None = None) -> BinaryIO:
        with self._told(key):
            fd = self._inside.open(key)
            size = os.fstat(fd).st_size
            os.lseek(fd, offset_bytes, os.SEEK_SET)
        rest = max(0, size - offset_bytes)
        left = rest if length_bytes is None else min(rest, length_bytes)
        return reader(left, lambda buffer: os.readv(fd, [buffer]), lambda _: os.close(fd), self._broke_off)

    def stat(self, key: str) -> Blob | None:
        try:
            with self._told(key):
                fd = self._inside.open(key)
        except NotInStoreError:
            return None
        try:
            return _blob(key, os.fstat(fd))
        finally:
            os.close(fd)

    def list(self, prefix: str = "", after: str = "") -> Iterator[Blob]:
        folder = prefix.rpartition("/")[0]
        if folder:
            check_key(folder)
        wanted, last = prefix.encode(), after.encode()
        with self._told(prefix):
            self._there()
        yield from self._below(os.fsencode(self.folder), folder.encode(), wanted, last)

    def _below(self, root: bytes, folder: bytes, wanted: bytes, last: bytes) -> Iterator[Blob]:
        for one in self._names(os.path.join(root, folder)):  # noqa: PTH118 -- bytes: a listing knows no UTF-8
            if one.name == _HIDDEN:
                continue
            key = folder + b"/" + one.name if folder else one.name
            reach = key + b"/" if one.is_folder else key
            if not (reach.startswith(wanted) or (one.is_folder and wanted.startswith(reach))):
                continue
            if one.is_folder and not last.startswith(reach) and reach <= last:
                continue
            if one.is_folder:
                yield from self._below(root, key, wanted, last)
            elif key > last:
                with contextlib.suppress(FileNotFoundError):  # removed since the listing
                    found = os.lstat(os.path.join(root, key))  # noqa: PTH118
                    if not stat.S_ISLNK(found.st_mode):
                        yield _blob(key.decode("utf-8", "surrogateescape"), found)

    def _names(self, folder: bytes) -> Iterator[Name]:
        """In the order of the keys below: a folder sorts as if it ended with a slash."""
        try:
            with self._told("", missing=False):
                return names(folder, lambda one: one.name + b"/" if one.is_folder else one.name)
        except (FileNotFoundError, NotADirectoryError):
            return iter(())

    def copy(self, source_key: str, target_key: str, size_bytes: int | None = None) -> None:  # noqa: ARG002 -- asked here for nothing
        with self._told(source_key):
            fd = self._inside.open(source_key)
        with os.fdopen(fd, "rb", buffering=0) as source:
            self._write(target_key, pieces(cast("BinaryIO", source), os.fstat(fd).st_size), link=fd)

    def delete(self, keys: Iterable[str]) -> None:
        source = iter(keys)
        while batch := tuple(islice(source, _DELETE_BATCH)):
            with self._told("", missing=False):
                touched = {folder for key in batch if (folder := self._unlink(self._inside.path(key)))}
                for folder in sorted(touched, reverse=True):
                    self._drop_empty(folder)

    def _unlink(self, path: Path) -> Path | None:
        self._inside.check_parent(path)
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return path.parent

    def _drop_empty(self, folder: Path) -> None:
        """A place has keys, not folders: one that holds none is gone. The first that stays is made durable."""
        while folder != self.folder:
            try:
                folder.rmdir()
            except OSError:
                break
            with self._lock:
                self._folders.pop(folder, None)
            folder = folder.parent
        with contextlib.suppress(FileNotFoundError):
            durable.sync_folder(folder)

    def sweep(self, older_than_s: float) -> int:
        done, limit_ns = 0, time.time_ns() - int(older_than_s * 1e9)
        with self._told("", missing=False), contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self.folder / UNFINISHED):
                # the change time: a link to old content is made now, whatever the content's age
                if entry.stat(follow_symlinks=False).st_ctime_ns <= limit_ns:
                    Path(entry.path).unlink(missing_ok=True)
                    done += 1
        return done

    # Writing

    def _write(self, key: str, data: Iterable[bytes], *, link: int | None = None) -> None:
        path = self._inside.path(check_new_key(key))
        with self._told(key, missing=False):
            self._there(make=True)
        temporary = self._unfinished(data, link)
        try:
            with self._told(key, missing=False):
                self._put_in_place(temporary, path)
        finally:
            with contextlib.suppress(OSError):  # also when both names were the same file already: then rename does nothing
                temporary.unlink(missing_ok=True)

    def _put_in_place(self, temporary: Path, path: Path) -> None:
        for attempt in range(_TRIES):
            try:
                self._make_folder(path.parent)
                self._inside.check_parent(path)
                temporary.rename(path)
            except IsADirectoryError:
                raise _both() from None
            except FileNotFoundError:  # who deletes beside us takes away folders that are empty at that moment
                with self._lock:
                    self._folders.clear()
                if attempt == _TRIES - 1:
                    raise self._unreachable("its folders vanish while they are written to", "See who else works there.") from None
            else:
                with contextlib.suppress(FileNotFoundError):  # it was in its place, and somebody deleted it since
                    durable.sync_folder(path.parent)
                return

    def _unfinished(self, data: Iterable[bytes], link: int | None) -> Path:
        """A durable file under a name that no key has. With *link*, another name for that open file where the disk can."""
        path = self.folder / UNFINISHED / f"{os.getpid()}-{os.urandom(8).hex()}"
        with self._told("", missing=False):
            path.parent.mkdir(exist_ok=True)
            if link is not None and _linked(link, path):
                return path
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, durable.READ_ONLY)
        try:
            for piece in data:  # what reading raises is the caller's, what writing raises is this place's
                with self._told("", missing=False):
                    write_all(fd, memoryview(piece))
            with self._told("", missing=False):
                os.fsync(fd)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)  # so that who reads it back asks the disk
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)
        return path

    def _make_folder(self, folder: Path) -> None:
        """Make *folder* below the place; each name is synced once by this process, whoever made it."""
        if folder == self.folder or folder in self._folders:
            return
        self._make_folder(folder.parent)
        try:
            folder.mkdir(exist_ok=True)
        except FileExistsError:
            if os.path.lexists(folder) and not folder.is_dir():
                raise _both() from None
            raise FileNotFoundError(folder) from None  # a folder that was removed before it was looked at
        durable.sync_folder(folder.parent)
        with self._lock:
            self._folders[folder] = None
            if len(self._folders) > _KNOWN_FOLDERS:
                self._folders.popitem(last=False)

    # Errors

    def _there(self, *, make: bool = False) -> None:
        if not self.folder.is_dir():
            if not self.folder.parent.is_dir():
                raise self._unreachable("its folder is not there", "Mount or make it, then try again.")
            if make:
                durable.make_folders(self.folder)

    @contextlib.contextmanager
    def _told(self, key: str, *, missing: bool = True) -> Iterator[None]:
        """Turn the file system's errors into the protocol's."""
        try:
            yield
        except (FileNotFoundError, NotADirectoryError):
            if not missing:
                raise
            self._there()
            raise NotInStoreError("is not in this place", key, f"Look at what is under {self.url}.") from None
        except OSError as no:
            what = f"could not be used: {no.strerror}"
            raise self._unreachable(what, "Check the disk or share, its room, and the user's rights there.") from None

    def _unreachable(self, what: str, remedy: str) -> StoreUnreachableError:
        return StoreUnreachableError(what, self.url, remedy)

    def _broke_off(self, left_bytes: int, why: str) -> StoreUnreachableError:
        return self._unreachable(
            f"a read ended {left_bytes} bytes too early ({why})", "It is tried again; check the disk or share."
        )


def _blob(key: str, found: os.stat_result) -> Blob:
    # Not the change time: another name for the same bytes (a copy by link) is no change.
    return Blob(key, found.st_size, found.st_mtime_ns, f"{found.st_ino}-{found.st_mtime_ns}-{found.st_size}")


def _both() -> BadKeyError:
    return BadKeyError("would be both a file and a folder there", "a key", "Use another name.")


def _linked(fd: int, path: Path) -> bool:
    """Whether the file system could give an open file another name."""
    try:
        os.link(f"/proc/self/fd/{fd}", path, follow_symlinks=True)
    except OSError as no:
        if no.errno not in _NO_LINKS:
            raise
        return False
    return True
