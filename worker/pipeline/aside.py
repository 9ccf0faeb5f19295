"""Files that end without having been worked on: not read, not what was sent, or our own fault. Their bits are kept if they can be.

The way of every other file is ``preserve``'s.
"""

from __future__ import annotations

from actions.errors import PreservationError
from worker.ledger.facts import Entry, Held, Task
from worker.ledger.ledger import Ledger
from worker.pipeline import naming
from worker.pipeline.act import Acted
from worker.pipeline.bench import StepFailedError
from worker.pipeline.message import OUTCOMES, message
from worker.pipeline.scan import Kind
from worker.pipeline.services import Services
from worker.pipeline.stage import NotStagedError
from worker.pipeline.story import MISMATCH, story
from worker.policy.plan import Plan, Verb
from worker.record import FileRecord, Status
from worker.store.contract import Stored

STATUS_UNSTAGED = {
    "unreadable": Status.FAILED,
    "changed-while-read": Status.FAILED,
    "missing": Status.RETURNED,
    "name-taken": Status.RETURNED,
}


def not_staged(task: Task, no: NotStagedError) -> FileRecord:
    """Its bytes could not be taken; the record says why."""
    return FileRecord(
        path=task.path,
        size_bytes=task.size_bytes if task.kind == Kind.FILE else None,
        status=STATUS_UNSTAGED.get(no.reason, Status.REVIEW),
        reason=no.reason,
        message=f"Not preserved: {no.what}. {no.remedy}",
        message_sv=f"Inte bevarad: {no.what}. {no.remedy}",
    )


def not_as_sent(task: Task, stored: Stored, wrong: str) -> FileRecord:
    """Not what the producer says it sent: kept bit by bit, and looked at no further."""
    return FileRecord(
        path=task.path,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        sha512=stored.sha512,
        status=Status.RETURNED,
        reason=MISMATCH,
        message=f"Not the file that was sent: {wrong}. It is preserved as it came; the producer must deliver it again.",
        message_sv=f"Inte den fil som skickades: {wrong}. Den är bevarad som den kom; producenten behöver leverera den igen.",
    )


def unreadable(no: StepFailedError) -> tuple[Plan, Acted]:
    """Identification or probing itself did not end well: the bits are kept, the tool is named."""
    reason = {"crashed": "poison", "timeout": "tool-timeout"}.get(no.ended, no.error.reason)
    plan = Plan(rule="", verb=Verb.REVIEW, reason=reason, why=OUTCOMES[Status.FAILED], family="other")
    return plan, Acted(Status.FAILED, reason, no.error.what)


def set_aside(services: Services, task: Task, bug: BaseException) -> FileRecord:
    """Our own code failed on this file: the bits are kept, the fault is named, the next file goes on."""
    plan, acted = unreadable(
        StepFailedError(PreservationError(f"{type(bug).__name__}: {bug}", task.path, "", code="bug"), "refused")
    )
    said = message(acted, plan)
    record = FileRecord(path=task.path, size_bytes=task.size_bytes, status=Status.FAILED, reason="bug", message=said.en)
    record.message_sv = said.sv
    logical = naming.original_path(task.path)
    try:
        stored = services.source.stage_into(services.draft, task.raw_path, Kind(task.kind), logical)
    except NotStagedError:
        return services.ledger.finish(task, record, told=list(story(record, None, services.policy.ref.sha256)))
    services.draft.release(stored)
    record.size_bytes, record.sha256, record.sha512 = stored.size_bytes, stored.sha256, stored.sha512
    held = Held(stored.sha512, stored.sha256, stored.size_bytes, stored.content_path)
    told = list(story(record, logical, services.policy.ref.sha256))
    return services.ledger.finish(task, record, held=[held], put=[Entry(logical, stored.sha512)], told=told)


def give_up(ledger: Ledger, task: Task, error: PreservationError) -> FileRecord:
    """What the file needs cannot be had: it ends as failed, to be retried when that is mended. Writes to the ledger alone."""
    said = f"{error.what}. {error.remedy}"
    record = FileRecord(
        path=task.path,
        size_bytes=task.size_bytes,
        status=Status.FAILED,
        reason=error.reason,
        message=f"Not preserved: {said}",
        message_sv=f"Inte bevarad: {said}",
    )
    return ledger.finish(task, record, told=list(story(record, None, task.job.policy.sha256)))
