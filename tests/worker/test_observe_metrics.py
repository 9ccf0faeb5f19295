"""Metrics tell ids, counts and codes; the admin port tells whether a process lives and can work."""

from __future__ import annotations

import asyncio
import json
import logging
import threading

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from actions.errors import PermanentError, TransientError
from worker import __version__
from worker.ledger.service_facts import Depth
from worker.observe import admin
from worker.observe.admin import AdminServer, Readiness
from worker.observe.metrics import MOST_VALUES, OTHER, Metrics
from worker.observe.requests import ObservedRequests
from worker.record import AttemptRecord, FileRecord, OutputRecord, Status

NAME = "Beslut om Åsa.docx"


def record(**changes) -> FileRecord:
    attempts = [
        AttemptRecord(action="office_to_pdfa", tool="LibreOffice 7.4.7", outcome="accepted", seconds=0.5),
        AttemptRecord(action="pdf_validate", tool="veraPDF 1.30.2", outcome="crashed", seconds=2.0, why=NAME),
    ]
    output = OutputRecord(
        representation="preservation", path=f"preservation/{NAME}", puid=None, sha256="0", sha512="0", size_bytes=70
    )
    facts = {"path": NAME, "size_bytes": 100, "status": Status.MIGRATED, "reason": "ok", "message": NAME}
    return FileRecord(**{**facts, "attempts": attempts, "outputs": [output], **changes})


