"""One full reading of one copy of an OCFL object: every name, every byte, both digests, and what is told of them.

Can be stopped at any chunk and goes on where it was. A bad answer is read again over a new connection before it is believed.
Deadlines, findings and repair are others' matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import BinaryIO

import sqlalchemy as sa

from worker.evidence.names import is_evidence
from worker.fixity import agreement
from worker.fixity.inventories import Head, Inventories, fetch
from worker.fixity.known import OURS, Cursor, Known, Reading
from worker.fixity.manifest import Manifest
from worker.fixity.place import NotThereError, Place, UnreadableError
from worker.fixity.reading import RANGE_BYTES, THREADS, Answer, Buffers, Reader, Seen, StoppedError, Wanted
from worker.fixity.verdicts import BAD, Fault, Verdict

_AGAIN = 2  # how often a bad answer is asked again before it is believed
_FAULTS_KEPT = 10_000  # of one copy: more say nothing new, and must not fill the memory


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a reading works with.

    Attributes:
        others: Other places of the same tenant, asked for an inventory that is bad here.
        stop: Whether to stop now.
        enough: Whether to stop at the next place that costs nothing.
        spent: Told of bytes as they are read; may wait.
        progress: Told where the reading is, after every content.
        database: Runs a reading transaction on the ledger; None: there is none to compare with.
    """

    others: Sequence[Place] = ()
    threads: int = THREADS
    algorithms: tuple[str, ...] = ("sha256", "sha512")
    stop: Callable[[], bool] = lambda: False
    enough: Callable[[], bool] = lambda: False
    spent: Callable[[int], None] = lambda _: None
    progress: Callable[[Cursor], None] = lambda _: None
    database: Callable[[Callable[[sa.Connection], list[Fault]]], list[Fault]] | None = None


