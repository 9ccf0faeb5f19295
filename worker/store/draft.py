"""The next version of one object, built in the scratch area on the store's own file system.

Holds the write path of promise P3: bytes are written, synced and read back before anyone may name them. Making the
draft a version is ``worker.store.directory``'s part.

A draft's folder: ``draft.json`` (whose it is), ``index.sqlite3``, and ``object/``, shaped like the OCFL object to be.
"""

# ruff: noqa: D102 -- the contract documents every method

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections import OrderedDict
from pathlib import Path

from worker import digests
from worker.digests import CHUNK_BYTES, Digests, Source
from worker.store import durable, layout
from worker.store.contract import NotDurableError, Stored
from worker.store.index import Held, Index

_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_KNOWN_FOLDERS = 4096  # remembered as durable; bounds memory for packages with very many folders


def boot_id() -> str:
    """Names this run of the machine: the scratch index is trusted only within one."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


class DirectoryDraft:
    """See ``worker.store.contract.Draft``."""

    def __init__(self, folder: Path, object_folder: Path, object_id: str, version: int) -> None:
        self.folder, self.object_id, self.version = folder, object_id, version
        self.object = folder / "object"
        self._stored_object = object_folder
        self.content = self.object / f"v{version}" / "content"
        self._prefix = f"v{version}/content/"
        self._folders: OrderedDict[str, None] = OrderedDict()
        self._taken: set[str] = set()  # content paths being written now
        self._lock = threading.Lock()
        durable.make_folders(self.content)
        self.index = Index(folder / "index.sqlite3")

    def release(self, stored: Stored) -> None:
        """Nothing: the draft's own file is what was given out."""

    def close(self) -> None:
        self.index.close()

    def add_file(self, path: Path, logical_path: str) -> Stored:
        with durable.regular_file(path) as fd:
            return self.ingest(fd, logical_path)

    def ingest(self, source: Source, logical_path: str) -> Stored:
        head = os.read(source, CHUNK_BYTES) if isinstance(source, int) else source.read(CHUNK_BYTES)
        if len(head) < CHUNK_BYTES:
            rest = os.read(source, CHUNK_BYTES) if isinstance(source, int) else source.read(CHUNK_BYTES)
            if not rest:
                return self._ingest_small(head, logical_path)
            head += rest  # a pipe: comes in pieces
        return self._ingest_large(source, head, logical_path)

    def _ingest_small(self, data: bytes, logical_path: str) -> Stored:
        found = digests.digest_bytes(data)
        if held := self.index.find(found.sha512):
            return self._stored(held, found, new=False)
        name = self._reserve(logical_path)
        try:
            fd = self._create(name)
            try:
                digests.write_all(fd, memoryview(data))
                return self._settle(fd, name, found)
            finally:
                os.close(fd)
        finally:
            self._taken.discard(name)

    def _ingest_large(self, source: Source, head: bytes, logical_path: str) -> Stored:
        """Write before the digest is known, under a name made from the path; drop it again when it was known."""
        name = self._reserve(logical_path)
        try:
            fd = self._create(name)
            try:
                found = digests.copy_and_digest(source, fd, head=head)
                if held := self.index.find(found.sha512):
                    (self.content / name).unlink()
                    return self._stored(held, found, new=False)
                return self._settle(fd, name, found)
            except BaseException:
                (self.content / name).unlink(missing_ok=True)
                raise
            finally:
                os.close(fd)
        finally:
            self._taken.discard(name)

    def _settle(self, fd: int, name: str, found: Digests) -> Stored:
        """Sync what was written, read it back from the disk, and only then remember it."""
        os.fsync(fd)
        durable.sync_folder((self.content / name).parent)
        back = digests.sha256_uncached(fd)
        if back != found.sha256:
            (self.content / name).unlink()
            raise NotDurableError(
                f"the disk gave back SHA-256 {back} for bytes written with {found.sha256}",
                name,
                "Check the disk and the memory of this machine.",
            )
        with self._lock:  # two threads with the same bytes: the first is kept
            if held := self.index.find(found.sha512):
                (self.content / name).unlink()
                return self._stored(held, found, new=False)
            held = Held(self._prefix + name, found.sha512, found.sha256, new=True)
            self.index.add(held)
        return self._stored(held, found, new=True)

    def _stored(self, held: Held, found: Digests, *, new: bool) -> Stored:
        root = self.object if held.new else self._stored_object
        return Stored(found.sha256, found.sha512, found.size_bytes, held.path, root / held.path, new)

    def _reserve(self, logical_path: str) -> str:
        """A content name that no other content has; files of a killed write that nobody remembers may be overwritten."""
        name = layout.content_name(logical_path)
        with self._lock:
            if name in self._taken or self.index.digest_at(self._prefix + name):
                name = layout.fresh_name()
            self._taken.add(name)
        return name

    def _create(self, name: str) -> int:
        path = self.content / name
        self._make_folder(path.parent)
        try:
            return os.open(path, _CREATE, durable.READ_ONLY)
        except FileExistsError:  # left by a killed write; nobody was told of it
            path.unlink()
            return os.open(path, _CREATE, durable.READ_ONLY)

    def _make_folder(self, folder: Path) -> None:
        key = str(folder)
        if key in self._folders:
            return
        durable.make_folders(folder)
        with self._lock:
            self._folders[key] = None
            if len(self._folders) > _KNOWN_FOLDERS:
                self._folders.popitem(last=False)

    def reindex(self) -> None:
        """Look at every file of the draft again: after a power cut the index may not be what the disk holds."""
        for folder, _, names in os.walk(self.content):
            for name in names:
                path = Path(folder, name)
                with path.open("rb", buffering=0) as stream:
                    found = digests.copy_and_digest(stream.fileno())
                if self.index.find(found.sha512):
                    path.unlink()
                else:
                    relative = path.relative_to(self.object).as_posix()
                    self.index.add(Held(relative, found.sha512, found.sha256, new=True))

    def drop_unnamed(self) -> None:
        """Remove content that the state does not name, files nobody remembers, and folders left empty.

        Forgotten first, removed then: a process killed in between leaves a file too many, never content that is not there.
        """
        while paths := self.index.unnamed():
            self.index.forget(paths)
        touched = False
        for folder, _, names in os.walk(self.content, topdown=False):
            for name in names:
                file = Path(folder, name)
                if not self.index.digest_at(file.relative_to(self.object).as_posix()):
                    file.unlink()
                    touched = True
            with contextlib.suppress(OSError):  # not empty: it stays
                Path(folder).rmdir()
                durable.sync_folder(Path(folder).parent)
        if touched and self.content.is_dir():
            durable.sync_folder(self.content)


def write_note(folder: Path, object_id: str, version: int) -> None:
    """Say whose draft this folder is. Written last at the start, so a folder without it is no draft."""
    note = {"object": object_id, "version": version, "boot": boot_id()}
    durable.write_file(folder / "draft.json", [json.dumps(note).encode()], mode=0o644)


def read_note(folder: Path) -> tuple[str, int, str] | None:
    """Object id, version and boot id of a draft's folder; None: it is no draft."""
    try:
        note = json.loads((folder / "draft.json").read_bytes())
        return str(note["object"]), int(note["version"]), str(note["boot"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
