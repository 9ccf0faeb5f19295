"""What the store says of itself: the chain of events, the file records, the PREMIS document, against the inventory.

Digests show that bytes are as written; this shows that what was written agrees with itself, and that nobody took
an event out, put one in, or told them in another order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from lxml import etree

from worker.evidence.names import is_evidence
from worker.fixity.findings import RESTORE, Finding, Severity
from worker.fixity.objects import Inventory
from worker.ledger.events import canonical, first_prev, hash_of

_NS = "{http://www.loc.gov/premis/v3}"
_XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_HISTORY = "The history of this package was changed. Compare with another copy; do not repair by hand."
_OURS = ("original/", "preservation/", "access/")


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as the store has it."""

    seq: int
    hash: str
    body: str
    version: int


class History:
    """One object's own account of itself. After ``run``, ``events`` and ``records`` serve the ledger's check."""

    def __init__(self, home: Path, where: str, inventory: Inventory, sizes: dict[str, int]) -> None:
        self._home, self._where, self._inventory, self._sizes = home, where, inventory, sizes
        self._state = inventory.states[inventory.head]
        self._places = {digest: path for path, digest in inventory.manifest.items()}
        self._evidence = is_evidence(inventory.object_id)
        self.ours = inventory.object_id.startswith("urn:bevara:") and not self._evidence
        self.hashes: dict[int, str] = {}

    def run(self) -> Iterator[Finding]:
        """Every finding of this object's history."""
        if self._evidence:
            return  # no package: its bytes were checked, and what it proves is checked by `bevara evidence verify`
        if not self.ours:
            what = "was put here by another program: its bytes were checked, its history is not ours to judge"
            yield Finding("foreign-object", self._where, what, "Nothing, if you know of it.", Severity.INFO)
            return
        yield from self._chain()
        for number in range(1, self._inventory.head + 1):
            yield from self._records(number)
        try:
            yield from self._premis()
        except (etree.XMLSyntaxError, OSError) as broken:
            yield Finding("premis-broken", f"{self._where} metadata/premis.xml", f"cannot be read: {broken}", RESTORE)

    # What the ledger's check reads again

    def events(self) -> Iterator[StoredEvent]:
        """All events in the store's order; lines that are no events are left out (``run`` names them)."""
        for number in range(1, self._inventory.head + 1):
            for line in self._lines(f"metadata/events/v{number:04d}.jsonl"):
                body = line.get("body") if line else None
                if line and isinstance(body, dict) and isinstance(body.get("seq"), int):
                    yield StoredEvent(body["seq"], str(line.get("hash")), canonical(body), number)

    def records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """(version, line) of all file records, in the order they were finished."""
        for number in range(1, self._inventory.head + 1):
            for line in self._lines(f"metadata/records/v{number:04d}.jsonl"):
                if line:
                    yield number, line

    def job(self, number: int) -> dict[str, Any] | None:
        """A version's job."""
        try:
            with self._open(f"metadata/jobs/v{number:04d}.json") as stream:
                job = json.load(stream)
                return job if isinstance(job, dict) else None
        except (OSError, ValueError, KeyError):
            return None

    # Checks

    def _chain(self) -> Iterator[Finding]:
        expected, prev = 1, first_prev(self._inventory.object_id)
        for number in range(1, self._inventory.head + 1):
            path = f"metadata/events/v{number:04d}.jsonl"
            for line_number, line in enumerate(self._lines(path), 1):
                where = f"{self._where} {path} line {line_number}"
                body = line.get("body") if line else None
                if line is None or not isinstance(body, dict) or not isinstance(body.get("seq"), int):
                    yield Finding("event-broken", where, "is no event", _HISTORY)
                    continue
                seq, found = body["seq"], hash_of(canonical(body))
                if seq != expected:
                    yield Finding("event-order", where, f"event {seq} stands where event {expected} belongs", _HISTORY)
                if body.get("prev") != prev:
                    yield Finding("event-chain", where, f"event {seq} does not follow the event before it", _HISTORY)
                if found != line.get("hash"):
                    yield Finding("event-changed", where, f"event {seq} was changed after it was written", _HISTORY)
                self.hashes[seq] = str(line.get("hash"))
                expected, prev = seq + 1, str(line.get("hash"))
            if path not in self._state:
                yield Finding("events-missing", f"{self._where} {path}", f"version {number} has no events", _HISTORY)

    def _records(self, number: int) -> Iterator[Finding]:
        path, state, last = f"metadata/records/v{number:04d}.jsonl", self._inventory.states[number], dict[str, str | None]()
        for line_number, line in enumerate(self._lines(path), 1):
            try:
                last |= {entry["path"]: entry["sha512"] for entry in (line or {})["entries"]}
                last |= dict.fromkeys((line or {})["dropped"])
            except (KeyError, TypeError):
                yield Finding("record-broken", f"{self._where} {path} line {line_number}", "is no file record", RESTORE)
        for name, sha512 in last.items():
            if state.get(name) != sha512:
                says = "names other bytes for" if sha512 else "tells of the leaving of"
                yield Finding("record-differs", f"{self._where} {path}", f"{says} {name}, unlike version {number}", RESTORE)
        for name in sorted(self._inventory.states.get(number - 1, {}).keys() - state.keys() - last.keys()):
            what = f"does not say why {name} left with version {number}"
            yield Finding("record-differs", f"{self._where} {path}", what, _HISTORY)
        if path not in self._state:
            yield Finding("records-missing", f"{self._where} {path}", f"version {number} has no file records", RESTORE)
        if self.job(number) is None:
            yield Finding(
                "job-missing",
                f"{self._where} metadata/jobs/v{number:04d}.json",
                f"version {number} does not say by which job",
                RESTORE,
            )

    def _premis(self) -> Iterator[Finding]:
        where, files, events = f"{self._where} metadata/premis.xml", set[str](), 0
        if "metadata/premis.xml" not in self._state:
            yield Finding("premis-missing", where, "the package has no PREMIS document", RESTORE)
            return
        with self._open("metadata/premis.xml") as stream:
            for _, node in etree.iterparse(
                stream, tag=(f"{_NS}object", f"{_NS}event"), resolve_entities=False, no_network=True, huge_tree=True
            ):
                if node.tag == f"{_NS}event":
                    events += 1
                    yield from self._premis_event(node, where)
                elif node.get(_XSI_TYPE) == "file":
                    name = (node.findtext(f".//{_NS}objectIdentifierValue") or "").removeprefix(f"{self._inventory.object_id}/")
                    files.add(name)
                    yield from self._premis_file(node, name, where)
                node.clear()
                while node.getprevious() is not None:  # keeps memory flat: read siblings are let go
                    del node.getparent()[0]
        if events != len(self.hashes):
            yield Finding("premis-differs", where, f"tells {events} events, the chain {len(self.hashes)}", RESTORE)
        for name in self._state:
            if name.startswith(_OURS) and name not in files:
                yield Finding("premis-differs", where, f"does not describe {name}", RESTORE)

    def _premis_file(self, node: etree._Element, name: str, where: str) -> Iterator[Finding]:
        digests = {
            fixity.findtext(f"{_NS}messageDigestAlgorithm"): fixity.findtext(f"{_NS}messageDigest")
            for fixity in node.iter(f"{_NS}fixity")
        }
        sha512 = self._state.get(name)
        path = self._places.get(sha512 or "")
        if path is None or digests != {"SHA-512": sha512, "SHA-256": self._inventory.fixity.get(path)}:
            yield Finding("premis-differs", where, f"gives other digests for {name} than the inventory", RESTORE)
        elif path in self._sizes and node.findtext(f".//{_NS}size") != str(self._sizes[path]):
            yield Finding("premis-differs", where, f"gives another size for {name} than it has", RESTORE)

    def _premis_event(self, node: etree._Element, where: str) -> Iterator[Finding]:
        seq = (node.findtext(f".//{_NS}eventIdentifierValue") or "").rpartition("#")[2]
        note = node.findtext(f".//{_NS}eventOutcomeDetailNote")
        if not seq.isdigit() or note != f"chain {self.hashes.get(int(seq))}":
            yield Finding("premis-differs", where, f"tells event {seq} otherwise than the chain", RESTORE)

    # Reading

    def _open(self, logical_path: str) -> BinaryIO:
        return (self._home / self._places[self._state[logical_path]]).open("rb")

    def _lines(self, logical_path: str) -> Iterator[dict[str, Any] | None]:
        """Lines of a JSON Lines file; None for a line that is none. Nothing when it cannot be opened: that is found elsewhere."""
        try:
            stream = self._open(logical_path)
        except (OSError, KeyError):
            return
        with stream:
            for line in stream:
                try:
                    value = json.loads(line)
                except ValueError:
                    value = None
                yield value if isinstance(value, dict) else None
