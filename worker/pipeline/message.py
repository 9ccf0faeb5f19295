"""The sentence that each file ends with, for the person who reads the report or the terminal.

The stable ``reason`` code is for programs; what a code means in general is ``worker.report.reasons``'.
"""

from __future__ import annotations

from worker.pipeline.act import Acted
from worker.policy.plan import Plan, Text
from worker.record import Status

WHY_CHARS = 1500  # a ladder of four refused rungs, each with its reason


def message(acted: Acted, plan: Plan) -> Text:
    """What happened to the file and why, in both languages; tools' own words stay in English."""
    if acted.status in (Status.KEPT, Status.MIGRATED):
        done = _kept(acted) if acted.status is Status.KEPT else _migrated(acted)
        if acted.reason == "ok":
            return done
        return Text(f"{done.sv} {plan.why.sv}", f"{done.en} {plan.why.en}")  # macros, a name that promises something else
    detail = f" ({acted.why[:WHY_CHARS]})" if acted.why else ""
    if acted.reason == plan.reason and acted.reason != "ok":
        return Text(f"{plan.why.sv}{detail}", f"{plan.why.en}{detail}")
    head = OUTCOMES.get(acted.status, OUTCOMES[Status.REVIEW])
    return Text(f"{head.sv}{detail}", f"{head.en}{detail}")


OUTCOMES = {
    Status.FAILED: Text(
        "Tekniskt fel: inget verktyg kunde behandla filen. Originalet är bevarat oförändrat.",
        "A technical failure: no tool could handle the file. The original is preserved unchanged.",
    ),
    Status.REVIEW: Text(
        "Ingen omvandling kunde bevisas vara samma handling. Originalet är bevarat oförändrat; en arkivarie behöver ta ställning.",
        "No conversion could be proven to be the same record. The original is preserved unchanged; an officer must decide.",
    ),
    Status.RETURNED: Text(
        "Producenten behöver åtgärda filen. Originalet är bevarat oförändrat.",
        "The producer must act on this file. The original is preserved unchanged.",
    ),
    Status.RETAINED: Text("Originalet är bevarat oförändrat.", "The original is preserved unchanged."),
}


def _kept(acted: Acted) -> Text:
    if acted.validation is None:
        return Text("Originalet är redan i ett bevarandeformat.", "The original is already in a preservation format.")
    said = f"{acted.validation.validator}: {acted.validation.profile}, {acted.validation.verdict}"
    return Text(
        f"Originalet är redan i ett bevarandeformat och är kontrollerat ({said}).",
        f"The original is already in a preservation format, and was validated ({said}).",
    )


def _migrated(acted: Acted) -> Text:
    main = acted.made[0]
    said = f"{main.validation.validator}: {main.validation.profile}, {main.validation.verdict}" if main.validation else "-"
    level = main.proof.level if main.proof else "unproven"
    return Text(
        f"Migrerad med {main.tool}; {said}; jämförd med originalet: {LEVEL_SV.get(level, level)}.",
        f"Migrated with {main.tool}; {said}; compared with the original: {level}.",
    )


LEVEL_SV = {"identical": "identisk", "equivalent": "likvärdig", "unproven": "ej bevisad", "different": "avvikande"}
