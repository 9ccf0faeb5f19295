"""What one object must hold, looked up by path: its inventory and the names that were listed, in a scratch database.

In SQLite's own temporary file, which spills to disk by itself: an object of a million files costs no more memory than one
of a thousand. Gone with the audit. Nothing is read or judged here.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Self

from worker.fixity.place import Listed
from worker.fixity.reading import Wanted
from worker.store.inventory import Row

_SCHEMA = """
CREATE TABLE content (path TEXT PRIMARY KEY, sha512 TEXT, sha256 TEXT, fixed INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE state (path TEXT PRIMARY KEY, sha512 TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE listed (path TEXT PRIMARY KEY, size INTEGER NOT NULL, kind TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE told (sha512 TEXT PRIMARY KEY, sha256 TEXT, path TEXT, size INTEGER) WITHOUT ROWID;
"""
_FIXITY = "INSERT INTO content (sha256, path, fixed) VALUES (?, ?, 0) ON CONFLICT (path) DO UPDATE SET sha256 = excluded.sha256"
_MANIFEST = "INSERT INTO content (sha512, path, fixed) VALUES (?, ?, 0) ON CONFLICT (path) DO UPDATE SET sha512 = excluded.sha512"
_PAGE = 2000
_SHA512_CHARS = 128


class Manifest:
    """One object's. Used by one thread. Use as a context manager."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript("PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; PRAGMA cache_size=-32000;" + _SCHEMA)
        self.states: dict[int, int] = {}  # a fingerprint of each version's state, in which order plays no part

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def load(self, rows: Iterable[Row], head: int) -> None:
        """Fill in an inventory's rows; the newest state is kept as a whole, the older ones as fingerprints.

        Whatever *rows* raises leaves nothing of them behind: another inventory may be loaded instead.
        """
        try:
            with self._all_or_nothing():
                self._load(rows, f"v{head}")
        except BaseException:
            self.states.clear()
            raise

    def _load(self, rows: Iterable[Row], newest: str) -> None:
        # Rows of a kind come together: handed over one by one, they cost twice as much as what SQLite does with them.
        for (section, wide), some in groupby(rows, lambda row: (row.section, len(row.digest) == _SHA512_CHARS)):
            if section == "fixity":
                self._db.executemany(_FIXITY, _pairs(some))
            elif section == "manifest":
                # Another program's object may use SHA-256 for its manifest (OCFL 1.1 section 3.5.1).
                self._db.executemany(_MANIFEST if wide else _FIXITY, _pairs(some))
            else:
                told = self._fingerprinted(int(section.removeprefix("v")), some)
                if section == newest:
                    self._db.executemany("INSERT OR REPLACE INTO state (sha512, path) VALUES (?, ?)", _pairs(told))
                else:
                    deque(told, maxlen=0)

    def _fingerprinted(self, version: int, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            self.states[version] = self.states.get(version, 0) ^ fingerprint(row)
            yield row

    def add_fixed(self, path: str, sha512: str | None, sha256: str | None = None) -> None:
        """Expect a file that is not content: namaste, inventory, sidecar."""
        self._db.execute("INSERT OR REPLACE INTO content VALUES (?, ?, ?, 1)", (path, sha512, sha256))

    def expect_listed(self, prefixes: Iterable[str]) -> None:
        """Expect whatever was listed under names that begin so: another program's object may or may not have them."""
        for prefix in prefixes:
            sql = "INSERT OR IGNORE INTO content SELECT path, NULL, NULL, 1 FROM listed WHERE path >= ? AND path < ?"
            self._db.execute(sql, (prefix, prefix + "\U0010ffff"))

    def list_names(self, names: Iterable[Listed]) -> None:
        """Take in what the place lists."""
        rows = ((one.path.encode("utf-8", "backslashreplace").decode(), one.size_bytes, one.kind) for one in names)
        with self._all_or_nothing():
            self._db.executemany("INSERT OR REPLACE INTO listed VALUES (?, ?, ?)", rows)

    # Answers

    def missing(self) -> Iterator[tuple[str, str | None]]:
        """(path, SHA-512) of what is expected and not listed as a file."""
        sql = (
            "SELECT c.path, c.sha512 FROM content c LEFT JOIN listed l ON l.path = c.path AND l.kind = 'file' WHERE l.path IS NULL"
        )
        yield from self._db.execute(sql)

    def unexpected(self) -> Iterator[tuple[str, str]]:
        """(path, kind) of what is listed and not expected."""
        sql = "SELECT l.path, l.kind FROM listed l LEFT JOIN content c ON c.path = l.path WHERE c.path IS NULL OR l.kind != 'file'"
        yield from self._db.execute(sql)

    def wanted(self, after: str = "") -> Iterator[Wanted]:
        """Everything that is expected and there, by path, from behind *after*."""
        sql = (
            "SELECT c.path, c.sha512, c.sha256, l.size FROM content c JOIN listed l ON l.path = c.path"
            " WHERE l.kind = 'file' AND c.path > ? ORDER BY c.path LIMIT ?"
        )
        while page := self._db.execute(sql, (after, _PAGE)).fetchall():
            yield from (Wanted(*row) for row in page)
            after = page[-1][0]

    def totals(self) -> tuple[int, int]:
        """Number and bytes of what is expected and there."""
        sql = "SELECT count(*), coalesce(sum(l.size), 0) FROM content c JOIN listed l ON l.path = c.path"
        count, size = self._db.execute(sql).fetchone()
        return int(count), int(size)

    def of_path(self, path: str) -> tuple[str | None, str | None] | None:
        """(SHA-512, SHA-256) that a content path must have."""
        row: tuple[str | None, str | None] | None = self._db.execute(
            "SELECT sha512, sha256 FROM content WHERE path = ?", (path,)
        ).fetchone()
        return row

    def place_of(self, logical_path: str) -> tuple[str, str] | None:
        """(content path, SHA-512) of a file of the newest state."""
        self._indexed()
        sql = "SELECT d.path, d.sha512 FROM state s JOIN content_by_digest d ON d.sha512 = s.sha512 WHERE s.path = ?"
        found: tuple[str, str] | None = self._db.execute(sql, (logical_path,)).fetchone()
        return found

    def described(self, logical_path: str) -> tuple[str, str | None, int | None] | None:
        """(SHA-512, SHA-256, size) of a file of the newest state."""
        self._indexed()
        sql = (
            "SELECT s.sha512, c.sha256, l.size FROM state s JOIN content_by_digest d ON d.sha512 = s.sha512"
            " JOIN content c ON c.path = d.path LEFT JOIN listed l ON l.path = c.path WHERE s.path = ? LIMIT 1"
        )
        row: tuple[str, str | None, int | None] | None = self._db.execute(sql, (logical_path,)).fetchone()
        return row

    def state(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """(logical path, SHA-512) of the newest state below *prefix*, by path."""
        sql, after = "SELECT path, sha512 FROM state WHERE path > ? AND path >= ? AND path < ? ORDER BY path LIMIT ?", ""
        last = prefix + "\U0010ffff"
        while page := self._db.execute(sql, (after, prefix, last, _PAGE)).fetchall():
            yield from page
            after = page[-1][0]

    def contents(self) -> Iterator[tuple[str, str | None, str | None]]:
        """(path, SHA-512, SHA-256) of all content, by path; not the fixed files."""
        yield from self._db.execute("SELECT path, sha512, sha256 FROM content WHERE fixed = 0 ORDER BY path")

    # Comparing with the ledger

    def tell(self, rows: Iterable[tuple[str, str, str, int]]) -> None:
        """Take in what the ledger says of content: (SHA-512, SHA-256, content path, size)."""
        with self._all_or_nothing():
            self._db.executemany("INSERT OR REPLACE INTO told VALUES (?, ?, ?, ?)", rows)

    def told_otherwise(self) -> Iterator[tuple[str, str, str]]:
        """(SHA-512, content path, what differs) of content that the ledger tells otherwise than the inventory."""
        sql = (
            "SELECT t.sha512, t.path, CASE WHEN c.path IS NULL THEN 'place' WHEN c.sha512 != t.sha512 THEN 'digest'"
            " WHEN c.sha256 IS NOT NULL AND c.sha256 != t.sha256 THEN 'SHA-256' ELSE 'size' END"
            " FROM told t LEFT JOIN content c ON c.path = t.path LEFT JOIN listed l ON l.path = t.path"
            " WHERE c.path IS NULL OR c.sha512 != t.sha512 OR (c.sha256 IS NOT NULL AND c.sha256 != t.sha256)"
            " OR (l.size IS NOT NULL AND l.size != t.size AND c.sha512 = t.sha512)"
        )
        yield from self._db.execute(sql)

    def untold(self) -> Iterator[str]:
        """SHA-512 of content of the newest state, metadata aside, that the ledger does not know."""
        sql = (
            "SELECT DISTINCT s.sha512 FROM state s LEFT JOIN told t ON t.sha512 = s.sha512"
            " WHERE t.sha512 IS NULL AND s.path NOT LIKE 'metadata/%'"
        )
        yield from (row[0] for row in self._db.execute(sql))

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _indexed(self) -> None:
        """Content by digest, made when first asked for."""
        self._db.execute("CREATE TABLE IF NOT EXISTS content_by_digest (sha512 TEXT PRIMARY KEY, path TEXT) WITHOUT ROWID")
        if self._db.execute("SELECT 1 FROM content_by_digest LIMIT 1").fetchone() is None:
            self._db.execute("INSERT OR IGNORE INTO content_by_digest SELECT sha512, path FROM content WHERE fixed = 0")


def _pairs(rows: Iterable[Row]) -> Iterator[tuple[str, str]]:
    """(digest, path) of every path."""
    return ((row.digest, path) for row in rows for path in row.values)


def fingerprint(row: Row) -> int:
    """A number of one state line; lines are joined by XOR, so that their order plays no part."""
    text = "\0".join((row.digest, *sorted(row.values)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
