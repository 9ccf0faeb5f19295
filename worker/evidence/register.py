"""All entries of a tenant's tree, looked up by package and in order, without holding them in memory.

A private temporary database of one run, made from what the stores hold: no record, and never kept.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from worker.evidence.documents import Leaf
from worker.evidence.merkle import leaf_hash

_SCHEMA = """
PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-32000;
CREATE TABLE entry (number INTEGER PRIMARY KEY, day TEXT NOT NULL, object TEXT NOT NULL, version INTEGER NOT NULL,
    line BLOB NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the tree. ``index`` is 0-based."""

    index: int
    day: str
    leaf: Leaf


class Register:
    """Entries, added in the tree's order."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # "": a temporary file that SQLite removes itself
        self._db.executescript(_SCHEMA)
        self._indexed = False
        self.size = 0

    def close(self) -> None:
        """Forget everything."""
        self._db.close()

    def add(self, day: str, lines: Iterable[tuple[Leaf, bytes]]) -> None:
        """Add the entries of a day, each with its line."""
        self._db.execute("BEGIN")
        for leaf, line in lines:
            self._db.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", (self.size, day, leaf.object, leaf.version, line))
            self.size += 1
        self._db.execute("COMMIT")

    def newest(self) -> dict[str, tuple[int, int]]:
        """For each package the index of its newest entry, and the version that it tells of."""
        rows = self._db.execute("SELECT max(number), object, version FROM entry GROUP BY object")  # version: that of the maximum
        return {name: (index, version) for index, name, version in rows}

    def packages(self) -> Iterator[list[Entry]]:
        """Each package's entries, the oldest first; packages in the order of their ids."""
        self._index()
        held: list[Entry] = []
        for index, day, line in self._db.execute("SELECT number, day, line FROM entry ORDER BY object, number"):
            entry = Entry(index, day, Leaf.parse(line))
            if held and held[0].leaf.object != entry.leaf.object:
                yield held
                held = []
            held.append(entry)
        if held:
            yield held

    def at(self, index: int) -> Entry:
        """One entry, by its place in the tree."""
        row = self._db.execute("SELECT number, day, line FROM entry WHERE number = ?", (index,)).fetchone()
        return Entry(row[0], row[1], Leaf.parse(row[2]))

    def of(self, object_id: str) -> list[Entry]:
        """One package's entries, the oldest first."""
        self._index()
        rows = self._db.execute("SELECT number, day, line FROM entry WHERE object = ? ORDER BY number", (object_id,))
        return [Entry(index, day, Leaf.parse(line)) for index, day, line in rows]

    def hashes(self) -> Iterator[bytes]:
        """The hash of each entry, in the tree's order."""
        for (line,) in self._db.execute("SELECT line FROM entry ORDER BY number"):
            yield leaf_hash(line)

    def _index(self) -> None:
        if not self._indexed:
            self._db.execute("CREATE INDEX by_object ON entry (object, number)")
            self._indexed = True
