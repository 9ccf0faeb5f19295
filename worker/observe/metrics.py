"""What Prometheus may know of a process. One ``Metrics`` object each: no registry of the module, no state at import.

Labels are ids, codes and names of tools, each with a bound on how many it may have: a label that grows with the records
would break both Prometheus and promise P7. The dashboard and the alerts in ``docker/`` stand on these names.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

from worker import __version__
from worker.ledger.service_facts import Depth
from worker.record import FileRecord

ACTION_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000)
REQUEST_SECONDS = (0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)
MOST_VALUES = 500  # of one label, over the life of a process; then "other"
OTHER = "other"
_VERSION = re.compile(r"[\s/]+v?\d.*$")  # "LibreOffice 7.4.7" and "qpdf/11.9": the version is in the ledger


@dataclass(slots=True)
class _Bounded:
    """Lets the first values of a label through, and calls all others ``other``."""

    most: int = MOST_VALUES
    known: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, value: str) -> str:
        with self.lock:
            if value not in self.known:
                if len(self.known) >= self.most:
                    return OTHER
                self.known.add(value)
        return value


class Metrics:
    """All that a process counts. Its methods are called by several threads, and cost microseconds."""

    def __init__(self, process: str) -> None:
        """Metrics of the process *process*: ``serve``, ``work``, ``schedule`` …, as the label of its build."""
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        Info("bevara_build", "Version, and which process this is.", registry=registry).info(
            {"version": __version__, "process": process}
        )
        self._tenant, self._reason, self._tool, self._route = _Bounded(), _Bounded(), _Bounded(), _Bounded()
        self._queue(registry)
        self._work(registry)
        self._faces(registry)
        self._audit(registry)

    def _queue(self, registry: CollectorRegistry) -> None:
        tenant = ["tenant"]
        self.queue_tasks = Gauge("bevara_queue_tasks", "Files that are not done.", ["tenant", "state"], registry=registry)
        self.queue_oldest = Gauge(
            "bevara_queue_oldest_pending_seconds", "Age of the oldest job with waiting files.", tenant, registry=registry
        )
        self.admitted = Counter("bevara_admitted_tasks_total", "Files that the dispatcher sent to the workers.", registry=registry)
        self.reaped = Counter(
            "bevara_reaped_leases_total", "Work taken back from workers that gave no sign of life.", registry=registry
        )
        self.leader = Gauge("bevara_leader", "1 in the scheduler that leads.", registry=registry)

    def _work(self, registry: CollectorRegistry) -> None:
        self.tasks = Counter("bevara_tasks_total", "Files by how they ended.", ["tenant", "status", "reason"], registry=registry)
        self.jobs = Counter("bevara_jobs_total", "Jobs by how they ended.", ["tenant", "state"], registry=registry)
        self.postponed = Counter(
            "bevara_postponed_tasks_total", "Files put off for a while, by cause.", ["reason"], registry=registry
        )
        self.action_seconds = Histogram(
            "bevara_action_seconds", "Time of one action.", ["action", "tool"], buckets=ACTION_SECONDS, registry=registry
        )
        self.attempts = Counter("bevara_attempts_total", "Actions by outcome.", ["action", "outcome"], registry=registry)
        self.host_deaths = Counter(
            "bevara_host_deaths_total", "Action hosts that died or were ended, by cause.", ["cause"], registry=registry
        )
        self.bytes = Counter(
            "bevara_bytes_total", "Bytes of originals (in) and derivatives (out).", ["tenant", "direction"], registry=registry
        )
        self.in_hand = Gauge("bevara_tasks_in_hand", "Files that this worker has in hand.", registry=registry)
        self.scratch = Gauge("bevara_scratch_bytes", "Scratch area: in use, and allowed.", ["kind"], registry=registry)

    def _faces(self, registry: CollectorRegistry) -> None:
        self.callbacks = Counter(
            "bevara_callbacks_total", "Attempts at callbacks by outcome.", ["tenant", "outcome"], registry=registry
        )
        self.requests = Counter("bevara_api_requests_total", "Requests by route.", ["method", "route", "status"], registry=registry)
        self.request_seconds = Histogram(
            "bevara_api_request_seconds", "Time to the end of an answer.", ["route"], buckets=REQUEST_SECONDS, registry=registry
        )
        self.dependency = Gauge(
            "bevara_dependency_up", "1: ledger, queue or store could be reached.", ["dependency"], registry=registry
        )

    def _audit(self, registry: CollectorRegistry) -> None:
        where = ["tenant", "store"]
        self.audit_overdue = Gauge("bevara_audit_overdue_copies", "Copies whose fixity check is overdue.", where, registry=registry)
        self.audit_oldest = Gauge(
            "bevara_audit_oldest_check_age_seconds", "Age of the oldest newest check of any copy.", where, registry=registry
        )
        self.audit_findings = Counter(
            "bevara_audit_findings_total", "Findings of audits by verdict.", ["verdict"], registry=registry
        )
        self.audit_open = Gauge(
            "bevara_audit_open_findings", "Findings that are open, by verdict.", [*where, "verdict"], registry=registry
        )
        self.audit_bytes = Counter("bevara_audit_read_bytes_total", "Bytes read by audits.", where, registry=registry)
        self.audit_progress = Gauge(
            "bevara_audit_progress_timestamp_seconds", "When an auditor last ended a round of its duties.", registry=registry
        )
        self.audit_repairs = Counter("bevara_audit_repairs_total", "Repairs by how they ended.", ["outcome"], registry=registry)
        self.evidence_day = Gauge(
            "bevara_evidence_day_timestamp_seconds", "Beginning of the newest day that is signed.", ["tenant"], registry=registry
        )

    def observe_record(self, record: FileRecord, tenant: str) -> None:
        """Count one file that ended, with its actions and bytes."""
        owner = self._tenant(tenant)
        self.tasks.labels(owner, str(record.status), self._reason(record.reason)).inc()
        self.bytes.labels(owner, "in").inc(record.size_bytes or 0)
        self.bytes.labels(owner, "out").inc(sum(output.size_bytes for output in record.outputs))
        for attempt in record.attempts:
            action, tool = self._tool(attempt.action), self._tool(_VERSION.sub("", attempt.tool))
            self.action_seconds.labels(action, tool).observe(attempt.seconds)
            self.attempts.labels(action, self._reason(attempt.outcome)).inc()
            if attempt.outcome in {"crashed", "timeout"}:
                self.host_deaths.labels(attempt.outcome).inc()

    def observe_depth(self, depths: Mapping[str, Depth]) -> None:
        """Set what waits, by tenant; a tenant that is in *depths* no more has nothing that waits."""
        self.queue_tasks.clear()
        self.queue_oldest.clear()
        for tenant, depth in depths.items():
            owner = self._tenant(tenant)
            for state, count in (("pending", depth.pending), ("queued", depth.queued), ("leased", depth.leased)):
                self.queue_tasks.labels(owner, state).inc(count)
            self.queue_oldest.labels(owner).set(depth.oldest_pending_s)

    def watch_worker(self, in_hand: Callable[[], float], scratch_bytes: Callable[[], float], most_bytes: int) -> None:
        """Ask a worker for what it has in hand, and how much of its scratch area is in use, whenever Prometheus asks."""
        self.in_hand.set_function(in_hand)
        self.scratch.labels("used").set_function(scratch_bytes)
        self.scratch.labels("allowed").set(most_bytes)

    def observe_job(self, tenant: str, state: str) -> None:
        """Count a job that ended."""
        self.jobs.labels(self._tenant(tenant), state).inc()

    def observe_postponed(self, reason: str) -> None:
        """Count a file that was put off: a store out of reach, a full scratch area."""
        self.postponed.labels(self._reason(reason)).inc()

    def observe_callback(self, tenant: str, outcome: str) -> None:
        """Count an attempt: ``delivered``, ``retry`` or ``dead``."""
        self.callbacks.labels(self._tenant(tenant), outcome).inc()

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request; *route* is the template (``/v1/jobs/{job_id}``), never the path."""
        self.requests.labels(method, self._route(route), str(status)).inc()
        self.request_seconds.labels(self._route(route)).observe(seconds)

    def observe_finding(self, verdict: str, count: int = 1) -> None:
        """Count what an audit found; 0 makes the series, so that its first finding is seen to raise it."""
        self.audit_findings.labels(self._reason(verdict)).inc(count)

    def observe_audit(self, tenant: str, store: str, size_bytes: int) -> None:
        """Count what an audit read."""
        self.audit_bytes.labels(self._tenant(tenant), self._reason(store)).inc(size_bytes)

    def observe_copies(self, states: Mapping[tuple[str, str], tuple[int, float]]) -> None:
        """Set overdue copies and the oldest check's age in seconds, by tenant and store; what is in *states* no more is gone."""
        self.audit_overdue.clear()
        self.audit_oldest.clear()
        for (tenant, store), (overdue, age_s) in states.items():
            self.audit_overdue.labels(self._tenant(tenant), self._reason(store)).inc(overdue)
            self.audit_oldest.labels(self._tenant(tenant), self._reason(store)).set(age_s)

    def observe_open(self, counts: Mapping[tuple[str, str, str], int]) -> None:
        """Set how many findings are open, by tenant, store and verdict; what is in *counts* no more is gone."""
        self.audit_open.clear()
        for (tenant, store, verdict), number in counts.items():
            self.audit_open.labels(self._tenant(tenant), self._reason(store), self._reason(verdict)).inc(number)

    def observe_repair(self, outcome: str) -> None:
        """Count how a finding's repair ended."""
        self.audit_repairs.labels(self._reason(outcome)).inc()

    def observe_evidence(self, tenant: str, day_s: float) -> None:
        """Set the newest signed day, as the second since 1970 that it began."""
        self.evidence_day.labels(self._tenant(tenant)).set(day_s)


def names(metrics: Metrics) -> set[str]:
    """Every series' name that this registry can show, for holding dashboards and alerts to them."""
    found = set()
    for family in metrics.registry.collect():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "info": ["_info"]}.get(family.type, [""])
        found |= {family.name + suffix for suffix in suffixes}
    return found
