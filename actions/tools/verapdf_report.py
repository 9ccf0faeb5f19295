"""Read veraPDF's JSON report: which profile, compliant or not, which rules failed.

Source: the reports of veraPDF 1.30.2 (``--format json``), looked at for sound, broken, locked and empty files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actions.errors import ToolFailedError


@dataclass(frozen=True, slots=True)
class RuleFailure:
    """One rule of the profile that the file breaks, and how often."""

    clause: str
    test_number: int
    count: int
    description: str
    example: str

    def sentence(self) -> str:
        """For a person: clause, what was seen first, how often."""
        return f"{self.clause}-{self.test_number}: {self.example or self.description} ({self.count} times)"


@dataclass(frozen=True, slots=True)
class Report:
    """What veraPDF said about one file.

    Attributes:
        profile: The profile's short name, ``"PDF/A-2b"``; empty when the file could not be parsed.
        compliant: False also when nothing could be validated: then ``problem`` says why.
        encrypted: It needs a password.
    """

    profile: str
    compliant: bool
    failures: tuple[RuleFailure, ...] = ()
    problem: str = ""
    encrypted: bool = False


def parse(text: str, asked: Path, subject: str) -> Report:
    """The report on *asked*, as veraPDF was told its name; *subject* is what an error calls it.

    Raises:
        ToolFailedError: Empty, or about another file.
        ValueError: No JSON. KeyError, TypeError: not veraPDF's JSON.
    """
    if not text.strip():
        raise ToolFailedError("veraPDF wrote an empty report", subject, "Run veraPDF by hand on this file.")
    report: dict[str, Any] = json.loads(text)["report"]
    jobs = report.get("jobs") or []
    if len(jobs) != 1 or jobs[0].get("itemDetails", {}).get("name") != str(asked):
        raise ToolFailedError("veraPDF answered for another file", subject, "Try again; report this when it stays.")
    job = jobs[0]
    results = job.get("validationResult") or []
    if not results:
        problem = job.get("taskException", {}).get("exceptionMessage") or "veraPDF gave no result"
        encrypted = bool(report.get("batchSummary", {}).get("failedEncryptedJobs"))
        return Report("", compliant=False, problem=str(problem), encrypted=encrypted)
    result = results[0]
    failures = tuple(_failure(rule) for rule in result.get("details", {}).get("ruleSummaries", []))
    ended = str(result.get("jobEndStatus", ""))
    profile = str(result.get("profileName", "")).removesuffix(" validation profile")
    compliant = result.get("compliant") is True and ended == "normal"
    return Report(profile, compliant, failures, "" if ended == "normal" else f"validation ended {ended!r}")


def _failure(rule: dict[str, Any]) -> RuleFailure:
    checks = rule.get("checks") or [{}]
    return RuleFailure(
        clause=str(rule.get("clause", "")),
        test_number=int(rule.get("testNumber", 0)),
        count=int(rule.get("failedChecks", 0)),
        description=str(rule.get("description", "")),
        example=str(checks[0].get("errorMessage") or ""),
    )
