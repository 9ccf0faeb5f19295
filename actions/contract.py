"""What an action takes and gives: plain, frozen data that crosses the pipe between worker and host.

Nothing here parses content or starts a process. Every type is made of JSON-able parts, because a
host answers the worker in JSON and the ledger keeps the answer (design.md §5, §8).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from actions.params import Params  # pydantic takes 0.1 s to load, which a host that only names formats does not need

Fact: TypeAlias = bool | int | float | str | list[str] | None
"""A probe's or a check's value: one scalar, or a short list of names. None: could not be measured."""


class Verdict(StrEnum):
    """What a tool concluded about a file. Unknown is an answer, not a failure."""

    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"


class Level(StrEnum):
    """How much a comparison proved (design.md §2)."""

    IDENTICAL = "identical"
    EQUIVALENT = "equivalent"
    UNPROVEN = "unproven"
    DIFFERENT = "different"


class Role(StrEnum):
    """What an output file is for; the first three are OAIS/E-ARK representations or their metadata."""

    PRESERVATION = "preservation"
    ACCESS = "access"
    METADATA = "metadata"
    EVIDENCE = "evidence"
    """A picture for the report (thumbnail, difference picture); not kept in the store."""


@dataclass(frozen=True, slots=True)
class Voice:
    """One identifier's answer. ``puid`` None: it looked and did not know.

    ``basis`` is the identifier's own words on what it saw (bytes, container, extension, text …).
    """

    identifier: str
    puid: str | None
    mime: str | None
    basis: str
    by_extension_only: bool = False
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One measured comparison. ``ok`` None: could not be measured, or is recorded for information."""

    name: str
    source: Fact
    result: Fact
    ok: bool | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """A file that an action wrote. ``path`` is relative to the action's workdir.

    ``suffix`` is what the pipeline appends to the original's name (".pdf", ".ocr.txt").
    The first PRESERVATION output of an action is its main result.
    """

    path: str
    role: Role
    suffix: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an action did.

    Attributes:
        tool: Name and version, e.g. ``"qpdf 11.9.1"``.
        verdict: Of a validation; UNKNOWN for other kinds of action.
        outputs: Files written below the workdir.
        notes: What a person should know: named repairs, warnings, fonts replaced.
        facts: Measured properties (probe facts, OCR confidence, profile that was validated …).
        voices: Identification answers.
        checks: Of a comparison or a validation of the original.
        level: Of a comparison.
    """

    tool: str
    verdict: Verdict = Verdict.UNKNOWN
    outputs: tuple[Output, ...] = ()
    notes: tuple[str, ...] = ()
    facts: dict[str, Fact] = field(default_factory=dict)
    voices: tuple[Voice, ...] = ()
    checks: tuple[Check, ...] = ()
    level: Level | None = None


class Kind(StrEnum):
    """The step of design.md §4 that an action serves."""

    IDENTIFY = "identify"
    PROBE = "probe"
    CONVERT = "convert"
    OCR = "ocr"
    VALIDATE = "validate"
    COMPARE = "compare"


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """How the catalogue and the policy see an action.

    Attributes:
        name: As policies write it.
        module: Where its craft is: a function ``run(source, workdir, params)``. Imported when it first runs.
        time_limit_s: Wall-clock seconds for a small file.
        time_per_mb_s: Added for each 1,000,000 bytes of the source.
        time_per_page_s: Added for each page that the probe counted.
    """

    name: str
    kind: Kind
    module: str
    params: type[Params]
    time_limit_s: float
    time_per_mb_s: float = 0.0
    time_per_page_s: float = 0.0

    def run(self, source: Path, workdir: Path, params: Params) -> Outcome:
        """Carry it out: *source* is only read, and lies outside *workdir*, where outputs go.

        Raises:
            PreservationError: The action will not, or could not, do it.
        """
        outcome: Outcome = import_module(self.module).run(source, workdir, params)
        return outcome
