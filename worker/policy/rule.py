"""A rule after it was checked: groups spelt out, references filled in, parameters bound.

What officers write is ``model``; this is what decisions are made from. Pure data and pure functions.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any

from worker.policy.match import Arm, Condition
from worker.policy.plan import Plan, Rung, Step, Text, Verb

AGAIN = "decide-again"
"""``otherwise: decide-again``: what the policy says of the same file when this rule is left out."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that is ready to decide.

    Attributes:
        written: The rule as JSON-able data after groups and references were filled in; what the policy's digest covers.
        file: Where it stands, with ``line``; for messages only.
    """

    id: str
    family: str
    verb: Verb
    reason: str
    why: Text
    arms: tuple[Arm, ...]
    conditions: tuple[Condition, ...] = ()
    gate: bool = False
    before: tuple[str, ...] = ()
    check: Step | None = None
    otherwise: str | None = None
    targets: tuple[str, ...] = ()
    rungs: tuple[Rung, ...] = ()
    validate: Step | None = None
    compare: Step | None = None
    on_refusal: str = "review"
    written: dict[str, Any] = field(default_factory=dict)
    file: str = ""
    line: int = 0

    def plan(self) -> Plan:
        """The plan of this rule alone; ``otherwise`` is added by ``with_otherwise``."""
        bare = Plan(
            rule=self.id,
            verb=self.verb,
            reason=self.reason,
            why=self.why,
            family=self.family,
            check=self.check,
            rungs=self.rungs,
            targets=self.targets,
            validate=self.validate,
            compare=self.compare,
            on_refusal=self.on_refusal,
        )
        return replace(bare, digest=_digest(bare))

    def specificity(self, arm: Arm) -> tuple[bool, int, int]:
        """The higher, the more specific, when the rule matches by *arm* (see ``match``)."""
        return (self.gate, len(self.conditions), int(arm.sort))


def with_otherwise(plan: Plan, otherwise: Plan) -> Plan:
    """*plan* that goes on to *otherwise* when its check does not answer VALID."""
    both = hashlib.sha256(f"{plan.digest}:{otherwise.digest}".encode()).hexdigest()
    return replace(plan, otherwise=otherwise, digest=both)


def canonical(data: object) -> str:
    """JSON that is the same for the same data: sorted keys, no blanks, UTF-8 as it is."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _digest(plan: Plan) -> str:
    """Over what is done, not over what it is called: a renamed rule or a better sentence repeats no work."""
    done = {
        "verb": plan.verb,
        "reason": plan.reason,
        "check": _step(plan.check),
        "rungs": [[_step(step) for step in rung.steps] for rung in plan.rungs],
        "targets": sorted(plan.targets),
        "validate": _step(plan.validate),
        "compare": _step(plan.compare),
        "on_refusal": plan.on_refusal,
    }
    return hashlib.sha256(canonical(done).encode()).hexdigest()


def _step(step: Step | None) -> dict[str, object] | None:
    return None if step is None else {"action": step.action, "params": step.params}
