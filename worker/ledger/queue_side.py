"""What scheduler and workers ask of the ledger: submitting, admitting, claiming, keeping and giving back (design.md §9).

The queue carries numbers and may lose, repeat or reorder them: every method here is one short transaction, atomic and safe to
repeat, so that a job ends once whatever the queue does (promise P5). Times of leases are the database's. Rows are locked in one
order everywhere: a job, its tasks, the package, the job's counts.
"""

from __future__ import annotations

from worker.ledger.admission import Admission
from worker.ledger.leases import MAX_LOSSES, Leases
from worker.ledger.outbox import Outbox
from worker.ledger.results import LostTaskError, Results
from worker.ledger.steps import Steps
from worker.ledger.submissions import IdempotencyConflictError, Submissions
from worker.ledger.transactions import LedgerUnreachableError, Transactions

__all__ = ["MAX_LOSSES", "IdempotencyConflictError", "LedgerUnreachableError", "LostTaskError", "QueueSide"]


class QueueSide(Submissions, Admission, Leases, Steps):
    """All of it, as ``Ledger.queue``. Used by several threads.

    ``Submissions`` is the API's side, ``Admission`` the scheduler's, ``Leases`` the workers', ``Steps`` that of jobs as a whole.
    """

    def __init__(self, transactions: Transactions, results: Results, outbox: Outbox) -> None:
        self._tx, self._results, self._outbox = transactions, results, outbox
        super().__init__()
