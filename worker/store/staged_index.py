"""What an object, its staged draft and a commit under way hold, looked up without keeping it in memory.

``worker.store.index`` for a draft whose content is staged in a bucket under its digests: it gets its place in the object
only when all that names it is known. A scratch database; the bucket is the truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from worker.store import layout
from worker.store.index import Held, Index

_TABLES = """
CREATE TABLE staged (
    sha512 TEXT PRIMARY KEY, sha256 TEXT NOT NULL, size INTEGER NOT NULL, tag TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE placed (path TEXT PRIMARY KEY, size INTEGER NOT NULL, tag TEXT NOT NULL) WITHOUT ROWID;
"""
_BATCH = 1000
_STAGED = "staged/"  # what a content path begins with that is not decided yet; no version's folder is called so
_LEAST = """
SELECT sha512, COALESCE(MIN(CASE WHEN substr(path, 1, 9) = 'metadata/' THEN NULL ELSE path END), MIN(path)) FROM state
WHERE sha512 > ? AND sha512 IN (SELECT sha512 FROM content WHERE new = 1) GROUP BY sha512 ORDER BY sha512 LIMIT ?
"""
# What a version needs and does not have (wrong = 1), or has with another tag than what was staged (wrong = 0).
_UNLIKE = """
SELECT c.path, s.sha512, s.sha256, s.size FROM content c JOIN staged s ON s.sha512 = c.sha512 LEFT JOIN placed p ON p.path = c.path
WHERE c.new = 1 AND c.path > ? AND {unlike} ORDER BY c.path LIMIT ?
"""
_ABSENT = _UNLIKE.format(unlike="(p.path IS NULL OR p.size != s.size)")
_DOUBTFUL = _UNLIKE.format(unlike="p.size = s.size AND p.tag != s.tag")
_EXTRA = "SELECT path FROM placed WHERE path > ? AND path NOT IN (SELECT path FROM content WHERE new = 1) ORDER BY path LIMIT ?"


@dataclass(frozen=True, slots=True)
class Staged:
    """Content that stands in the staging area."""

    sha512: str
    sha256: str
    size_bytes: int
    tag: str


@dataclass(frozen=True, slots=True)
class Move:
    """Content and the place in the object that it is to have."""

    content_path: str
    sha512: str
    sha256: str
    size_bytes: int


class StagedIndex(Index):
    """See ``Index``; one object's next version, *version*."""

    def __init__(self, path: Path, version: int) -> None:
        super().__init__(path)
        self._content = f"v{version}/content/"
        self._db.executescript(_TABLES)

    def remember(self, sha512: str, sha256: str) -> None:
        """This process has staged such content and read it back."""
        self.add(Held(_STAGED + sha512, sha512, sha256, new=True))

    def saw(self, staged: Iterable[Staged]) -> None:
        """What is *staged* when the draft is opened: a hint that saves asking for each file whether it is there."""
        with self._lock:
            self._db.execute("BEGIN")
            self._write_staged(staged)
            self._db.execute("COMMIT")

    def was_there(self, sha512: str, size_bytes: int) -> bool:
        """Whether such content was staged when the draft was opened."""
        return self._one("SELECT 1 FROM staged WHERE sha512 = ? AND size = ?", sha512, size_bytes) is not None

    def _write_staged(self, staged: Iterable[Staged]) -> None:
        self._db.execute("DELETE FROM staged")
        rows = ((one.sha512, one.sha256, one.size_bytes, one.tag) for one in staged)
        self._db.executemany("INSERT OR REPLACE INTO staged VALUES (?, ?, ?, ?)", rows)

    def begin(self, staged: Iterable[Staged]) -> None:
        """Start a commit: all that is *staged*, by whichever process, and that the object does not hold yet."""
        with self._lock:
            self._db.execute("BEGIN")
            self._db.execute("DELETE FROM content WHERE new = 1")
            self._write_staged(staged)
            self._db.execute(
                "INSERT INTO content (path, sha512, sha256, new) SELECT ? || sha512, sha512, sha256, 1 FROM staged"
                " WHERE sha512 NOT IN (SELECT sha512 FROM content)",
                (_STAGED,),
            )
            self._db.execute("COMMIT")

    def places(self) -> Iterator[tuple[str, str]]:
        """(SHA-512, content path) of the draft's content that the state names.

        Its place is made of the least logical path that names it: any process comes to the same. What describes the
        package (``metadata/``) gives way, because it is written when the places are known.
        """
        last = ""
        while True:
            with self._lock:
                page = self._db.execute(_LEAST, (last, _BATCH)).fetchall()
            yield from ((sha512, self._content + layout.content_name(path)) for sha512, path in page)
            if len(page) < _BATCH:
                return
            last = page[-1][0]

    def settle(self) -> None:
        """Give the draft's content its places, and let go of what the state does not name."""
        for sha512, path in self.places():
            self._run("UPDATE content SET path = ? WHERE sha512 = ? AND new = 1", path, sha512)
        self._run("DELETE FROM content WHERE new = 1 AND sha512 NOT IN (SELECT sha512 FROM state)")

    def see(self, placed: Iterable[tuple[str, int, str]]) -> None:
        """What the version's content folder holds now: (content path, size, tag)."""
        with self._lock:
            self._db.execute("BEGIN")
            self._db.execute("DELETE FROM placed")
            self._db.executemany("INSERT OR REPLACE INTO placed VALUES (?, ?, ?)", placed)
            self._db.execute("COMMIT")

    def absent(self) -> Iterator[list[Move]]:
        """What is not in its place, or with another size; in batches."""
        return self._moves(_ABSENT)

    def doubtful(self) -> Iterator[list[Move]]:
        """What is in its place, and the bucket does not say that it is what was staged; in batches."""
        return self._moves(_DOUBTFUL)

    def extra(self) -> Iterator[list[str]]:
        """Content paths that hold what the version does not name; in batches."""
        for page in self._by_path(_EXTRA):
            yield [row[0] for row in page]

    def _moves(self, sql: str) -> Iterator[list[Move]]:
        for page in self._by_path(sql):
            yield [Move(path, sha512, sha256, int(size)) for path, sha512, sha256, size in page]

    def _by_path(self, sql: str) -> Iterator[list[tuple[str, ...]]]:
        last = ""
        while True:
            with self._lock:
                page = self._db.execute(sql, (last, _BATCH)).fetchall()
            if page:
                yield page
            if len(page) < _BATCH:
                return
            last = page[-1][0]
