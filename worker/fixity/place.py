"""What an audit needs of a store place: its names, its bytes uncached, and for repair a careful way to write.

A place is a folder or a bucket with ``store/`` (the OCFL root) and ``quarantine/`` below it. Paths are '/'-separated text
below the place. Two kinds of failure are kept apart here once and for all: *not there* and *could not be read*.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from actions.errors import PermanentError, TransientError

STORE, QUARANTINE = "store", "quarantine"


class UnreadableError(TransientError):
    """The bytes could not be had: a disk error, a missing right, a throttling or silent server. Says nothing of the bytes."""

    code: ClassVar[str] = "unreadable"


class NotThereError(PermanentError):
    """The place answered, and holds nothing under this path."""

    code: ClassVar[str] = "not-there"


@dataclass(frozen=True, slots=True)
class Listed:
    """One name below an object.

    Attributes:
        path: Below the folder that was listed.
        kind: ``file``; ``folder``: an empty one; ``other``: a link or a special file, which no store holds.
    """

    path: str
    size_bytes: int
    kind: str = "file"


class Stream(Protocol):
    """Bytes being read. Every method raises UnreadableError; a body that ends early does too."""

    def readinto(self, buffer: memoryview) -> int:
        """Fill *buffer* as far as one read goes; 0: the end."""
        ...

    def close(self) -> None:
        """Let go of it; may be called again."""
        ...


class Place(Protocol):
    """One store place. Safe to use from several threads.

    Attributes:
        name: As the tenant calls it.
        url: For people; no secret.
        opens_ahead: Opening a small file begins to fetch it, at no cost for a reader that comes back later.
    """

    name: str
    url: str
    opens_ahead: bool

    def listing(self, folder: str) -> Iterator[Listed]:
        """Every name below *folder*, in no special order; nothing when it is not there.

        Raises:
            UnreadableError: Some part could not be listed: nothing is then known about what is missing.
        """
        ...

    def objects(self) -> Iterator[str]:
        """Folders of all OCFL objects, below the place."""
        ...

    def open(self, path: str, offset_bytes: int = 0) -> Stream:
        """Open for reading, past any cache where that can be had.

        Raises:
            NotThereError, UnreadableError: See the classes.
        """
        ...

    def fresh(self) -> Place:
        """The same place over a new connection: what is read again must not come from where it came before."""
        ...

    def put_file(self, path: str, source: Path) -> None:
        """Write *source* there, durable; what stood there is replaced in one step."""
        ...

    def set_aside(self, path: str, target: str) -> None:
        """Move what stands under *path* to *target*, which must be free; nothing there: nothing is done."""
        ...

    def delete(self, path: str) -> None:
        """Remove one file; one that is not there is passed over."""
        ...

    def put_bytes(self, path: str, data: bytes) -> None:
        """Write a small file, durable."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
