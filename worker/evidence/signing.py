"""Signs one day after another: reads the packages that have news, adds their entries, puts the document into the stores.

Whether a day may be signed at all is ``worker.evidence.daily``'s to decide.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from tempfile import SpooledTemporaryFile
from typing import IO, ClassVar, cast

from actions.errors import PreservationError
from worker.evidence.documents import Day, EvidenceError, Leaf
from worker.evidence.journal import Journal
from worker.evidence.keys import KeyFolder, Remembered
from worker.evidence.merkle import leaf_hash
from worker.evidence.names import DOCUMENT, KEYS, LEAVES, PAGE, SIGNATURE, TIMESTAMP, evidence_id
from worker.evidence.packages import Inventory, open_inventory, read_chain, read_inventory
from worker.evidence.page import page
from worker.evidence.shelf import put
from worker.store.contract import Store

_SPOOL_BYTES = 32 << 20
REMEDY = "Run `bevara evidence verify` on each copy; restore the one that is not whole from one that is."


class EvidenceDamagedError(EvidenceError):
    """The evidence so far does not hold, or is not there: nothing is signed on top of it."""

    code: ClassVar[str] = "evidence-damaged"


@dataclass(slots=True)
class Made:
    """What a run did.

    Attributes:
        days: The documents that were signed, the oldest first; none when the day was signed already.
        copied: How many days a store lacked and got.
        behind: A sentence for each store that could not be written; the next run catches it up.
        left_out: (package, why) of packages whose history does not hold; they are not told of until mended.
        unstamped: Why there is no time stamp, when one was asked for.
    """

    days: list[Day] = field(default_factory=list)
    copied: int = 0
    behind: list[str] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    unstamped: str = ""


@dataclass(slots=True)
class Run:
    """One run over the days that are to be signed.

    Attributes:
        stores: The first is where packages are read; ``journal`` is of the one whose evidence reaches furthest.
        newest: For each package the index of its newest entry, and the version that it tells of.
    """

    stores: Sequence[Store]
    journal: Journal
    keys: KeyFolder
    made: Made
    clock: Callable[[], str]
    stamp: Callable[[bytes], bytes] | None
    newest: dict[str, tuple[int, int]]

    def sign(self, day: str, pending: dict[str, str]) -> None:
        """Make, sign and put one day; what has no news by then stays in *pending* for the day that it names."""
        last, tree = self.journal.last.document if self.journal.last else None, self.journal.tree
        self.made.left_out.clear()
        with SpooledTemporaryFile(max_size=_SPOOL_BYTES) as lines:
            digest, news, fresh = hashlib.sha512(), 0, 0
            for leaf in self._leaves(day, pending):
                line = leaf.line()
                fresh += leaf.before is None
                news += 1
                self.newest[leaf.object] = (tree.size, leaf.version)
                tree.add(leaf_hash(line))
                digest.update(line + b"\n")
                lines.write(line + b"\n")
                self.journal.register.add(day, [(leaf, line)])
            signer, history = self.keys.signer(), self.keys.history.text()
            document = Day(
                tenant=self.journal.tenant,
                day=day,
                made=self.clock(),
                first=last.first if last else day,
                size=tree.size,
                root=tree.root().hex(),
                packages=(last.packages if last else 0) + fresh,
                news=news,
                leaves_sha512=digest.hexdigest(),
                left_out=len(self.made.left_out),
                previous=self.journal.last.sha256 if self.journal.last else None,
                key=signer.public.id,
                keys_sha512=hashlib.sha512(history).hexdigest(),
            )
            text, signature = document.text(), signer.sign(document.text())
            shown = page(document, signature, signer.public).encode()
            small = {DOCUMENT: text, SIGNATURE: signature, KEYS: history, PAGE: shown, **self._stamped(text)}
            self._put(document, small, cast("IO[bytes]", lines))
        sheet = self.journal.read_back(day)
        if sheet.text != text:
            raise EvidenceDamagedError(f"the store gave back other evidence of {day} than was put there", document.tenant, REMEDY)
        self.journal.last = replace(sheet, document=document)
        self.keys.remember(Remembered(document.tenant, day, sheet.sha256, document.made))
        self.made.days.append(document)

    def _stamped(self, text: bytes) -> dict[str, bytes]:
        if self.stamp is None:
            return {}
        try:
            return {TIMESTAMP: self.stamp(text)}
        except (PreservationError, OSError) as broken:  # a day without a time stamp is better than no day
            self.made.unstamped = str(broken)
            return {}

    def _put(self, document: Day, small: dict[str, bytes], lines: IO[bytes]) -> None:
        """Into every store. The first must take it; another that does not is caught up by a later run."""
        name = evidence_id(document.tenant, document.day)
        order = [self.journal.store, *(store for store in self.stores if store is not self.journal.store)]
        for store in order:
            lines.seek(0)
            try:
                put(store, name, {**small, LEAVES: lines}, note(document), document.made)  # type: ignore[dict-item]  # IO[bytes] is what a draft reads
            except (PreservationError, OSError) as broken:
                if store is self.journal.store:
                    raise
                self.made.behind.append(f"a store did not take the evidence of {document.day}: {broken}")

    def _leaves(self, day: str, pending: dict[str, str]) -> Iterator[Leaf]:
        for name in [name for name, since in pending.items() if since <= day]:
            leaf = None
            try:
                leaf = self._leaf(name, day, pending)
            except (PreservationError, OSError) as broken:
                self.made.left_out.append((name, getattr(broken, "what", None) or str(broken)))
            if leaf:
                yield leaf

    def _leaf(self, name: str, day: str, pending: dict[str, str]) -> Leaf | None:
        """What is to be said of a package by the end of *day*; None: nothing new."""
        store = self.stores[0]
        known = self.newest.get(name)
        found = read_inventory(store.inventory(name))
        told = known[1] if known else 0
        if found.version < told:
            raise EvidenceError(f"ends at version {found.version}, but version {told} was signed", name, REMEDY)
        news = list(range(told + 1, found.version + 1))
        due = [version for version in news if found.created.get(version, "") <= day]
        if len(due) == len(news):
            del pending[name]
        else:
            pending[name] = found.created[news[len(due)]]
        if not due:
            return None
        if due[-1] != found.version:
            found = read_inventory(open_inventory(store, name, due[-1]))
        return self._told(store, found, known[0] if known else None)

    def _told(self, store: Store, found: Inventory, before: int | None) -> Leaf:
        signed, seen = self.journal.register.at(before).leaf if before is not None else None, dict[int, str]()
        chain = read_chain(store, found, lambda seq, told, _: seen.__setitem__(0, told) if signed and seq == signed.seq else None)
        if signed and seen.get(0) != signed.hash:
            raise EvidenceError("its history is not the one that was signed", found.object_id, REMEDY)
        if chain.problems:
            raise EvidenceError(chain.problems[0].what, found.object_id, REMEDY)
        return Leaf(
            object=found.object_id,
            before=before,
            seq=chain.seq,
            hash=chain.hash,
            events_root=chain.tree.root().hex(),
            version=found.version,
            inventory_sha512=found.sha512,
            files=found.files,
            files_root=found.files_root,
        )


def note(document: Day) -> str:
    """What the store's inventory keeps of a day: the same in every store."""
    return f"evidence of {document.day}: {document.news} packages with news, {document.packages} in all"
