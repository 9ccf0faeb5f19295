"""A plan, carried out: try, re-identify, validate, compare, accept; or the next rung (design.md §4, promise P2).

Which rungs there are is the policy's; how one action works is the action's. Nothing is stored here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actions.catalog import CATALOG
from actions.contract import Fact, Level, Outcome, Output, Role, Verdict
from worker.pipeline.bench import Bench, StepFailedError, hand_over, main_output, measured
from worker.pipeline.hosts import Result
from worker.policy.plan import Plan, Rung, Step, Verb
from worker.record import CheckRecord, ProofRecord, Status, ValidationRecord

# What an action's own refusal means for the file, whatever the rule says about other refusals.
STATUS_OF_REASON = {
    "encrypted": Status.RETURNED,
    "damaged": Status.RETURNED,
    "signed": Status.REVIEW,
    "too-large": Status.REVIEW,
    "tool-missing": Status.FAILED,
    "bug": Status.FAILED,
}
ENDED_BADLY = {"crashed": "tool-crashed", "timeout": "tool-timeout"}


@dataclass(frozen=True, slots=True)
class Made:
    """A file that was made and shall be stored, with what was measured of it. ``puid`` None: not asked."""

    path: Path
    suffix: str
    representation: str
    tool: str
    puid: str | None = None
    validation: ValidationRecord | None = None
    proof: ProofRecord | None = None
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Acted:
    """How a plan ended. ``why`` is what a person needs beyond the reason's own sentence."""

    status: Status
    reason: str
    why: str = ""
    made: list[Made] = field(default_factory=list)
    validation: ValidationRecord | None = None
    evidence: Path | None = None
    evidence_of: tuple[Output, ...] = ()
    facts: dict[str, Fact] = field(default_factory=dict)


class RefusedRungError(Exception):
    """This rung's result is not good enough, or there is none; the next may be."""

    def __init__(self, reason: str, why: str, ended: str = "refused", evidence: Result | None = None) -> None:
        super().__init__(why)
        self.reason, self.why, self.ended, self.evidence = reason, why, ended, evidence


def act(bench: Bench, plan: Plan, facts: Mapping[str, Fact]) -> Acted:
    """Carry out *plan* on the file in *bench*."""
    if plan.verb is Verb.KEEP:
        return _keep(bench, plan, facts)
    if plan.verb is Verb.MIGRATE:
        return _migrate(bench, plan)
    status = {Verb.RETAIN: Status.RETAINED, Verb.REVIEW: Status.REVIEW, Verb.RETURN: Status.RETURNED}[plan.verb]
    return Acted(status, plan.reason, str(facts.get("damage") or ""))


def _keep(bench: Bench, plan: Plan, facts: Mapping[str, Fact]) -> Acted:
    """The original stays as it is, if its validator says that it is what it claims to be."""
    if plan.check is None:
        return Acted(Status.KEPT, plan.reason)
    try:
        outcome = bench.step(plan.check.action, bench.source, plan.check.params).outcome
    except StepFailedError as no:
        return _not_kept(plan, no)
    validation = _validation(outcome)
    if outcome.verdict is Verdict.VALID:
        return Acted(Status.KEPT, plan.reason, validation=validation, facts=dict(outcome.facts))
    why = "; ".join(outcome.notes[:3]) or f"{outcome.tool} answers {outcome.verdict}"
    bench.refuse(why)
    if plan.otherwise is not None and outcome.verdict is Verdict.INVALID:
        acted = act(bench, plan.otherwise, facts)
        acted.validation = acted.validation or validation
        return acted
    if outcome.verdict is Verdict.UNKNOWN:
        return Acted(Status.REVIEW, "not-validated", why, validation=validation)
    return Acted(Status(plan.on_refusal), "damaged" if plan.on_refusal == "returned" else "not-valid", why, validation=validation)


def _not_kept(plan: Plan, no: StepFailedError) -> Acted:
    if no.ended in ENDED_BADLY:
        return Acted(Status.FAILED, ENDED_BADLY[no.ended], no.error.what)
    status = STATUS_OF_REASON.get(no.error.reason, Status(plan.on_refusal))
    return Acted(status, no.error.reason, no.error.what)


def _migrate(bench: Bench, plan: Plan) -> Acted:
    """Climb the ladder; the first rung whose result is proven is the end of it."""
    refusals: list[tuple[Rung, RefusedRungError]] = []
    for rung in plan.rungs:
        try:
            return _rung(bench, plan, rung)
        except RefusedRungError as no:
            refusals.append((rung, no))
            if no.reason in ("encrypted", "signed"):
                break  # no other tool may try what must not be done
    return _refused(plan, refusals)


def _refused(plan: Plan, refusals: list[tuple[Rung, RefusedRungError]]) -> Acted:
    """Every rung was tried. Only when all ended badly is it our failure; otherwise the file's, told by its most telling refusal."""
    why = " | ".join(f"{rung.name}: {no.why}" for rung, no in refusals)
    if all(no.ended in ENDED_BADLY for _, no in refusals):
        return Acted(Status.FAILED, ENDED_BADLY[refusals[-1][1].ended], why)
    told = [no for _, no in refusals if no.ended not in ENDED_BADLY]
    reason = min((no.reason for no in told), key=_weight)
    acted = Acted(STATUS_OF_REASON.get(reason, Status(plan.on_refusal)), reason, why)
    shown = next((no.evidence for no in told if no.evidence is not None), None)
    if shown is not None:
        acted.evidence, acted.evidence_of = shown.folder, shown.outcome.outputs
    return acted


