"""What was done to a file, as PREMIS events (promise P4). Pure: a record in, event drafts out.

The words are LoC's (``worker.ledger.events``); the order is the order in which things were done.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from worker import __version__
from worker.ledger.events import EventDraft, Success
from worker.record import AttemptRecord, FileRecord, OutputRecord, Status

SELF = f"bevara {__version__}"
MISMATCH = "checksum-mismatch"
CONVERTING = frozenset({"refused", "crashed", "timeout"})


def story(record: FileRecord, original: str | None, policy: str) -> Iterator[EventDraft]:
    """Every event of one file.

    Args:
        original: Logical path of the stored original; None: nothing of the file could be taken.
        policy: SHA-256 of the resolved policy.
    """
    if original is None:
        yield EventDraft("ingestion", Success.FAIL, f"{record.path}: {record.message}", (SELF,), policy=policy)
        return
    size = record.size_bytes
    yield EventDraft("ingestion", detail=f"{size} bytes taken from the source folder", agents=(SELF,), object_path=original)
    if record.reason == MISMATCH:
        fail = Success.FAIL
        yield EventDraft("message digest calculation", fail, record.message, (SELF,), original, digest=record.sha512, policy=policy)
        return
    digests = "SHA-256 and SHA-512 in one pass over the source; read back from the store with the same digest"
    yield EventDraft("message digest calculation", detail=digests, agents=(SELF,), object_path=original, digest=record.sha512)
    yield _identification(record, original)
    yield EventDraft(
        "policy assignment",
        Success.SUCCESS if record.status in (Status.KEPT, Status.MIGRATED, Status.RETAINED) else Success.WARNING,
        f"rule {record.rule}: {record.status} ({record.reason}). {record.message}",
        (SELF,),
        object_path=original,
        policy=policy,
    )
    if record.validation:
        said = record.validation
        outcome = Success.SUCCESS if said.verdict == "valid" else Success.FAIL
        yield EventDraft(
            "validation", outcome, f"{said.profile}: {said.verdict}", (said.validator,), original, digest=record.sha512
        )
    yield from (_refusal(attempt, original) for attempt in record.attempts if attempt.outcome in CONVERTING)
    for output in record.outputs:
        yield from _derivation(output, original, policy)


def _identification(record: FileRecord, original: str) -> EventDraft:
    voices = [{"by": voice.identifier, "puid": voice.puid, "basis": voice.basis} for voice in record.voices]
    outcome = Success.SUCCESS if record.puid else Success.WARNING
    agents = tuple(voice.identifier for voice in record.voices) or (SELF,)
    detail = json.dumps({"puid": record.puid, "voices": voices}, ensure_ascii=False)
    return EventDraft("format identification", outcome, detail, agents, object_path=original)


def _refusal(attempt: AttemptRecord, original: str) -> EventDraft:
    detail = f"{attempt.action} {attempt.outcome}: {attempt.why} [sandbox: {attempt.sandbox}]"
    return EventDraft("normalization", Success.FAIL, detail, (attempt.tool,), object_path=original)


def _derivation(output: OutputRecord, original: str, policy: str) -> Iterator[EventDraft]:
    """How a stored output came to be, and what was measured of it."""
    kind = "normalization" if output.representation == "preservation" else "creation"
    notes = "; ".join(output.notes) or "no repairs"
    yield EventDraft(
        kind,
        detail=notes,
        agents=(output.tool,),
        object_path=output.path,
        source_path=original,
        digest=output.sha512,
        policy=policy,
    )
    if output.validation:
        said = output.validation
        detail = f"{said.profile}: {said.verdict}; re-identified as {output.puid}"
        yield EventDraft("validation", Success.SUCCESS, detail, (said.validator,), output.path, digest=output.sha512)
    if output.proof:
        checks = [{"name": c.name, "source": c.source, "result": c.result, "ok": c.ok} for c in output.proof.checks]
        detail = json.dumps({"compared with": original, "level": output.proof.level, "checks": checks}, ensure_ascii=False)
        yield EventDraft("validation", Success.SUCCESS, detail, (SELF,), output.path, source_path=original, digest=output.sha512)
