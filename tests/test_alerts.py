"""Which alerts fire when: the rules of ``docker/prometheus`` over made-up series, by Prometheus's own ``promtool``.

Each case changes a service that is well in one way, and names all alerts that fire then. A figure is written as promtool has it:
``5x10`` ten more times the same, ``0+2x10`` two more each minute, ``_x10`` nothing.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from actions.tools import process
from tests.conftest import PROJECT, missing

FOLDER = PROJECT / "docker" / "prometheus"
END_MIN = 26 * 60
LONG_MIN = 200  # such cases are looked at every five minutes, which takes a fifth of the time
KINDS = {"serve": "api", "work": "worker", "schedule": "scheduler", "audit": "auditor"}
FAILED = 'bevara_tasks_total{tenant="hoor",status="failed",reason="tool-crashed"}'
DEAD = 'bevara_callbacks_total{tenant="hoor",outcome="dead"}'
STOPPED = 'bevara_audit_repairs_total{outcome="stopped"}'
MISMATCH = 'bevara_audit_findings_total{verdict="mismatch"}'
UNREADABLE = 'bevara_audit_open_findings{tenant="hoor",store="arkiv",verdict="unreadable"}'
QUEUE = 'bevara_queue_tasks{tenant="hoor",state="pending"}'
DONE = 'bevara_tasks_total{tenant="hoor",status="kept",reason="ok"}'
ERRORS = 'bevara_api_requests_total{status="503"}'
STORE = 'bevara_dependency_up{dependency="store",instance="worker:8601"}'
PROGRESS, OLDEST = "bevara_audit_progress_timestamp_seconds", 'bevara_audit_oldest_check_age_seconds{tenant="hoor",store="arkiv"}'
EVIDENCE = 'bevara_evidence_day_timestamp_seconds{tenant="hoor"}'


def up(kind: str) -> str:
    return f'up{{job="bevara",instance="{KINDS[kind]}:8601"}}'


def build(kind: str) -> str:
    return f'bevara_build_info{{process="{kind}",instance="{KINDS[kind]}:8601"}}'


def memory(kind: str) -> str:
    return f'process_resident_memory_bytes{{instance="{KINDS[kind]}:8601"}}'


WELL = {
    **{up(kind): f"1x{END_MIN}" for kind in KINDS},
    **{build(kind): f"1x{END_MIN}" for kind in KINDS},
    **{memory(kind): f"130000000x{END_MIN}" for kind in KINDS},
    "bevara_leader": f"1x{END_MIN}",
    STORE: f"1x{END_MIN}",
    QUEUE: f"7x{END_MIN}",
    'bevara_queue_oldest_pending_seconds{tenant="hoor"}': f"60x{END_MIN}",
    DONE: f"0+10x{END_MIN}",
    'bevara_api_requests_total{status="200"}': f"0+100x{END_MIN}",
    MISMATCH: f"0x{END_MIN}",
    UNREADABLE: f"0x{END_MIN}",
    'bevara_audit_overdue_copies{tenant="hoor",store="arkiv"}': f"0x{END_MIN}",
    PROGRESS: f"0+60x{END_MIN}",
    OLDEST: f"1000x{END_MIN}",
    EVIDENCE: f"0+60x{END_MIN}",
}


@dataclass(frozen=True)
class Case:
    """What is otherwise than well, and what fires after so many minutes."""

    name: str
    changed: Mapping[str, str]
    at_min: int
    fires: set[str] = field(default_factory=set)


CASES = [
    Case("all is well", {}, 90),
    Case("all is well for a day", {}, END_MIN),
    Case("the API does not answer", {up("serve"): f"1x10 0x{END_MIN}"}, 20, {"BevaraProcessGone"}),
    Case("one of two does not answer for a moment", {up("serve"): f"1x10 0x2 1x{END_MIN}"}, 20),
    *(
        Case(
            f"no {kind}, and DNS knows none", {up(kind): "1x10", build(kind): "1x10", memory(kind): "1x10"}, 30, {"BevaraNoProcess"}
        )
        for kind in ("serve", "work", "schedule")
    ),
    Case("nobody leads", {"bevara_leader": f"1x10 0x{END_MIN}"}, 20, {"BevaraNoLeader"}),
    Case("a store is out of reach", {STORE: f"1x10 0x{END_MIN}"}, 20, {"BevaraPartOutOfReach"}),
    Case("one answer in twenty is an error", {ERRORS: f"0+5x{END_MIN}"}, 40, {"BevaraApiErrors"}),
    Case("one answer in two hundred is an error", {ERRORS: f"0+0.5x{END_MIN}"}, 40),
    Case("files wait and none ends", {DONE: f"5x{END_MIN}"}, 90, {"BevaraQueueStands"}),
    Case("nothing waits and none ends", {DONE: f"5x{END_MIN}", QUEUE: f"0x{END_MIN}"}, 90),
    Case("a tenant waits", {'bevara_queue_oldest_pending_seconds{tenant="hoor"}': f"90000x{END_MIN}"}, 40, {"BevaraQueueOld"}),
    Case("workers die", {"bevara_reaped_leases_total": f"0x60 30x{END_MIN}"}, 70, {"BevaraWorkersDie"}),
    Case("hosts die all at once", {'bevara_host_deaths_total{cause="crashed"}': f"_x60 60x{END_MIN}"}, 70, {"BevaraHostsDie"}),
    Case("many files fail all at once", {FAILED: f"_x60 200x{END_MIN}"}, 70, {"BevaraManyFailed"}),
    Case("few of many files fail", {FAILED: f"_x60 25x{END_MIN}"}, 70),
    Case("many failed long ago", {FAILED: f"200x{END_MIN}"}, 90),
    Case("work is put off", {'bevara_postponed_tasks_total{reason="scratch-full"}': f"0+1x{END_MIN}"}, 90, {"BevaraWorkPutOff"}),
    Case("a first callback is given up", {DEAD: f"_x60 1x{END_MIN}"}, 70, {"BevaraCallbacksDead"}),
    Case("a callback was given up long ago", {DEAD: f"_x60 1x{END_MIN}"}, 130),
    Case("memory grows", {memory("work"): f"600000000x{END_MIN}"}, 40, {"BevaraMemory"}),
    Case("an audit finds a mismatch", {MISMATCH: f"0x60 1x{END_MIN}"}, 70, {"BevaraAuditMismatch"}),
    Case("copies cannot be read, and are found once", {UNREADABLE: f"0x10 3x{END_MIN}"}, 400, {"BevaraAuditUnreadable"}),
    Case(
        "copies are overdue",
        {'bevara_audit_overdue_copies{tenant="hoor",store="arkiv"}': f"3x{END_MIN}"},
        END_MIN - 10,
        {"BevaraAuditOverdue"},
    ),
    Case("the auditor is gone, and its series with it", {PROGRESS: "0+60x10"}, END_MIN - 10, {"BevaraAuditorGone"}),
    Case("the auditor is away for a moment", {PROGRESS: "0+60x10"}, 90),
    Case("the auditor ends no round", {PROGRESS: f"60x{END_MIN}"}, END_MIN - 10, {"BevaraAuditorGone"}),
    Case("a site that audits nothing", {PROGRESS: f"0x{END_MIN}", OLDEST: f"_x{END_MIN}"}, 90),
    Case("a first repair is stopped", {STOPPED: f"_x60 1x{END_MIN}"}, 70, {"BevaraAuditRepairStopped"}),
    Case("days are not signed", {EVIDENCE: f"-300000x{END_MIN}"}, 90, {"BevaraEvidenceLate"}),
]


def promtool() -> str:
    program = shutil.which("promtool") or ""
    if not program:
        missing("promtool (Debian's package prometheus)")
    return program


def as_test(case: Case) -> dict[str, object]:
    """The case as promtool reads it: how many alerts of each name fire, and not one of another."""
    until = {name: values.replace(f"x{END_MIN}", f"x{case.at_min}") for name, values in {**WELL, **case.changed}.items()}
    series = [{"series": name, "values": values} for name, values in until.items()]
    expected = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(case.fires)]
    asked = {
        "expr": 'count by (alertname) (count by (alertname) (ALERTS{alertstate="firing"}))',
        "eval_time": f"{case.at_min}m",
        "exp_samples": expected,
    }
    return {"name": case.name, "interval": "1m", "input_series": series, "promql_expr_test": [asked]}


def accepted(*words: str) -> None:
    """What promtool says no to fails the test, in its words."""
    done = process.run([promtool(), *words], subject="prometheus", timeout_s=300, accept=range(256))

    assert done.code == 0, done.stdout + done.stderr


def test_prometheus_takes_the_files() -> None:
    accepted("check", "config", str(FOLDER / "prometheus.yml"))


def test_prometheus_takes_every_query_of_the_dashboard(tmp_path: Path) -> None:
    """Each in the place of a rule, because promtool reads rules."""
    panels = json.loads((PROJECT / "docker" / "grafana" / "bevara.json").read_text("utf-8"))["panels"]
    queries = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    file = tmp_path / "dashboard.json"
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}), "utf-8")

    assert len(queries) > 30
    accepted("check", "rules", str(file))


def test_the_alerts_that_fire_are_those_that_tell_what_is_wrong(tmp_path: Path) -> None:
    short, long = tmp_path / "short.json", tmp_path / "long.json"  # JSON is YAML too
    for file, every in ((short, "1m"), (long, "5m")):
        tests = [as_test(case) for case in CASES if (case.at_min > LONG_MIN) == (file == long)]
        wanted = {"rule_files": [os.fspath(FOLDER / "alerts.yml")], "evaluation_interval": every, "tests": tests}
        file.write_text(json.dumps(wanted), "utf-8")

    accepted("test", "rules", str(short), str(long))


@pytest.mark.parametrize(
    "group", YAML(typ="safe").load((FOLDER / "alerts.yml").read_text("utf-8"))["groups"], ids=lambda g: g["name"]
)
def test_every_alert_has_a_case_in_which_it_fires(group: dict) -> None:
    fired = {name for case in CASES for name in case.fires}

    assert {rule["alert"] for rule in group["rules"]} <= fired
