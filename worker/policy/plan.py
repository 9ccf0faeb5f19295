"""What a policy decides for one file: plain data that the pipeline carries out.

A plan names actions and parameters, never code; ``digest`` lets a later run see that the same
decision was already carried out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verb(StrEnum):
    """What a rule says shall be done. The original is always kept (promise P1)."""

    KEEP = "keep"
    MIGRATE = "migrate"
    RETAIN = "retain"
    REVIEW = "review"
    RETURN = "return"


@dataclass(frozen=True, slots=True)
class Text:
    """A sentence for people, in both languages of the service."""

    sv: str
    en: str


@dataclass(frozen=True, slots=True)
class Step:
    """An action's name and its checked parameters (JSON-able)."""

    action: str
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rung:
    """One attempt of a ladder: steps in order, each working on the main output of the one before."""

    name: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The decision for one file.

    Attributes:
        rule: Id of the rule that matched.
        reason: Stable code for the report, for verbs that end the matter (retain, review, return); "ok" otherwise.
        family: For tables: office-text, presentation, spreadsheet, pdf, picture, text, other …
        check: KEEP: validates the original; must answer VALID.
        otherwise: KEEP: the plan to follow when ``check`` does not answer VALID. None: ``on_refusal``.
        targets: MIGRATE: PUIDs that the derivative may be re-identified as.
        validate: MIGRATE: validates the derivative.
        compare: MIGRATE: compares source and derivative; gets the derivative's path as parameter ``result``.
        on_refusal: Status word (review, retained, returned) when no rung is accepted or the check says invalid.
        digest: SHA-256 of the canonical JSON of all that decides what is done.
        ruled_out: Rules that were considered and why each did not apply, most specific first.
    """

    rule: str
    verb: Verb
    reason: str
    why: Text
    family: str
    check: Step | None = None
    otherwise: Plan | None = None
    rungs: tuple[Rung, ...] = ()
    targets: tuple[str, ...] = ()
    validate: Step | None = None
    compare: Step | None = None
    on_refusal: str = "review"
    digest: str = ""
    ruled_out: tuple[tuple[str, str], ...] = ()