def value(metrics: Metrics, series: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(series, labels)


def ask(app, path: str, method: str = "GET") -> httpx.Response:
    """One request to an ASGI application in this process."""

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://admin") as client:
            return await client.request(method, path)

    return asyncio.run(asked())


def scraped(metrics: Metrics, ready: Readiness | None = None) -> str:
    return ask(admin.app(metrics, ready or Readiness({}, metrics)), "/metrics").text


def test_a_file_that_ended_is_counted_with_its_bytes_actions_and_tools() -> None:
    metrics = Metrics("work")
    metrics.observe_record(record(), "hoor")
    metrics.observe_record(record(size_bytes=None, outputs=[]), "hoor")

    assert value(metrics, "bevara_tasks_total", tenant="hoor", status="migrated", reason="ok") == 2
    assert value(metrics, "bevara_bytes_total", tenant="hoor", direction="in") == 100
    assert value(metrics, "bevara_bytes_total", tenant="hoor", direction="out") == 70
    assert value(metrics, "bevara_action_seconds_sum", action="office_to_pdfa", tool="LibreOffice") == 1.0
    assert value(metrics, "bevara_attempts_total", action="pdf_validate", outcome="crashed") == 2
    assert value(metrics, "bevara_host_deaths_total", cause="crashed") == 2


def test_no_name_of_a_file_is_in_any_series() -> None:
    metrics = Metrics("work")
    metrics.observe_record(record(), "hoor")

    assert "hoor" in scraped(metrics)
    assert "Åsa" not in scraped(metrics)


def test_two_processes_metrics_in_one_program_do_not_mix() -> None:
    first, second = Metrics("work"), Metrics("work")
    first.observe_job("hoor", "finished")

    assert value(second, "bevara_jobs_total", tenant="hoor", state="finished") is None


def test_no_label_grows_without_end() -> None:
    metrics = Metrics("serve")
    for number in range(MOST_VALUES + 50):
        metrics.observe_record(record(reason=f"reason-{number}", attempts=[], outputs=[]), f"tenant-{number}")
        metrics.observe_request("GET", f"/made-up/{number}", 404, 0.01)

    assert value(metrics, "bevara_tasks_total", tenant=OTHER, status="migrated", reason=OTHER) == 50
    assert value(metrics, "bevara_api_requests_total", method="GET", route=OTHER, status="404") == 50


def test_a_tenant_whose_queue_is_empty_is_shown_no_more() -> None:
    metrics = Metrics("schedule")
    metrics.observe_depth({"hoor": Depth(pending=5, queued=2, leased=1, oldest_pending_s=9.5), "lund": Depth(1, 0, 0, 1.0)})
    metrics.observe_depth({"lund": Depth(pending=1, queued=0, leased=0, oldest_pending_s=1.0)})

    assert value(metrics, "bevara_queue_tasks", tenant="lund", state="pending") == 1
    assert value(metrics, "bevara_queue_tasks", tenant="hoor", state="pending") is None
    assert value(metrics, "bevara_queue_oldest_pending_seconds", tenant="hoor") is None


def test_a_build_says_which_version_and_process_it_is() -> None:
    assert value(Metrics("schedule"), "bevara_build_info", version=__version__, process="schedule") == 1


def test_a_process_is_ready_when_all_that_it_needs_answers() -> None:
    metrics = Metrics("work")
    down = {"on": False}

    def ledger() -> None:
        if down["on"]:
            raise TransientError(NAME, NAME, NAME, code="ledger-unreachable")

    ready = Readiness({"ledger": ledger, "queue": lambda: True}, metrics)
    app = admin.app(metrics, ready)
    before = ask(app, "/readyz")
    down["on"] = True
    ready._asked_s = -admin.FRESH_S  # the answer from before is old
    after, alive = ask(app, "/readyz"), ask(app, "/healthz")
    ready.close()

    assert (before.status_code, before.json()) == (200, {"ready": True, "checks": {"ledger": "ok", "queue": "ok"}})
    assert (after.status_code, after.json()) == (503, {"ready": False, "checks": {"ledger": "ledger-unreachable", "queue": "ok"}})
    assert alive.status_code == 200, "a ledger that is away is no reason to end the process"
    assert value(metrics, "bevara_dependency_up", dependency="ledger") == 0
    assert value(metrics, "bevara_dependency_up", dependency="queue") == 1


def test_a_part_that_hangs_is_down_and_is_not_asked_again_beside_the_first_time(monkeypatch) -> None:
    monkeypatch.setattr(admin, "CHECK_S", 0.05)
    monkeypatch.setattr(admin, "FRESH_S", 0.0)
    go_on, asked = threading.Event(), []

    def store() -> None:
        asked.append(1)
        go_on.wait(20)

    def broken() -> None:
        raise ConnectionResetError(NAME)

    ready = Readiness({"store": store, "queue": lambda: False, "ledger": broken}, Metrics("work"))
    first, second = ready(), ready()
    go_on.set()
    ready.close()

    assert first == second == {"store": "no-answer", "queue": "away", "ledger": "ConnectionResetError"}
    assert len(asked) == 1


def test_a_process_whose_loop_stands_still_says_so() -> None:
    metrics = Metrics("work")

    assert ask(admin.app(metrics, Readiness({}, metrics), alive=lambda: False), "/healthz").status_code == 503


def test_the_admin_port_answers_beside_the_work_and_a_taken_port_is_told_at_start() -> None:
    metrics = Metrics("work")
    server = AdminServer(admin.app(metrics, Readiness({}, metrics)), "127.0.0.1", 0)
    server.start()
    try:
        assert "bevara_build_info" in httpx.get(f"http://127.0.0.1:{server.port}/metrics", trust_env=False).text
        with pytest.raises(PermanentError, match=r"admin address .*BEVARA_ADMIN_PORT"):
            AdminServer(admin.app(metrics, Readiness({}, metrics)), "127.0.0.1", server.port)
    finally:
        server.stop()

    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{server.port}/healthz", trust_env=False)


def test_requests_are_counted_and_logged_by_route_never_by_path(caplog) -> None:
    metrics = Metrics("serve")
    api, router = FastAPI(), APIRouter(prefix="/v1")

    @router.get("/packages/{package}/files/{path:path}")
    def file(package: str, path: str) -> None:
        if path == "fall":
            raise RuntimeError(NAME)

    api.include_router(router)
    api.add_middleware(ObservedRequests, metrics=metrics)
    with caplog.at_level(logging.INFO, "worker"):
        ask(api, f"/v1/packages/p/files/{NAME}")
        ask(api, "/v1/packages/p/files/fall")
        ask(api, f"/nowhere/{NAME}")
        ask(api, f"/nowhere/{NAME}", "BREW")

    route = "/v1/packages/{package}/files/{path:path}"
    assert value(metrics, "bevara_api_requests_total", method="GET", route=route, status="200") == 1
    assert value(metrics, "bevara_api_requests_total", method="GET", route=route, status="500") == 1
    assert value(metrics, "bevara_api_requests_total", method="GET", route="unmatched", status="404") == 1
    assert value(metrics, "bevara_api_requests_total", method=OTHER, route="unmatched", status="404") == 1
    assert value(metrics, "bevara_api_request_seconds_count", route=route) == 2
    lines = [entry.getMessage() for entry in caplog.records if entry.name.startswith("worker")]
    assert lines[0].startswith(f"GET {route} 200 in")
    assert "sa.docx" not in json.dumps(lines)
