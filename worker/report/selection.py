"""Which files report.html shows, and how fully: a page that a browser can open, whatever the size of the package.

The most doubtful come first: files that need a person, then migrated files by how much was proven. What is left out is
counted and said; report.json has every file. Memory is bounded by the limits below, not by the number of files.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from actions.contract import Level
from worker.record import FileRecord, Status
from worker.report.tally import Tally
from worker.report.words import NEED_A_PERSON

CARDS = 200  # with pictures and tables
WAITING_CARDS = 120  # of these, for files that need a person
GROUP_CARDS = 30  # and for one reason: the thirtieth alike teaches nothing new
GROUP_ROWS = 200
WAITING_ROWS = 800
MIGRATED_ROWS = 500
KEPT_ROWS = 400
RETAINED_ROWS = 300  # together 2,000 rows


@dataclass(slots=True)
class Group:
    """Files that need a person for the same reason."""

    status: Status
    reason: str
    total: int = 0
    cards: list[FileRecord] = field(default_factory=list)
    rows: list[FileRecord] = field(default_factory=list)

    @property
    def left_out(self) -> int:
        """Files of this group that only report.json names."""
        return self.total - len(self.cards) - len(self.rows)

    def shared_message(self) -> FileRecord | None:
        """Return one of the rows when all say the same: then it is said once."""
        alike = len({row.message for row in self.rows}) == 1
        return self.rows[0] if alike and len(self.rows) > 1 else None


@dataclass(slots=True)
class Selection:
    """What the page shows."""

    tally: Tally
    groups: list[Group]
    migrated_cards: list[FileRecord]
    migrated_rows: list[FileRecord]
    kept_rows: list[FileRecord]
    retained_rows: list[FileRecord]


def select(records: Iterable[FileRecord]) -> Selection:
    """Read *records* once, count all of them and keep those to show."""
    tally = Tally()
    waiting, migrated = _Waiting(), _Migrated()
    plain: dict[Status, list[FileRecord]] = {Status.KEPT: [], Status.RETAINED: []}
    room = {Status.KEPT: KEPT_ROWS, Status.RETAINED: RETAINED_ROWS}
    for record in records:
        tally.add(record)
        if record.status in NEED_A_PERSON:
            waiting.add(record)
        elif record.status is Status.MIGRATED:
            migrated.add(record)
        elif len(plain[record.status]) < room[record.status]:
            plain[record.status].append(record)
    groups = waiting.in_order(tally)
    cards, rows = migrated.split(CARDS - sum(len(group.cards) for group in groups))
    return Selection(tally, groups, cards, rows, plain[Status.KEPT], plain[Status.RETAINED])


def doubt(record: FileRecord) -> int:
    """Return how little was proven of a migrated file: 0 is the most doubtful."""
    proofs = [output.proof for output in record.outputs if output.proof is not None]
    levels = {proof.level for proof in proofs}
    fell_short = any(check.ok is False for proof in proofs for check in proof.checks)
    tried_more = any(attempt.outcome != "accepted" for attempt in record.attempts)
    if fell_short or levels & {Level.DIFFERENT, Level.UNPROVEN} or not levels:
        return 0
    if record.reason != "ok" or any(picture.difference for picture in record.evidence):  # macros, an unsigned copy of a signed one
        return 1
    return (2 if Level.EQUIVALENT in levels else 4) + (not tried_more)


class _Waiting:
    """Collects the groups that need a person; a file with something to look at gets a card while there is room."""

    def __init__(self) -> None:
        self._groups: dict[tuple[Status, str], Group] = {}
        self._used: Counter[str] = Counter()

    def add(self, record: FileRecord) -> None:
        key = (record.status, record.reason)
        group = self._groups.setdefault(key, Group(*key))
        group.total += 1
        has_more = bool(record.evidence or record.attempts or record.outputs)
        if has_more and len(group.cards) < GROUP_CARDS and self._used["cards"] < WAITING_CARDS:
            group.cards.append(record)
            self._used["cards"] += 1
        elif len(group.rows) < GROUP_ROWS and self._used["rows"] < WAITING_ROWS:
            group.rows.append(record)
            self._used["rows"] += 1

    def in_order(self, tally: Tally) -> list[Group]:
        return [self._groups[key] for key in tally.waiting_reasons()]


class _Migrated:
    """Keeps the most doubtful for cards, and the first of the others for rows."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, FileRecord]] = []  # (-doubt, -place, record): the least doubtful on top
        self._rows: list[tuple[int, FileRecord]] = []
        self._place = 0

    def add(self, record: FileRecord) -> None:
        self._place += 1
        entry = (-doubt(record), -self._place, record)
        if len(self._heap) < CARDS:
            heapq.heappush(self._heap, entry)
            return
        self._keep_row(heapq.heappushpop(self._heap, entry))

    def split(self, card_room: int) -> tuple[list[FileRecord], list[FileRecord]]:
        ordered = sorted(self._heap, reverse=True)
        for entry in ordered[card_room:]:
            self._keep_row(entry)
        self._rows.sort(key=lambda row: row[0])
        return [record for _, _, record in ordered[:card_room]], [record for _, record in self._rows[:MIGRATED_ROWS]]

    def _keep_row(self, entry: tuple[int, int, FileRecord]) -> None:
        _, negative_place, record = entry
        if len(self._rows) < MIGRATED_ROWS + CARDS:
            self._rows.append((-negative_place, record))
