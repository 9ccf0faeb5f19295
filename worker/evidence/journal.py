"""Reads a tenant's days back from a store, in order, and puts their entries into a register.

What does not fit is data: the signer refuses to go on from it, the verifier names it. Trust in keys is not decided here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from actions.errors import PreservationError
from worker.evidence.documents import Day, Leaf, NotADocumentError, next_day
from worker.evidence.merkle import Frontier, leaf_hash
from worker.evidence.names import DOCUMENT, KEYS, LEAVES, SIGNATURE, evidence_id
from worker.evidence.packages import Problem
from worker.evidence.register import Register
from worker.evidence.shelf import Shelf, find
from worker.evidence.trust import KeyHistory
from worker.store.contract import Store

_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Sheet:
    """One day as a store holds it.

    Attributes:
        text: The document's bytes.
        problems: What does not hold by itself, or does not follow the day before.
    """

    day: str
    shelf: Shelf | None = None
    document: Day | None = None
    text: bytes = b""
    signature: bytes = b""
    keys: KeyHistory | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def sha256(self) -> str:
        """What the next day's document calls this one by."""
        return hashlib.sha256(self.text).hexdigest()


@dataclass(slots=True)
class Journal:
    """The days of one tenant in one store, read in order.

    Attributes:
        register: Every entry of the tree; the caller closes it.
        last: The newest day that could be read.
    """

    store: Store
    tenant: str
    register: Register = field(default_factory=Register)
    tree: Frontier = field(default_factory=Frontier)
    last: Sheet | None = None
    keys: KeyHistory = field(default_factory=KeyHistory)

    def sheets(self, days: list[str]) -> Iterator[Sheet]:
        """The given days and every day between them that is missing."""
        for day in days:
            expected = next_day(self.last.day) if self.last else day
            while expected < day:
                yield Sheet(expected, problems=(Problem("evidence-day-missing", 0, "this day's evidence is not in the store"),))
                expected = next_day(expected)
            sheet = self.read(day)
            yield sheet
            if sheet.document:
                self.last = sheet

    def read(self, day: str) -> Sheet:
        """One day: its files, whether they agree, and whether it follows ``last``; its entries go into the register."""
        try:
            shelf = find(self.store, evidence_id(self.tenant, day))
            texts = [shelf.read(name) for name in (DOCUMENT, SIGNATURE, KEYS)] if shelf else []
        except (PreservationError, OSError) as broken:
            return Sheet(day, problems=(Problem("evidence-unreadable", 0, f"cannot be read: {_why(broken)}"),))
        if shelf is None or len(texts) != 3 or texts[0] is None:
            return Sheet(day, shelf, problems=(Problem("evidence-day-missing", 0, "this day's evidence is not in the store"),))
        text, signature, keys = texts[0], texts[1] or b"", texts[2] or b""
        try:
            document = Day.parse(text)
        except NotADocumentError as broken:
            return Sheet(day, shelf, text=text, problems=(Problem("evidence-broken", 0, f"the document {broken}"),))
        problems = [*self._own(day, document), *self._follows(document)]
        history = self._history(document, keys, problems)
        problems += self._entries(day, document, shelf)
        return Sheet(day, shelf, document, text, signature, history, tuple(problems))

    def read_back(self, day: str) -> Sheet:
        """A day's document as it stands in the store, without judging it: its entries are in the register already."""
        shelf = find(self.store, evidence_id(self.tenant, day))
        return Sheet(day, shelf, text=(shelf.read(DOCUMENT) or b"") if shelf else b"")

    def _own(self, day: str, document: Day) -> Iterator[Problem]:
        if (document.day, document.tenant) != (day, self.tenant):
            yield Problem("evidence-misplaced", 0, f"is the evidence of {document.tenant} of {document.day}")
        if document.made[:10] < document.day:
            yield Problem("clock-back", 0, f"was signed on {document.made[:10]}, before its day began: a clock was set wrong")

    def _follows(self, document: Day) -> Iterator[Problem]:
        last = self.last
        if last is None or last.document is None:
            if document.previous is not None or document.first != document.day:
                yield Problem(
                    "evidence-day-missing", 0, f"the evidence begins with {document.first}; the days before this one are gone"
                )
            return
        if document.previous != last.sha256:
            yield Problem(
                "day-chain", 0, f"does not follow the evidence of {last.day} that is in this store: one of the two was replaced"
            )
        if document.first != last.document.first:
            yield Problem("day-chain", 0, "names another first day than the day before")
        if document.made < last.document.made:
            yield Problem(
                "clock-back", 0, f"was signed at {document.made}, the day before it at {last.document.made}: a clock was set back"
            )

    def _history(self, document: Day, text: bytes, problems: list[Problem]) -> KeyHistory | None:
        if hashlib.sha512(text).hexdigest() != document.keys_sha512:
            problems.append(Problem("keys-changed", 0, "the key history is not the one that was signed"))
        try:
            history = KeyHistory.parse(text)
        except NotADocumentError as broken:
            problems.append(Problem("keys-changed", 0, f"the key history {broken}"))
            return None
        if not self.keys.begins(history):
            problems.append(Problem("keys-changed", 0, "the key history does not go on from that of the day before"))
        self.keys = history
        return history

    def _entries(self, day: str, document: Day, shelf: Shelf) -> list[Problem]:
        """The day's entries into tree and register, and what they do not agree with."""
        problems, digest = list[Problem](), hashlib.sha512()
        try:
            with shelf.open(LEAVES) as stream:
                batch: list[tuple[Leaf, bytes]] = []
                for line in stream:
                    digest.update(line)
                    entry = line.removesuffix(b"\n")
                    batch.append((Leaf.parse(entry), entry))
                    self.tree.add(leaf_hash(entry, document.algorithm))
                    if len(batch) == _BATCH:
                        self.register.add(day, batch)
                        batch = []
                self.register.add(day, batch)
        except (PreservationError, OSError) as broken:
            problems.append(Problem("leaves-changed", 0, f"what it tells of the packages cannot be read: {_why(broken)}"))
        except NotADocumentError as broken:
            problems.append(Problem("leaves-changed", 0, f"holds a line that {broken}"))
        if not problems and digest.hexdigest() != document.leaves_sha512:
            problems.append(Problem("leaves-changed", 0, "what it tells of the packages is not what was signed"))
        if not problems and (document.size, document.root) != (self.tree.size, self.tree.root().hex()):
            problems.append(Problem("root-differs", 0, "the root over all entries up to this day is not the one that was signed"))
        return problems


def _why(broken: Exception) -> str:
    return broken.what if isinstance(broken, PreservationError) else str(getattr(broken, "strerror", None) or broken)
