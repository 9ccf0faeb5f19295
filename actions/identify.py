"""Say what a file is, in several voices, and record them all.

siegfried answers first; our own sniff, libmagic and fido's signatures are asked where it is silent, answers by extension
only or reports an error, or where the policy wants two voices (design.md §4). "Unidentified" is an answer: PUID None.
What a format may do to a reader (passwords, macros …) is the probe's business, not identification.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from actions.contract import Fact, Outcome, Voice
from actions.identifiers import judge, siegfried
from actions.identifiers.heard import Heard

if TYPE_CHECKING:
    from actions.catalog import IdentifyParams
    from actions.identifiers.sniff import Sniffed


def run(source: Path, workdir: Path, params: IdentifyParams) -> Outcome:
    """Identify *source*; writes nothing."""
    del workdir
    return name_format(source, two_voices=params.two_voices)


def name_format(source: Path, *, two_voices: bool = False) -> Outcome:
    """Ask the voices; *two_voices*: always all of them."""
    first = siegfried.ask(source)
    if source.stat().st_size == 0:
        return _empty(first)
    sniffed, others = _more(source, first, everyone=two_voices)
    verdict = judge.judge(first, sniffed, others)
    voices = (first.voice, *((sniffed.heard.voice,) if sniffed else ()), *(other.voice for other in others))
    facts: dict[str, Fact] = {
        "puid": verdict.puid,
        "mime": verdict.mime,
        "basis": verdict.basis,
        "format_name": verdict.format_name,
        "by_extension_only": verdict.by_extension_only,
        "disagreement": bool(verdict.disagreement),
    }
    notes = (f"Identifiers disagree: {verdict.disagreement}",) if verdict.disagreement else ()
    return Outcome(tool=first.voice.identifier, notes=notes, facts=facts, voices=voices)


def _more(source: Path, first: Heard, *, everyone: bool) -> tuple[Sniffed | None, tuple[Heard, ...]]:
    """The cheapest voice first; each is loaded only when it is asked."""
    if not everyone and not judge.needs_more(first):
        return None, ()
    from actions.identifiers import sniff  # noqa: PLC0415 -- most files need siegfried only

    sniffed = sniff.ask(source)
    if not everyone and judge.settled_as_text(first, sniffed):
        return sniffed, ()
    from actions.identifiers import fido, libmagic  # noqa: PLC0415 -- 0.15 s to load, for few files

    return sniffed, (libmagic.ask(source), fido.ask(source))


def _empty(first: Heard) -> Outcome:
    voice = Voice(first.voice.identifier, None, "application/x-empty", "the file is empty")
    facts: dict[str, Fact] = {
        "puid": None,
        "mime": "application/x-empty",
        "basis": "the file is empty",
        "format_name": "",
        "by_extension_only": False,
        "disagreement": False,
    }
    return Outcome(tool=first.voice.identifier, facts=facts, voices=(voice,))
