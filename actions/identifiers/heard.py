"""What one identifier answered, with what only the choice between voices needs to know.

``contract.Voice`` is what is recorded; this adds the format's name and how strong the evidence is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from actions.contract import Voice


class Evidence(IntEnum):
    """How an answer was reached, weakest first."""

    NONE = 0
    EXTENSION = 1
    TEXT = 2
    """The bytes look like text; which text format is not told."""
    BYTES = 3
    """A signature, a container's members or an XML root."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One voice and its evidence.

    Attributes:
        error: The identifier's own error (a corrupt container); its answer then rests on nothing.
        suggested: PUIDs that the extension would suggest.
        candidates: All PUIDs of equal rank, the chosen one included.
    """

    voice: Voice
    evidence: Evidence = Evidence.NONE
    format_name: str = ""
    error: str = ""
    suggested: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
