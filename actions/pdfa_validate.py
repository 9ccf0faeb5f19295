"""Say whether a file is the PDF/A that it claims, or that was promised. The claim is never believed, only tested.

veraPDF is the judge. Where it cannot run, ``pikepdf.pdfa`` may say yes, because it approves only what it knows
to conform; its no, and its "not checked", say nothing (UNKNOWN).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pikepdf
from pikepdf import pdfa

from actions.catalog import PdfaValidateParams
from actions.contract import Fact, Outcome, Verdict
from actions.errors import ToolMissingError
from actions.tools import verapdf
from actions.tools.verapdf_report import Report

LEVELS = {"b": 0, "u": 1, "a": 2}  # a covers u covers b (ISO 19005-2, clause 5)
PIKEPDF_FLAVOURS = {"1b", "2b", "3b"}
NO_CLAIM_CLAUSES = {"6.7.11", "6.6.4", "6.6.2.1"}  # the identification schema in parts 1 and 2; no XMP at all
MAX_NOTES = 10
TIME_LIMIT_S = 120.0
TIME_PER_MB_S = 10.0


@dataclass(frozen=True, slots=True)
class _Claim:
    part: str
    level: str

    @property
    def profile(self) -> str:
        return f"PDF/A-{self.part}{self.level}"


def run(source: Path, workdir: Path, params: PdfaValidateParams) -> Outcome:
    """Validate *source*; writes nothing. VALID only when the validator approved these very bytes.

    Raises:
        ToolTimeoutError: The validator gave no answer in time.
        ToolCrashedError: The validator ended by itself.
        ToolFailedError: Its answer could not be understood.
    """
    del workdir
    megabytes = source.stat().st_size / 1_000_000
    try:
        report = verapdf.shared().validate(source, timeout_s=TIME_LIMIT_S + TIME_PER_MB_S * megabytes)
    except ToolMissingError:
        return _by_pikepdf(source, params.flavour)
    return _judge(report, params.flavour)


def _judge(report: Report, flavour: str) -> Outcome:
    tool = verapdf.version()
    clauses = sorted({failure.clause for failure in report.failures})
    if not report.profile:
        why = "it needs a password" if report.encrypted else f"it could not be parsed: {report.problem}"
        return Outcome(
            tool=tool, verdict=Verdict.INVALID, notes=(why,), facts={"failed_clauses": clauses, "encrypted": report.encrypted}
        )
    facts: dict[str, Fact] = {"profile": report.profile, "failed_clauses": clauses}
    notes = [failure.sentence() for failure in report.failures[:MAX_NOTES]]
    if len(report.failures) > MAX_NOTES:
        notes.append(f"and {len(report.failures) - MAX_NOTES} more rules")
    if report.problem:
        return Outcome(tool=tool, verdict=Verdict.UNKNOWN, notes=(report.problem, *notes), facts=facts)
    if NO_CLAIM_CLAUSES & set(clauses):
        notes.insert(0, "it makes no (sound) claim to be PDF/A; it was tested as " + report.profile)
    short = _falls_short(report.profile, flavour)
    if short:
        notes.insert(0, short)
    verdict = Verdict.VALID if report.compliant and not short else Verdict.INVALID
    return Outcome(tool=tool, verdict=verdict, notes=tuple(notes), facts=facts)


def _falls_short(profile: str, flavour: str) -> str:
    """Why the profile that the file was tested against is not the one promised; empty when it is, or none was."""
    if flavour == "auto":
        return ""
    tested = re.fullmatch(r"PDF/A-(\d)([a-z]?)", profile)
    part, level = flavour[0], flavour[1:]
    if tested and tested[1] == part:
        enough = tested[2] == level if part == "4" else LEVELS.get(tested[2], -1) >= LEVELS[level]
        if enough:
            return ""
    return f"it claims {profile}, promised was PDF/A-{flavour}"


def _by_pikepdf(source: Path, flavour: str) -> Outcome:
    """The second-best judge: its approval counts, anything else is unknown."""
    tool = f"pikepdf.pdfa {pikepdf.__version__}"
    claim = _claim(source)
    wanted = f"{claim.part}b" if claim is not None else ""
    if claim is None:
        return Outcome(tool=tool, verdict=Verdict.INVALID, notes=("it makes no claim to be PDF/A",), facts={"failed_clauses": []})
    if wanted not in PIKEPDF_FLAVOURS or claim.level != "b":
        return Outcome(
            tool=tool, notes=(f"veraPDF is missing, and pikepdf cannot test {claim.profile}",), facts={"failed_clauses": []}
        )
    if short := _falls_short(claim.profile, flavour):
        return Outcome(tool=tool, verdict=Verdict.INVALID, notes=(short,), facts={"profile": claim.profile, "failed_clauses": []})
    report = pdfa.validate_written(source, wanted)
    notes = tuple(str(finding) for finding in report.findings[:MAX_NOTES])
    facts: dict[str, Fact] = {"profile": claim.profile, "failed_clauses": sorted({finding.rule for finding in report.violations})}
    if report.passed:
        return Outcome(tool=tool, verdict=Verdict.VALID, notes=notes, facts=facts)
    return Outcome(tool=tool, notes=("veraPDF is missing, and pikepdf does not approve", *notes), facts=facts)


def _claim(source: Path) -> _Claim | None:
    """What the file's XMP says it is; None when it says nothing, or cannot be read."""
    try:
        with pikepdf.open(source) as pdf, pdf.open_metadata(update_docinfo=False) as metadata:
            status = str(metadata.pdfa_status)
    except (pikepdf.PdfError, ValueError, KeyError):
        return None
    found = re.fullmatch(r"(\d)([A-Za-z]?)", status)
    return _Claim(found[1], found[2].lower()) if found else None
