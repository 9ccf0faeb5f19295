"""Traces: off, they cost nothing; on, a job's spans share one trace, and tell ids and types only."""

from __future__ import annotations

import sys
import textwrap
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from actions.errors import DamagedError, ToolMissingError
from actions.tools import process
from worker.observe.traces import Tracing

NAME = "Beslut om Åsa.docx"


@pytest.fixture
def spans():
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    exporter = memory.InMemorySpanExporter()
    tracing = Tracing.to(None, "work", exporter)

    def finished() -> list:
        tracing.close()
        return list(exporter.get_finished_spans())

    return tracing, finished


def test_switched_off_nothing_is_imported() -> None:
    code = """
        import sys
        from worker.observe.traces import Tracing
        with Tracing.to(None, "work").span("task", job="j", task=1):
            pass
        print([name for name in sys.modules if name.startswith("opentelemetry")])
    """

    done = process.run([sys.executable, "-c", textwrap.dedent(code)], subject="python", timeout_s=60)

    assert done.stdout.strip() == "[]"


def test_without_the_extra_the_operator_is_told_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)

    with pytest.raises(ToolMissingError, match=r"BEVARA_OTLP_ENDPOINT: .* Install bevara with its extra `traces`"):
        Tracing.to("http://127.0.0.1:9", "work")


def test_a_jobs_spans_share_a_trace_wherever_they_are_made(spans) -> None:
    tracing, finished = spans
    with tracing.span("task", job="job-1", task=7), tracing.span("act", action="ocr"):
        pass
    with tracing.span("task", job="job-1", task=8):
        pass
    with tracing.span("task", job="job-2", task=9):
        pass

    act, first, second, foreign = finished()
    assert first.context.trace_id == second.context.trace_id == act.context.trace_id
    assert act.parent.span_id == first.context.span_id
    assert foreign.context.trace_id != first.context.trace_id
    assert dict(first.attributes) == {"bevara.job": "job-1", "bevara.task": 7}


def test_what_is_known_at_the_end_can_be_told_then(spans) -> None:
    tracing, finished = spans
    with tracing.span("request") as tell:
        tell({"route": "/v1/jobs/{job_id}", "status": 200})
    with Tracing.off().span("request") as tell:
        tell({"route": "/v1/jobs/{job_id}"})

    (span,) = finished()
    assert dict(span.attributes) == {"bevara.route": "/v1/jobs/{job_id}", "bevara.status": 200}


def test_an_exceptions_words_stay_out_of_the_trace(spans) -> None:
    tracing, finished = spans
    with pytest.raises(DamagedError), tracing.span("task", job="job-1"):
        raise DamagedError("cannot be read", NAME, "Ask for another.")

    (span,) = finished()
    assert span.status.description == "DamagedError"
    assert "Åsa" not in span.to_json()
    assert span.events == ()


def test_spans_reach_a_collector_over_http() -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    got: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Not into the tests' output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        tracing = Tracing.to(f"http://127.0.0.1:{server.server_port}", "work")
        with tracing.span("task", job="job-1"):
            pass
        tracing.close()
        server.shutdown()
        thread.join()

    ((path, body),) = got
    assert path == "/v1/traces"
    assert b"bevara-work" in body
