"""What rules mean to each other: ties, dead rules, circles, and the file that no rule would catch.

A tie would make the order of a file decide, so it is an error that names both rules. Only looks at
rules that are sound by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from worker.policy.match import Arm, Sort
from worker.policy.problem import Problem, suggest
from worker.policy.rule import AGAIN, Rule


def lint(rules: Sequence[Rule], file: str) -> list[Problem]:
    """Everything that is wrong between *rules* of the policy in *file*."""
    by_id = {rule.id: rule for rule in rules}
    problems = [*_before(rules, by_id), *_otherwise(rules, by_id), *_catch_all(rules, file)]
    reach = _closure(rules, by_id)
    problems += _circles(rules, reach)
    problems += _ties(rules, reach)
    problems += _unreachable(rules, reach)
    return problems


def ranks(rules: Sequence[Rule]) -> dict[str, int]:
    """Each rule's place by ``before``: lower goes first. Only for rules without circles."""
    reach = _closure(rules, {rule.id: rule for rule in rules})
    return {rule.id: sum(rule.id in later for later in reach.values()) for rule in rules}


def _closure(rules: Sequence[Rule], by_id: Mapping[str, Rule]) -> dict[str, set[str]]:
    """For each rule, all that it goes before, directly or through others."""
    reach: dict[str, set[str]] = {}
    for rule in rules:
        found: set[str] = set()
        waiting = list(rule.before)
        while waiting:
            later = waiting.pop()
            if later in by_id and later not in found:
                found.add(later)
                waiting += by_id[later].before
        reach[rule.id] = found
    return reach


def _tie(one: Rule, other: Rule) -> str | None:
    """An example of what both match with equal specificity; None: they never tie."""
    if one.gate != other.gate or len(one.conditions) != len(other.conditions) or _contradict(one, other):
        return None
    examples = (first.common(second) for first in one.arms for second in other.arms)
    return next((example for example in examples if example), None)


def _contradict(one: Rule, other: Rule) -> bool:
    wanted = {condition.name: condition for condition in other.conditions}
    return any(cond.name in wanted and not cond.overlaps(wanted[cond.name]) for cond in one.conditions)


def _at(rule: Rule, what: str, remedy: str) -> Problem:
    return Problem(rule.file, rule.line, f"rule '{rule.id}': {what}", remedy)


def _ties(rules: Sequence[Rule], reach: Mapping[str, set[str]]) -> Iterator[Problem]:
    for one, other in combinations(rules, 2):
        example = _tie(one, other)
        if example is None or other.id in reach[one.id] or one.id in reach[other.id]:
            continue
        what = f"'{other.id}' ({other.file}:{other.line}) is equally specific, and both can match {example}"
        remedy = f"Add a condition to one of them, or say which goes first: 'before: [{other.id}]'."
        yield _at(one, what, remedy)


def _before(rules: Sequence[Rule], by_id: Mapping[str, Rule]) -> Iterator[Problem]:
    for rule in rules:
        for later in rule.before:
            if later not in by_id:
                yield _at(rule, f"'before' names '{later}', which is no rule", suggest(later, by_id))
            elif later != rule.id and _tie(rule, by_id[later]) is None:
                what = f"'before: {later}' has no effect: the two are never equally specific for one file"
                yield _at(rule, what, "Remove it; the more specific rule wins by itself.")


def _circles(rules: Sequence[Rule], reach: Mapping[str, set[str]]) -> Iterator[Problem]:
    for rule in rules:
        if rule.id in reach[rule.id]:
            yield _at(rule, "goes before itself, through 'before' of the rules that it names", "Break the circle.")


def _otherwise(rules: Sequence[Rule], by_id: Mapping[str, Rule]) -> Iterator[Problem]:
    for rule in rules:
        if rule.otherwise is None or rule.otherwise == AGAIN:
            continue
        if rule.otherwise not in by_id:
            yield _at(rule, f"'otherwise' names '{rule.otherwise}', which is no rule", suggest(rule.otherwise, [*by_id, AGAIN]))
            continue
        seen, current = [rule.id], rule.otherwise
        while current not in seen and current in by_id:
            seen.append(current)
            current = by_id[current].otherwise or AGAIN
        if current in seen:
            yield _at(rule, "'otherwise' leads back to a rule that already failed", f"Use '{AGAIN}', or another rule.")


def _catch_all(rules: Sequence[Rule], file: str) -> Iterator[Problem]:
    found = [rule for rule in rules if not rule.gate and not rule.conditions and rule.arms == (Arm(Sort.ANY),)]
    if not found:
        yield Problem(
            file, 1, "no rule catches a file that no other rule matches", "Add a rule with 'match: {}', such as verb review."
        )
    for rule in found:
        if rule.otherwise is not None:
            yield _at(rule, "a rule for every file cannot have 'otherwise': nothing is left to decide", "Remove it.")


def _unreachable(rules: Sequence[Rule], reach: Mapping[str, set[str]]) -> Iterator[Problem]:
    for rule in rules:
        shadows = [_shadow(rule, arm, rules, reach) for arm in rule.arms]
        first = shadows[0]
        if first is not None and all(shadows):
            what = f"is never reached: '{first.id}' ({first.file}:{first.line}) always goes first"
            yield _at(rule, what, "Remove one of them, or add a condition to the other.")


def _shadow(rule: Rule, arm: Arm, rules: Sequence[Rule], reach: Mapping[str, set[str]]) -> Rule | None:
    """A rule that goes first wherever *rule* matches by *arm*."""
    wanted = {condition.name: condition for condition in rule.conditions}
    for other in rules:
        if other.id == rule.id or not all(cond.name in wanted and cond.covers(wanted[cond.name]) for cond in other.conditions):
            continue
        for its in other.arms:
            first = other.specificity(its), rule.specificity(arm)
            if its.covers(arm) and (first[0] > first[1] or (first[0] == first[1] and rule.id in reach[other.id])):
                return other
    return None
