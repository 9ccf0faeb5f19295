"""A plan in words, for ``bevara explain``: which rule, why, what would be done, what was ruled out.

Plain text only; colours and tables are the command line's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from worker.policy.decide import Lang
from worker.policy.plan import Plan, Step, Verb
from worker.policy.words import SENTENCES


def render_explanation(plan: Plan, lang: Lang = "en") -> str:
    """*plan* as lines of text in *lang*; ``ruled_out`` is shown when ``Policy.explain`` filled it."""
    words = SENTENCES[lang]
    lines = list(_plan(plan, words, lang))
    if plan.ruled_out:
        lines.append(f"{words['ruled_out']}:")
        lines += [f"  {rule}: {why}" for rule, why in plan.ruled_out]
    return "\n".join(lines)


def _plan(plan: Plan, words: Mapping[str, str], lang: Lang) -> Iterator[str]:
    reason = "" if plan.reason == "ok" else f" ({plan.reason})"
    yield f"{words['rule']}: {plan.rule}{reason}"
    yield f"{words['does']}: {words[plan.verb]}"
    yield f"{words['why']}: {plan.why.sv if lang == 'sv' else plan.why.en}"
    if plan.check:
        yield f"{words['check']}: {_step(plan.check)}"
    if plan.rungs:
        yield f"{words['attempts']}:"
        then = f" {words['then']} "
        for number, rung in enumerate(plan.rungs, start=1):
            yield f"  {number}. {rung.name}: {then.join(map(_step, rung.steps))}"
        yield f"{words['targets']}: {', '.join(plan.targets)}"
        proof = [_step(step) for step in (plan.validate, plan.compare) if step]
        yield f"{words['proof']}: {', '.join(proof)}"
    if plan.otherwise:
        yield f"{words['otherwise']}:"
        yield from (f"  {line}" for line in _plan(plan.otherwise, words, lang))
    elif plan.verb in {Verb.KEEP, Verb.MIGRATE}:
        yield f"{words['refused']}: {words[plan.on_refusal]}"


def _step(step: Step) -> str:
    shown = ", ".join(f"{name}={value}" for name, value in step.params.items() if value not in (None, "", [], {}))
    return f"{step.action}({shown})"
