"""The documents that evidence is made of: a day's, and a package's line in it. Canonical JSON, so that bytes can be signed.

Pure: parses strictly, because a text that reads in two ways proves nothing. Making them is ``worker.evidence.daily``'s part.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, ClassVar, TypeVar

from actions.errors import PermanentError
from worker.evidence.merkle import ALGORITHMS
from worker.ledger.events import canonical

SCHEMA = "bevara.evidence/1"
_HEX = re.compile(r"[0-9a-f]+")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


_Kind = TypeVar("_Kind")


class EvidenceError(PermanentError):
    """Evidence cannot be made or read as asked."""

    code: ClassVar[str] = "evidence"


class NotADocumentError(ValueError):
    """The bytes are not such a document, or not written in the one way that is signed."""


def next_day(day: str) -> str:
    """The day after ``YYYY-MM-DD``."""
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


@dataclass(frozen=True, slots=True)
class Leaf:
    """What one day's evidence says of one package that had news; its line in ``leaves.jsonl`` is the tree's entry.

    Attributes:
        object: The package's OCFL id.
        before: Index in the tree of what was said of this package the last time; None: this is the first time.
        seq: Number of the newest event of the version; ``hash`` is that event's, at the end of the chain.
        events_root: Root of the tree over the hashes of events 1 to ``seq``: lets one event be shown without the others.
        version: Newest OCFL version; ``inventory_sha512`` is of its inventory's bytes.
        files: How many logical paths that version's state has; ``files_root`` is of the tree over them.
    """

    object: str
    before: int | None
    seq: int
    hash: str
    events_root: str
    version: int
    inventory_sha512: str
    files: int
    files_root: str

    def line(self) -> bytes:
        """The entry: canonical JSON, without the line's end."""
        return canonical({name: getattr(self, name) for name in self.__slots__}).encode()

    @classmethod
    def parse(cls, line: bytes) -> Leaf:
        """Read an entry.

        Raises:
            NotADocumentError: It is none, or not written as we write it.
        """
        leaf = read_document(cls, line)
        for digest, digits in ((leaf.hash, 64), (leaf.events_root, 64), (leaf.inventory_sha512, 128), (leaf.files_root, 64)):
            _hex(digest, digits)
        if leaf.line() != line:
            raise NotADocumentError("is not canonical")
        return leaf


@dataclass(frozen=True, slots=True)
class Day:
    """One day's signed document. The day chain is ``previous``: SHA-256 of the document of the day before.

    Attributes:
        day: UTC, ``YYYY-MM-DD``.
        made: When it was signed, by the signer's clock; UTC with milliseconds.
        first: The day that the evidence begins with.
        size: Entries of the tree so far; ``root`` is over all of them, the oldest first.
        packages: How many packages the entries tell of.
        news: How many entries this day added; ``leaves_sha512`` is of their file's bytes.
        left_out: Packages that had news but whose history does not hold: they wait until somebody mended them.
        key: Fingerprint of the key that signs; ``keys_sha512`` is of the key history's bytes.
        algorithm: Of the tree and of ``previous``, as ``hashlib`` names it.
    """

    tenant: str
    day: str
    made: str
    first: str
    size: int
    root: str
    packages: int
    news: int
    leaves_sha512: str
    left_out: int
    previous: str | None
    key: str
    keys_sha512: str
    algorithm: str = "sha256"
    signature: str = "ed25519"
    schema: str = SCHEMA

    def text(self) -> bytes:
        """The bytes that are signed."""
        return canonical({name: getattr(self, name) for name in self.__slots__}).encode() + b"\n"

    @classmethod
    def parse(cls, text: bytes) -> Day:
        """Read a document.

        Raises:
            NotADocumentError: It is none, or not written as we write it.
        """
        day = read_document(cls, text)
        if day.schema != SCHEMA or day.algorithm not in ALGORITHMS:
            raise NotADocumentError(f"has schema {day.schema!r} and algorithm {day.algorithm!r}")
        try:
            date.fromisoformat(day.day)
            date.fromisoformat(day.first)
        except ValueError as broken:
            raise NotADocumentError("names a day that is none") from broken
        if not _TIME.fullmatch(day.made) or len(day.day) != 10:
            raise NotADocumentError("names a time that is none")
        for digest, digits in ((day.leaves_sha512, 128), (day.keys_sha512, 128), (day.key, 64)):
            _hex(digest, digits)
        if day.text() != text:
            raise NotADocumentError("is not canonical")
        return day


def read_document(kind: type[_Kind], text: bytes) -> _Kind:
    """A document of strings and whole numbers, with exactly the names that *kind* has."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as broken:
        raise NotADocumentError("is not JSON") from broken
    fields: dict[str, Any] = kind.__dataclass_fields__  # type: ignore[attr-defined]
    if not isinstance(value, dict) or value.keys() != fields.keys():
        raise NotADocumentError("has other parts than it must have")
    for name, field in fields.items():
        found = value[name]
        kinds = {part.strip() for part in str(field.type).split("|")}
        if ("None" if found is None else type(found).__name__) not in kinds or (isinstance(found, int) and found < 0):
            raise NotADocumentError(f"has no right {name}")
    return kind(**value)


def _hex(digest: str, digits: int) -> None:
    if len(digest) != digits or not _HEX.fullmatch(digest):
        raise NotADocumentError("holds a digest that is none")
