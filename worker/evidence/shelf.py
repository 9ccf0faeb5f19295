"""Where evidence lies in a store: puts a day's files there as an OCFL object of their own, and reads them back.

The same bytes under the same names and times in every store, so that copies can be compared object by object. Nothing is
ever overwritten; what a day's files say is ``worker.evidence.daily``'s part.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

from actions.errors import PreservationError
from worker import digests
from worker.commit import ADDRESS, SOFTWARE
from worker.evidence.documents import Day, NotADocumentError, next_day
from worker.evidence.names import DOCUMENT, evidence_id, read_evidence_id
from worker.fixity.structure import find_objects
from worker.store import inventory
from worker.store.contract import NotInStoreError, StateEntry, Store, StoreError, VersionNote
from worker.store.directory import DirectoryStore
from worker.store.layout import INVENTORY


@dataclass(frozen=True, slots=True)
class Shelf:
    """An evidence object as a store holds it: content path and SHA-512 of each of its files, by logical path."""

    store: Store
    object_id: str
    version: int
    files: Mapping[str, tuple[str, str]]

    def read(self, name: str) -> bytes | None:
        """A file's bytes; None: the object has no such file.

        Raises:
            StoreError, OSError: It cannot be read, or its bytes are not those that the inventory names.
        """
        if name not in self.files:
            return None
        with self.open(name) as stream:
            data = stream.read()
        if digests.digest_bytes(data).sha512 != self.files[name][1]:
            raise StoreError(
                "its bytes are not those that were stored", f"{self.object_id} {name}", "Restore it from another copy."
            )
        return data

    def open(self, name: str) -> BinaryIO:
        """A file, streamed.

        Raises:
            StoreError, OSError: There is none, or it cannot be read.
        """
        if name not in self.files:
            raise NotInStoreError(f"has no file {name!r}", self.object_id, "Restore it from another copy.")
        return self.store.open_content(self.object_id, self.files[name][0])


def find(store: Store, object_id: str) -> Shelf | None:
    """An evidence object; None: the store has none of that name.

    Raises:
        StoreError, OSError: It cannot be read.
    """
    version = store.head(object_id)
    if not version:
        return None
    try:
        with store.inventory(object_id) as stream:
            text: dict[str, Any] = json.load(stream)
        places = {digest: paths[0] for digest, paths in text["manifest"].items()}
        state = text["versions"][f"v{version}"]["state"]
        files = {path: (places[digest], digest) for digest, paths in state.items() for path in paths}
    except (ValueError, KeyError, TypeError, AttributeError) as broken:
        raise StoreError("its inventory cannot be read", object_id, "Restore it from another copy.") from broken
    return Shelf(store, object_id, version, files)


def put(store: Store, object_id: str, files: Mapping[str, bytes | BinaryIO], note: str, created: str) -> int:
    """Add *files* to an evidence object, which is made when there is none; returns its version.

    What the object holds already stays. A kill in between leaves the object as it was.
    """
    draft = store.open_draft(object_id)
    try:
        state = []
        for name, content in files.items():
            stream = io.BytesIO(content) if isinstance(content, bytes) else content
            state.append(StateEntry(name, draft.ingest(stream, name).sha512))
        return store.commit(draft, state, VersionNote(created, note, SOFTWARE, ADDRESS))
    except BaseException:
        with suppress(Exception):
            store.discard(draft)
        raise


def same(one: Shelf, other: Shelf) -> bool:
    """Whether two stores hold the same files of an evidence object."""
    return {name: sha512 for name, (_, sha512) in one.files.items()} == {name: sha512 for name, (_, sha512) in other.files.items()}


def object_ids(store: Store) -> Iterator[str]:
    """The ids of all objects whose inventory can be read; a damaged one must not hide the others."""
    if not isinstance(store, DirectoryStore):
        yield from store.objects()
        return
    for home in find_objects(store.root, []):
        with suppress(StoreError, OSError), (home / INVENTORY).open("rb") as stream:
            yield inventory.head(stream)[0]


def days(store: Store, tenant: str, hint: str = "") -> list[str]:
    """The days (``YYYY-MM-DD``) of the tenant's evidence in a store, sorted.

    Args:
        hint: A day that is known to be signed, which saves looking at every object: no day is ever left out, so the first
            and every one up to the newest follow from it.
    """
    try:
        shelf = find(store, evidence_id(tenant, hint)) if hint else None
        day = Day.parse(shelf.read(DOCUMENT) or b"").first if shelf else ""
    except (PreservationError, OSError, NotADocumentError):
        day = ""
    if not day:
        found = [read_evidence_id(name) for name in object_ids(store)]
        return sorted(part[1] for part in found if part and part[0] == tenant and not part[1].startswith("renewal-"))
    known = []
    while day <= hint or store.head(evidence_id(tenant, day)):
        known.append(day)
        day = next_day(day)
    return known
