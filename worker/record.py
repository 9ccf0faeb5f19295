"""What is said of one file: the words that ledger, PREMIS export and report share.

The names are those of report.json (design.md §10) and are fixed; add freely, never rename.
Nothing here computes: the pipeline fills these in, the others read them.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from actions.contract import Fact, Level, Verdict


class Status(StrEnum):
    """Where a file ends (design.md §2). Exactly one per file and job."""

    KEPT = "kept"
    MIGRATED = "migrated"
    RETAINED = "retained"
    REVIEW = "review"
    RETURNED = "returned"
    FAILED = "failed"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")


class VoiceRecord(_Record):
    """One identifier's answer; see ``actions.contract.Voice``."""

    identifier: str
    puid: str | None
    mime: str | None = None
    basis: str
    warning: str = ""


class CheckRecord(_Record):
    """One line of a proof; ``ok`` None: recorded for information or could not be measured."""

    name: str
    source: Fact
    result: Fact
    ok: bool | None
    why: str = ""


class ProofRecord(_Record):
    """The measured answer to "is the derivative the same record?"."""

    level: Level
    checks: list[CheckRecord] = Field(default_factory=list)


class ValidationRecord(_Record):
    """What a validator said about these very bytes (promise P2)."""

    validator: str
    profile: str
    verdict: Verdict


class AttemptRecord(_Record):
    """One action that was tried: a rung of the ladder, a validation, a comparison."""

    action: str
    tool: str
    outcome: str  # accepted | refused | crashed | timeout
    why: str = ""
    seconds: float = 0.0
    notes: list[str] = Field(default_factory=list)
    sandbox: str = "bubblewrap"  # or "none": design.md §5


class OutputRecord(_Record):
    """One file that was stored beside the original. ``path`` is its logical path in the OCFL object."""

    representation: str  # preservation | access | metadata
    path: str
    puid: str | None
    sha256: str
    sha512: str
    size_bytes: int
    validation: ValidationRecord | None = None
    proof: ProofRecord | None = None
    tool: str = ""
    notes: list[str] = Field(default_factory=list)


class Evidence(_Record):
    """Pictures for the report: paths relative to the report's folder. ``page_number`` is 1-based."""

    page_number: int
    source: str | None = None
    result: str | None = None
    difference: str | None = None
    caption: str = ""


class FileRecord(_Record):
    """One file's entry in report.json. ``message`` is one English sentence for people, ``message_sv`` the Swedish one."""

    path: str
    size_bytes: int | None
    sha256: str | None = None
    sha512: str | None = None
    puid: str | None = None
    mime: str | None = None
    voices: list[VoiceRecord] = Field(default_factory=list)
    status: Status
    reason: str
    message: str
    message_sv: str = ""
    rule: str | None = None
    facts: dict[str, Fact] = Field(default_factory=dict)
    attempts: list[AttemptRecord] = Field(default_factory=list)
    outputs: list[OutputRecord] = Field(default_factory=list)
    validation: ValidationRecord | None = None  # of the original, when it was kept
    evidence: list[Evidence] = Field(default_factory=list)
    family: str = "other"  # office-text | presentation | spreadsheet | pdf | picture | text | … for tables
    unchanged: bool = False  # the archive already held this file and this result


class PolicyRef(_Record):
    """Which policy decided: the digest is of the resolved policy (with what it extends)."""

    name: str
    version: str
    sha256: str
