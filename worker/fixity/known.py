"""What an audit knows of an object before it looks, and what one reading of a copy brought. Data only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from worker.fixity.verdicts import Fault, Verdict, worst

OURS = "urn:bevara:"
"""Objects of other programs may stand in the store as well: their bytes are checked, their history is not ours to judge."""


@dataclass(frozen=True, slots=True)
class KnownInventory:
    """An inventory digest that was learnt at commit (``committed``), or from a reading in which everything agreed."""

    sha512: str
    agreed: bool
    committed: bool


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one object.

    Attributes:
        package_key: The ledger's number of the package; None: no package of ours.
        head: The newest version that the ledger knows to be committed; None: no package of ours.
        held_version: The version that this copy was last known to hold; 0: never looked at.
        busy: A job of the package is unfinished: its next version may be half way in.
        inventories: By version.
        parts: Digests of parts of large content, by its SHA-512.
    """

    object_id: str
    package_key: int | None = None
    head: int | None = None
    held_version: int = 0
    busy: bool = False
    inventories: Mapping[int, KnownInventory] = field(default_factory=dict)
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where an audit that was stopped goes on. Only good for the same inventory.

    Attributes:
        began: When the reading began: the copy counts as checked then, not when it ended.
        after: Everything up to this path was read.
        parts: Of the content behind it, so many parts were read too.
    """

    began: str
    inventory: str
    after: str = ""
    parts: int = 0
    read_bytes: int = 0
    faults: tuple[Fault, ...] = ()

    def text(self) -> str:
        """As kept in the ledger."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def of(cls, text: str) -> Cursor:
        """From what ``text`` gave."""
        data: dict[str, Any] = json.loads(text)
        faults = tuple(Fault(**{**fault, "verdict": Verdict(fault["verdict"])}) for fault in data.pop("faults"))
        return cls(**data, faults=faults)


@dataclass(slots=True)
class Reading:
    """What one reading of one copy brought; filled while it goes on.

    Attributes:
        learnt: Inventory digests by version that were not known before and agree with everything else.
        learnt_parts: Digests of parts by the SHA-512 of content that matched as a whole.
        agreed: PREMIS, records and older inventories were compared with the newest inventory and agree.
        spent_bytes: What this process read of it; ``read_bytes`` is what all did together.
        cursor: Where to go on; None: it was read to the end.
        why_not: Why it could not be read at all; empty: it could.
        lost: Another auditor took the copy over meanwhile, and this reading counts for nothing.
    """

    began: str
    head: int = 0
    inventory: str = ""
    files: int = 0
    size_bytes: int = 0
    read_files: int = 0
    read_bytes: int = 0
    spent_bytes: int = 0
    faults: list[Fault] = field(default_factory=list)
    learnt: dict[int, str] = field(default_factory=dict)
    learnt_parts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    agreed: bool = False
    cursor: Cursor | None = None
    why_not: str = ""
    lost: bool = False

    @property
    def whole(self) -> bool:
        """Whether every byte of it was read: only then has the promise been kept once more."""
        return not (self.why_not or self.cursor or any(fault.verdict is Verdict.UNREADABLE for fault in self.faults))

    @property
    def verdict(self) -> Verdict:
        """Of the copy as a whole, or as far as it could be read."""
        return Verdict.UNREADABLE if self.why_not else worst(self.faults)
