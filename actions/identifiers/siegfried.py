"""Ask siegfried, in this process through pygfried. The first voice; what it says of bytes usually stands.

Judging its answer against other voices does not belong here (``identifiers/judge.py``).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, cast

import pygfried

from actions.contract import Voice
from actions.identifiers.heard import Evidence, Heard

_NOT_BYTES = ("extension match", "mime match", "text match")
_SUGGESTED = "possibilities based on extension are "


def ask(source: Path) -> Heard:
    """What siegfried says of *source*. Never raises for bad content.

    pygfried's ``detailed`` form answers corrupt containers and empty files with an ``errors`` field
    where its plain form raises; the guess by extension that comes with an error is not an identification.
    """
    answer = cast("dict[str, Any]", pygfried.identify(str(source), detailed=True))
    name = _name(answer)
    found = answer["files"][0]
    error: str = found["errors"]
    matches = [match for match in found["matches"] if match["id"] != "UNKNOWN"]
    if not matches or error:
        return _silent(name, found["matches"], error)
    best, candidates = _choose(matches)
    evidence = _evidence(best["basis"])
    voice = Voice(
        identifier=name,
        puid=best["id"],
        mime=best["mime"].split(",")[0].strip() or None,
        basis=best["basis"],
        by_extension_only=evidence is Evidence.EXTENSION,
        warning=_warning(best["warning"], candidates),
    )
    return Heard(voice, evidence, _format_name(best), suggested=_suggested(best["warning"]), candidates=candidates)


def warm() -> None:
    """Load the signatures, 0.15 s, before the first file asks for them."""
    pygfried.identify(__file__)


def _silent(name: str, matches: list[dict[str, Any]], error: str) -> Heard:
    warning = str(matches[0]["warning"]) if matches else ""
    guess = next((str(match["id"]) for match in matches if match["id"] != "UNKNOWN"), None)
    basis = f"error: {error}" if error else "no match"
    if error and guess:
        basis = f"{basis}; only the extension suggests {guess}"
    suggested = _suggested(warning) or ((guess,) if guess else ())
    return Heard(Voice(name, None, None, basis, warning="" if error else _short(warning)), error=error, suggested=suggested)


def _choose(matches: list[dict[str, Any]]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The match with the strongest evidence, then the one whose extension agrees, then siegfried's order."""
    strongest = max(_evidence(match["basis"]) for match in matches)
    equal = [match for match in matches if _evidence(match["basis"]) is strongest]
    agreeing = [match for match in equal if "extension match" in match["basis"]]
    rank = agreeing or equal
    return rank[0], tuple(match["id"] for match in rank)


def _evidence(basis: str) -> Evidence:
    parts = [part.strip() for part in basis.split(";") if part.strip()]
    if any(not part.startswith(_NOT_BYTES) for part in parts):
        return Evidence.BYTES
    if any(part.startswith("text match") for part in parts):
        return Evidence.TEXT
    return Evidence.EXTENSION if parts else Evidence.NONE


def _suggested(warning: str) -> tuple[str, ...]:
    _, found, tail = warning.partition(_SUGGESTED)
    return tuple(part.strip() for part in tail.split(",")) if found else ()


def _short(warning: str) -> str:
    """The list of possible PUIDs can hold fifty names: the count says enough in a record."""
    head, found, _ = warning.partition(_SUGGESTED)
    count = len(_suggested(warning))
    return f"{head}{count} formats have this extension" if found else head


def _warning(warning: str, candidates: tuple[str, ...]) -> str:
    told = _short(warning)
    if len(candidates) < 2:
        return told
    also = f"equally possible: {', '.join(candidates[1:])}"
    return f"{told}; {also}" if told else also


def _format_name(match: dict[str, Any]) -> str:
    name, version = str(match["format"]), str(match["version"])
    return f"{name} {version}" if version and version not in name else name


def _name(answer: dict[str, Any]) -> str:
    return _identifier(str(answer["siegfried"]), str(answer["identifiers"][0]["details"]))


@cache
def _identifier(version: str, details: str) -> str:
    """``siegfried 1.11.9 (DROID V125, containers 20260119)``."""
    parts = []
    for part in details.removesuffix(".xml").replace(".xml;", ";").split(";"):
        stem = part.strip()
        stem = stem.replace("DROID_SignatureFile_", "DROID ").replace("container-signature-", "containers ")
        parts.append(stem)
    return f"siegfried {version} ({', '.join(parts)})"
