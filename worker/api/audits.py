"""Audits: how the tenant's copies stand, what was found, and an officer's word on a repair.

Reading and repairing is the auditor's process; here it is only told of, and agreed to.
"""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Path, Query

from worker.api.answers import answers
from worker.api.audit_words import (
    ApprovalAnswer,
    ApprovedAnswer,
    AuditStatus,
    FindingAnswer,
    FindingList,
    FindingState,
    StoreStatus,
    VerdictWord,
)
from worker.api.caller import Caller, Officer, Reader
from worker.api.jobs import Cursor, Limit
from worker.api.problems import ApiError, not_found
from worker.fixity.audit_door import AuditDoor
from worker.fixity.book import Entry
from worker.fixity.retired import retired
from worker.fixity.rules import RepairMode, Rules
from worker.fixity.verdicts import BAD
from worker.ledger.events import now

router = APIRouter(prefix="/v1/audit", tags=["audit"])
StoreName = Annotated[str | None, Query(max_length=63, pattern=r"^[a-z0-9-]+$", description="Only findings in this store.")]
FindingId = Annotated[int, Path(ge=1, le=2**62, description="The finding's id.", examples=[17])]


@router.get("/status", operation_id="getAuditStatus", summary="Look at the promise", responses=answers())
def status(caller: Reader) -> AuditStatus:
    """How often every copy is read, when the oldest reading was, what is overdue, and what is open."""
    door, rules, moment = _door(caller), Rules.of(caller.about.settings), now()
    stopped, gone = {one.place: one.why for one in door.stopped()}, retired(door.transactions, door.tenant)
    stores = [
        StoreStatus(
            store=one.place,
            interval_days=rules.interval_days,
            copies=one.held,
            wanted=one.wanted,
            size_bytes=one.size_bytes,
            overdue=one.overdue,
            never_read=one.never,
            oldest=one.oldest,
            open_findings=door.open_by_verdict(one.place),
            repair_stopped=stopped.get(one.place),
            retired=gone.get((caller.tenant, one.place)),
        )
        for one in door.states(moment)
    ]
    return AuditStatus(at=moment, repair=rules.repair.value, stores=stores)


@router.get("/findings", operation_id="listFindings", summary="List findings", responses=answers("bad-cursor"))
def listed(
    caller: Reader, state: FindingState | None = None, store: StoreName = None, cursor: Cursor = None, limit: Limit = 100
) -> FindingList:
    """What audits found in the tenant's copies, in the order it was found. A finding stays in the list when it has ended."""
    door = _door(caller)
    page = door.findings(state=state, place=store, cursor=cursor, limit=limit)
    agreed = door.approvals([one.id for one in page.items])
    return FindingList(findings=[_finding(one, agreed.get(one.id, [])) for one in page.items], next=page.cursor)


@router.post(
    "/approvals/{finding_id}",
    operation_id="approveRepair",
    summary="Agree to a repair",
    responses=answers("not-found", "conflict"),
)
def approve(caller: Officer, finding_id: FindingId) -> ApprovedAnswer:
    """Agree, in the name of the key, that a finding is repaired from a copy that is proven good. Twice is once.

    Where the tenant asks for two officers, keys of two names must agree: a key that was rotated keeps its name, and stays the
    same officer.
    """
    door = _door(caller)
    found = door.finding(finding_id)
    if found is None:
        raise not_found("finding")
    if found.state != "open" or found.verdict not in BAD or found.about != "bytes":
        raise ApiError("conflict", "The finding has ended, or no bytes can be repaired for it.", "See the finding's `remedy`.")
    door.approve(finding_id, _officer(caller), now())
    agreed = door.approvals([finding_id]).get(finding_id, [])
    needed = max(1, RepairMode(Rules.of(caller.about.settings).repair).approvals)
    return ApprovedAnswer(finding=finding_id, approvals=_approvals(agreed), needed=needed, missing=max(0, needed - len(agreed)))


def _door(caller: Caller) -> AuditDoor:
    return AuditDoor(caller.service.ledger.transactions, caller.tenant)


def _officer(caller: Caller) -> str:
    """The name of the caller's key, as whoever made the key wrote it: what a person is known by here."""
    keys = caller.service.ledger.tenants.keys(caller.tenant)
    return next(one.name for one in keys if one.id == caller.principal.key_id)


def _finding(one: Entry, agreed: list[tuple[str, str]]) -> FindingAnswer:
    return FindingAnswer(
        id=one.id,
        store=one.place,
        package=one.object_id,
        path=one.path,
        verdict=cast("VerdictWord", one.verdict),
        about=one.about,
        detail=one.detail,
        expected=one.expected,
        found=one.found,
        state=cast("FindingState", one.state),
        times=one.times,
        first_seen=one.first_seen,
        last_seen=one.last_seen,
        ended=one.ended,
        remedy=one.remedy,
        approvals=_approvals(agreed),
    )


def _approvals(agreed: list[tuple[str, str]]) -> list[ApprovalAnswer]:
    return [ApprovalAnswer(who=who, at=at) for who, at in agreed]
