"""The pure decision: (identity, facts, size) and a checked policy give a plan (design.md §4.4).

No file, clock, network or setting is looked at here, so that a decision can be repeated from the ledger alone.
Loading and checking a policy is ``load``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from actions.contract import Fact
from worker.policy.match import Arm, Sort
from worker.policy.plan import Plan
from worker.policy.rule import AGAIN, Rule, with_otherwise
from worker.policy.words import SENTENCES
from worker.record import PolicyRef

Lang = Literal["sv", "en"]
OTHER = "other"  # the family of rules that speak of any format


@dataclass(frozen=True, slots=True)
class Identity:
    """What identification answered. ``extension`` is the file name's, with or without its dot; "": none."""

    puid: str | None
    mime: str | None
    extension: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """One arm of one rule, at its place in the order of specificity."""

    place: int
    rule: Rule
    arm: Arm


@dataclass(frozen=True, slots=True)
class Policy:
    """A checked policy. Build it with ``load.load_policy``, or with ``arrange`` from checked rules."""

    ref: PolicyRef
    rules: tuple[Rule, ...]
    valid_from: str = ""
    legal_basis: str = ""
    description_sv: str = ""
    description_en: str = ""
    _plans: Mapping[str, Plan] = field(default_factory=dict, repr=False)
    _entries: Mapping[tuple[Sort, str], tuple[_Entry, ...]] = field(default_factory=dict, repr=False)

    def decide(self, identity: Identity, facts: Mapping[str, Fact], size_bytes: int) -> Plan:
        """The plan of the most specific rule that matches."""
        plan = self._decide(identity, _known(identity, facts, size_bytes), frozenset())
        return plan if plan.family != OTHER else replace(plan, family=self._family(identity))

    def explain(self, identity: Identity, facts: Mapping[str, Fact], size_bytes: int, lang: Lang = "en") -> Plan:
        """As ``decide``, with ``ruled_out``: the rules that came near, and why each did not apply."""
        plan = self.decide(identity, facts, size_bytes)
        known = _known(identity, facts, size_bytes)
        return replace(plan, ruled_out=tuple(self._near_misses(plan, identity, known, lang)))

    def _family(self, identity: Identity) -> str:
        """Where the file is counted when the rule speaks of all formats (encrypted, damaged): by its format's own rules."""
        found = (entry.rule.family for entry in self._candidates(identity) if entry.rule.family != OTHER)
        return next(found, OTHER)

    def _decide(self, identity: Identity, known: Mapping[str, Fact], left_out: frozenset[str]) -> Plan:
        for entry in self._candidates(identity):
            rule = entry.rule
            if rule.id not in left_out and all(condition.holds(known.get(condition.name)) for condition in rule.conditions):
                return self._plan(rule, identity, known, left_out)
        # Only reached when every matching rule was left out; loading made sure that a catch-all exists.
        msg = f"policy {self.ref.name} has no rule for {identity}"
        raise LookupError(msg)

    def _plan(self, rule: Rule, identity: Identity, known: Mapping[str, Fact], left_out: frozenset[str]) -> Plan:
        plan = self._plans[rule.id]
        if rule.otherwise is None:
            return plan
        left_out |= {rule.id}
        if rule.otherwise == AGAIN:
            return with_otherwise(plan, self._decide(identity, known, left_out))
        named = next(other for other in self.rules if other.id == rule.otherwise)
        return with_otherwise(plan, self._plan(named, identity, known, left_out))

    def _candidates(self, identity: Identity) -> list[_Entry]:
        """Every arm that matches *identity*, most specific first."""
        found = [entry for key in _keys(identity) for entry in self._entries.get(key, ())]
        return sorted(found, key=lambda entry: entry.place)

    def _near_misses(self, plan: Plan, identity: Identity, known: Mapping[str, Fact], lang: Lang) -> Iterator[tuple[str, str]]:
        words = SENTENCES[lang]
        seen = set(_chain(plan))
        candidates = [entry.rule for entry in self._candidates(identity) if entry.arm.sort > Sort.IDENTIFIED]
        for rule in [*candidates, *(rule for rule in self.rules if rule.family == plan.family)]:
            if rule.id in seen:
                continue
            seen.add(rule.id)
            failed = next((cond for cond in rule.conditions if not cond.holds(known.get(cond.name))), None)
            if rule not in candidates and not any(arm.sort <= Sort.IDENTIFIED for arm in rule.arms):
                yield rule.id, words["other_format"].format(format=identity.puid or identity.mime or identity.extension or "?")
            elif failed is not None:
                value = known.get(failed.name)
                shown = words["unmeasured"] if value is None else _shown(value)
                yield rule.id, words["condition"].format(name=failed.name, wanted=failed.wanted, value=shown)
            else:
                yield rule.id, words["less_specific"].format(rule=plan.rule)


def arrange(policy: Policy, ranks: Mapping[str, int]) -> Policy:
    """*policy* with its rules put in order of specificity.

    Args:
        policy: Rules that were checked; their order does not matter.
        ranks: For each rule its place among the equally specific (``before``); lower is first.
    """
    arms = [(rule, arm) for rule in policy.rules for arm in rule.arms]
    arms.sort(key=lambda pair: (*(-int(part) for part in pair[0].specificity(pair[1])), ranks.get(pair[0].id, 0), pair[0].id))
    entries: dict[tuple[Sort, str], list[_Entry]] = {}
    for place, (rule, arm) in enumerate(arms):
        for value in arm.values or {""}:
            entries.setdefault((arm.sort, value), []).append(_Entry(place, rule, arm))
    plans = {rule.id: rule.plan() for rule in policy.rules}
    return replace(policy, _plans=plans, _entries={key: tuple(found) for key, found in entries.items()})


def _chain(plan: Plan | None) -> Iterator[str]:
    while plan is not None:
        yield plan.rule
        plan = plan.otherwise


def _keys(identity: Identity) -> Collection[tuple[Sort, str]]:
    keys = [(Sort.ANY, "")]
    if identity.puid:
        keys += [(Sort.PUID, identity.puid), (Sort.IDENTIFIED, "")]
    if identity.mime:
        mime = identity.mime.partition(";")[0].strip().lower()
        keys += [(Sort.MIME, mime), (Sort.MIME_TYPE, mime.partition("/")[0])]
    if extension := _extension(identity):
        keys.append((Sort.EXTENSION, extension))
    return keys


def _extension(identity: Identity) -> str:
    return identity.extension.lower().removeprefix(".")


def _known(identity: Identity, facts: Mapping[str, Fact], size_bytes: int) -> Mapping[str, Fact]:
    return {**facts, "extension": _extension(identity) or None, "size": size_bytes}


def _shown(value: Fact) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
