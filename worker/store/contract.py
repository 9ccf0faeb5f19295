"""What every store promises, whatever it is made of (design.md §7).

A store keeps OCFL 1.1 objects. The contract speaks of objects, versions, logical paths and digests; never of folders
or buckets. Every backend is held to ``tests/worker/test_store_contract.py``. Policies, jobs and events are unknown here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, ClassVar, Protocol

from actions.errors import PermanentError
from worker.digests import Source


class StoreError(PermanentError):
    """The store cannot do what was asked without losing or overwriting something."""

    code: ClassVar[str] = "store"


class NotInStoreError(StoreError):
    """No such object, version or logical path."""

    code: ClassVar[str] = "not-in-store"


class NotOursError(StoreError):
    """A folder holds something, but not an archive or store that this program made."""

    code: ClassVar[str] = "not-ours"


class StoreDamagedError(StoreError):
    """What the store holds contradicts itself; ``bevara verify`` names each place."""

    code: ClassVar[str] = "store-damaged"


class NotDurableError(StoreError):
    """What was read back from the disk is not what was written."""

    code: ClassVar[str] = "not-durable"


@dataclass(frozen=True, slots=True)
class Stored:
    """Content that is durable, and was read back with these digests (promise P3).

    Attributes:
        content_path: In the object, e.g. ``v1/content/original/a.txt``.
        local_path: Where it can be read now, by path. Read-only. Good until it is released, or the draft committed or closed.
        new: False: the object (or this draft) held the same bytes already, and nothing was written.
    """

    sha256: str
    sha512: str
    size_bytes: int
    content_path: str
    local_path: Path
    new: bool


@dataclass(frozen=True, slots=True)
class StateEntry:
    """One logical path of a version's state and the content it names."""

    logical_path: str
    sha512: str


@dataclass(frozen=True, slots=True)
class VersionNote:
    """What OCFL keeps of a version besides its state (OCFL 1.1 section 3.5.3.1).

    Attributes:
        created: RFC 3339.
        user: Name of who or what made the version.
        address: A URI of the user; None: none is told (which OCFL allows, with a warning).
    """

    created: str
    message: str
    user: str
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """One manifest line: content that the object holds. ``sha256`` None: no fixity was kept for it."""

    content_path: str
    sha512: str
    sha256: str | None


class Draft(Protocol):
    """The next version of one object, not yet part of it. Survives the process; used by several threads."""

    object_id: str
    version: int

    def ingest(self, source: Source, logical_path: str) -> Stored:
        """Take *source* from where it stands to its end.

        Returns only when the bytes are durable and were read back. The same bytes twice are kept once.
        *logical_path* names the content in the store; only ``commit`` makes it part of the state.

        Raises:
            NotDurableError: The disk gave back other bytes. Nothing is kept of them.
            OSError: Source or store could not be read or written.
        """
        ...

    def add_file(self, path: Path, logical_path: str) -> Stored:
        """``ingest`` of a regular file; anything else (a link, a pipe) is refused with OSError."""
        ...

    def release(self, stored: Stored) -> None:
        """*stored* need not be readable at its local path any longer. Repeating it changes nothing."""
        ...

    def close(self) -> None:
        """Let go of handles. The draft stays, and ``Store.open_draft`` continues it."""
        ...


class Store(Protocol):
    """A storage root of one tenant. One process commits to an object at a time; a lock or a lease sees to it."""

    def recover(self) -> list[str]:
        """Finish or undo what a killed process left half done; one sentence per thing done. Idempotent."""
        ...

    def objects(self) -> Iterator[str]:
        """Ids of all objects, in no special order."""
        ...

    def head(self, object_id: str) -> int:
        """The newest version's number; 0 when there is no such object."""
        ...

    def open_draft(self, object_id: str) -> Draft:
        """The object's next version: continued when it was begun, else new. At most one per object."""
        ...

    def commit(self, draft: Draft, state: Iterable[StateEntry], note: VersionNote, *, dropped: Iterable[str] = ()) -> int:
        """Make *draft* the object's next version and return its number.

        The new state is the one before, without the logical paths *dropped*, plus *state*; what neither names stays.
        A dropped path only leaves the state: older versions keep it, and no content of theirs is touched. One that
        the state before does not have is passed over. Content of the draft that the new state does not name is
        removed from the draft. After a kill at any point, ``recover`` leaves either the version before or the new one,
        whole. Afterwards the draft is closed and gone. A commit that failed or was killed leaves no trace in the next.

        Raises:
            StoreError: *state* names bytes that neither the object nor the draft holds, or a path that is
                both a file and a folder. The draft stays, and can be committed with another state.
        """
        ...

    def places(self, draft: Draft, state: Iterable[StateEntry]) -> Iterator[tuple[str, str]]:
        """(SHA-512, content path) of the draft's content whose place is not what ``Stored.content_path`` said.

        *state* is what ``commit`` will be given, as far as it is known: descriptions of the package can then name the
        places before they are written themselves. What only they name comes later, and moves nothing.
        """
        ...

    def discard(self, draft: Draft) -> None:
        """Close *draft* and drop it with everything in it."""
        ...

    def state(self, object_id: str, version: int | None = None) -> Iterator[StateEntry]:
        """A version's state, streamed, by digest. None: the newest.

        Raises:
            NotInStoreError: No such object or version.
        """
        ...

    def contents(self, object_id: str) -> Iterator[Content]:
        """The manifest, streamed, by content path; every byte stream of every version.

        Raises:
            NotInStoreError: No such object.
        """
        ...

    def inventory(self, object_id: str) -> BinaryIO:
        """The newest inventory as bytes; the caller closes it.

        Raises:
            NotInStoreError: No such object.
        """
        ...

    def read(self, object_id: str, logical_path: str, version: int | None = None) -> BinaryIO:
        """Open one file of a state for reading; the caller closes it.

        Raises:
            NotInStoreError: No such object, version or path.
        """
        ...

    def open_content(self, object_id: str, content_path: str) -> BinaryIO:
        """Open content by its manifest path; the caller closes it.

        Raises:
            NotInStoreError: No such content.
        """
        ...
