"""Check a rule's steps against the actions' own parameter models, and fill in their defaults.

After this a step cannot fail for a misspelt name: a policy's typo stops at load, not at file 40 000.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from actions.contract import ActionSpec, Kind
from worker.policy.conditions import Complain
from worker.policy.model import StepFile
from worker.policy.plan import Step
from worker.policy.problem import suggest
from worker.policy.source import Where

FILLED_BY_PIPELINE = frozenset({"result"})
"""Parameters that only the pipeline knows, and that a policy can therefore neither set nor miss."""

CONVERTING = frozenset({Kind.CONVERT, Kind.OCR})
VALIDATING = frozenset({Kind.VALIDATE})
COMPARING = frozenset({Kind.COMPARE})

_PLACEHOLDER = "-"


def bind(
    step: StepFile, actions: Mapping[str, ActionSpec], kinds: frozenset[Kind], where: Where, complain: Complain
) -> Step | None:
    """The step with every parameter that its action has, but those of ``FILLED_BY_PIPELINE``; None after a complaint.

    Args:
        step: As written; references are already filled in.
        actions: The catalogue.
        kinds: What the action must be for, in this place.
        where: Where the step stands in its rule.
        complain: Takes what is wrong.
    """
    if step.action not in actions:
        complain((*where, "action"), f"there is no action '{step.action}'", suggest(step.action, actions))
        return None
    spec = actions[step.action]
    if spec.kind not in kinds:
        fitting = [name for name in actions if actions[name].kind in kinds]
        what = f"'{step.action}' is an action of kind {spec.kind}, and this place needs {' or '.join(sorted(kinds))}"
        complain((*where, "action"), what, f"Fitting: {', '.join(sorted(fitting))}.")
        return None
    return _with_params(step, spec, where, complain)


def _with_params(step: StepFile, spec: ActionSpec, where: Where, complain: Complain) -> Step | None:
    filled = FILLED_BY_PIPELINE & set(spec.params.model_fields)
    for name in filled & set(step.params):
        complain((*where, "params", name), f"'{name}' is filled in for each file", "Leave it out.")
    given: dict[str, Any] = {**dict.fromkeys(filled, _PLACEHOLDER), **step.params}
    try:
        params = spec.params.model_validate(given)
    except ValidationError as error:
        for found in error.errors():
            name = str(found["loc"][0]) if found["loc"] else ""
            if found["type"] == "extra_forbidden":
                what, remedy = f"'{step.action}' has no parameter '{name}'", suggest(name, set(spec.params.model_fields) - filled)
            else:
                what, remedy = f"parameter '{name}' of '{step.action}': {found['msg']}", f"It is {found['input']!r} here."
            complain((*where, "params", *found["loc"]), what, remedy)
        return None
    return Step(step.action, params.model_dump(mode="json", exclude=set(filled)))
