"""Counts over a job's records, in memory that does not grow with the files: what summary and report both tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from worker.record import FileRecord, Status
from worker.report.words import NEED_A_PERSON, SETTLED


@dataclass(slots=True)
class Tally:
    """Sums, to which ``add`` adds one file at a time."""

    cells: Counter[tuple[str, Status]] = field(default_factory=Counter)
    reasons: Counter[tuple[Status, str]] = field(default_factory=Counter)
    sizes_bytes: Counter[str] = field(default_factory=Counter)
    unchanged: int = 0
    without_checksum: int = 0
    """Files whose bytes nobody could read: the one kind that is not stored."""

    def add(self, record: FileRecord) -> None:
        """Count *record*."""
        self.cells[record.family, record.status] += 1
        self.reasons[record.status, record.reason] += 1
        self.sizes_bytes[record.family] += record.size_bytes or 0
        self.unchanged += record.unchanged
        self.without_checksum += record.sha512 is None

    @property
    def total(self) -> int:
        """All files."""
        return self.cells.total()

    @property
    def size_bytes(self) -> int:
        """All their bytes."""
        return self.sizes_bytes.total()

    def by_status(self) -> dict[Status, int]:
        """Files by status, in the order that people read them; every status is there."""
        return {status: self._sum(status=status) for status in Status}

    def families(self) -> list[str]:
        """Families that occur, the largest first."""
        return sorted({family for family, _ in self.cells}, key=lambda family: (-self.of_family(family), family))

    def of_family(self, family: str) -> int:
        """Files of *family*."""
        return sum(self.cells[family, status] for status in Status)

    @property
    def settled(self) -> int:
        """Files that need nobody."""
        return sum(self._sum(status=status) for status in SETTLED)

    @property
    def waiting(self) -> int:
        """Files that need a person."""
        return sum(self._sum(status=status) for status in NEED_A_PERSON)

    def waiting_reasons(self) -> list[tuple[Status, str]]:
        """Why files need a person: by status, then the most frequent first."""
        order = {status: place for place, status in enumerate(NEED_A_PERSON)}
        found = [key for key in self.reasons if key[0] in order]
        return sorted(found, key=lambda key: (order[key[0]], -self.reasons[key], key[1]))

    def _sum(self, *, status: Status) -> int:
        return sum(count for (_, found), count in self.cells.items() if found is status)


def tally(records: Iterable[FileRecord]) -> Tally:
    """Count all *records*."""
    counted = Tally()
    for record in records:
        counted.add(record)
    return counted
