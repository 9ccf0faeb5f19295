"""The queue's two forms: dramatiq's in-process broker here, Redis in ``redis_broker``; the same actors on both.

Retries are the ledger's matter (design.md §9), so dramatiq's own are left out, and so is its time limit, which
cannot interrupt a system call: every tool has its own.
"""

from __future__ import annotations

from dramatiq.brokers.stub import StubBroker


def in_process() -> StubBroker:
    """A broker that lives and dies with this process; what it forgets, the ledger remembers."""
    return StubBroker(middleware=[])
