"""What a check found, as data: a finding never stops a check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is. Info: worth knowing, nothing is wrong."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        code: Stable kebab-case word.
        where: Path in the archive, or package and event number.
        what: A sentence for people.
        remedy: What to do about it.
    """

    code: str
    where: str
    what: str
    remedy: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.what}. {self.remedy}"


RESTORE = "Restore this file from another copy of the archive; do not edit it."
REBUILD = "The store is the truth: if it verifies, run `bevara ledger rebuild`. Find out who changed the ledger."
REOPEN = "Run any `bevara preserve` on this archive: it finishes or undoes the interrupted commit first."
STRANGE = "Find out where it came from, then move it out of the store."
