"""Makes a staged draft the next version of its OCFL object in a bucket, one write at a time, so that any kill can be repaired.

A bucket renames nothing, and has no lock. So the order is: a marker that says what is begun; content, each copied at the
place and looked at again; the version's inventory and then its sidecar, which says that the version is whole; the root
inventory, which is the commit; its sidecar; the object's declaration; then the marker goes. Before the version is whole,
nothing names it and it can be begun anew; after that it can only be finished.

Which process may commit is the ledger's lease. One that lost it may still run: it comes to the same places with the same
bytes, and looks for its own marker before each write that others could not repair.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from typing import BinaryIO, ClassVar, Protocol

from actions.errors import TransientError
from worker import digests
from worker.store import inventory, layout
from worker.store.bucket import Bucket
from worker.store.commit_marker import Marker, Markers
from worker.store.contract import NotDurableError, NotInStoreError, StateEntry, StoreError, VersionNote
from worker.store.layout import INVENTORY, OBJECT_NAMASTE, SIDECAR
from worker.store.staged_draft import StagedDraft, home_of
from worker.store.staged_index import Move

_COPIES = 8  # at once: the place does the work, this process waits
_ROUNDS = 3  # copying and looking again; a server that loses copies more often is not one to commit to


class CommitRaceError(TransientError):
    """Two processes commit to one object, because one of them lost its lease and did not know."""

    code: ClassVar[str] = "commit-race"


class Readable(Protocol):
    """The part of the store that a commit reads from."""

    def head(self, object_id: str) -> int:
        """See ``worker.store.contract.Store``."""
        ...

    def state(self, object_id: str, version: int | None = None) -> Iterator[StateEntry]:
        """See ``worker.store.contract.Store``."""
        ...


def object_home(object_id: str) -> str:
    """Where an object's keys begin."""
    return f"store/{layout.object_path(object_id)}/"


