"""The last thing a job prints: what became of the files, who must act, and where to read on.

A table for a terminal, plain lines for a file or a pipe. It names files, never their content; exit codes are the CLI's.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text as RichText

from worker.record import FileRecord, Status
from worker.report.header import ReportHeader
from worker.report.names import one_line, shorten, shorten_path, visible
from worker.report.reasons import reason
from worker.report.sentences import opening, second
from worker.report.tally import Tally
from worker.report.terminal import Terminal, is_terminal
from worker.report.words import FAMILIES, NEED_A_PERSON, STATUSES, word

FILES_SHOWN = 20
_PATH_CHARACTERS = 90
_STYLES = {Status.REVIEW: "yellow", Status.RETURNED: "magenta", Status.FAILED: "red"}


class Summary:
    """Takes a job's records one by one and prints what they come to; memory does not grow with the files."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._waiting: list[FileRecord] = []
        self._seen: Counter[tuple[Status, str]] = Counter()

    def add(self, record: FileRecord) -> None:
        """Count *record*, and remember it where it may be among the files to name."""
        self.tally.add(record)
        if record.status in NEED_A_PERSON:
            key = (record.status, record.reason)
            self._seen[key] += 1
            if self._seen[key] <= FILES_SHOWN:
                self._waiting.append(record)

    def waiting(self) -> list[FileRecord]:
        """Return up to ``FILES_SHOWN`` files that need a person: some of every reason before more of any."""
        turns: Counter[tuple[Status, str]] = Counter()
        ranked = []
        for place, record in enumerate(self._waiting):
            key = (record.status, record.reason)
            turns[key] += 1
            ranked.append((turns[key], place, record))
        chosen = [record for _, _, record in sorted(ranked, key=lambda entry: entry[:2])[:FILES_SHOWN]]
        order = {key: place for place, key in enumerate(self.tally.waiting_reasons())}
        return sorted(chosen, key=lambda record: order[record.status, record.reason])

    def show(self, header: ReportHeader, report_folder: Path, stream: TextIO) -> None:
        """Print to *stream*; a reader that has gone away, or a terminal that knows no å, stops nothing."""
        terminal = Terminal(stream)
        if is_terminal(stream):
            self._show_table(terminal.console())
        else:
            terminal.write("\n".join(["", *self._plain_table(), ""]) + "\n")
        for line in self._closing(header, report_folder):
            terminal.write(line + "\n")
        terminal.flush()

    def _statuses(self) -> list[tuple[Status, int]]:
        return [(status, count) for status, count in self.tally.by_status().items() if count]

    def _rows(self) -> list[list[str]]:
        statuses = self._statuses()
        names = [(family, word(FAMILIES, family).en) for family in self.tally.families()]
        rows = [
            [name, *(str(self.tally.cells[family, status]) for status, _ in statuses), str(self.tally.of_family(family))]
            for family, name in names
        ]
        return [*rows, ["All", *(str(count) for _, count in statuses), str(self.tally.total)]]

    def _titles(self) -> list[str]:
        return ["", *(STATUSES[status].word.en for status, _ in self._statuses()), "All"]

    def _show_table(self, console: Console) -> None:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        styles = ["", *(_STYLES.get(status, "green") for status, _ in self._statuses()), "bold"]
        for title, style in zip(self._titles(), styles, strict=True):
            table.add_column(title, justify="right" if title else "left", style=style)
        *rows, total = self._rows()
        for row in rows:
            table.add_row(*(RichText(cell if cell != "0" else "-", style="dim" if cell == "0" else "") for cell in row))
        table.add_row(*total, style="bold")
        console.print()
        console.print(table)
        console.print()

    def _plain_table(self) -> list[str]:
        rows = [self._titles(), *self._rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        return [
            "  ".join(
                cell.rjust(width) if column else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]

    def _closing(self, header: ReportHeader, report_folder: Path) -> Iterable[str]:
        """Yield the lines below the table: what happened, who must act, where to read on."""
        yield " ".join(said.en for said in (opening(self.tally, interrupted=header.interrupted), *second(header, self.tally)))
        last = None
        for record in self.waiting():
            key = (record.status, record.reason)
            if key != last:
                yield from self._reason_lines(*key)
            last = key
            yield f"    {shorten_path(visible(record.path), _PATH_CHARACTERS)}"
        if self.tally.waiting > FILES_SHOWN:
            yield f"    ... and {self.tally.waiting - FILES_SHOWN} more, in the report"
        yield ""
        yield f"Report:  {visible(str(report_folder / 'report.html'))}"
        yield f"Check:   bevara verify {visible(shlex.quote(header.archive))}"

    def _reason_lines(self, status: Status, code: str) -> Iterable[str]:
        why = reason(code, status)
        yield ""
        yield f"  {STATUSES[status].word.en}: {visible(why.title.en)} ({self.tally.reasons[status, code]})"
        if why.remedy.en:
            yield f"  -> {shorten(one_line(why.remedy.en), 160)}"
