"""What one file's way through the pipeline needs around it; put together by ``worker.app``, the embedded job, or a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from worker.ledger.facts import Task
from worker.ledger.ledger import Ledger
from worker.pipeline.expected import Expected
from worker.pipeline.hosts import HostPool
from worker.pipeline.source import Source
from worker.policy.decide import Policy
from worker.store.contract import Draft


@dataclass(frozen=True, slots=True)
class Services:
    """See the module."""

    ledger: Ledger
    draft: Draft
    source: Source
    policy: Policy
    hosts: HostPool
    reports: Path  # folder of all jobs' reports; evidence pictures go below it
    toolchain: str  # digest of all tools' versions
    time_factor: float = 1.0
    is_ours: Callable[[Task], bool] = lambda task: True  # noqa: ARG005 -- whether the task was not dropped meanwhile
    expected: Expected | None = None  # checksums that came along
    keep_picture: Callable[[Path, str], None] | None = None  # (file, name below the reports); None: copied to ``reports``


class DroppedError(Exception):
    """The task was given back while it was worked on, and its host ended under it: what came out says nothing of the file."""
