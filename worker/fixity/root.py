"""The files of a storage root that belong to no object: few, and every byte of them is known beforehand.

Registered as one more copy of each place, so that they have a deadline like everything else.
Source: OCFL 1.1 section 4.
"""

from __future__ import annotations

from worker.digests import digest_bytes
from worker.fixity.known import Reading
from worker.fixity.object_audit import judged
from worker.fixity.place import STORE, Place, UnreadableError
from worker.fixity.reading import Reader, Seen, Wanted
from worker.fixity.sources import Right
from worker.fixity.verdicts import BAD, Fault
from worker.store.layout import ROOT_FILES

ROOT = "storage root"
"""``copies.object_id`` of a place's own files; no object's id has this form."""


def read_root(place: Place, began: str) -> Reading:
    """Read them all; a bad one again, over a new connection."""
    reading = Reading(began)
    found = _read(place, reading)
    if any(fault.verdict in BAD for fault in found):
        again = place.fresh()
        try:
            found = _read(again, Reading(began))
        except UnreadableError as away:
            reading.why_not = away.what
        finally:
            again.close()
    reading.faults = found
    return reading


def _read(place: Place, reading: Reading) -> list[Fault]:
    faults = []
    with Reader(place, threads=1) as reader:
        for name in ROOT_FILES:
            right = right_root_file(name)
            wanted = Wanted(name, right.sha512, right.sha256, 0)
            answer = reader.read_one(f"{STORE}/{name}", wanted)
            if isinstance(answer, Seen):
                reading.files += 1
                reading.read_files += 1
                reading.read_bytes += answer.read_bytes
                reading.size_bytes += answer.size_bytes
            if fault := judged(wanted, answer):
                faults.append(fault)
    return faults


def right_root_file(name: str) -> Right:
    """What a root file must be."""
    found = digest_bytes(ROOT_FILES[name])
    return Right(name, found.sha512, found.sha256, ROOT_FILES[name])
