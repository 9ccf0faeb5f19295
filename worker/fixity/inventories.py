"""Finds the inventory that an object is to be held to, and says which of its own inventories are not what they must be.

Inventory and sidecar vouch for each other only: who replaces both is met by the digests that we know by ourselves. Where
the object's own inventory is bad, its newest version's copy of it serves, or another place's, if its digest is known.
Source: OCFL 1.1 sections 3.5 to 3.8.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import BinaryIO, cast

from worker.fixity.known import OURS, Known
from worker.fixity.manifest import Manifest, fingerprint
from worker.fixity.place import NotThereError, Place, UnreadableError
from worker.fixity.reading import CHUNK_BYTES, Buffers
from worker.fixity.verdicts import Fault, Verdict
from worker.store import inventory
from worker.store.contract import StoreDamagedError
from worker.store.layout import INVENTORY, OBJECT_NAMASTE, SIDECAR, sidecar

_IN_MEMORY_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole file that was taken to this machine, and its digest."""

    stream: BinaryIO
    sha512: str


def fetch(place: Place, path: str, buffers: Buffers) -> Fetched:
    """Take a file here, in memory when small. The caller closes its stream.

    Raises:
        NotThereError, UnreadableError: As ``Place.open``.
    """
    spool = cast("BinaryIO", tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES))  # noqa: SIM115 -- the caller's
    digest, buffer = hashlib.sha512(), buffers.mine()
    try:
        with closing(place.open(path)) as stream:
            while got := stream.readinto(buffer[:CHUNK_BYTES]):
                digest.update(buffer[:got])
                spool.write(buffer[:got])
    except BaseException:
        spool.close()
        raise
    spool.seek(0)
    return Fetched(spool, digest.hexdigest())


@dataclass(frozen=True, slots=True)
class Head:
    """The inventory that the object is held to."""

    version: int
    sha512: str
    new: bool  # it was not known before


