"""The store in a bucket, or in a folder that several machines share: an OCFL 1.1 storage root below ``store/``.

The same layout and bytes as ``worker.store.directory``: what one made, the other reads and carries on. Many processes use
it at once; who may commit to an object is decided elsewhere. How a version comes to be is ``worker.store.bucket_commit``.
"""

# ruff: noqa: D102 -- the contract documents every method

from __future__ import annotations

import hashlib
import io
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from worker.store import inventory
from worker.store.bucket import Bucket, StoreUnreachableError
from worker.store.bucket_commit import Committer, object_home
from worker.store.contract import Content, Draft, NotInStoreError, NotOursError, StateEntry, StoreDamagedError, VersionNote
from worker.store.index import contents_of
from worker.store.layout import INVENTORY, OBJECT_NAMASTE, ROOT_FILES, ROOT_NAMASTE, SIDECAR
from worker.store.spool import Spool
from worker.store.staged_draft import StagedDraft
from worker.store.staging import Leftovers

UNDO_AFTER_S = 3600.0  # longer than any lease: who began such a commit has lost it, or is gone
_HEADER_BYTES = 8192  # holds the first two lines of any inventory of ours
_SKIP_AFTER = 1000  # keys of one object read past before the next one is asked for: what S3 lists at once


class BucketStore:
    """See ``worker.store.contract.Store``.

    Args:
        scratch: Folder on this machine, shared with other processes; or none, when *spool* is given.
        spool: The process's part of the scratch area, when other stores use it too.
        undo_after_s: How old a commit must be that ``recover`` takes back; one that is whole is finished at any age.
        new: Asked before an empty place is given its storage root: whether it never had one.
    """

    def __init__(
        self,
        bucket: Bucket,
        scratch: Path,
        *,
        spool: Spool | None = None,
        undo_after_s: float = UNDO_AFTER_S,
        new: Callable[[], bool] = lambda: True,
    ) -> None:
        self.bucket, self.spool = bucket, spool or Spool(scratch)
        self._undo_after_s, self._has_root, self._new = undo_after_s, False, new
        self._committer = Committer(bucket, self)

    # Writing

    def open_draft(self, object_id: str) -> StagedDraft:
        self._make_root()
        try:
            before = self.inventory(object_id)
        except NotInStoreError:
            return StagedDraft(self.bucket, self.spool, object_id, 1, None)
        version = inventory.head(before)[1] + 1
        return StagedDraft(self.bucket, self.spool, object_id, version, before)

    def _make_root(self) -> None:
        """Put the storage root's own files in place, once.

        Raises:
            NotOursError: Something else is there.
            StoreUnreachableError: It had a root: a disk that is not mounted leaves an empty folder, on another disk.
        """
        if self._has_root or self.bucket.stat(f"store/{ROOT_NAMASTE[0]}"):
            self._has_root = True
            return
        if not self._new():
            remedy = "Mount it. If it is lost, restore it from another copy; nothing is written beside it meanwhile."
            raise StoreUnreachableError("has no storage root, and it held packages: it is not mounted", self.bucket.url, remedy)
        own = {f"store/{name}" for name in ROOT_FILES}
        for blob in self.bucket.list("store/"):
            if blob.key not in own:
                what = f"holds {blob.key.removeprefix('store/')!r} but is no OCFL storage root"
                raise NotOursError(what, f"{self.bucket.url}/store", "Name an empty place, or a store made by bevara.")
        for name, data in reversed(ROOT_FILES.items()):  # the namaste last: it says that the rest is there
            self.bucket.put(f"store/{name}", data)
        self._has_root = True

    def places(self, draft: Draft, state: Iterable[StateEntry]) -> Iterator[tuple[str, str]]:
        mine = cast("StagedDraft", draft)
        mine.index.begin(mine.staged())
        mine.index.make_state((), (), state)
        return mine.index.places()

    def commit(self, draft: Draft, state: Iterable[StateEntry], note: VersionNote, *, dropped: Iterable[str] = ()) -> int:
        mine = cast("StagedDraft", draft)
        version = self._committer.commit(mine, state, note, dropped)
        mine.close()
        return version

    def discard(self, draft: Draft) -> None:
        mine = cast("StagedDraft", draft)
        mine.close()
        self.bucket.delete(blob.key for blob in self.bucket.list(mine.home))

    def recover(self) -> list[str]:
        done = []
        for marker, begun_ns in self._committer.markers.all():
            sentence = self._committer.finish(marker)
            if sentence is None and time.time_ns() - begun_ns >= self._undo_after_s * 1e9:
                sentence = self._committer.undo(marker)
            done += [sentence] if sentence else []
        return done

    def gc(self, grace_s: float, *, busy: Collection[str], apply: bool = False) -> list[str]:
        """Keys that nothing refers to and that are older than *grace_s*; with *apply* they are removed.

        What an inventory names is never among them.

        Args:
            busy: Ids of the objects for which the ledger has an unfinished job, or results that no version carries yet:
                their staged content is left alone.
        """
        return Leftovers(self.bucket, self, self._committer).gc(grace_s, busy=busy, apply=apply)

    # Reading

    def objects(self) -> Iterator[str]:
        """Objects with a declaration and a head. Lists in leaps: an object of a million files is not read to its end."""
        after, home, passed = "", "", 0
        while True:
            leapt = False
            for blob in self.bucket.list("store/", after):
                if home and blob.key.startswith(home):
                    passed += 1
                    if passed >= _SKIP_AFTER:
                        after, home, leapt = home[:-1] + "0", "", True  # '0' follows '/'
                        break
                elif blob.key.endswith(f"/{OBJECT_NAMASTE[0]}"):
                    home, passed = blob.key.removesuffix(OBJECT_NAMASTE[0]), 0
                    yield from self._id_at(home)
            if not leapt:
                return

    def _id_at(self, home: str) -> Iterator[str]:
        try:
            yield self._header(home)[0]
        except NotInStoreError:
            return

    def head(self, object_id: str) -> int:
        try:
            return self._header(object_home(object_id))[1]
        except NotInStoreError:
            return 0

    def _header(self, home: str) -> tuple[str, int]:
        """Object id and head, from the inventory's first lines; one that another tool wrote is read whole."""
        with self.bucket.get(home + INVENTORY, 0, _HEADER_BYTES) as stream:
            text = stream.read()
        if text.startswith(b'{"id":') and text.count(b"\n") >= 2:
            return inventory.head(io.BytesIO(text))
        with self._downloaded(home) as whole:
            return inventory.head(whole)

    def state(self, object_id: str, version: int | None = None) -> Iterator[StateEntry]:
        with self.inventory(object_id) as stream:
            yield from inventory.state_of(stream, object_id, version)

    def contents(self, object_id: str) -> Iterator[Content]:
        with self.inventory(object_id) as stream:
            yield from contents_of(stream)

    def inventory(self, object_id: str) -> BinaryIO:
        try:
            return self._downloaded(object_home(object_id))
        except NotInStoreError:
            raise NotInStoreError("is not in this store", object_id, "Check the package's name and the tenant.") from None

    def _downloaded(self, home: str) -> BinaryIO:
        """The inventory in a local file, the same as its sidecar says: a broken answer is not taken for the truth."""
        wanted = found = ""
        for _ in range(2):
            local = self.spool.temporary()
            try:
                found = self._fetch(home + INVENTORY, local)
                wanted = self._said(home, inventory.head(local)[1], found)
            except BaseException:
                local.close()
                raise
            if wanted == found:
                local.seek(0)
                return local
            local.close()
        raise StoreDamagedError(
            f"has an inventory with SHA-512 {found[:16]}…, and its sidecar says {wanted[:16] or 'nothing'}…",
            home.rstrip("/").rpartition("/")[2],
            "Run `bevara verify` on the store.",
        )

    def _fetch(self, key: str, local: BinaryIO) -> str:
        """Download into *local*; returns the SHA-512 of what arrived."""
        with self.spool.writing(), self.bucket.get(key) as stream:
            shutil.copyfileobj(stream, local, 1 << 20)
        local.seek(0)
        found = hashlib.file_digest(local, "sha512").hexdigest()  # type: ignore[arg-type]
        local.seek(0)
        return found

    def _said(self, home: str, head: int, found: str) -> str:
        """What a sidecar says of the inventory; the one that says *found*, if there is one.

        The newest version's own sidecar counts too: a commit writes it before the root inventory, and the root's after.
        """
        said = ""
        for key in (f"{home}v{head}/{SIDECAR}", home + SIDECAR):
            try:
                with self.bucket.get(key) as stream:
                    said = stream.read(128).decode("ascii", "replace")
            except NotInStoreError:
                continue
            if said == found:
                break
        return said

    def read(self, object_id: str, logical_path: str, version: int | None = None) -> BinaryIO:
        sha512 = next((entry.sha512 for entry in self.state(object_id, version) if entry.logical_path == logical_path), None)
        if sha512 is None:
            raise NotInStoreError(f"has no file {logical_path!r}", object_id, "List the package's files first.")
        path = next(item.content_path for item in self.contents(object_id) if item.sha512 == sha512)
        return self.open_content(object_id, path)

    def open_content(self, object_id: str, content_path: str) -> BinaryIO:
        try:
            return self.bucket.get(object_home(object_id) + content_path)
        except NotInStoreError:
            raise NotInStoreError(f"has no content {content_path!r}", object_id, "Run `bevara verify` on the store.") from None
