"""The door: a policy by name or path, checked whole, or every reason why it cannot be used.

Reading, shape, inheritance, building and linting have their own modules; this one only puts them in order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from actions.contract import ActionSpec
from worker.policy.build import Builder
from worker.policy.decide import Policy, arrange
from worker.policy.inherit import Document, document, find
from worker.policy.lint import lint, ranks
from worker.policy.model import SCHEMA_ID, HeaderFile
from worker.policy.problem import PolicyError, Problem, Severity
from worker.policy.rule import Rule, canonical
from worker.record import PolicyRef


def load_policy(ref: str | Path, actions: Mapping[str, ActionSpec]) -> Policy:
    """Load and check a policy.

    Args:
        ref: Name of a shipped policy, or the path of a file.
        actions: The catalogue; every step is checked against it.

    Raises:
        PolicyError: With every problem, each with its file and line.
    """
    problems, policy = _load(ref, actions)
    if policy is None:
        raise PolicyError(str(ref), problems)
    return policy


def check(ref: str | Path, actions: Mapping[str, ActionSpec]) -> list[Problem]:
    """Every error and warning of a policy, in the order of its files and lines. Empty: all well."""
    try:
        return _load(ref, actions)[0]
    except PolicyError as error:
        return list(error.problems)


def _load(ref: str | Path, actions: Mapping[str, ActionSpec]) -> tuple[list[Problem], Policy | None]:
    problems: list[Problem] = []
    whole = document(find(ref), problems)
    rules = Builder(whole, actions, problems).rules()
    if _sound(problems):  # with rules missing, ties and gaps would be told that are none
        problems += lint(rules, str(whole.source.path))
    problems.sort()
    if whole.header is None or not _sound(problems):
        return problems, None
    return problems, _policy(whole.header, whole, rules)


def _sound(problems: list[Problem]) -> bool:
    return not any(problem.severity is Severity.ERROR for problem in problems)


def _policy(header: HeaderFile, whole: Document, rules: tuple[Rule, ...]) -> Policy:
    bare = Policy(
        ref=PolicyRef(name=header.name, version=header.version, sha256=_digest(header, whole, rules)),
        rules=rules,
        valid_from=header.valid_from.isoformat(),
        legal_basis=header.legal_basis,
        description_sv=header.description.sv,
        description_en=header.description.en,
    )
    return arrange(bare, ranks(rules))


def _digest(header: HeaderFile, whole: Document, rules: tuple[Rule, ...]) -> str:
    """SHA-256 of the resolved policy: the same for the same content, however it is ordered or spread over files."""
    own = header.model_dump(mode="json", by_alias=True, exclude={"extends", "remove", "defaults", "groups"})
    defaults = {name: value for name, (value, _) in whole.defaults.items()}
    resolved = {**own, "schema": SCHEMA_ID, "defaults": defaults, "rules": [_ordered(rule.written) for rule in rules]}
    return hashlib.sha256(canonical(resolved).encode()).hexdigest()


def _ordered(written: dict[str, object]) -> dict[str, object]:
    """A rule with the lists sorted whose order means nothing."""
    match = {key: sorted(value) if isinstance(value, list) else value for key, value in dict(written["match"]).items()}  # type: ignore[call-overload]
    return {**written, "match": match, "before": sorted(map(str, written["before"]))}  # type: ignore[call-overload]