def _weight(reason: str) -> int:
    """What a person should hear first when rungs were refused for different reasons."""
    order = ("encrypted", "signed", "not-proven", "not-valid", "damaged")
    return order.index(reason) if reason in order else len(order)


def _rung(bench: Bench, plan: Plan, rung: Rung) -> Acted:
    steps: list[Result] = []
    source = bench.source
    for step in rung.steps:
        result = _converted(bench, step, source)
        output = main_output(result)
        if output is None:
            bench.refuse("wrote no result")
            raise RefusedRungError("tool-failed", f"{step.action} wrote no result")
        steps.append(result)
        source = result.folder / output.path
    main = main_output(steps[-1])
    assert main is not None  # noqa: S101 -- the loop saw to it
    puid = _reidentify(bench, plan, source, main.suffix)
    validation = _validate(bench, plan, source)
    compared, proof = _compare(bench, plan, source, steps)
    tool = " + ".join(dict.fromkeys(result.outcome.tool for result in steps))
    notes = tuple(note for result in steps for note in result.outcome.notes)
    made = [Made(source, main.suffix, main.role.value, tool, puid, validation, proof, notes)]
    made += [
        Made(result.folder / output.path, output.suffix, output.role.value, result.outcome.tool)
        for result in steps
        for output in result.outcome.outputs
        if output.role is Role.METADATA
    ]
    acted = Acted(Status.MIGRATED, plan.reason, made=made, facts={k: v for result in steps for k, v in measured(result).items()})
    if compared is not None:
        acted.evidence, acted.evidence_of = compared.folder, compared.outcome.outputs
    return acted


def _converted(bench: Bench, step: Step, source: Path) -> Result:
    try:
        return bench.once(step.action, source, step.params)
    except StepFailedError as no:
        raise RefusedRungError(no.error.reason, f"{step.action}: {no.error.what}", no.ended) from no


def _try(bench: Bench, step: Step, source: Path, params: Mapping[str, Any] | None = None) -> Result:
    """A measurement of something that a rung has just made."""
    try:
        return bench.step(step.action, source, {**step.params, **(params or {})})
    except StepFailedError as no:
        raise RefusedRungError(no.error.reason, f"{step.action}: {no.error.what}", no.ended) from no


def _reidentify(bench: Bench, plan: Plan, derivative: Path, suffix: str) -> str | None:
    """The derivative must be what the policy promised, as the identifiers see it."""
    extension = "." + suffix.rsplit(".", 1)[-1]
    outcome = _try(bench, Step("identify", {"extension": extension}), derivative).outcome
    puid = outcome.facts.get("puid")
    if plan.targets and puid not in plan.targets:
        why = f"re-identified as {puid or 'nothing known'}, promised was {' or '.join(plan.targets)}"
        bench.refuse(why)
        raise RefusedRungError("not-valid", why)
    return str(puid) if puid else None


def _validate(bench: Bench, plan: Plan, derivative: Path) -> ValidationRecord | None:
    if plan.validate is None:
        return None
    outcome = _try(bench, plan.validate, derivative).outcome
    if outcome.verdict is not Verdict.VALID:
        why = "; ".join(outcome.notes[:3]) or f"{outcome.tool} answers {outcome.verdict}"
        bench.refuse(why)
        raise RefusedRungError("not-valid", f"{outcome.tool}: {why}")
    return _validation(outcome)


def _compare(bench: Bench, plan: Plan, derivative: Path, steps: list[Result]) -> tuple[Result | None, ProofRecord | None]:
    if plan.compare is None:
        return None, None
    wanted = frozenset(CATALOG[plan.compare.action].params.model_fields)
    given: dict[str, Any] = {}
    for result in steps:
        given |= hand_over(result, wanted)
    compared = _try(bench, plan.compare, bench.source, {**given, "result": derivative})  # what was measured wins over a default
    outcome = compared.outcome
    checks = [CheckRecord(name=c.name, source=c.source, result=c.result, ok=c.ok, why=c.why) for c in outcome.checks]
    level = outcome.level or Level.UNPROVEN
    if level not in (Level.IDENTICAL, Level.EQUIVALENT):
        fell = "; ".join(f"{c.name}: {c.why or f'{c.source} became {c.result}'}" for c in outcome.checks if c.ok is False)
        why = fell or "nothing could be compared"
        bench.refuse(why)
        raise RefusedRungError("not-proven", why, evidence=compared)
    return compared, ProofRecord(level=level, checks=checks)


def _validation(outcome: Outcome) -> ValidationRecord:
    profile = outcome.facts.get("profile")
    return ValidationRecord(validator=outcome.tool, profile=str(profile or "the format's own decoder"), verdict=outcome.verdict)
