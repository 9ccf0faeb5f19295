"""A policy that a tenant sent as text: checked like any other, but it may reach for nothing on this machine.

Text from outside may name no file in ``extends``, and may not grow when it is read (aliases, deep nesting).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.tokens import (
    AliasToken,
    BlockMappingStartToken,
    BlockSequenceStartToken,
    FlowMappingStartToken,
    FlowSequenceStartToken,
)

from actions.contract import ActionSpec
from worker.policy.decide import Policy
from worker.policy.inherit import shipped
from worker.policy.load import check, load_policy
from worker.policy.problem import PolicyError, Problem, suggest
from worker.policy.source import read

MOST_BYTES = 256 * 1024  # the longest shipped policy has a tenth of it
_MOST_OPENED = 20_000  # lists and mappings
_DEEPEST = 20


def load_text(name: str, text: str, actions: Mapping[str, ActionSpec]) -> tuple[Policy, list[Problem]]:
    """Load the policy *name* from *text*; returns it with its warnings.

    Raises:
        PolicyError: With every problem, each with its line; no path of this machine is told.
    """
    with tempfile.TemporaryDirectory(prefix="bevara-policy-") as folder:
        path = Path(folder) / f"{name}.yaml"
        path.write_text(text, "utf-8")
        try:
            _tame(text, path.name)
            _reach(path)
            policy = load_policy(path, actions)
            warnings = check(path, actions)
        except PolicyError as error:
            raise PolicyError(name, [_local(one) for one in error.problems]) from None
        except RecursionError:
            raise PolicyError(name, [Problem(path.name, 1, "it is nested too deeply", "Write it flatter.")]) from None
    if policy.ref.name != name:
        problem = Problem(f"{name}.yaml", 1, "its own name is another than the one it is put under", f"Write 'name: {name}'.")
        raise PolicyError(name, [problem])
    return policy, [_local(one) for one in warnings]


def _tame(text: str, file: str) -> None:
    """Refuse what would take memory or time out of proportion to its length, before anything is built of it."""
    opened = 0
    openers = (BlockMappingStartToken, BlockSequenceStartToken, FlowMappingStartToken, FlowSequenceStartToken)
    if len(text.encode()) > MOST_BYTES:
        raise PolicyError(file, [Problem(file, 1, f"it is longer than {MOST_BYTES // 1024} KiB", "Use `extends` and say less.")])
    depth = 0
    try:
        for token in YAML(typ="safe", pure=True).scan(text):
            line = token.start_mark.line + 1
            if isinstance(token, AliasToken):
                raise PolicyError(file, [Problem(file, line, "it has an alias ('*name')", "Write the value out.")])
            if isinstance(token, openers):
                opened, depth = opened + 1, depth + 1
            elif type(token).__name__ in {"BlockEndToken", "FlowMappingEndToken", "FlowSequenceEndToken"}:
                depth -= 1
            if opened > _MOST_OPENED or depth > _DEEPEST:
                raise PolicyError(file, [Problem(file, line, "it has too many or too deeply nested values", "Write it flatter.")])
    except YAMLError:
        return  # the reader proper says what and where


def _reach(path: Path) -> None:
    source = read(path)
    above = source.data.get("extends")
    if above is not None and above not in shipped():
        remedy = suggest(str(above), shipped(), f"Shipped: {', '.join(shipped())}.")
        raise PolicyError(path.name, [source.problem(("extends",), "only a shipped policy can be extended here", remedy)])


def _local(problem: Problem) -> Problem:
    return replace(problem, file=Path(problem.file).name)
