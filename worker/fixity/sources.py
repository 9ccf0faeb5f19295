"""Finds good bytes among the copies of an object: nothing is taken that was not measured against what is known by ourselves.

An inventory is believed when its digest is one that the ledger learnt at commit, or in a reading in which bytes, ledger and
PREMIS agreed. For an object of another program no ledger vouches: then two other copies must hold the same.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from worker.digests import digest_bytes
from worker.fixity.inventories import Fetched, fetch
from worker.fixity.known import OURS, Known, KnownInventory
from worker.fixity.manifest import Manifest
from worker.fixity.place import NotThereError, Place, UnreadableError
from worker.fixity.reading import Buffers
from worker.store import inventory
from worker.store.contract import StoreDamagedError
from worker.store.layout import INVENTORY, OBJECT_NAMASTE, SIDECAR, sidecar


class NoQuorumError(Exception):
    """Nothing that may be believed says which bytes are right, or no copy has them; the text says which."""


@dataclass(frozen=True, slots=True)
class Right:
    """What one file of the object must be. ``data``: its bytes, where they follow from the inventory's digest."""

    path: str
    sha512: str
    sha256: str | None
    data: bytes | None = None


class Sources:
    """One object's copies.

    Args:
        places: All places that may hold a copy, the best first.
    """

    def __init__(self, folder: str, known: Known, places: Sequence[Place], scratch: Path | None = None) -> None:
        self.folder, self._known, self._places, self._scratch = folder, known, places, scratch
        self._buffers = Buffers()

    @contextmanager
    def manifest(self, version: int) -> Iterator[Manifest]:
        """What the object holds, by the inventory of *version* that is to be believed.

        Raises:
            NoQuorumError: None is known, or no copy has it.
        """
        known = self._known.inventories.get(version)
        if known is None:
            raise NoQuorumError("no inventory of this version is known by itself")
        with self.file(Right(f"v{version}/{INVENTORY}", known.sha512, None), (INVENTORY,)) as path, Manifest() as manifest:
            self._enough(known, version)
            with path.open("rb") as stream:
                manifest.load(inventory.rows(stream), version)
            yield manifest

    def _enough(self, known: KnownInventory, version: int) -> None:
        """Whether what vouches for an inventory is enough.

        One that was learnt at its commit is. One that was only read is, while no copy that is whole in itself tells otherwise:
        of two such nobody here can know which was replaced.
        """
        ours = self._known.object_id.startswith(OURS)
        if ours and known.committed:
            return
        same = 0
        for place in self._places:
            try:
                found = fetch(place, f"{self.folder}/{INVENTORY}", self._buffers)
            except (NotThereError, UnreadableError):
                continue
            with found.stream:
                same += found.sha512 == known.sha512
                if found.sha512 != known.sha512 and self._contradicts(place, found, version):
                    raise NoQuorumError(
                        f"the inventory of version {version} is known by a reading only, and the copy in store {place.name},"
                        " which is whole in itself, has another: a person must find out which is right"
                    )
        if not ours and same < 2:
            raise NoQuorumError(f"no ledger vouches for this object, and only {same} copy has the inventory of version {version}")

    def _contradicts(self, place: Place, found: Fetched, version: int) -> bool:
        """Whether a copy's other inventory looks like one: its sidecar agrees, and it is of this object's version or a later."""
        try:
            name, of = inventory.head(found.stream)
            said = fetch(place, f"{self.folder}/{SIDECAR}", self._buffers)
        except (StoreDamagedError, ValueError, NotThereError, UnreadableError):
            return False
        with said.stream:
            return name == self._known.object_id and of >= version and said.stream.read(1024) == sidecar(found.sha512)

    def right(self, path: str, version: int, manifest: Manifest) -> Right | None:
        """What *path* must be; None: nothing belongs there.

        Raises:
            NoQuorumError: It belongs to a version whose inventory is not known, or only its SHA-256 is.
        """
        newest = self._known.inventories[version].sha512
        if path == OBJECT_NAMASTE[0]:
            return _right(path, OBJECT_NAMASTE[1])
        if path == INVENTORY:
            return Right(path, newest, None)
        if path == SIDECAR:
            return _right(path, sidecar(newest))
        head, _, tail = path.partition("/")
        if tail in (INVENTORY, SIDECAR) and head[:1] == "v" and head[1:].isdigit() and int(head[1:]) <= version:
            known = self._known.inventories.get(int(head[1:]))
            if known is None:
                raise NoQuorumError(f"the inventory of version {head[1:]} is not known by itself")
            return _right(path, sidecar(known.sha512)) if tail == SIDECAR else Right(path, known.sha512, None)
        held = manifest.of_path(path)
        if held and not held[0]:
            raise NoQuorumError("no SHA-512 of it is known: another program's object is not repaired by half a proof")
        return Right(path, held[0], held[1]) if held and held[0] else None

    @contextmanager
    def file(self, right: Right, also: Sequence[str] = ()) -> Iterator[Path]:
        """A file on this machine with exactly these bytes.

        Args:
            also: Other paths below the object that hold the same bytes.

        Raises:
            NoQuorumError: No copy has them.
        """
        with tempfile.TemporaryDirectory(prefix="audit.", dir=self._scratch) as scratch:
            target = Path(scratch, "good")
            if right.data is not None:
                target.write_bytes(right.data)
                yield target
                return
            for place in self._places:
                for path in (right.path, *also):
                    if self._taken(place, f"{self.folder}/{path}", right, target):
                        yield target
                        return
            raise NoQuorumError("no copy has the right bytes")

    def _taken(self, place: Place, path: str, right: Right, target: Path) -> bool:
        sha512, sha256, buffer = hashlib.sha512(), hashlib.sha256(), self._buffers.mine()
        try:
            with closing(place.open(path)) as stream, target.open("wb") as out:
                while got := stream.readinto(buffer):
                    sha512.update(buffer[:got])
                    sha256.update(buffer[:got])
                    out.write(buffer[:got])
        except (NotThereError, UnreadableError):
            return False
        return sha512.hexdigest() == right.sha512 and right.sha256 in (None, sha256.hexdigest())


def _right(path: str, data: bytes) -> Right:
    found = digest_bytes(data)
    return Right(path, found.sha512, found.sha256, data)
