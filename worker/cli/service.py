"""What the service's commands share: settings read and checked, logs, the service opened, signals, the admin port."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import sqlalchemy as sa

from actions.errors import TransientError
from worker import memory
from worker.api.health import checks
from worker.app import Service
from worker.cli import interrupt
from worker.ledger.transactions import away
from worker.observe import admin, logs
from worker.observe.metrics import Metrics
from worker.observe.traces import Tracing
from worker.service_settings import ServiceSettings
from worker.store.spool import ScratchFullError

log = logging.getLogger("bevara")

WORKING = ("ledger_url", "redis_url")  # what work and schedule cannot do without


@contextmanager
def opened(
    process: str, *, needs: tuple[str, ...] = ("ledger_url",), everything: bool = True, scratch: bool = True
) -> Iterator[Service]:
    """The service, for one of its long-lived processes: everything it needs was asked once.

    Args:
        scratch: False: the process puts nothing down, so no scratch area is needed, or made.

    Raises:
        SettingsError: Settings are wrong or missing; each is named.
        TransientError: Ledger or queue give no answer, or the scratch area cannot be used.
    """
    settings = ServiceSettings.load(needs=needs)
    logs.configure(process, form=settings.log, level=settings.log_level)
    with connected(settings, everything=everything) as service:
        service.tracing = Tracing.to(settings.otlp_endpoint, process)
        if not service.broker_alive():
            raise TransientError(
                "does not answer, or refuses the password",
                "the queue (Redis)",
                "Start it, or correct BEVARA_REDIS_URL and BEVARA_REDIS_PASSWORD.",
                code="queue-unreachable",
            )
        if scratch:
            scratch_told(service)
        yield service


def scratch_told(service: Service) -> None:
    """Look at the scratch area before any work is taken. One that is full is waited for, and the log says so.

    Raises:
        ScratchUnusableError: It cannot be made or written.
    """
    try:
        service.check_scratch()
    except ScratchFullError:
        remedy = "Make room there, or set BEVARA_SCRATCH to a folder on a larger disk"
        log.warning("not ready: the scratch area has no room, and all work waits until it has. %s", remedy)


@contextmanager
def connected(settings: ServiceSettings, *, everything: bool = True) -> Iterator[Service]:
    """The service, its ledger asked.

    Raises:
        LedgerUnreachableError: The ledger's server gives no answer, or refuses us.
    """
    memory.share()
    try:
        service = Service.open(settings, everything=everything)
    except sa.exc.DBAPIError as no:  # the server answers, and refuses: password, database, rights
        raise away(sa.make_url(settings.ledger_url), no) from no
    with service:
        yield service


@contextmanager
def admin_port(
    service: Service, metrics: Metrics, alive: Callable[[], bool] | None = None, *, scratch: bool = True
) -> Iterator[None]:
    """Serve ``/metrics``, ``/healthz`` and ``/readyz`` for as long as the block runs, where the settings ask for it.

    Args:
        scratch: As for ``opened``.

    Raises:
        PermanentError: The port is taken.
    """
    settings = service.settings
    if not settings.admin_port:
        yield
        return
    ready = admin.Readiness(checks(service, scratch=scratch), metrics)
    server = admin.AdminServer(admin.app(metrics, ready, alive), settings.admin_host, settings.admin_port)
    server.start()
    try:
        yield
    finally:
        server.stop()
        ready.close()


@contextmanager
def signals(stop: Callable[[bool], object]) -> Iterator[None]:
    """SIGTERM and Ctrl-C call *stop* with False, and every further one with True: at once."""
    asked = 0

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        nonlocal asked
        asked += 1
        stop(asked > 1)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    if interrupt.was_asked():
        handle(signal.SIGINT, None)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
