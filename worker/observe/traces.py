"""Traces, when the operator asks for them: spans of requests, jobs and tasks, sent to a collector over OTLP.

OpenTelemetry is an extra, and is imported only when ``BEVARA_OTLP_ENDPOINT`` is set: without it a span costs nothing. All
spans of a job share one trace, because its id is made from the job's id: messages carry nothing for it.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from actions.errors import ToolMissingError
from worker import __version__

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.export import SpanExporter

Ids = str | int | float | bool
Tell = Callable[[dict[str, Ids]], None]
"""Adds to an open span what is only known at its end."""

Span = contextlib.AbstractContextManager[Tell]
SpanMaker = Callable[[str, str | None, dict[str, Ids]], Span]


class Tracing:
    """Makes spans. One for each process; ``close`` sends what is left."""

    def __init__(self, make: SpanMaker, close: Callable[[], None]) -> None:
        """Use ``off`` or ``to``."""
        self._make, self.close = make, close

    @classmethod
    def off(cls) -> Tracing:
        """Spans that do nothing."""
        return cls(lambda _name, _job, _ids: contextlib.nullcontext(_untold), lambda: None)

    @classmethod
    def to(cls, endpoint: str | None, process: str, exporter: SpanExporter | None = None) -> Tracing:
        """Spans to the collector at *endpoint* (its base address); None: ``off``.

        Args:
            endpoint: For instance ``http://collector:4318``.
            process: The service's name in the traces: ``bevara-work``.
            exporter: Another way out than OTLP over HTTP.

        Raises:
            ToolMissingError: The extra is not installed.
        """
        if endpoint is None and exporter is None:
            return cls.off()
        try:
            return _opentelemetry(endpoint or "", process, exporter)
        except ModuleNotFoundError as missing:
            raise ToolMissingError(
                "is set, but OpenTelemetry is not installed",
                "BEVARA_OTLP_ENDPOINT",
                "Install bevara with its extra `traces`, or unset it.",
            ) from missing

    def span(self, name: str, *, job: str | None = None, **ids: Ids) -> Span:
        """A span around a ``with`` block.

        Args:
            name: A fixed word: ``file``, ``commit``, ``request``.
            job: Puts it into the job's trace.
            ids: Attributes: ids, counts and codes; never a name of a record (P7).
        """
        return self._make(name, job, ids)


def _opentelemetry(endpoint: str, process: str, exporter: SpanExporter | None) -> Tracing:
    """The real thing; everything of OpenTelemetry is imported here, and only here."""
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 -- an extra
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.trace import StatusCode  # noqa: PLC0415

    if exporter is None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=5)
    provider = TracerProvider(resource=Resource.create({"service.name": f"bevara-{process}", "service.version": __version__}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("bevara", __version__)

    @contextlib.contextmanager
    def make(name: str, job: str | None, ids: dict[str, Ids]) -> Iterator[Tell]:
        attributes = _named({**({"job": job} if job else {}), **ids})
        # An exception's text may hold a file's name: its type is all that goes out.
        with tracer.start_as_current_span(
            name, context=_of_job(job), attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield lambda more: span.set_attributes(_named(more))
            except BaseException as problem:
                span.set_status(StatusCode.ERROR, type(problem).__qualname__)
                raise

    return Tracing(make, provider.shutdown)


def _untold(_: dict[str, Ids]) -> None:
    """Nobody listens."""


def _named(ids: dict[str, Ids]) -> dict[str, Ids]:
    return {f"bevara.{key}": value for key, value in ids.items()}


def _of_job(job: str | None) -> Context | None:
    """A context in the job's trace, unless one is open already; None: as things are."""
    from opentelemetry import trace  # noqa: PLC0415 -- an extra

    if job is None or trace.get_current_span().get_span_context().is_valid:
        return None
    digest = hashlib.sha256(f"bevara.job/{job}".encode()).digest()
    parent = trace.SpanContext(
        trace_id=int.from_bytes(digest[:16], "big"),
        span_id=int.from_bytes(digest[16:24], "big"),
        is_remote=True,
        trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(parent))
