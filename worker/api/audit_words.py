"""What the API gives about audits; see ``words``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from worker.api.words import Word

VerdictWord = Literal["mismatch", "missing", "unexpected", "unreadable", "overdue"]
FindingState = Literal["open", "repaired", "vanished"]


class ApprovalAnswer(Word):
    """Who agreed to a repair, by the name of the key, and when."""

    who: str
    at: str


class FindingAnswer(Word):
    """One thing in one copy that is not as it must be. ``about``: the bytes, or what the ledger or PREMIS says of them."""

    id: int
    store: str
    package: str = Field(description="The object's id, as `GET /v1/packages/{package}` takes it.")
    path: str = Field(description="Below the object's folder in the store; empty: the object as a whole.")
    verdict: VerdictWord
    about: str
    detail: str
    expected: str | None
    found: str | None
    state: FindingState
    times: int = Field(description="How often it was seen.")
    first_seen: str
    last_seen: str
    ended: str | None
    remedy: str | None = Field(description="What was done about it, or why nothing could be.")
    approvals: list[ApprovalAnswer]


class FindingList(Word):
    """Some findings. ``next`` null: that was all."""

    findings: list[FindingAnswer]
    next: str | None


class ApprovedAnswer(Word):
    """Who agrees to a finding's repair. It is done by the auditor's next round once ``missing`` is 0."""

    finding: int
    approvals: list[ApprovalAnswer]
    needed: int
    missing: int


class StoreStatus(Word):
    """How the copies in one store stand. ``oldest``: when the copy that was read longest ago was read; null: one never was."""

    store: str
    interval_days: float = Field(description="Each copy is read in full at least so often.")
    copies: int
    wanted: int = Field(description="Copies that are yet to be made.")
    size_bytes: int
    overdue: int
    never_read: int
    oldest: str | None
    open_findings: dict[str, int] = Field(description="By verdict.")
    repair_stopped: str | None = Field(description="Why all repair of this store waits for a person; null: it does not.")
    retired: str | None = Field(description="Since when the store is used no more, and owes no checks; null: it is used.")


class AuditStatus(Word):
    """The promise about every copy, and how it is kept."""

    at: str
    repair: Literal["automatic", "officer", "two"] = Field(description="Who decides that a copy is repaired.")
    stores: list[StoreStatus]
