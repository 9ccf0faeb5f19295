"""What an audit report says first, and what its numbers prove: sums over a period, and sentences in both languages."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import ceil

from worker.fixity.book import Entry
from worker.fixity.bound import CONFIDENCE, upper_bound
from worker.fixity.period import Period, Read, StorePeriod
from worker.fixity.verdicts import BAD
from worker.policy.plan import Text
from worker.report.present import decimal, numeral

_SHOWN = 500  # findings on the page; all of them are in findings.csv


@dataclass(slots=True)
class Findings:
    """The period's findings, counted; the first of them whole."""

    total: int = 0
    states: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    shown: list[tuple[Entry, tuple[tuple[str, str], ...]]] = field(default_factory=list)
    waiting: list[tuple[Entry, tuple[tuple[str, str], ...]]] = field(default_factory=list)

    @classmethod
    def of(cls, period: Period) -> Findings:
        """Count them."""
        made = cls()
        for entry, agreed in period.findings():
            made.total += 1
            made.states[entry.state] += 1
            made.verdicts[entry.verdict] += 1
            if len(made.shown) < _SHOWN:
                made.shown.append((entry, agreed))
            waits = entry.state == "open" and entry.verdict in BAD and entry.about == "bytes" and len(agreed) < period.needed
            if waits and len(made.waiting) < _SHOWN:
                made.waiting.append((entry, agreed))
        return made


def opening(period: Period) -> Text:
    """The one sentence that tells whether the promise was kept."""
    overdue = sum(store.state.overdue for store in period.stores)
    ended = period.past and all(store.kept for store in period.stores)
    if not any(store.state.held for store in period.stores):
        return Text("Det finns inga kopior att kontrollera.", "There are no copies to check.")
    if overdue and ended:
        shown = numeral(overdue)
        return Text(
            f"{shown.sv} {'kopia var försenad' if overdue == 1 else 'kopior var försenade'} för sin kontroll när perioden slutade.",
            f"{shown.en} {'copy was' if overdue == 1 else 'copies were'} overdue for the promised check at the period's end.",
        )
    if overdue:
        shown = numeral(overdue)
        return Text(
            f"{shown.sv} {'kopia är försenad' if overdue == 1 else 'kopior är försenade'} för sin kontroll.",
            f"{shown.en} {'copy is' if overdue == 1 else 'copies are'} overdue for the check that was promised.",
        )
    if ended:
        return Text(
            "Ingen kopia var försenad när perioden slutade: löftet hölls.",
            "No copy was overdue at the period's end: the promise was kept.",
        )
    return Text("Ingen kopia är försenad: löftet hålls.", "No copy is overdue: the promise is kept.")


def standing(period: Period) -> list[Text]:
    """What must be said of the moment that the state of the stores belongs to, of a past period; nothing, if it is its end."""
    said = []
    for store in period.stores if period.past else ():
        later = sum((read for day, read in store.days.items() if day > store.as_of[:10]), Read())
        if not store.kept:
            said.append(
                Text(
                    f"{store.name}: läget vid periodens slut finns inte bevarat. Det som visas är läget {store.as_of[:10]};"
                    " en kopia som lästs igen efter perioden räknas inte som läst i den.",
                    f"{store.name}: how it stood at the end of the period was not kept. What is shown is the state of"
                    f" {store.as_of[:10]}; a copy that was read again after the period does not count as read in it.",
                )
            )
        elif later.copies:
            shown = numeral(later.copies)
            said.append(
                Text(
                    f"{store.name}: läget är från {store.as_of[:10]}; {shown.sv} läsningar senare i perioden är inte med i det.",
                    f"{store.name}: the state is of {store.as_of[:10]}; {shown.en} readings later in the period are not in it.",
                )
            )
    return said


def second(found: Findings) -> Text:
    """What was found, in a sentence."""
    if not found.total:
        return Text("Inga avvikelser fanns under perioden.", "There were no findings in the period.")
    total, still = numeral(found.total), numeral(found.states["open"])
    mended = numeral(found.states["repaired"])
    return Text(
        f"{total.sv} {'avvikelse' if found.total == 1 else 'avvikelser'} under perioden: {mended.sv} lagade, {still.sv} öppna.",
        f"{total.en} {'finding' if found.total == 1 else 'findings'} in the period: {mended.en} repaired, {still.en} open.",
    )


def months(store: StorePeriod) -> list[tuple[str, Read]]:
    """What was read, by month."""
    sums: dict[str, Read] = {}
    for day, read in store.days.items():
        sums[day[:7]] = sums.get(day[:7], Read()) + read
    return sorted(sums.items())


def bound(store: StorePeriod) -> Text:
    """What the copies that were read in the period prove of all copies in this store.

    Which copies came first follows from a digest of their names, not from what they hold: so they are a sample of all.
    """
    read, bad, held = max(store.covered, store.bad_objects), store.bad_objects, store.state.held
    if not read:
        return Text("Inget lästes: inget kan sägas.", "Nothing was read: nothing can be said.")
    if read >= held:
        shown, wrong = numeral(held), numeral(bad)
        return Text(
            f"Alla {shown.sv} kopior lästes; {wrong.sv} hade fel. Inget är uppskattat.",
            f"All {shown.en} copies were read; {wrong.en} were bad. Nothing is estimated.",
        )
    return of_sample(bad, read)


def of_sample(bad: int, read: int) -> Text:
    """The upper bound that a sample gives, rounded up (Clopper and Pearson)."""
    if not read:
        return Text("Inget kunde läsas: inget kan sägas.", "Nothing could be read: nothing can be said.")
    percent, digits = upper_bound(bad, read) * 100, 1
    while digits < 6 and _up(percent, digits) > 1.1 * percent:
        digits += 1
    shown = decimal(min(100.0, _up(percent, digits)), digits)
    wrong, total, sure = numeral(bad), numeral(read), round(CONFIDENCE * 100)
    return Text(
        f"{wrong.sv} av {total.sv} lästa hade fel: med {sure} % säkerhet är andelen i hela lagringen under {shown.sv} %.",
        f"{wrong.en} of {total.en} read were bad: with {sure} % confidence the share of the whole store is below {shown.en} %.",
    )


def _up(number: float, digits: int) -> float:
    scale = 10.0**digits
    return ceil(number * scale) / scale
