"""Small policies and a small registry, from which tests bend one thing at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from actions.contract import ActionSpec, Kind
from actions.params import NoParams, Params
from worker.policy.problem import Problem


class FlavourParams(Params):
    flavour: Literal["1b", "2b"] = "2b"


class CompareParams(Params):
    result: str
    text_recall: float = Field(default=0.98, ge=0, le=1)


class LanguageParams(Params):
    languages: list[str] = Field(default=["swe"])


def _spec(name: str, kind: Kind, params: type[Params]) -> ActionSpec:
    return ActionSpec(name=name, kind=kind, module=__name__, params=params, time_limit_s=1)


ACTIONS = {
    spec.name: spec
    for spec in (
        _spec("to_pdfa", Kind.CONVERT, FlavourParams),
        _spec("ocr", Kind.OCR, LanguageParams),
        _spec("validate", Kind.VALIDATE, NoParams),
        _spec("compare", Kind.COMPARE, CompareParams),
    )
}

HEAD = """\
schema: bevara.policy/1
name: test
version: "1"
valid_from: 2026-01-01
owner: Arkivet i Åhus
legal_basis: arkivlagen
description: {sv: På prov, en: For a test}
"""

CATCH_ALL = """\
  - id: rest
    family: other
    match: {}
    verb: review
    reason: unidentified
    why: {sv: Okänt, en: Unknown}
"""


def rule(rule_id: str, match: str, *, verb: str = "retain", more: str = "") -> str:
    """A rule in YAML. *more*: further lines, not yet indented."""
    reason = "" if verb in {"keep", "migrate"} else f"    reason: {rule_id}\n"
    extra = "".join(f"    {line}\n" for line in more.splitlines())
    why = f"    why: {{sv: Därför att {rule_id}, en: Because of {rule_id}}}\n"
    return f"  - id: {rule_id}\n    family: pdf\n    match: {match}\n    verb: {verb}\n{reason}{extra}{why}"


KEEP = "check: {action: validate}"
MIGRATE = """\
targets: [fmt/477]
rungs: [{name: only, do: [{action: to_pdfa}]}]
validate: {action: validate}
compare: {action: compare}"""


def write(folder: Path, *rules: str, head: str = HEAD, name: str = "test.yaml") -> Path:
    """A policy file of *rules* and a catch-all."""
    path = folder / name
    path.write_text(head + "rules:\n" + "".join(rules) + CATCH_ALL, encoding="utf-8")
    return path


def line_of(path: Path, text: str) -> int:
    """1-based line of the first line with *text*."""
    return next(number for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1) if text in line)


def sentences(problems: list[Problem]) -> str:
    return "\n".join(map(str, problems))
