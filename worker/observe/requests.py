"""Counts and logs the API's requests by their route's template: a path may hold a package's or a file's name (P7).

An ASGI middleware; it stands in for uvicorn's access log, which ``logs`` switches off.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from worker.observe.metrics import OTHER, Metrics
from worker.observe.traces import Tracing

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNMATCHED = "unmatched"
CLIENT_GONE = 499  # nginx's word for a client that did not wait


class ObservedRequests:
    """Wraps an ASGI application: ``app.add_middleware(ObservedRequests, metrics=metrics)``."""

    def __init__(self, app: App, metrics: Metrics, tracing: Tracing | None = None) -> None:
        """Pass everything on to *app*, and tell *metrics* and *tracing*."""
        self._app, self._metrics, self._tracing = app, metrics, tracing or Tracing.off()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request and count it, also when it fails."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = CLIENT_GONE
        began = time.monotonic()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._tracing.span("request") as tell:
            try:
                await self._app(scope, receive, watched)
            except Exception:
                status = 500
                raise
            finally:
                method, route = _method(scope), getattr(scope.get("route"), "path", UNMATCHED)
                tell({"method": method, "route": route, "status": status})
                self._tell(method, route, status, time.monotonic() - began)

    def _tell(self, method: str, route: str, status: int, seconds: float) -> None:
        self._metrics.observe_request(method, route, status, seconds)
        log.info("%s %s %d in %.3f s", method, route, status, seconds)


def _method(scope: Scope) -> str:
    """The method, or ``other``: clients may send any word."""
    method: str = scope["method"]
    return method if method in METHODS else OTHER
