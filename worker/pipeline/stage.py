"""The first step: a file's bytes, read once from where it stands into the package's draft.

A name is not trusted to stay what it was when the folder was listed: it is opened without following
a link, must be a regular file, and must be the same before and after it was read.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import ClassVar

from actions.errors import PermanentError
from worker.pipeline.scan import Kind
from worker.store.contract import Draft, Stored

TRIES = 3  # a file that is being written may be at rest a moment later
REST_S = 0.2
ARCHIVE_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})  # the writing side: no other file would fare better


class NotStagedError(PermanentError):
    """The file's bytes could not be taken; ``reason`` says why, and nothing of it was kept."""

    code: ClassVar[str] = "unreadable"


def stage(root: bytes, path: bytes, kind: Kind, draft: Draft, logical_path: str) -> Stored:
    """Take the file into *draft*; returns when its bytes are durable and were read back.

    Raises:
        NotStagedError: Not a regular file, a link out of the folder, unreadable, or changing while it was read.
        OSError: The archive's own disk failed or is full (the caller stops the job).
    """
    full = os.path.join(root, path) if _is_folder(root) else root  # noqa: PTH118 -- bytes
    name = os.fsdecode(path)
    if kind is Kind.SYMLINK:
        full = _target_inside(root, full, name)
    elif kind is not Kind.FILE:
        raise not_a_file(kind, name)
    for _ in tries():
        with _opened(full, name, root) as fd:
            before = os.fstat(fd)
            try:
                stored = draft.ingest(fd, logical_path)
            except OSError as no:
                if no.errno in ARCHIVE_ERRORS:
                    raise
                raise _unreadable(name, no) from no
            after = os.fstat(fd)
        if _same(before, after) and stored.size_bytes == after.st_size:
            return stored
        draft.release(stored)
    raise changed(name)


def tries() -> Iterator[None]:
    """As often as a file is read that changes meanwhile, with a rest before each time but the first."""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(REST_S * attempt)
        yield


def changed(name: str) -> NotStagedError:
    """The error for a file that was not the same before and after it was read."""
    return NotStagedError(
        f"was changed by somebody while it was read, {TRIES} times",
        name,
        "Let the program that writes it finish, and run the same command again.",
        code="changed-while-read",
    )


def not_a_file(kind: Kind, name: str) -> NotStagedError:
    """The error for a name that stands for something without bytes that can be taken."""
    if kind is Kind.UNREADABLE_FOLDER:
        return NotStagedError("the folder cannot be listed", name, "Give the service's user the right to read it, and run again.")
    if kind is Kind.MISSING:
        return NotStagedError(
            "is named by the checksums that came along, and was not delivered", name, "Deliver it.", code="missing"
        )
    if kind is Kind.UNSAFE_NAME:
        return NotStagedError(
            "its key has a part that is empty, '.' or '..': it was named, not read",
            name,
            "Deliver it under a plain name.",
            code="unsafe-name",
        )
    if kind is Kind.NAME_TAKEN:
        return NotStagedError(
            "has a name that the package cannot give: it was named, not read",
            name,
            "Deliver it under another name, or as a package of its own.",
            code="name-taken",
        )
    return NotStagedError(
        f"is a {kind.value}, not a file: it was named, not read", name, "Remove it from the delivery.", code="not-a-regular-file"
    )


def _is_folder(root: bytes) -> bool:
    """Asked for each file: a folder that was away once may be delivered again."""
    return os.path.isdir(root)  # noqa: PTH112 -- bytes


def _inside(path: bytes, root: bytes) -> bool:
    real = _real(root)
    return path.removesuffix(b" (deleted)") == real or path.startswith(real.rstrip(b"/") + b"/")


@lru_cache(maxsize=8)
def _real(root: bytes) -> bytes:
    return os.path.realpath(root)


@contextmanager
def _opened(full: bytes, name: str, root: bytes) -> Iterator[int]:
    try:
        fd = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as no:
        raise _unreadable(name, no) from no
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise NotStagedError(
                "is no longer a regular file", name, "Run again when the folder is at rest.", code="not-a-regular-file"
            )
        if not _inside(os.readlink(f"/proc/self/fd/{fd}".encode()), root):  # noqa: PTH115 -- bytes
            # Only the last part of the path was barred from being a link; a folder above may have become one since the scan.
            raise NotStagedError(
                "lies out of the folder: a link took the place of one of its folders",
                name,
                "Deliver the folder itself, if it belongs to the records.",
                code="symlink",
            )
        yield fd
    finally:
        os.close(fd)


def _unreadable(name: str, error: OSError) -> NotStagedError:
    return NotStagedError(f"cannot be read: {error.strerror}", name, "Give the service's user the right to read it, and run again.")


def _same(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_size, before.st_mtime_ns, before.st_ctime_ns) == (after.st_size, after.st_mtime_ns, after.st_ctime_ns)


def _target_inside(root: bytes, full: bytes, name: str) -> bytes:
    """The regular file that a link in the folder points to, if that file is in the folder too."""
    target = os.path.realpath(full)
    inside = _inside(target, root)
    if inside and os.path.isfile(target):  # noqa: PTH113 -- bytes
        return target
    where = "out of the folder" if not inside else "to something that is not a file"
    what = f"is a symbolic link {where} ({os.fsdecode(os.readlink(full))}): it was named, not followed"  # noqa: PTH115
    raise NotStagedError(what, name, "Deliver the file itself, if it belongs to the records.", code="symlink")
