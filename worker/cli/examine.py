"""Identify and probe one file where it stands: what ``identify`` and ``explain`` share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actions.contract import Fact, Voice
from worker.pipeline import naming
from worker.pipeline.bench import Bench, StepFailedError
from worker.pipeline.hosts import HostPool
from worker.pipeline.scan import Kind


@dataclass(slots=True)
class Examined:
    """What was learnt of one file; ``said`` is the short answer for a person."""

    path: str
    puid: str | None = None
    mime: str | None = None
    said: str = ""
    voices: tuple[Voice, ...] = ()
    facts: dict[str, Fact] = field(default_factory=dict)
    size_bytes: int = 0

    def as_json(self) -> dict[str, Any]:
        """One line of ``identify --json``."""
        voices = [
            {"identifier": v.identifier, "puid": v.puid, "mime": v.mime, "basis": v.basis, "warning": v.warning}
            for v in self.voices
        ]
        return {
            "path": self.path,
            "puid": self.puid,
            "mime": self.mime,
            "format": self.said,
            "size_bytes": self.size_bytes,
            "facts": self.facts,
            "voices": voices,
        }


def examine(pool: HostPool, path: Path, name: str, kind: Kind, *, probe: bool = True) -> Examined:
    """Ask the identifiers and the probes; a file that crashes them gets an answer that says so."""
    found = Examined(name)
    if kind is not Kind.FILE:
        found.said = f"{kind.value}: named, not read"
        return found
    extension = naming.extension(name)
    try:
        found.size_bytes = path.stat().st_size
        with pool.borrow() as host:
            bench = Bench(host, path, found.size_bytes)
            identity = bench.step("identify", path, {"extension": extension}).outcome
            puid, mime = identity.facts.get("puid"), identity.facts.get("mime")
            found.puid, found.mime = (str(puid) if puid else None), (str(mime) if mime else None)
            found.voices = identity.voices
            found.facts = dict(identity.facts)
            if probe:
                asked = {"puid": found.puid, "mime": found.mime, "extension": extension}
                found.facts |= bench.step("probe", path, asked).outcome.facts
        found.said = str(identity.facts.get("format_name") or "unidentified")
    except StepFailedError as no:
        found.said = f"could not be examined: {no.error.what}"
    except OSError as no:
        found.said = f"cannot be read: {no.strerror}"
    return found