@dataclass(slots=True)
class ObjectAudit:
    """See the module. Used once.

    Args:
        folder: The object's, below the place.
        cursor: Where an earlier try stopped.
    """

    place: Place
    folder: str
    known: Known
    around: Surroundings
    began: str
    cursor: Cursor | None = None
    _buffers: Buffers = field(default_factory=Buffers)

    def run(self) -> Reading:
        """Read the copy. Never raises for what the copy or its place is like."""
        reading = Reading(self.began)
        try:
            with Manifest() as manifest:
                self._run(reading, manifest)
        except UnreadableError as away:
            reading.why_not = away.what
        except OSError as broken:  # of a place whose folders cannot even be looked at, or of this machine's scratch
            reading.why_not = f"could not be read: {broken.strerror or type(broken).__name__}"
        return reading

    def _run(self, reading: Reading, manifest: Manifest) -> None:
        manifest.list_names(self.place.listing(self.folder))
        inventories = Inventories(self.place, self.folder, self.known, manifest, self.around.others)
        head = inventories.load()
        faults = list(inventories.faults)
        if head is None:
            detail = "no inventory can be believed, so nothing in this object could be checked"
            reading.faults = self._believed([*faults, Fault("", Verdict.MISMATCH, detail)], None)
            return
        reading.head, reading.inventory = head.version, head.sha512
        reading.files, reading.size_bytes = manifest.totals()
        faults += self._names(manifest)
        if self.cursor and self.cursor.inventory == head.sha512:
            reading.began, reading.read_bytes = self.cursor.began, self.cursor.read_bytes
        else:
            self.cursor = None
        if not self._contents(reading, manifest, head, faults):
            return
        reading.faults = self._believed(_distinct(faults), manifest)
        self._agreements(reading, manifest, head, inventories)

    # Names

    def _names(self, manifest: Manifest) -> list[Fault]:
        found = [Fault(path, Verdict.MISSING, "is missing", sha512) for path, sha512 in manifest.missing()]
        gone = [fault.path for fault in found]
        for path, kind in manifest.unexpected():
            if kind == "folder" and any(one.startswith(f"{path}/") for one in gone):
                continue  # it is empty because of what is missing
            if kind == "file" and self._being_committed(path):
                continue
            what = {"folder": "an empty folder", "other": "a link or a special file"}.get(kind, "a file")
            found.append(Fault(path, Verdict.UNEXPECTED, f"is {what} that no version of this object knows"))
        return found[:_FAULTS_KEPT]

    def _being_committed(self, path: str) -> bool:
        """Whether a job that is going on may be just writing this: its version, before the inventory names it."""
        return self.known.busy and path.startswith(f"v{(self.known.head or 0) + 1}/")

    # Bytes

    def _contents(self, reading: Reading, manifest: Manifest, head: Head, faults: list[Fault]) -> bool:
        """Read everything that is there; False: it was stopped, and the reading has a cursor."""
        around, cursor = self.around, self.cursor
        after = cursor.after if cursor else ""
        if cursor:
            faults += cursor.faults
        found: list[Fault] = []
        with (
            Reader(
                self.place,
                threads=around.threads,
                algorithms=around.algorithms,
                stop=around.stop,
                enough=around.enough,
                spent=around.spent,
            ) as reader,
            closing(reader.read(self.folder, self._wanted(manifest, after))) as answers,
        ):
            for wanted, answer in answers:
                if isinstance(answer, StoppedError):
                    reading.cursor = self._here(reading, head, after, answer.parts_done, found)
                    return False
                after = wanted.path
                self._count(reading, wanted, answer)
                if len(found) < _FAULTS_KEPT and (fault := judged(wanted, answer)):
                    found.append(fault)
                around.progress(self._here(reading, head, after, 0, found))
        faults += found
        return True

    def _here(self, reading: Reading, head: Head, after: str, parts: int, found: list[Fault]) -> Cursor:
        kept = (*(self.cursor.faults if self.cursor else ()), *found)[:_FAULTS_KEPT]
        return Cursor(reading.began, head.sha512, after, parts, reading.read_bytes, kept)

    def _wanted(self, manifest: Manifest, after: str) -> Iterator[Wanted]:
        skip = self.cursor.parts if self.cursor else 0
        for one in manifest.wanted(after):
            parts = self.known.parts.get(one.sha512 or "", ())
            yield Wanted(one.path, one.sha512, one.sha256, one.size_bytes, parts, skip if parts else 0) if parts else one
            skip = 0

    def _count(self, reading: Reading, wanted: Wanted, answer: Answer) -> None:
        if isinstance(answer, Seen):
            reading.read_files += 1
            reading.read_bytes += answer.read_bytes
            if answer.parts and not wanted.parts and wanted.sha512 and answer.sha512 == wanted.sha512:
                reading.learnt_parts[wanted.sha512] = answer.parts

    # Believing

    def _believed(self, faults: list[Fault], manifest: Manifest | None) -> list[Fault]:
        """Ask again, over a new connection, about everything bad."""
        if not any(fault.verdict in BAD for fault in faults):
            return faults
        place = self.place.fresh()
        try:
            with Reader(place, threads=1) as reader:
                return [self._asked_again(fault, reader, manifest) if fault.verdict in BAD else fault for fault in faults]
        finally:
            place.close()

    def _asked_again(self, fault: Fault, reader: Reader, manifest: Manifest | None) -> Fault:
        if not fault.path or (fault.expected is None and fault.verdict is not Verdict.UNEXPECTED):
            return fault
        held = manifest.of_path(fault.path) if manifest else None
        wanted = Wanted(fault.path, fault.expected, held[1] if held else None, 0)
        for _ in range(_AGAIN):
            answer = reader.read_one(f"{self.folder}/{fault.path}", wanted)
            if isinstance(answer, UnreadableError):
                return Fault(
                    fault.path, Verdict.UNREADABLE, f"was {fault.verdict}, and then could not be read again", fault.expected
                )
            again = judged(wanted, answer) if fault.verdict is not Verdict.UNEXPECTED else _still_there(wanted, answer, fault)
            if again is None:
                detail = (
                    f"was {fault.verdict} once, and right when it was read again: this place does not give the same bytes each time"
                )
                return Fault(fault.path, Verdict.UNREADABLE, detail, fault.expected, fault.found, about="unstable")
        return fault

    # What is told

    def _agreements(self, reading: Reading, manifest: Manifest, head: Head, inventories: Inventories) -> None:
        """Compare with ledger and PREMIS, as far as the bytes that tell it are right themselves."""
        bad = {fault.path for fault in reading.faults}
        ours = self.known.object_id.startswith(OURS) and not is_evidence(self.known.object_id)  # evidence has no PREMIS
        told: list[Fault] = []
        # The ledger may be a version behind or ahead only while a job is at work: that is not a difference.
        if ours and self.known.package_key is not None and self.around.database and self.known.head == head.version:
            told += self.around.database(lambda db: self._ledger(db, manifest, bad))
        known = self.known.inventories.get(head.version)
        if ours and not (known and known.agreed):
            premis = list(self._premis(manifest, bad))
            told += premis
            reading.agreed = not premis and not inventories.faults and "metadata/premis.xml" not in bad
        reading.faults += told
        if not any(fault.about in ("ledger", "premis") for fault in told):
            reading.learnt = dict(inventories.learnt)
            if head.new:
                reading.learnt[head.version] = head.sha512

    def _ledger(self, db: sa.Connection, manifest: Manifest, bad: set[str]) -> list[Fault]:
        key = self.known.package_key
        assert key is not None  # noqa: S101 -- for the type checker: asked by the caller
        found = list(agreement.check_ledger(db, key, manifest, bad))
        places = [manifest.place_of(path) for path, _ in manifest.state("metadata/events/")]
        if not any(place is None or place[0] in bad for place in places):
            lines = (self._verified(place[0], place[1]) for place in places if place)
            found += agreement.check_chain(db, key, agreement.events_of(lines))
        return found

    def _premis(self, manifest: Manifest, bad: set[str]) -> Iterator[Fault]:
        place = manifest.place_of("metadata/premis.xml")
        if place is None:
            yield Fault("metadata/premis.xml", Verdict.MISSING, "the package has no PREMIS document", about="premis")
        elif place[0] not in bad:
            with self._verified(*place) as stream:
                yield from agreement.check_premis(stream, self.known.object_id, manifest, bad)

    def _verified(self, path: str, sha512: str) -> BinaryIO:
        """Content that is read again to be parsed: only ever the very bytes of the digest."""
        for _ in range(_AGAIN):
            try:
                found = fetch(self.place, f"{self.folder}/{path}", self._buffers)
            except NotThereError as gone:
                raise UnreadableError("was there before, and is not any more", path, gone.remedy) from gone
            if found.sha512 == sha512:
                return found.stream
            found.stream.close()
        raise UnreadableError("gave other bytes than a moment ago", self.place.name, "The audit comes back.")