class Committer:
    """Commits to the objects of one bucket. Knows nothing of drafts' making."""

    def __init__(self, bucket: Bucket, store: Readable) -> None:
        self._bucket, self._store, self.markers = bucket, store, Markers(bucket)

    def _still_mine(self, mine: Marker) -> None:
        if self.markers.of(mine.object_id) != mine:
            raise _race(mine)

    # Committing

    def commit(self, draft: StagedDraft, state: Iterable[StateEntry], note: VersionNote, dropped: Iterable[str]) -> int:
        """See ``Store.commit``."""
        before = inventory.state(draft.before, draft.version - 1) if draft.before is not None else ()
        draft.index.begin(draft.staged())
        draft.index.make_state(before, dropped, state)
        self.finish_begun(draft.object_id)
        if self._store.head(draft.object_id) >= draft.version:
            return self._already(draft)
        draft.index.check_state("staging area")
        draft.index.settle()
        with draft.spool.temporary() as text:
            with draft.spool.writing():
                mine = Marker(draft.object_id, draft.version, _write_inventory(draft, note, text))
            try:
                self._make(draft, mine, text)
            except (CommitRaceError, NotInStoreError):  # the other one may have finished, and cleared the staging area
                if self._store.head(draft.object_id) < draft.version:
                    raise _race(mine) from None
                return self._already(draft)
        return draft.version

    def _make(self, draft: StagedDraft, mine: Marker, text: BinaryIO) -> None:
        """The steps, in the order from which any kill can be repaired."""
        self.markers.put(mine)
        self._place(draft)
        self._still_mine(mine)
        self._put_version(mine, text)
        self._still_mine(mine)
        self._publish(mine)
        self._clear(mine)

    def _already(self, draft: StagedDraft) -> int:
        """Another process made this version: well, if it is the same one."""
        there = ((entry.sha512, entry.logical_path) for entry in self._store.state(draft.object_id, draft.version))
        if all(one == other for one, other in zip_longest(draft.index.state(), there)):
            return draft.version
        raise StoreError(
            f"version {draft.version} was made meanwhile, and holds something else",
            draft.object_id,
            "Two jobs worked on one package at once. Nothing is lost: run the later job again.",
        )

    def _place(self, draft: StagedDraft) -> None:
        """Bring the draft's content to its places, and see that it is there."""
        home, index = object_home(draft.object_id), draft.index
        with ThreadPoolExecutor(_COPIES, thread_name_prefix="commit") as pool:
            for _ in range(_ROUNDS):
                index.see(
                    (b.key.removeprefix(home), b.size_bytes, b.tag) for b in self._bucket.list(f"{home}v{draft.version}/content/")
                )
                moved = 0
                for batch in index.absent():
                    moved += sum(pool.map(self._mover(draft, home), batch))
                for batch in index.doubtful():
                    moved += sum(pool.map(self._checker(draft, home), batch))
                for paths in index.extra():  # of an attempt that wanted something else; nothing names it
                    self._bucket.delete(home + path for path in paths)
                if not moved:
                    return
        raise self._not_durable()

    def _mover(self, draft: StagedDraft, home: str) -> Callable[[Move], bool]:
        def move(one: Move) -> bool:
            self._bucket.copy(draft.key(one.sha512, one.sha256), home + one.content_path, one.size_bytes)
            return True

        return move

    def _checker(self, draft: StagedDraft, home: str) -> Callable[[Move], bool]:
        move = self._mover(draft, home)

        def check(one: Move) -> bool:
            with self._bucket.get(home + one.content_path) as stream:
                return digests.sha256_of(stream) != one.sha256 and move(one)

        return check

    def _put_version(self, mine: Marker, text: BinaryIO) -> None:
        folder = f"{object_home(mine.object_id)}v{mine.version}/"
        size = text.seek(0, os.SEEK_END)
        for _ in range(_ROUNDS):
            text.seek(0)
            self._bucket.put_stream(folder + INVENTORY, text, size)
            if self._sha512(folder + INVENTORY) == mine.inventory:
                self._bucket.put(folder + SIDECAR, layout.sidecar(mine.inventory))
                return
        raise self._not_durable()

    def _sha512(self, key: str) -> str:
        with self._bucket.get(key) as stream:
            return hashlib.file_digest(stream, "sha512").hexdigest()  # type: ignore[arg-type]

    def _not_durable(self) -> NotDurableError:
        return NotDurableError(
            f"the store gave back other bytes than it was given, {_ROUNDS} times",
            self._bucket.url,
            "Check the store, and what stands between here and there; then run the job again.",
        )

    # Finishing and undoing

    def finish_begun(self, object_id: str) -> str | None:
        """Finish a commit that has come so far that its version is whole; one sentence when there was something to do."""
        marker = self.markers.of(object_id)
        return self.finish(marker) if marker else None

    def finish(self, marker: Marker) -> str | None:
        """``finish_begun`` of a marker. None: it has not come so far."""
        head = self._store.head(marker.object_id)
        if not self.whole(marker):
            return None
        if head < marker.version - 1:
            return None  # the object is older than this version asks for: damage, which nobody may paint over
        if head <= marker.version:
            self._publish(marker)
        self._clear(marker)
        return f"Version {marker.version} of {marker.object_id} was put in place; its commit had been interrupted."

    def undo(self, marker: Marker) -> str:
        """Forget a commit that did not come so far. The draft stays."""
        folder = f"{object_home(marker.object_id)}v{marker.version}/"
        self.markers.remove(marker)  # first: one that still runs then stops
        self._bucket.delete([blob.key for blob in self._bucket.list(folder)])
        return f"Version {marker.version} of {marker.object_id} was begun and not finished: what there was of it was removed."

    def whole(self, marker: Marker) -> bool:
        """Whether the version's folder is complete: its sidecar is the last that is written there."""
        return self._inventory_of(marker) is not None

    def _inventory_of(self, marker: Marker) -> str | None:
        """SHA-512 of a whole version's inventory; None: it is not whole."""
        folder = f"{object_home(marker.object_id)}v{marker.version}/"
        try:
            with self._bucket.get(folder + SIDECAR) as stream:
                sidecar = stream.read()
            found = self._sha512(folder + INVENTORY)
        except NotInStoreError:
            return None
        return found if sidecar == layout.sidecar(found) else None

    def _publish(self, marker: Marker) -> None:
        """The commit itself: the version's inventory becomes the object's. Repeating it changes nothing.

        From the bucket, not from what this process meant to write: two that commit the same version end with one inventory.
        """
        home = object_home(marker.object_id)
        source = f"{home}v{marker.version}/{INVENTORY}"
        for _ in range(_ROUNDS):
            wanted, facts = self._inventory_of(marker), self._bucket.stat(source)
            if wanted is None or facts is None:
                self._still_mine(marker)  # another process is at it
                continue
            with self._bucket.get(source) as stream:
                self._bucket.put_stream(home + INVENTORY, stream, facts.size_bytes)
            if self._sha512(home + INVENTORY) == wanted:
                break
        else:
            raise self._not_durable()
        self._bucket.put(home + SIDECAR, layout.sidecar(wanted))
        if marker.version == 1:
            self._bucket.put(home + OBJECT_NAMASTE[0], OBJECT_NAMASTE[1])

    def _clear(self, marker: Marker) -> None:
        """Remove what was staged for this version and older ones, then the marker."""
        home = home_of(marker.object_id)
        for version in range(1, marker.version + 1):
            self._bucket.delete(blob.key for blob in self._bucket.list(f"{home}v{version}/"))
        self.markers.remove(marker)


def _race(mine: Marker) -> CommitRaceError:
    what = f"version {mine.version} is being committed by another process, and this one stopped"
    return CommitRaceError(what, mine.object_id, "Nothing is lost: it is looked at again.")


def _write_inventory(draft: StagedDraft, note: VersionNote, target: BinaryIO) -> str:
    """Write the version's inventory; returns its SHA-512."""
    digest, index = hashlib.sha512(), draft.index
    parts = inventory.write(
        draft.object_id,
        draft.version,
        fixity=index.fixity(),
        manifest=index.manifest(),
        state=index.state(),
        note=note,
        before=draft.before,
    )
    for part in parts:
        digest.update(part)
        target.write(part)
    return digest.hexdigest()
