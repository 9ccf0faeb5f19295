"""``bevara serve``: the API. Any number may run behind the site's TLS proxy."""

from __future__ import annotations

import argparse
import contextlib
import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI

from actions.errors import PermanentError
from worker.api.app import create
from worker.cli import service as shared
from worker.observe.metrics import Metrics
from worker.service_settings import ServiceSettings


def add(parser: argparse.ArgumentParser) -> None:
    """No options: the settings say it all."""
    del parser


def run(args: argparse.Namespace) -> int:
    """Serve until told to end; requests in hand are answered first."""
    del args
    metrics = Metrics("serve")
    with shared.opened("serve", needs=shared.WORKING, everything=False) as service:
        listening = listen(service.settings)
        with shared.admin_port(service, metrics):
            serve(create(service, metrics), listening, service.settings)
    return 0


def listen(settings: ServiceSettings) -> socket.socket:
    """Take the API's address now, so that a port that is taken is told at start.

    Raises:
        PermanentError: It cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in settings.api_host else socket.AF_INET
    try:
        return socket.create_server((settings.api_host, settings.api_port), family=family, backlog=512)
    except OSError as problem:
        raise PermanentError(
            f"cannot be listened on ({problem.strerror})",
            f"the API's address {settings.api_host}:{settings.api_port}",
            "Set BEVARA_API_HOST and BEVARA_API_PORT to one that is free, or 0 for any.",
            code="settings",
        ) from problem


def serve(app: FastAPI, listening: socket.socket, settings: ServiceSettings) -> None:
    """Answer until SIGTERM or Ctrl-C. Those are uvicorn's while it runs; it gives them on to us when it has ended."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # it would log paths, and with them names (P7)
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=max(1, int(settings.grace_s)),
    )
    server = _Server(config)
    app.state.ending = lambda: server.should_exit
    with contextlib.suppress(KeyboardInterrupt), listening:
        server.run([listening])


class _Server(uvicorn.Server):
    """uvicorn's own, which a second SIGTERM ends at once, as a second Ctrl-C does."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Remember that it is to end."""
        self.force_exit = self.force_exit or self.should_exit
        super().handle_exit(sig, frame)
