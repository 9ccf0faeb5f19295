"""The operator's door of every process: ``/metrics``, ``/healthz``, ``/readyz``. Asks for no key, so it stays inside.

``/healthz`` says that the process lives, and fails when it should be ended; ``/readyz`` says whether it can work now, by
checks that the composition root gives. Answers hold names of parts and codes, nothing of a tenant.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlowError

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from actions.errors import PermanentError, PreservationError
from worker.observe.metrics import Metrics

log = logging.getLogger(__name__)

Check = Callable[[], object]

CHECK_S = 5.0  # until a part that gives no answer counts as down; below the usual patience of probes
FRESH_S = 1.0  # for which an answer is given again, so that many probes cost no more than one
_START_S = 10.0


class Readiness:
    """Asks the parts, all at once, each in its own time; at most once a second, however many ask."""

    def __init__(self, checks: Mapping[str, Check], metrics: Metrics) -> None:
        """*checks* by the part's name; each raises or returns False when the part is not well."""
        self._checks, self._metrics = checks, metrics
        self._pool = ThreadPoolExecutor(max(1, len(checks)), thread_name_prefix="ready")
        self._running: dict[str, Future[object]] = {}
        self._lock = threading.Lock()
        self._asked_s, self._said = -FRESH_S, dict[str, str]()

    def __call__(self) -> dict[str, str]:
        """Each part's state: ``ok``, or the code of what is wrong."""
        with self._lock:
            if time.monotonic() - self._asked_s >= FRESH_S:
                self._said = self._ask()
                self._asked_s = time.monotonic()
                for name, said in self._said.items():
                    self._metrics.dependency.labels(name).set(said == "ok")
            return dict(self._said)

    def close(self) -> None:
        """Ask no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self) -> dict[str, str]:
        for name, check in self._checks.items():
            if name not in self._running:  # one that hangs is not asked a second time beside the first
                self._running[name] = self._pool.submit(check)
        until_s = time.monotonic() + CHECK_S
        return {name: self._answer(name, until_s) for name in self._checks}

    def _answer(self, name: str, until_s: float) -> str:
        try:
            well = self._running[name].result(timeout=max(0.0, until_s - time.monotonic()))
        except TooSlowError:
            if not self._running[name].done():
                return "no-answer"
            said = "no-answer"
        except PreservationError as known:
            said = known.reason
        except Exception as unknown:  # noqa: BLE001 -- a driver's own error: the part is not well, whatever its name
            said = type(unknown).__name__
        else:
            said = "away" if well is False else "ok"
        del self._running[name]
        return said


def app(metrics: Metrics, ready: Readiness, alive: Callable[[], bool] | None = None) -> Starlette:
    """The application. *alive*: whether the process's own loop still turns; None: answering is proof enough."""

    def show_metrics(_: Request) -> Response:
        ready()  # so that what is down shows, whether anybody asks /readyz or not
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    def healthz(_: Request) -> Response:
        well = alive is None or alive()
        return JSONResponse({"alive": well}, 200 if well else 503)

    def readyz(_: Request) -> Response:
        said = ready()
        well = all(state == "ok" for state in said.values())
        return JSONResponse({"ready": well, "checks": said}, 200 if well else 503)

    # Plain functions: Starlette runs them in threads, so a slow check holds nobody up.
    return Starlette(routes=[Route("/metrics", show_metrics), Route("/healthz", healthz), Route("/readyz", readyz)])


class AdminServer:
    """Serves the application in a thread of its own, beside whatever the process does."""

    def __init__(self, application: Starlette, host: str, port: int) -> None:
        """Take the address now, so that a port that is taken is told at start.

        Raises:
            PermanentError: It cannot be listened on.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = socket.create_server((host, port), family=family)
        except OSError as problem:
            raise PermanentError(
                f"cannot be listened on ({problem.strerror})",
                f"the admin address {host}:{port}",
                "Give each process on this machine a port of its own (BEVARA_ADMIN_PORT), or 0 for none.",
                code="settings",
            ) from problem
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            application, log_config=None, access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="admin", daemon=True)

    def start(self) -> None:
        """Begin to answer; returns when it does."""
        self._thread.start()
        until_s = time.monotonic() + _START_S
        while not self._server.started and self._thread.is_alive() and time.monotonic() < until_s:
            time.sleep(0.01)

    def stop(self) -> None:
        """Answer no more, and end the thread."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_START_S)
        self._socket.close()
