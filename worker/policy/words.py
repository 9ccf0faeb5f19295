"""The sentences of an explanation, in the service's two languages. Rules carry their own ``why``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SENTENCES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": {
            "other_format": "is for other formats than {format}",
            "condition": "needs {name} to be {wanted}, and it is {value}",
            "unmeasured": "not measured",
            "less_specific": "matches too, but '{rule}' goes first",
            "rule": "Rule",
            "does": "What is done",
            "why": "Why",
            "check": "Check",
            "otherwise": "If the check says otherwise",
            "attempts": "Attempts, in order",
            "targets": "Must become",
            "proof": "Accepted only after",
            "then": "then",
            "refused": "If nothing is accepted",
            "ruled_out": "Ruled out",
            "keep": "kept as it is, after a check",
            "migrate": "a preservation copy is made; the original is kept",
            "retain": "the original is kept as it is; nothing is converted",
            "review": "an officer must decide; the original is kept",
            "return": "the producer must act; the original is kept",
            "retained": "kept as it is",
            "returned": "back to the producer",
        },
        "sv": {
            "other_format": "gäller andra format än {format}",
            "condition": "kräver att {name} är {wanted}, men det är {value}",
            "unmeasured": "inte uppmätt",
            "less_specific": "passar också, men '{rule}' går före",
            "rule": "Regel",
            "does": "Vad som görs",
            "why": "Varför",
            "check": "Kontroll",
            "otherwise": "Om kontrollen säger nej",
            "attempts": "Försök, i ordning",
            "targets": "Ska bli",
            "proof": "Godtas först efter",
            "then": "sedan",
            "refused": "Om inget godtas",
            "ruled_out": "Uteslutet",
            "keep": "behålls som den är, efter kontroll",
            "migrate": "en bevarandekopia görs; originalet behålls",
            "retain": "originalet bevaras som det är; inget konverteras",
            "review": "en handläggare måste avgöra; originalet behålls",
            "return": "producenten måste åtgärda; originalet behålls",
            "retained": "bevaras som den är",
            "returned": "åter till producenten",
        },
    }
)
