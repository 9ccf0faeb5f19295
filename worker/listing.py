"""A folder's names in order, without holding them all: a package's folder may have a million files.

What a name stands for, and which names count, is the caller's matter. Bytes, because a name on a disk need not be text.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice

HELD = 10_000
"""Most names that are kept in memory; what a folder has more is sorted on the disk."""


@dataclass(frozen=True, slots=True)
class Name:
    """One name in a folder. A link is no folder, wherever it leads."""

    name: bytes
    is_folder: bool


def names(folder: bytes, order: Callable[[Name], bytes]) -> Iterator[Name]:
    """All names in *folder*, each once, by the bytes that *order* makes of them.

    Raises:
        OSError: The folder cannot be listed; raised here, not by the iterator.
    """
    with os.scandir(folder) as entries:
        found = (Name(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
        held = list(islice(found, HELD + 1))
        if len(held) <= HELD:
            return iter(sorted(held, key=order))
        return _read(_put_down(chain(held, found), order))


def _put_down(found: Iterable[Name], order: Callable[[Name], bytes]) -> sqlite3.Connection:
    """SQLite's private temporary file: it sorts without holding what it sorts."""
    db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA cache_size=-2000")
        db.execute("CREATE TABLE names (rank BLOB, name BLOB, is_folder INTEGER)")
        db.execute("BEGIN")
        db.executemany("INSERT INTO names VALUES (?, ?, ?)", ((order(one), one.name, one.is_folder) for one in found))
        db.execute("COMMIT")
    except BaseException:
        db.close()
        raise
    return db


def _read(names_in: sqlite3.Connection) -> Iterator[Name]:
    with closing(names_in) as db:
        for name, is_folder in db.execute("SELECT name, is_folder FROM names ORDER BY rank"):
            yield Name(name, bool(is_folder))