def judged(wanted: Wanted, answer: Answer) -> Fault | None:
    """What an answer means."""
    if isinstance(answer, NotThereError):
        return Fault(wanted.path, Verdict.MISSING, "is missing", wanted.sha512)
    if isinstance(answer, UnreadableError):
        return Fault(wanted.path, Verdict.UNREADABLE, answer.what, wanted.sha512)
    if isinstance(answer, StoppedError):
        return Fault(wanted.path, Verdict.UNREADABLE, "was not read to its end", wanted.sha512)
    if answer.bad_part is not None:
        at = answer.bad_part * RANGE_BYTES
        return Fault(wanted.path, Verdict.MISMATCH, f"its bytes differ from byte {at} on", wanted.sha512, answer.sha512)
    for name, expected, found in (("SHA-512", wanted.sha512, answer.sha512), ("SHA-256", wanted.sha256, answer.sha256)):
        if expected and found and expected != found:
            return Fault(wanted.path, Verdict.MISMATCH, f"its bytes are not those that were stored ({name})", expected, found)
    return None


def _still_there(wanted: Wanted, answer: Answer, fault: Fault) -> Fault | None:
    del wanted
    is_file = "a file" in fault.detail
    return None if is_file and isinstance(answer, NotThereError) else fault


def _distinct(faults: list[Fault]) -> list[Fault]:
    """One fault a path and verdict, the first: an inventory is looked at twice."""
    seen: dict[tuple[str, Verdict], Fault] = {}
    for fault in faults:
        seen.setdefault((fault.path, fault.verdict), fault)
    return list(seen.values())
