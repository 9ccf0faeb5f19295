"""What a folder holds, told before anything is read: names as bytes, kinds, sizes.

Nothing is followed out of the folder, and nothing is opened; that is ``stage``'s work.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from worker.listing import Name, names


class Kind(StrEnum):
    """What a name stands for."""

    FILE = "file"
    SYMLINK = "symlink"
    SOCKET = "socket"
    PIPE = "pipe"
    DEVICE = "device"
    UNREADABLE_FOLDER = "unreadable-folder"
    MISSING = "missing"  # named by the checksums that came along, and not there
    UNSAFE_NAME = "unsafe-name"  # a key of a bucket with '..' or an empty part
    NAME_TAKEN = "name-taken"  # the package cannot give its name: see ``names``


@dataclass(frozen=True, slots=True)
class Seen:
    """One name below the folder. ``path`` is relative to it, in the bytes that the file system uses."""

    path: bytes
    kind: Kind
    size_bytes: int
    mtime_ns: int


def scan(root: bytes) -> Iterator[Seen]:
    """Everything below *root* that is not a folder, folder by folder, names in byte order.

    Memory grows with how deep folders lie in each other, not with their number nor with what one holds. A *root* that is a
    file is seen as itself.

    Raises:
        OSError: *root* itself cannot be listed.
    """
    if not os.path.isdir(root):  # noqa: PTH112 -- bytes: a name that is not UTF-8 is a name
        yield _seen(os.path.basename(root), os.lstat(root))  # noqa: PTH119
        return
    begun = [(b"", names(root, _files_first))]
    while begun:
        folder, rest = begun[-1]
        entry = next(rest, None)
        if entry is None:
            begun.pop()
            continue
        path = os.path.join(folder, entry.name)  # noqa: PTH118
        where = os.path.join(root, path)  # noqa: PTH118
        if not entry.is_folder:
            yield _seen(path, os.lstat(where))
            continue
        try:
            begun.append((path, names(where, _files_first)))
        except OSError:
            yield Seen(path, Kind.UNREADABLE_FOLDER, 0, 0)


def _files_first(one: Name) -> bytes:
    return (b"1" if one.is_folder else b"0") + one.name


KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFLNK: Kind.SYMLINK, stat.S_IFSOCK: Kind.SOCKET, stat.S_IFIFO: Kind.PIPE}


def _seen(path: bytes, facts: os.stat_result) -> Seen:
    kind = KINDS.get(stat.S_IFMT(facts.st_mode), Kind.DEVICE)
    return Seen(path, kind, facts.st_size if kind is Kind.FILE else 0, facts.st_mtime_ns)
