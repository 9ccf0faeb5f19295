"""The store in a plain folder: an OCFL 1.1 storage root that any validator accepts.

A version appears by renames only, in an order from which ``recover`` can always go forward: the version's folder,
then the root inventory, then its sidecar. Building the version is ``worker.store.draft``'s part.
"""

# ruff: noqa: D102 -- the contract documents every method

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from worker.store import durable, inventory, layout
from worker.store.contract import Content, Draft, NotInStoreError, NotOursError, StateEntry, VersionNote
from worker.store.draft import DirectoryDraft, boot_id, read_note, write_note
from worker.store.index import contents_of
from worker.store.layout import INVENTORY, OBJECT_NAMASTE, ROOT_FILES, ROOT_NAMASTE, SIDECAR


class DirectoryStore:
    """See ``worker.store.contract.Store``.

    Args:
        root: The storage root; created when absent or empty.
        scratch: Where drafts live; on the same file system as *root*, because a commit is a rename.

    Raises:
        NotOursError: *root* holds something else.
    """

    def __init__(self, root: Path, scratch: Path) -> None:
        self.root, self._drafts, self._trash = root, scratch / "drafts", scratch / "trash"
        present = {entry.name for entry in root.iterdir()} if root.is_dir() else set()
        if ROOT_NAMASTE[0] in present:
            return
        own = {name.split("/")[0] for name in ROOT_FILES}
        if strange := sorted(present - own - {f"{name}.new" for name in own}):
            raise NotOursError(
                f"holds {strange[0]!r} but is no OCFL storage root",
                str(root),
                "Name an empty folder, or an archive made by bevara.",
            )
        for name, data in reversed(ROOT_FILES.items()):  # the namaste last: it says that the rest is there
            durable.make_folders((root / name).parent)
            durable.write_file(root / name, [data])

    def recover(self) -> list[str]:
        done: list[str] = []
        for folder in sorted(self._drafts.iterdir()) if self._drafts.is_dir() else ():
            note = read_note(folder)
            if note is None:
                durable.remove_tree(folder, self._trash)
                continue
            object_id, version, _ = note
            done += self._roll_forward(object_id)
            if self.head(object_id) >= version:
                durable.remove_tree(folder, self._trash)
                done.append(f"The finished draft of version {version} of {object_id} was cleared away.")
            elif not self._object(object_id).exists():
                self._drop_empty_parents(self._object(object_id).parent)
        for left in sorted(self._trash.iterdir()) if self._trash.is_dir() else ():
            durable.remove_tree(left, self._trash)
        return done

    def _roll_forward(self, object_id: str) -> list[str]:
        """Finish a commit whose version folder is in place: it was whole before it was renamed in."""
        home, done = self._object(object_id), []
        if not home.is_dir():
            return []
        head = self.head(object_id)
        newest = home / f"v{head + 1}"
        if newest.is_dir():
            durable.write_file(home / INVENTORY, _pieces(newest / INVENTORY))
            head += 1
            done.append(f"Version {head} of {object_id} was put in place; its commit had been interrupted.")
        wanted = (home / f"v{head}" / SIDECAR).read_bytes()
        if not (home / SIDECAR).is_file() or (home / SIDECAR).read_bytes() != wanted:
            if _sha512(home / INVENTORY) != wanted[:128].decode("ascii", "replace"):
                return done  # not an interrupted commit: damage, which verify names and nobody may paint over
            durable.write_file(home / SIDECAR, [wanted])
            done.append(f"The sidecar of {object_id} was brought up to version {head}.")
        return done

    def _drop_empty_parents(self, folder: Path) -> None:
        while folder != self.root:
            if folder.is_dir():
                if any(folder.iterdir()):
                    return
                folder.rmdir()
            folder = folder.parent

    def objects(self) -> Iterator[str]:
        for folder, names, files in os.walk(self.root):
            if OBJECT_NAMASTE[0] in files:
                names.clear()
                with Path(folder, INVENTORY).open("rb") as stream:
                    yield inventory.head(stream)[0]
            elif folder == str(self.root):
                names[:] = sorted(name for name in names if name != "extensions")

    def head(self, object_id: str) -> int:
        try:
            with (self._object(object_id) / INVENTORY).open("rb") as stream:
                return inventory.head(stream)[1]
        except FileNotFoundError:
            return 0

    def open_draft(self, object_id: str) -> DirectoryDraft:
        self._roll_forward(object_id)
        version = self.head(object_id) + 1
        folder = self._drafts / hashlib.sha256(object_id.encode()).hexdigest()[:32]
        note = read_note(folder)
        if folder.is_dir() and (note is None or note[:2] != (object_id, version)):
            durable.remove_tree(folder, self._trash)
            note = None
        if note and note[2] != boot_id():  # the index was not synced: after a power cut it may lag or be broken
            for name in ("index.sqlite3", "index.sqlite3-wal", "index.sqlite3-shm"):
                (folder / name).unlink(missing_ok=True)
        durable.make_folders(folder)
        draft = DirectoryDraft(folder, self._object(object_id), object_id, version)
        if note is None or note[2] != boot_id():
            self._load(draft)
            draft.reindex()
            write_note(folder, object_id, version)
        return draft

    def _load(self, draft: DirectoryDraft) -> None:
        if draft.version == 1:
            return
        with self.inventory(draft.object_id) as stream:
            draft.index.load(inventory.rows(stream))

    def commit(self, draft: Draft, state: Iterable[StateEntry], note: VersionNote, *, dropped: Iterable[str] = ()) -> int:
        mine = cast("DirectoryDraft", draft)
        before = self.state(mine.object_id) if mine.version > 1 else ()
        mine.index.make_state(before, dropped, state)
        mine.index.check_state("scratch folder")
        mine.drop_unnamed()
        self._write_version(mine, note)
        mine.close()
        self._put_in_place(mine)
        durable.remove_tree(mine.folder, self._trash)
        return mine.version

    def places(self, draft: Draft, state: Iterable[StateEntry]) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        yield from ()  # content lies where ``ingest`` said

    def discard(self, draft: Draft) -> None:
        mine = cast("DirectoryDraft", draft)
        mine.close()
        durable.remove_tree(mine.folder, self._trash)

    def _write_version(self, draft: DirectoryDraft, note: VersionNote) -> None:
        """Inventories and sidecars, in the version's folder and beside it, all durable before the first rename."""
        home, version = draft.object, draft.object / f"v{draft.version}"
        durable.make_folders(version)
        before = (self._object(draft.object_id) / INVENTORY).open("rb") if draft.version > 1 else None
        digest = hashlib.sha512()
        index = draft.index
        try:
            text = inventory.write(
                draft.object_id,
                draft.version,
                fixity=index.fixity(),
                manifest=index.manifest(),
                state=index.state(),
                note=note,
                before=before,
            )
            durable.write_file(version / INVENTORY, _hashed(_blocks(text), digest))
        finally:
            if before:
                before.close()
        durable.write_file(version / SIDECAR, [layout.sidecar(digest.hexdigest())])
        durable.write_file(home / INVENTORY, _pieces(version / INVENTORY))
        durable.write_file(home / SIDECAR, [layout.sidecar(digest.hexdigest())])
        durable.write_file(home / OBJECT_NAMASTE[0], [OBJECT_NAMASTE[1]])

    def _put_in_place(self, draft: DirectoryDraft) -> None:
        home = self._object(draft.object_id)
        if draft.version == 1:
            durable.make_folders(home.parent)
            draft.object.rename(home)
        else:
            (draft.object / f"v{draft.version}").rename(home / f"v{draft.version}")
            durable.sync_folder(home)
            (draft.object / INVENTORY).rename(home / INVENTORY)
            (draft.object / SIDECAR).rename(home / SIDECAR)
            durable.sync_folder(home)
        durable.sync_folder(home.parent)

    def state(self, object_id: str, version: int | None = None) -> Iterator[StateEntry]:
        with self.inventory(object_id) as stream:
            yield from inventory.state_of(stream, object_id, version)

    def contents(self, object_id: str) -> Iterator[Content]:
        with self.inventory(object_id) as stream:
            yield from contents_of(stream)

    def inventory(self, object_id: str) -> BinaryIO:
        try:
            return (self._object(object_id) / INVENTORY).open("rb")
        except FileNotFoundError:
            raise NotInStoreError("is not in this store", object_id, "Check the package's name and the tenant.") from None

    def read(self, object_id: str, logical_path: str, version: int | None = None) -> BinaryIO:
        sha512 = next((entry.sha512 for entry in self.state(object_id, version) if entry.logical_path == logical_path), None)
        if sha512 is None:
            raise NotInStoreError(f"has no file {logical_path!r}", object_id, "List the package's files first.")
        path = next(item.content_path for item in self.contents(object_id) if item.sha512 == sha512)
        return self.open_content(object_id, path)

    def open_content(self, object_id: str, content_path: str) -> BinaryIO:
        try:
            return (self._object(object_id) / content_path).open("rb")
        except FileNotFoundError:
            raise NotInStoreError(f"has no content {content_path!r}", object_id, "Run `bevara verify` on the archive.") from None

    def _object(self, object_id: str) -> Path:
        return self.root / layout.object_path(object_id)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            yield piece


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Gather small pieces into writes worth a system call."""
    block = bytearray()
    for piece in pieces:
        block += piece
        if len(block) >= 1 << 18:
            yield bytes(block)
            block.clear()
    yield bytes(block)


def _hashed(pieces: Iterable[bytes], digest: hashlib._Hash) -> Iterator[bytes]:
    for piece in pieces:
        digest.update(piece)
        yield piece


def _sha512(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha512").hexdigest()
