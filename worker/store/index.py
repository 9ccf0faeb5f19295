"""What an object and its draft hold, looked up by digest and path, without keeping it in memory.

A scratch database of one draft. It is a convenience, not a record: after a power cut it is made again from the object's
inventory and the draft's files. The ledger is another thing (``worker.ledger``).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from worker.store.contract import Content, StateEntry, StoreError
from worker.store.inventory import Row, rows

_SCHEMA = """
CREATE TABLE IF NOT EXISTS content (
    path TEXT PRIMARY KEY, sha512 TEXT NOT NULL, sha256 TEXT, new INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS content_by_digest ON content (sha512, path);
CREATE TABLE IF NOT EXISTS state (path TEXT PRIMARY KEY, sha512 TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS state_by_digest ON state (sha512, path);
"""
_LOAD = {
    "fixity": """INSERT INTO content (sha256, path, sha512, new) VALUES (?, ?, '', 0)
        ON CONFLICT (path) DO UPDATE SET sha256 = excluded.sha256""",
    "manifest": """INSERT INTO content (sha512, path, new) VALUES (?, ?, 0)
        ON CONFLICT (path) DO UPDATE SET sha512 = excluded.sha512""",
}
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Held:
    """Content that the object or its draft holds; ``new`` when it is the draft's."""

    path: str
    sha512: str
    sha256: str | None
    new: bool


class Index:
    """Used by several threads; every call is short and holds one lock."""

    def __init__(self, path: Path | str) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        # No sync: a killed process loses nothing by it, and after a power cut the draft is indexed anew.
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-2000;" + _SCHEMA)

    def close(self) -> None:
        """Let go of the database's file."""
        with self._lock:
            self._db.close()

    def find(self, sha512: str) -> Held | None:
        """Content with this digest."""
        row = self._one("SELECT path, sha512, sha256, new FROM content WHERE sha512 = ?", sha512)
        return Held(row[0], row[1], row[2], bool(row[3])) if row else None

    def digest_at(self, path: str) -> str | None:
        """SHA-512 of the content at a content path."""
        row = self._one("SELECT sha512 FROM content WHERE path = ?", path)
        return str(row[0]) if row else None

    def add(self, held: Held) -> None:
        """Remember content; the same path again replaces what was said of it."""
        self._run("INSERT OR REPLACE INTO content VALUES (?, ?, ?, ?)", held.path, held.sha512, held.sha256, held.new)

    def load(self, rows: Iterable[Row]) -> None:
        """Fill in what content an object holds, from its inventory's lines."""
        with self._lock:
            self._db.execute("BEGIN")
            for row in rows:
                if sql := _LOAD.get(row.section):
                    self._db.executemany(sql, ((row.digest, path) for path in row.values))
            self._db.execute("COMMIT")

    def make_state(self, before: Iterable[StateEntry], dropped: Iterable[str], put: Iterable[StateEntry]) -> None:
        """Make the new state from the one *before*, all or nothing; whatever an earlier try left here is forgotten."""
        insert = "INSERT OR REPLACE INTO state (path, sha512) VALUES (?, ?)"
        with self._lock:
            self._db.execute("BEGIN")
            try:
                self._db.execute("DELETE FROM state")
                self._db.executemany(insert, ((entry.logical_path, entry.sha512) for entry in before))
                self._db.executemany("DELETE FROM state WHERE path = ?", ((path,) for path in dropped))
                self._db.executemany(insert, ((entry.logical_path, entry.sha512) for entry in put))
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def fixity(self) -> Iterator[tuple[str, str]]:
        """(SHA-256, content path) in digest order."""
        return self._pages(
            "SELECT sha256, path FROM content WHERE sha256 IS NOT NULL AND (sha256, path) > (?, ?) ORDER BY 1, 2 LIMIT ?"
        )

    def manifest(self) -> Iterator[tuple[str, str]]:
        """(SHA-512, content path) in digest order."""
        return self._pages("SELECT sha512, path FROM content WHERE (sha512, path) > (?, ?) ORDER BY 1, 2 LIMIT ?")

    def state(self) -> Iterator[tuple[str, str]]:
        """(SHA-512, logical path) in digest order."""
        return self._pages("SELECT sha512, path FROM state WHERE (sha512, path) > (?, ?) ORDER BY 1, 2 LIMIT ?")

    def contents(self) -> Iterator[Held]:
        """All content, by path."""
        last = ""
        while True:
            with self._lock:
                page = self._db.execute(
                    "SELECT path, sha512, sha256, new FROM content WHERE path > ? ORDER BY 1 LIMIT ?", (last, _BATCH)
                ).fetchall()
            for path, sha512, sha256, new in page:
                yield Held(path, sha512, sha256, bool(new))
            if len(page) < _BATCH:
                return
            last = page[-1][0]

    def check_state(self, area: str) -> None:
        """See that the new state can be a version; *area* is where its content was kept until now.

        Raises:
            StoreError: It names bytes that are nowhere, or a path that is both a file and a folder.
        """
        if lost := self.missing():
            raise StoreError(
                f"its bytes (SHA-512 {lost[1][:16]}…) are neither in the store nor in the draft",
                lost[0],
                f"The {area} was probably emptied. Run `bevara ledger rebuild`, then the job again.",
            )
        if both := self.conflict():
            raise StoreError(
                "is both a file and a folder in the new version", both, "This is a fault in naming derivatives: report it."
            )

    def missing(self) -> tuple[str, str] | None:
        """One (logical path, SHA-512) of the state whose bytes are nowhere."""
        row = self._one("SELECT path, sha512 FROM state WHERE sha512 NOT IN (SELECT sha512 FROM content) LIMIT 1")
        return (row[0], row[1]) if row else None

    def conflict(self) -> str | None:
        """One logical path of the state that is both a file and a folder (OCFL 1.1 section 3.5.3.1)."""
        # '0' follows '/': the range holds exactly what lies below the path.
        row = self._one(
            "SELECT path FROM state a WHERE EXISTS"
            " (SELECT 1 FROM state b WHERE b.path > a.path || '/' AND b.path < a.path || '0') LIMIT 1"
        )
        return str(row[0]) if row else None

    def unnamed(self) -> list[str]:
        """Up to a batch of new content paths that the state does not name."""
        with self._lock:
            found = self._db.execute(
                "SELECT path FROM content WHERE new = 1 AND sha512 NOT IN (SELECT sha512 FROM state) LIMIT ?", (_BATCH,)
            ).fetchall()
        return [row[0] for row in found]

    def forget(self, paths: Iterable[str]) -> None:
        """Drop content paths."""
        with self._lock:
            self._db.execute("BEGIN")
            self._db.executemany("DELETE FROM content WHERE path = ?", ((path,) for path in paths))
            self._db.execute("COMMIT")

    def _one(self, sql: str, *values: object) -> tuple[str, ...] | None:
        with self._lock:
            row: tuple[str, ...] | None = self._db.execute(sql, values).fetchone()
            return row

    def _run(self, sql: str, *values: object) -> None:
        with self._lock:
            self._db.execute(sql, values)

    def _pages(self, sql: str) -> Iterator[tuple[str, str]]:
        """Rows page by page, so that no cursor stays open between two calls."""
        last = ("", "")
        while True:
            with self._lock:
                page = self._db.execute(sql, (*last, _BATCH)).fetchall()
            yield from page
            if len(page) < _BATCH:
                return
            last = page[-1]


def contents_of(stream: BinaryIO) -> Iterator[Content]:
    """The manifest of an inventory with its fixity, by content path."""
    index = Index("")  # SQLite's private temporary file: joins fixity and manifest without holding either
    try:
        index.load(rows(stream))
        for held in index.contents():
            yield Content(held.path, held.sha512, held.sha256)
    finally:
        index.close()
