"""One file's way through, from the source folder to the ledger (design.md §4).

Carries identifiers in, and a record out. Bytes are durable before any record names them (P3), and the record
is finished in one transaction, once, however often the task is delivered (P5).
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from actions.contract import Fact, Outcome
from worker.ledger.facts import Entry, Held, Previous, Task
from worker.pipeline import naming
from worker.pipeline.act import Acted, Made, act
from worker.pipeline.aside import not_as_sent, not_staged, unreadable
from worker.pipeline.bench import Bench, StepFailedError
from worker.pipeline.expected import differs
from worker.pipeline.message import message
from worker.pipeline.names import NAME_TAKEN, name_taken
from worker.pipeline.scan import Kind
from worker.pipeline.services import DroppedError, Services
from worker.pipeline.stage import NotStagedError
from worker.pipeline.story import story
from worker.policy.decide import Identity, Policy
from worker.policy.plan import Plan
from worker.record import Evidence, FileRecord, OutputRecord, Status, VoiceRecord
from worker.store.contract import Stored

ROOM_BYTES = 64 << 20  # what a tool may need beside its result before "it could not" says something of the file


@dataclass(frozen=True, slots=True)
class Result:
    """How a file ended, with what it adds to the package."""

    record: FileRecord
    entries: tuple[Entry, ...] = ()
    held: tuple[Held, ...] = ()
    key: str | None = None
    carried: bool = False  # an earlier job's result that still stands


def preserve(services: Services, task: Task) -> FileRecord:
    """Take one task to its end and write it into the ledger; returns the record that stands.

    Raises:
        OSError: The archive's own disk is full or gone: nothing is recorded, the task can be taken again.
        DroppedError: The job stops and did not wait: as above.
    """
    result = _result(services, task)
    if not services.is_ours(task):
        raise DroppedError
    original = naming.original_path(task.path) if result.record.sha512 else None
    events = () if result.carried else story(result.record, original, services.policy.ref.sha256)
    return services.ledger.finish(task, result.record, held=result.held, put=result.entries, told=list(events), key=result.key)


def _result(services: Services, task: Task) -> Result:
    logical = naming.original_path(task.path)
    try:
        stored = services.source.stage_into(services.draft, task.raw_path, Kind(task.kind), logical)
    except NotStagedError as no:
        return Result(name_taken(services.ledger, task) if no.reason == NAME_TAKEN else not_staged(task, no))
    try:
        if services.expected and (wrong := differs(services.expected.of(task.path), stored.sha256, stored.sha512)):
            held = Held(stored.sha512, stored.sha256, stored.size_bytes, stored.content_path)
            return Result(not_as_sent(task, stored, wrong), (Entry(logical, stored.sha512),), (held,))
        key = _key(services, stored)
        before = services.ledger.previous(task.job, task.path)
        if before is not None and _still_stands(before, key):
            record = before.record.model_copy(update={"unchanged": True})
            return Result(record, key=key, carried=True)
        return replace(_worked(services, task, stored, logical), key=key)
    finally:
        services.draft.release(stored)


def _key(services: Services, stored: Stored) -> str:
    """The same bytes, decided by the same policy, with the same tools: the same work."""
    parts = (stored.sha512, services.policy.ref.sha256, services.toolchain)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _still_stands(before: Previous, key: str) -> bool:
    return before.key == key and before.record.status is not Status.FAILED


def _worked(services: Services, task: Task, stored: Stored, logical: str) -> Result:
    """Everything that needs the content, in a host."""
    extension = naming.extension(task.path)
    with services.hosts.borrow(task.job.tenant) as host:
        source = host.load(stored.local_path, extension)
        bench = Bench(host, source, stored.size_bytes, time_factor=services.time_factor)
        record = FileRecord(
            path=task.path,
            size_bytes=stored.size_bytes,
            sha256=stored.sha256,
            sha512=stored.sha512,
            status=Status.FAILED,
            reason="bug",
            message="",
        )
        try:
            plan, acted = _decided(services.policy, bench, record, extension)
        except StepFailedError as no:
            plan, acted = unreadable(no)
        if any(attempt.outcome != "accepted" for attempt in bench.attempts):
            _there_was_room(services.reports, stored.size_bytes)
        said = message(acted, plan)
        record.status, record.reason = acted.status, acted.reason
        record.message, record.message_sv = said.en, said.sv
        record.rule, record.family = plan.rule or None, plan.family
        record.attempts, record.validation = bench.attempts, acted.validation
        record.facts |= acted.facts
        entries, held = _keep_made(services, record, acted.made, logical)
        record.evidence = _keep_evidence(services, task, acted)
    original = Entry(logical, stored.sha512, None, record.puid, record.mime)
    first = Held(stored.sha512, stored.sha256, stored.size_bytes, stored.content_path)
    return Result(record, (original, *entries), (first, *held))


def _there_was_room(folder: Path, size_bytes: int) -> None:
    """A tool that fails on a full disk says nothing of the file: such a refusal must not be recorded.

    Raises:
        OSError: Too little is left on the archive's disk for the refusal to be believed.
    """
    disk = os.statvfs(folder)
    if disk.f_bavail * disk.f_frsize < ROOM_BYTES + size_bytes:
        raise OSError(errno.ENOSPC, "less is left on its disk than a conversion needs", str(folder))


def _decided(policy: Policy, bench: Bench, record: FileRecord, extension: str) -> tuple[Plan, Acted]:
    """Identify, probe, decide, act. Fills *record* as it learns, so that what was learnt survives a crash later on."""
    identity = bench.step("identify", bench.source, {"extension": extension}, record=False).outcome
    _identified(record, identity)
    asked = {"puid": record.puid, "mime": record.mime, "extension": extension}
    probed = bench.step("probe", bench.source, asked, record=False).outcome
    facts: dict[str, Fact] = {**_worth_deciding(identity), **probed.facts}
    record.facts = dict(probed.facts)
    pages = facts.get("pages")
    bench.pages = pages if isinstance(pages, int) else 0
    plan = policy.decide(Identity(record.puid, record.mime, extension), facts, bench.size_bytes)
    return plan, act(bench, plan, facts)


def _identified(record: FileRecord, identity: Outcome) -> None:
    puid, mime = identity.facts.get("puid"), identity.facts.get("mime")
    record.puid, record.mime = (str(puid) if puid else None), (str(mime) if mime else None)
    record.voices = [
        VoiceRecord(identifier=v.identifier, puid=v.puid, mime=v.mime, basis=v.basis, warning=v.warning) for v in identity.voices
    ]


def _worth_deciding(identity: Outcome) -> dict[str, Fact]:
    return {name: identity.facts[name] for name in ("disagreement", "by_extension_only") if name in identity.facts}


def _keep_made(services: Services, record: FileRecord, made: Iterable[Made], logical: str) -> tuple[list[Entry], list[Held]]:
    """Store what was made; the ledger learns of it when its bytes are durable and were read back."""
    entries, held = [], []
    for item in made:
        path = naming.derived_path(record.path, item.suffix, item.representation)
        stored = services.draft.add_file(item.path, path)
        services.draft.release(stored)
        record.outputs.append(
            OutputRecord(
                representation=item.representation,
                path=path,
                puid=item.puid,
                sha256=stored.sha256,
                sha512=stored.sha512,
                size_bytes=stored.size_bytes,
                validation=item.validation,
                proof=item.proof,
                tool=item.tool,
                notes=list(item.notes),
            )
        )
        entries.append(Entry(path, stored.sha512, logical, item.puid))
        held.append(Held(stored.sha512, stored.sha256, stored.size_bytes, stored.content_path))
    return entries, held


def _keep_evidence(services: Services, task: Task, acted: Acted) -> list[Evidence]:
    """Move the comparison's pictures to the job's report folder, paired by page."""
    if acted.evidence is None:
        return []
    pages: dict[int, Evidence] = {}
    folder = f"{task.job.id}/evidence/{task.id}"
    for output in acted.evidence_of:
        name = Path(output.path).name
        if not name.startswith("page-"):
            continue
        page, kind = int(name[5:9]), name[10:].removesuffix(".jpg")
        _keep_picture(services, acted.evidence / output.path, f"{folder}/{name}")
        shown = pages.setdefault(page, Evidence(page_number=page))
        if kind in ("source", "result", "difference"):
            setattr(shown, kind, f"{folder}/{name}")
    return [pages[number] for number in sorted(pages)]


def _keep_picture(services: Services, picture: Path, name: str) -> None:
    if services.keep_picture:
        services.keep_picture(picture, name)
        return
    target = services.reports / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(picture, target)
