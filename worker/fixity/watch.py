"""The service's auditor: one process that leads, and goes round its duties for ever.

Copies are read, filled and repaired by the same parts as from the command line; what is added here is that nobody has to ask.
It holds nothing that a restart would lose. Evidence is signed by ``worker.evidence.nightly``, callbacks are sent by the
scheduler.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from actions.errors import PreservationError, TransientError
from worker.evidence.nightly import Nightly
from worker.fixity import coverage, promise, retired, tidings
from worker.fixity.arrivals import Arrivals, note_everywhere
from worker.fixity.auditor import Auditor
from worker.fixity.copies import Copy
from worker.fixity.known import Reading
from worker.fixity.repair import Outcome, Repairer
from worker.fixity.replicate import Replicator
from worker.fixity.retries import Retries
from worker.fixity.rules import Rules
from worker.fixity.turns import Turns
from worker.fixity.verdicts import Fault, Verdict
from worker.ledger.clock import seconds_between
from worker.ledger.schema_fixity import copies, findings
from worker.observe.metrics import Metrics
from worker.service_copies import ServiceCopies

log = logging.getLogger("bevara")

LEADER = "auditor"
LEAD_S = 60.0  # an auditor that is silent for so long is followed by another
READ_S = 20.0  # of reading between two looks at the other duties
IDLE_S = 2.0
COPIES_AT_ONCE = 50  # brought to another store in one round
EVERY_S = {"places": 60.0, "arrivals": 15.0, "replicate": 5.0, "repair": 30.0, "figures": 60.0, "evidence": 30.0}
EVERY_S |= {"coverage": 1800.0}  # a report's last day is at most so much short
_REST = 10  # times as long as a duty took, it is let rest: what grows with the archive must not take all the time


class Watch:
    """See the module. ``run`` returns after ``stop``, which may be called from a signal handler.

    Args:
        opened: The service's copies, as they are registered now.
        nightly: None: no evidence is made here.
        scratch: What files pass through between two stores; None: the system's folder for such.
    """

    def __init__(
        self, opened: Callable[[], ServiceCopies], metrics: Metrics, nightly: Nightly | None = None, scratch: Path | None = None
    ) -> None:
        self._opened, self._metrics, self._nightly, self._scratch = opened, metrics, nightly, scratch
        self._at = opened()
        self._ledger = self._at.ledger
        self._tx = self._ledger.transactions
        self._known = self._registered()
        self._turns, self._arrivals, self._retries = Turns(self._tx, self._rules), Arrivals(self._tx), Retries()
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(2)}"
        self.leads, self.turned_s = False, time.monotonic()
        self._stopping, self._due = threading.Event(), dict[str, float]()
        self._trouble, self._sure_until_s, self._taken = "", 0.0, 0
        self._auditor = self._make(self._at)
        self._replicator = Replicator(self._tx, self._auditor, self._scratch)
        for verdict in Verdict:
            metrics.observe_finding(verdict.value, 0)

    def run(self, *, once: bool = False) -> None:
        """Go round until stopped; *once*: until nothing is due."""
        log.info("auditor %s: started", self.name)
        keeper = threading.Thread(target=self._keep_lead, name="lead")
        keeper.start()
        try:
            while not self._stopping.is_set():
                if not (self.leads and self._told(self._round)):
                    self._stopping.wait(IDLE_S)
                elif once and not self._taken:
                    break
        finally:
            self._stopping.set()
            keeper.join()
            self.close()
        log.info("auditor %s: ended", self.name)

    def stop(self) -> None:
        """End soon; a reading that is under way goes on there the next time."""
        self._stopping.set()

    def close(self) -> None:
        """Let the next one lead, and let go of the places."""
        if self.leads:
            with suppress(PreservationError):
                self._ledger.queue.lead(LEADER, self.name, 0.0)
        self._at.__exit__()

    def _round(self) -> None:
        self._taken = self.round()

    def round(self) -> int:
        """Every duty once, where it is due; returns how many copies were read.

        Raises:
            LedgerUnreachableError: And nothing was lost.
        """
        for what, duty in (
            ("places", self._look_at_places),
            ("arrivals", self._look_for_arrivals),
            ("replicate", self._replicate),
        ):
            self._when_due(what, duty)
        taken = self._read()
        for what, duty in (
            ("repair", self._repair),
            ("evidence", self._sign),
            ("figures", self._figures),
            ("coverage", self._keep_coverage),
        ):
            self._when_due(what, duty)
        tidings.tell(self._tx, self._ledger.outbox, self._settings_of, self._auditor.clock.now())
        self._metrics.audit_progress.set_to_current_time()
        self.turned_s = time.monotonic()
        if not taken:
            self._stopping.wait(IDLE_S)
        return taken

    # Leading

    def _keep_lead(self) -> None:
        """In a thread of its own: a round may take longer than the lead lasts."""
        while not self._stopping.is_set():
            before, moment_s = self.leads, time.monotonic()
            with suppress(PreservationError):
                if self._ledger.queue.lead(LEADER, self.name, LEAD_S):
                    self._sure_until_s = moment_s + LEAD_S * 3 / 4
            self.leads = time.monotonic() < self._sure_until_s
            if self.leads != before:
                log.info("auditor %s: %s", self.name, "leads" if self.leads else "another leads now")
                self._metrics.observe_copies({})
                self._metrics.observe_open({})
            self._stopping.wait(LEAD_S / 10 if self.leads else IDLE_S)

    def _ends(self) -> bool:
        """Whether a reading must stop where it is."""
        return self._stopping.is_set() or time.monotonic() > self._sure_until_s

    def _told(self, act: Callable[[], object]) -> bool:
        """Run *act*; what is away is said once, and again when it is back."""
        trouble = ""
        try:
            act()
        except TransientError as away:
            trouble = str(away)
        except Exception as bug:  # noqa: BLE001 -- without rounds nothing is watched at all; the next one may do better
            what = str(bug) if isinstance(bug, PreservationError) else type(bug).__name__
            log.error("auditor: %s", what)  # noqa: TRY400 -- a text of others may hold names (P7)
            return False
        if trouble and not self._trouble:
            log.warning("waiting: %s", trouble)
        elif self._trouble and not trouble:
            log.warning("the ledger answers again: going on")
        self._trouble = trouble
        return not trouble

    def _when_due(self, what: str, duty: Callable[[], object]) -> None:
        began_s = time.monotonic()
        if self._ends() or began_s < self._due.get(what, 0.0):
            return
        duty()
        spent_s = time.monotonic() - began_s
        self._due[what] = time.monotonic() + max(EVERY_S[what], _REST * spent_s if what != "replicate" else 0.0)

    # Duties

    def _look_at_places(self) -> None:
        """Tenants and places may have been added, changed or retired."""
        now = self._registered()
        if now != self._known:
            fresh = self._opened()
            self._at.__exit__()
            self._at, self._known, self._auditor = fresh, now, self._make(fresh)
            self._replicator = Replicator(self._tx, self._auditor, self._scratch)
        for (tenant, place), number in retired.settle(self._tx, self._at.used, self._auditor.clock.now()).items():
            log.info("tenant %s, store %s: %s copies are %s", tenant, place, number, self._word(tenant, place))
        for tenant, place in self._at.places:
            promise.keep(self._tx, tenant, place, self._rules(tenant, place), self._auditor.clock.now())

    def _word(self, tenant: str, place: str) -> str:
        return "due at once: it is used again" if place in self._at.used(tenant) else "owed no more: it is retired"

    def _look_for_arrivals(self) -> None:
        for tenant, primary in sorted(self._at.primary.items()):
            self._arrivals.look(self._auditor, tenant, primary, self._rules(tenant, primary))

    def _replicate(self) -> None:
        for done in self._replicator.run(self._at.primary, most=COPIES_AT_ONCE):
            if done.why:
                log.warning("store %s: a copy could not be made: %s", done.place, done.why)
            if self._ends():
                return

    def _read(self) -> int:
        if clock := self._auditor.clock.check():
            self._auditor.book.note(Fault("", Verdict.OVERDUE, clock, about="clock"), self._auditor.clock.now())
            log.warning("audit: %s", clock)
        taken = self._turns.round(self._auditor, seconds=READ_S, stop=self._ends, told=self._count)
        self._auditor.settle_clock()
        self._auditor.book.tell()
        return taken

    def _count(self, copy: Copy, reading: Reading, new: list[int]) -> None:
        self._metrics.observe_audit(copy.tenant, copy.place, reading.spent_bytes)
        for entry in self._auditor.book.some(findings.c.id.in_(new)) if new else ():
            self._metrics.observe_finding(entry.verdict)
            log.warning("audit: tenant %s, store %s: finding %s: %s", entry.tenant, entry.place, entry.id, entry.verdict)

    def _repair(self) -> None:
        """What may be repaired without asking, or was agreed to; the breaker stops it where a store is sick.

        What cannot be repaired now is tried again, less and less often; it is told of once, but for a stopped store: its
        alarm lasts as long as it is counted.
        """
        done = Repairer(self._tx, self._auditor, scratch=self._scratch, guard=self._at.alone).run(wait=self._retries.wait)
        for place in sorted({one.place for one in done if one.outcome is Outcome.STOPPED}):
            self._metrics.observe_repair(Outcome.STOPPED.name.lower())
            log.warning("audit: store %s: repair is %s", place, Outcome.STOPPED)
        for one in self._retries.news(done):
            self._metrics.observe_repair(one.outcome.name.lower())
            log.warning("audit: store %s, finding %s: %s", one.place, one.finding, one.outcome)

    def _sign(self) -> None:
        for tenant, primary in sorted(self._at.primary.items()) if self._nightly else ():
            if self._nightly and (signed := self._nightly.sign(tenant)):
                note_everywhere(self._auditor, tenant, iter(signed), self._rules(tenant, primary))
        for tenant, day in self._nightly.newest().items() if self._nightly else ():
            self._metrics.observe_evidence(tenant, datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())

    def _figures(self) -> None:
        """From the index of deadlines: an overdue copy is counted, and none is read to know the oldest."""
        now, states = self._auditor.clock.now(), {}
        c = copies.c
        for tenant, place in sorted(self._at.stores()):
            mine = sa.select(sa.func.min(c.due)).where(c.tenant == tenant, c.place == place, c.state == "held")
            due = self._tx.read(lambda db, mine=mine: db.scalar(mine))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            interval_s = self._rules(tenant, place).interval_days * 86_400
            age_s = max(0.0, interval_s - seconds_between(now, due)) if due else 0.0
            states[tenant, place] = (self._auditor.copies.overdue(now, tenant, place), age_s)
        self._metrics.observe_copies(states)
        self._metrics.observe_open(self._auditor.book.open_counts())

    def _keep_coverage(self) -> None:
        for tenant in sorted(self._at.primary):
            coverage.keep(self._tx, tenant, self._auditor.clock.now(), lambda place, t=tenant: self._rules(t, place))  # type: ignore[misc]  # mypy cannot infer a lambda with a default

    # What it stands on

    def _make(self, at: ServiceCopies) -> Auditor:
        return Auditor(self._tx, at.stores(), at.rules, stop=self._ends)

    def _rules(self, tenant: str, place: str) -> Rules:
        return self._at.rules(tenant, place)

    def _settings_of(self, tenant: str) -> str:
        found = self._ledger.tenants.get(tenant)
        return found.settings if found else "{}"

    def _registered(self) -> list[object]:
        tenants = self._ledger.tenants
        return [(one, tenants.places(one.id)) for one in tenants.list()]
