"""The checksums that came along with a delivery: what each file must be, looked up by its path (design.md §4.1).

Kept in a small database on the scratch area, because a list of 200,000 lines must not live in memory. Made again by
every process that needs it: it is nothing but the job's own list in another form.
"""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from actions.errors import PermanentError
from worker.paths import archival_path

_LINE = re.compile(r"([0-9a-fA-F]{32,128})[ \t]+\*?(?:\./)?(.+)")
_BAGIT_ESCAPES = {"%0D": "\r", "%0d": "\r", "%0A": "\n", "%0a": "\n", "%25": "%"}
_ALGORITHMS = {64: "sha256", 128: "sha512"}  # by hexadecimal digits
_CHUNK = 1000


class ExpectedError(PermanentError):
    """The list of checksums cannot be used: nothing is preserved on the word of a list that nobody could check."""

    code: ClassVar[str] = "checksums"


class Expected:
    """Digests by path. Used by several threads.

    Args:
        path: Where the database is made; an older one there is replaced.
        wanted: (path in the delivery, digest in hexadecimal) pairs, streamed.

    Raises:
        ExpectedError: The list cannot be used.
    """

    def __init__(self, path: Path, wanted: Iterable[tuple[str, str]]) -> None:
        path.unlink(missing_ok=True)
        self._path, self._lock = path, threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-2000"):  # made again rather than kept safe
            self._db.execute(f"PRAGMA {pragma}")
        self._db.execute("CREATE TABLE wanted (path TEXT, digest TEXT, PRIMARY KEY (path, digest)) WITHOUT ROWID")
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT OR IGNORE INTO wanted VALUES (?, ?)", ((_archival(name), digest.lower()) for name, digest in wanted)
        )
        self._db.execute("COMMIT")

    def of(self, path: str) -> tuple[str, ...]:
        """Every digest that was told of *path*, as the archive writes it; empty: none was."""
        with self._lock:
            return tuple(digest for (digest,) in self._db.execute("SELECT digest FROM wanted WHERE path = ?", (path,)))

    def paths(self) -> Iterator[str]:
        """All paths, in order, a chunk at a time."""
        last = ""
        while True:
            with self._lock:
                asked = self._db.execute("SELECT DISTINCT path FROM wanted WHERE path > ? ORDER BY path LIMIT ?", (last, _CHUNK))
                found = [str(path) for (path,) in asked]
            if not found:
                return
            yield from found
            last = found[-1]

    def close(self) -> None:
        """Remove the database."""
        with self._lock:
            self._db.close()
        self._path.unlink(missing_ok=True)


def differs(wanted: tuple[str, ...], sha256: str, sha512: str) -> str:
    """Name the first digest that is not what was measured; empty: all agree, or none was told."""
    measured = {"sha256": sha256, "sha512": sha512}
    for digest in wanted:
        name = _ALGORITHMS[len(digest)]
        if measured[name] != digest:
            return f"{name.upper()} is {measured[name]}, the list that came along says {digest}"
    return ""


def from_json(text: str) -> Iterator[tuple[str, str]]:
    """Pairs from ``{"a/b.pdf": {"sha256": "…"}}``; a bare digest instead of the inner object will do.

    Raises:
        ExpectedError: It is something else.
    """
    try:
        found = json.loads(text)
        pairs = [(str(path), said) for path, said in found.items()]
    except (ValueError, AttributeError) as no:
        raise _unusable("is not a JSON object of paths and digests") from no
    for path, said in pairs:
        for digest in said.values() if isinstance(said, dict) else (said,):
            yield path, _checked(str(digest))


def from_manifest(lines: Iterable[bytes], folder: str = "") -> Iterator[tuple[str, str]]:
    """Pairs from a manifest as ``sha256sum`` or BagIt writes it; its paths count from the manifest's own *folder*.

    Source: RFC 8493 section 2.1.3 (names with CR, LF and % are escaped); GNU coreutils ``sha256sum``.

    Raises:
        ExpectedError: A line is of another form, or the digests are neither SHA-256 nor SHA-512.
    """
    above = f"{folder}/" if folder else ""
    for number, raw in enumerate(lines, start=1):
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as no:
            raise _unusable(f"line {number} is not UTF-8") from no
        if not line.strip():
            continue
        parts = _LINE.fullmatch(line)
        if parts is None:
            raise _unusable(f"line {number} is not a digest and a path")
        yield above + re.sub("%0[DdAa]|%25", lambda found: _BAGIT_ESCAPES[found[0]], parts[2]), _checked(parts[1])


def _archival(name: str) -> str:
    """A name as it stands in the archive."""
    try:
        return archival_path(name.encode("utf-8", "surrogateescape"))
    except ValueError as no:  # nothing, or half a character
        raise _unusable("names a file that cannot be") from no


def _checked(digest: str) -> str:
    if len(digest) not in _ALGORITHMS or not re.fullmatch("[0-9a-fA-F]+", digest):
        raise _unusable("has digests that are neither SHA-256 nor SHA-512")
    return digest


def _unusable(what: str) -> ExpectedError:
    return ExpectedError(what, "the list of checksums", "Correct the list, and submit the job again.")
