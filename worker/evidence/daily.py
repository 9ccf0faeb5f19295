"""Makes a day's evidence for a tenant: what every package with news says, one tree over all of it, one signature.

The tree only grows: a day adds one entry for each package whose newest version is not yet told of. So a day costs what its
news cost, the oldest root is provably the beginning of the newest, and a package that vanishes is missed for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import ClassVar

from actions.errors import PreservationError
from worker.evidence.documents import Day, EvidenceError, next_day
from worker.evidence.journal import Journal
from worker.evidence.keys import KeyFolder, Remembered
from worker.evidence.names import DOCUMENT, evidence_id
from worker.evidence.shelf import days, find, put, same
from worker.evidence.signing import REMEDY, EvidenceDamagedError, Made, Run, note
from worker.ledger.events import now
from worker.store.contract import Store


class ClockBackError(EvidenceError):
    """The clock says a day that evidence was signed after already."""

    code: ClassVar[str] = "clock-back"


def make(
    stores: Sequence[Store],
    tenant: str,
    keys: KeyFolder,
    heads: Iterable[tuple[str, int]],
    *,
    day: str = "",
    clock: Callable[[], str] = now,
    stamp: Callable[[bytes], bytes] | None = None,
) -> Made:
    """Sign every day that is not signed yet, up to and with *day*, and put it into every store.

    Args:
        stores: The tenant's, the primary first; packages are read from that one.
        heads: (object id, newest version) of the tenant's packages, as the ledger knows them.
        day: UTC, ``YYYY-MM-DD``; "": today. What comes later on a day that is signed already is told of the next day.
        clock: UTC as ``worker.ledger.events.now`` writes it.
        stamp: Asks a time stamping authority: the document's bytes to an RFC 3161 response.

    Raises:
        ClockBackError: *day*, or the clock, is before what was signed last.
        EvidenceDamagedError: What was signed so far is not whole, or is gone.
        KeyFolderError: There is no key to sign with.
    """
    made, time = Made(), clock()
    keys.signer()
    journals = [_read(store, tenant, keys) for store in stores]
    try:
        lead = max(journals, key=lambda journal: journal.last.day if journal.last else "")
        _refuse(lead, keys.remembered(tenant), tenant, day or time[:10], time)
        for journal in journals:
            if journal is not lead:
                made.copied += _catch_up(lead, journal, made)
        newest = lead.register.newest()
        run = Run(stores, lead, keys, made, clock, stamp, newest)
        pending = {name: "" for name, version in sorted(heads) if version and version != newest.get(name, (0, 0))[1]}
        first = next_day(lead.last.day) if lead.last else day or time[:10]
        while first <= (day or time[:10]):
            run.sign(first, pending)
            first = next_day(first)
    finally:
        for journal in journals:
            journal.register.close()
    return made


def _read(store: Store, tenant: str, keys: KeyFolder) -> Journal:
    """A store's days, which must be whole: nothing is ever signed on top of what is not."""
    journal = Journal(store, tenant)
    trusted = keys.history.trusted([str(s.body.get("key")) for s in keys.history.statements])
    known = keys.remembered(tenant)
    for sheet in journal.sheets(days(store, tenant, known.day if known else "")):
        wrong = next((problem.what for problem in sheet.problems), "")
        key = trusted.get(sheet.document.key) if sheet.document else None
        if not wrong and (key is None or not key.key.signed(sheet.signature, sheet.text)):
            wrong = "was not signed with a key of this folder"
        if wrong:
            journal.register.close()
            raise EvidenceDamagedError(f"the evidence of {sheet.day} in a store: {wrong}", tenant, REMEDY)
    return journal


def _refuse(lead: Journal, remembered: Remembered | None, tenant: str, day: str, time: str) -> None:
    last = lead.last.document if lead.last else None
    if remembered and (last is None or last.day < remembered.day):
        raise EvidenceDamagedError(f"the evidence of {remembered.day} was signed, and is in no store", tenant, REMEDY)
    if remembered and lead.last and last and last.day == remembered.day and lead.last.sha256 != remembered.sha256:
        raise EvidenceDamagedError(f"the evidence of {remembered.day} in the store is not the one that was signed", tenant, REMEDY)
    if last and (day < last.day or time < last.made):
        raise ClockBackError(
            f"the day to sign is {day} and the clock says {time}, but {last.day} was signed at {last.made}",
            tenant,
            "Set the clock right. Nothing was signed; a signature with a wrong time would weaken every later one.",
        )
    if day > time[:10]:
        raise ClockBackError(
            f"{day} has not begun: the clock says {time}", tenant, "Name a day that has begun, or set the clock right."
        )


def _catch_up(lead: Journal, behind: Journal, made: Made) -> int:
    """Give a store the days that it lacks, byte for byte; returns how many."""
    if lead.last is None:
        return 0
    if behind.last and behind.last.sha256 != _sha256(lead, behind.last.day):
        raise EvidenceDamagedError(f"two stores hold different evidence of {behind.last.day}", lead.tenant, REMEDY)
    copied = 0
    for day in [one for one in days(lead.store, lead.tenant) if not behind.last or one > behind.last.day]:
        name = evidence_id(lead.tenant, day)
        shelf = find(lead.store, name)
        if shelf is None:
            break
        document = Day.parse(shelf.read(DOCUMENT) or b"")
        try:
            with ExitStack() as opened:
                files = {part: opened.enter_context(shelf.open(part)) for part in shelf.files}
                put(behind.store, name, files, note(document), document.made)
        except (PreservationError, OSError) as broken:
            made.behind.append(f"a store did not take the evidence of {day}: {broken}")
            break
        held = find(behind.store, name)
        copied += held is not None and same(shelf, held)
    return copied


def _sha256(journal: Journal, day: str) -> str:
    shelf = find(journal.store, evidence_id(journal.tenant, day))
    return hashlib.sha256(shelf.read(DOCUMENT) or b"").hexdigest() if shelf else ""
