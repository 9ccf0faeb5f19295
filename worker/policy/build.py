"""Make ready rules of written ones: references filled in, groups spelt out, steps bound to actions.

Every complaint carries the line of the very key that is wrong. What rules mean to each other is ``lint``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from actions.contract import ActionSpec, Kind
from worker.policy import bind
from worker.policy.conditions import Complain, arms, conditions
from worker.policy.inherit import Document, Written
from worker.policy.model import RuleFile, StepFile
from worker.policy.plan import Rung, Step, Text, Verb
from worker.policy.problem import Problem, Severity, suggest
from worker.policy.rule import Rule
from worker.policy.source import Where

_NEEDED = {Verb.KEEP: {"check"}, Verb.MIGRATE: {"targets", "rungs", "validate", "compare"}}
_ALLOWED = {
    Verb.KEEP: {"check", "otherwise", "on_refusal"},
    Verb.MIGRATE: {"targets", "rungs", "validate", "compare", "on_refusal"},
}
_BY_VERB = ("check", "otherwise", "targets", "rungs", "validate", "compare", "on_refusal")


class Builder:
    """Builds the rules of one document, and remembers which defaults and groups were used."""

    def __init__(self, whole: Document, actions: Mapping[str, ActionSpec], problems: list[Problem]) -> None:
        self._whole, self._actions, self._problems = whole, actions, problems
        self._used: set[str] = set()
        self._groups = {name: puids for name, (puids, _) in whole.groups.items()}

    def rules(self) -> tuple[Rule, ...]:
        """All rules that could be built, by id; the others are in the problems."""
        built = [self._rule(self._whole.rules[rule_id]) for rule_id in sorted(self._whole.rules)]
        self._unused()
        return tuple(rule for rule in built if rule is not None)

    def _rule(self, written: Written) -> Rule | None:
        before = len(self._problems)

        def complain(where: Where, what: str, remedy: str) -> None:
            at = written.source.problem((*written.where, *where), f"rule '{written.rule.id}': {what}", remedy)
            self._problems.append(at)

        _fits_verb(written.rule, complain)
        data = self._filled(written.rule.model_dump(mode="json", by_alias=True), (), complain)
        try:
            rule = RuleFile.model_validate(data)
        except ValidationError as error:  # a default's value does not fit where it is used
            for found in error.errors():
                complain(found["loc"], f"after filling in defaults: {found['msg']}", f"It is {found['input']!r}.")
            return None
        ready = self._ready(rule, written, complain)
        return ready if len(self._problems) == before else None

    def _ready(self, rule: RuleFile, written: Written, complain: Complain) -> Rule:
        found_arms = arms(rule.match, self._groups, complain)
        data = rule.model_dump(mode="json", by_alias=True)
        data["match"]["group"] = []
        data["match"]["puid"] = sorted({value for arm in found_arms for value in arm.values if "fmt/" in value})
        return Rule(
            id=rule.id,
            family=rule.family,
            verb=rule.verb,
            reason=rule.reason,
            why=Text(rule.why.sv, rule.why.en),
            arms=found_arms,
            conditions=conditions(rule.match, complain),
            gate=rule.gate,
            before=tuple(rule.before),
            check=self._step(rule.check, bind.VALIDATING, ("check",), complain),
            otherwise=rule.otherwise,
            targets=tuple(rule.targets),
            rungs=self._rungs(rule, complain),
            validate=self._step(rule.validated_by, bind.VALIDATING, ("validate",), complain),
            compare=self._step(rule.compare, bind.COMPARING, ("compare",), complain),
            on_refusal=rule.on_refusal,
            written=data,
            file=str(written.source.path),
            line=written.line,
        )

    def _rungs(self, rule: RuleFile, complain: Complain) -> tuple[Rung, ...]:
        rungs = [Rung(rung.name, self._steps(rung.do, ("rungs", index, "do"), complain)) for index, rung in enumerate(rule.rungs)]
        return tuple(rungs)

    def _steps(self, steps: list[StepFile], where: Where, complain: Complain) -> tuple[Step, ...]:
        bound = (self._step(step, bind.CONVERTING, (*where, index), complain) for index, step in enumerate(steps))
        return tuple(step for step in bound if step is not None)

    def _step(self, step: StepFile | None, kinds: frozenset[Kind], where: Where, complain: Complain) -> Step | None:
        return None if step is None else bind.bind(step, self._actions, kinds, where, complain)

    def _filled(self, value: Any, where: Where, complain: Complain) -> Any:
        """*value* with each ``$name`` replaced; a list in a list's place is laid into it."""
        if isinstance(value, dict):
            return {key: inner if key == "why" else self._filled(inner, (*where, key), complain) for key, inner in value.items()}
        if isinstance(value, list):
            result: list[Any] = []
            for index, item in enumerate(value):
                filled = self._filled(item, (*where, index), complain)
                result += filled if isinstance(item, str) and isinstance(filled, list) else [filled]
            return result
        if not isinstance(value, str) or not value.startswith("$"):
            return value
        name = value[1:]
        if name not in self._whole.defaults:
            complain(where, f"there is no default '{name}'", suggest(name, self._whole.defaults))
            return value
        self._used.add(name)
        return self._whole.defaults[name][0]

    def _unused(self) -> None:
        for name, (_, source) in self._whole.defaults.items():
            if name not in self._used:
                remedy = suggest(name, self._used, "Use it as a value '$" + name + "', or remove it.")
                self._problems.append(source.problem(("defaults", name), f"no rule uses the default '{name}'", remedy))
        used = {name for written in self._whole.rules.values() for name in written.rule.match.group}
        for name, (_, source) in self._whole.groups.items():
            if name not in used:
                found = source.problem(("groups", name), f"no rule uses the group '{name}'", "Use it in a 'match', or remove it.")
                self._problems.append(Problem(found.file, found.line, found.what, found.remedy, Severity.WARNING))


def _fits_verb(rule: RuleFile, complain: Complain) -> None:
    """A rule carries what its verb needs, and nothing that its verb would silently ignore."""
    given = {alias for alias in _BY_VERB if _given(rule, alias)}
    for name in sorted(_NEEDED.get(rule.verb, set()) - given):
        complain(
            ("verb",), f"verb '{rule.verb}' needs '{name}'", f"Add '{name}' (promise P2: nothing is claimed that was not measured)."
        )
    for name in sorted(given - _ALLOWED.get(rule.verb, set())):
        complain((name,), f"'{name}' has no meaning with verb '{rule.verb}'", "Remove it, or choose another verb.")
    ends = rule.verb in {Verb.RETAIN, Verb.REVIEW, Verb.RETURN}
    if ends and rule.reason == "ok":
        complain(("verb",), f"verb '{rule.verb}' needs a 'reason'", "Add a stable code, such as 'reason: encrypted'.")


def _given(rule: RuleFile, alias: str) -> bool:
    return ("validated_by" if alias == "validate" else alias) in rule.model_fields_set
