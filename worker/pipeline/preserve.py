"""One file's way through, from the source folder to the ledger (design.md §4).

Carries identifiers in, and a record out. Bytes are durable before any record names them (P3), and the record
is finished in one transaction, once, however often the task is delivered (P5).
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from actions.contract import Fact, Outcome
from actions.errors import PreservationError
from worker.ledger.facts import Entry, Held, Previous, Task
from worker.ledger.ledger import Ledger
from worker.pipeline import naming
from worker.pipeline.act import Acted, Made, act
from worker.pipeline.bench import Bench, StepFailedError
from worker.pipeline.hosts import HostPool
from worker.pipeline.message import OUTCOMES, message
from worker.pipeline.scan import Kind
from worker.pipeline.stage import NotStagedError, stage
from worker.pipeline.story import story
from worker.policy.decide import Identity, Policy
from worker.policy.plan import Plan, Verb
from worker.record import Evidence, FileRecord, OutputRecord, Status, VoiceRecord
from worker.store.contract import Draft, Stored

ROOM_BYTES = 64 << 20  # what a tool may need beside its result before "it could not" says something of the file


@dataclass(frozen=True, slots=True)
class Services:
    """What the way through needs; made by ``worker.app``, or by a test."""

    ledger: Ledger
    draft: Draft
    policy: Policy
    hosts: HostPool
    reports: Path  # folder of all jobs' reports; evidence pictures go below it
    toolchain: str  # digest of all tools' versions
    time_factor: float = 1.0
    is_ours: Callable[[Task], bool] = lambda task: True  # noqa: ARG005 -- whether the task was not dropped meanwhile


class DroppedError(Exception):
    """The task was given back while it was worked on, and its host ended under it: what came out says nothing of the file."""


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
        stored = stage(task.job.source, task.raw_path, Kind(task.kind), services.draft, logical)
    except NotStagedError as no:
        return Result(_not_staged(task, no))
    key = _key(services, stored)
    before = services.ledger.previous(task.job, task.path)
    if before is not None and _still_stands(before, key):
        record = before.record.model_copy(update={"unchanged": True})
        return Result(record, key=key, carried=True)
    return replace(_worked(services, task, stored, logical), key=key)


def _key(services: Services, stored: Stored) -> str:
    """The same bytes, decided by the same policy, with the same tools: the same work."""
    parts = (stored.sha512, services.policy.ref.sha256, services.toolchain)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _still_stands(before: Previous, key: str) -> bool:
    return before.key == key and before.record.status is not Status.FAILED


def _not_staged(task: Task, no: NotStagedError) -> FileRecord:
    failed = no.reason in ("unreadable", "changed-while-read")
    return FileRecord(
        path=task.path,
        size_bytes=task.size_bytes if task.kind == Kind.FILE else None,
        status=Status.FAILED if failed else Status.REVIEW,
        reason=no.reason,
        message=f"Not preserved: {no.what}. {no.remedy}",
        message_sv=f"Inte bevarad: {no.what}. {no.remedy}",
    )


def _worked(services: Services, task: Task, stored: Stored, logical: str) -> Result:
    """Everything that needs the content, in a host."""
    extension = naming.extension(task.path)
    with services.hosts.borrow() as host:
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
            plan, acted = _unreadable(no)
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


def set_aside(services: Services, task: Task, bug: BaseException) -> FileRecord:
    """Our own code failed on this file: the bits are kept, the fault is named, the next file goes on."""
    plan, acted = _unreadable(
        StepFailedError(PreservationError(f"{type(bug).__name__}: {bug}", task.path, "", code="bug"), "refused")
    )
    said = message(acted, plan)
    record = FileRecord(path=task.path, size_bytes=task.size_bytes, status=Status.FAILED, reason="bug", message=said.en)
    record.message_sv = said.sv
    logical = naming.original_path(task.path)
    try:
        stored = stage(task.job.source, task.raw_path, Kind(task.kind), services.draft, logical)
    except NotStagedError:
        return services.ledger.finish(task, record, told=list(story(record, None, services.policy.ref.sha256)))
    record.size_bytes, record.sha256, record.sha512 = stored.size_bytes, stored.sha256, stored.sha512
    held = Held(stored.sha512, stored.sha256, stored.size_bytes, stored.content_path)
    told = list(story(record, logical, services.policy.ref.sha256))
    return services.ledger.finish(task, record, held=[held], put=[Entry(logical, stored.sha512)], told=told)


def _unreadable(no: StepFailedError) -> tuple[Plan, Acted]:
    """Identification or probing itself did not end well: the bits are kept, the tool is named."""
    reason = {"crashed": "poison", "timeout": "tool-timeout"}.get(no.ended, no.error.reason)
    plan = Plan(rule="", verb=Verb.REVIEW, reason=reason, why=OUTCOMES[Status.FAILED], family="other")
    return plan, Acted(Status.FAILED, reason, no.error.what)


def _keep_made(services: Services, record: FileRecord, made: Iterable[Made], logical: str) -> tuple[list[Entry], list[Held]]:
    """Store what was made; the ledger learns of it when its bytes are durable and were read back."""
    entries, held = [], []
    for item in made:
        path = naming.derived_path(record.path, item.suffix, item.representation)
        stored = services.draft.add_file(item.path, path)
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
    folder = Path(task.job.id, "evidence", str(task.id))
    for output in acted.evidence_of:
        name = Path(output.path).name
        if not name.startswith("page-"):
            continue
        page, kind = int(name[5:9]), name[10:].removesuffix(".jpg")
        target = services.reports / folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(acted.evidence / output.path, target)
        shown = pages.setdefault(page, Evidence(page_number=page))
        if kind in ("source", "result", "difference"):
            setattr(shown, kind, str(folder / name))
    return [pages[number] for number in sorted(pages)]
