"""What a report says about the whole job; what it says about one file is ``worker.record.FileRecord``.

The pipeline fills this in when a job ends or is interrupted. Nothing here computes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from worker.record import PolicyRef, Status

SCHEMA = "bevara.report/1"


@dataclass(frozen=True, slots=True)
class ReportHeader:
    """One job, as report.json, report.html and the terminal tell it.

    Attributes:
        started: ISO 8601, UTC; ``finished`` likewise.
        counts: Files by status. The reports count again while they read the records, and print what they counted.
        archive: Path of the archive, as the person gave it; ``source`` likewise.
        interrupted: The job was stopped before every file had its answer.
        version: OCFL version that the job committed ("v3"). None: nothing was committed.
        seconds: Wall-clock time of the job.
        size_bytes: Sum of the submitted files.
        tools: Name to version, of every tool that was used.
        sandbox: "bubblewrap" or "none" (design.md §5).
    """

    job: str
    tenant: str
    package: str
    policy: PolicyRef
    started: str
    finished: str
    counts: dict[Status, int]
    archive: str
    source: str
    interrupted: bool = False
    version: str | None = None
    seconds: float = 0.0
    size_bytes: int = 0
    tools: dict[str, str] = field(default_factory=dict)
    sandbox: str = "bubblewrap"