class Inventories:
    """The inventories of one object in one place.

    Args:
        others: Other places of the same object, asked for the inventory when this one's is bad.
    """

    def __init__(self, place: Place, folder: str, known: Known, manifest: Manifest, others: Sequence[Place] = ()) -> None:
        self._place, self._folder, self._known, self._manifest, self._others = place, folder, known, manifest, others
        self._buffers = Buffers()
        self.faults: list[Fault] = []
        self.learnt: dict[int, str] = {}
        self._ours = known.object_id.startswith(OURS)

    def load(self) -> Head | None:
        """Fill the manifest from the inventory to believe; None: there is none, and nothing else can be checked.

        Raises:
            UnreadableError: It could not be read, or a commit is just going on.
        """
        root = self._fetched(f"{self._folder}/{INVENTORY}")
        try:
            if root is None:
                self._fault(INVENTORY, Verdict.MISSING, "the inventory is missing", self._expected())
                return self._from_elsewhere()
            if (head := self._judged(root)) is None:
                return self._from_elsewhere()
            self._fill(root.stream, head)
        except StoreDamagedError:
            self._fault(INVENTORY, Verdict.MISMATCH, "the inventory is not one", self._expected(), root.sha512 if root else None)
            return self._from_elsewhere()
        finally:
            if root:
                root.stream.close()
        return head

    def _expected(self) -> str | None:
        newest = self._known.inventories.get(self._wanted_version())
        return newest.sha512 if newest else None

    def _wanted_version(self) -> int:
        return self._known.held_version or max(self._known.inventories, default=0)

    def _judged(self, root: Fetched) -> Head | None:
        """Whether the object's own inventory is to be believed."""
        object_id, version = inventory.head(root.stream)
        known = self._known.inventories.get(version)
        said = self._sidecar()
        if object_id != self._known.object_id:
            self._fault(INVENTORY, Verdict.MISMATCH, "the inventory is another object's", self._expected(), root.sha512)
            return None
        if known and known.sha512 != root.sha512:
            what = "the inventory is not the one that was committed" + (
                ", although its sidecar agrees" if said == root.sha512 else ""
            )
            self._fault(INVENTORY, Verdict.MISMATCH, what, known.sha512, root.sha512)
            return None
        if version < self._known.held_version:
            what = f"the inventory is of version {version}, but this copy held version {self._known.held_version}"
            self._fault(INVENTORY, Verdict.MISMATCH, what, self._expected(), root.sha512)
            return None
        if not known:
            self._may_be_new(version)
        if said != root.sha512:
            if not known:
                self._fault(INVENTORY, Verdict.MISMATCH, "the inventory and its sidecar do not agree", None, root.sha512)
                return None
            self._sidecar_fault(SIDECAR, known.sha512, said)
        return Head(version, root.sha512, new=not known)

    def _may_be_new(self, version: int) -> None:
        head = self._known.head
        if head is not None and version > head:
            raise UnreadableError(
                f"holds version {version}, and the ledger knows {head}: a commit is going on or was interrupted",
                self._place.name,
                "The audit comes back. If this stays so, run the package's job again.",
            )

    def _sidecar(self) -> str | None:
        """The digest that the sidecar tells; "" when it tells none, None when it is missing."""
        found = self._fetched(f"{self._folder}/{SIDECAR}")
        if found is None:
            return None
        with found.stream:
            data = found.stream.read(1024)
        digest = data[:128].decode("ascii", "replace")
        return digest if data == sidecar(digest) or not self._ours else ""

    def _sidecar_fault(self, path: str, sha512: str, said: str | None) -> None:
        expected = hashlib.sha512(sidecar(sha512)).hexdigest()
        verdict = Verdict.MISSING if said is None else Verdict.MISMATCH
        self._fault(path, verdict, "the inventory's sidecar is not what it must be", expected)

    def _from_elsewhere(self) -> Head | None:
        """Another copy of the inventory that we know by its digest."""
        version, wanted = self._wanted_version(), self._expected()
        if wanted is None:
            return None
        places = [(self._place, f"{self._folder}/v{version}/{INVENTORY}")]
        places += [(other, f"{self._folder}/v{version}/{INVENTORY}") for other in self._others]
        for place, path in places:
            try:
                found = fetch(place, path, self._buffers)
            except (NotThereError, UnreadableError):
                continue
            with found.stream:
                if found.sha512 == wanted:
                    head = Head(version, wanted, new=False)
                    self._fill(found.stream, head)
                    return head
        return None

    def _fill(self, stream: BinaryIO, head: Head) -> None:
        manifest = self._manifest
        stream.seek(0)
        manifest.load(inventory.rows(stream), head.version)
        digests = {version: one.sha512 for version, one in self._known.inventories.items()} | {head.version: head.sha512}
        manifest.add_fixed(INVENTORY, head.sha512)
        manifest.add_fixed(SIDECAR, hashlib.sha512(sidecar(head.sha512)).hexdigest() if self._ours else None)
        if not self._ours:
            manifest.expect_listed(("0=ocfl_object_", *(f"v{number}/inventory.json" for number in range(1, head.version + 1))))
            return
        manifest.add_fixed(OBJECT_NAMASTE[0], hashlib.sha512(OBJECT_NAMASTE[1]).hexdigest())
        for number in range(1, head.version + 1):
            digest = digests.get(number) or self._older(number)
            manifest.add_fixed(f"v{number}/{INVENTORY}", digest)
            manifest.add_fixed(f"v{number}/{SIDECAR}", hashlib.sha512(sidecar(digest)).hexdigest() if digest else None)

    def _older(self, number: int) -> str | None:
        """Digest of an older inventory that is not known yet, if it tells what the newest tells; a fault, and None, if not."""
        path = f"v{number}/{INVENTORY}"
        found = self._fetched(f"{self._folder}/{path}")
        if found is None:
            return None  # its absence shows in the listing
        with found.stream:
            try:
                if inventory.head(found.stream) == (self._known.object_id, number) and self._same_history(found.stream, number):
                    self.learnt[number] = found.sha512
                    return found.sha512
            except (StoreDamagedError, ValueError):
                pass
        self._fault(path, Verdict.MISMATCH, "an older inventory tells other things than the newest", None, found.sha512)
        return None

    def _same_history(self, stream: BinaryIO, number: int) -> bool:
        states = dict[int, int]()
        stream.seek(0)
        for row in inventory.rows(stream):
            if row.section == "manifest":
                for path in row.values:
                    if (self._manifest.of_path(path) or (None,))[0] != row.digest:
                        return False
            elif row.section.startswith("v"):
                version = int(row.section[1:])
                states[version] = states.get(version, 0) ^ fingerprint(row)
        wanted = {version: state for version, state in self._manifest.states.items() if version <= number}
        return {version: state for version, state in states.items() if state} == {v: s for v, s in wanted.items() if s}

    def _fetched(self, path: str) -> Fetched | None:
        try:
            return fetch(self._place, path, self._buffers)
        except NotThereError:
            return None

    def _fault(self, path: str, verdict: Verdict, what: str, expected: str | None = None, found: str | None = None) -> None:
        self.faults.append(Fault(path, verdict, what, expected, found))
