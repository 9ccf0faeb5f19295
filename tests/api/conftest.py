"""Fixtures of the API's tests; see ``archives``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.archives import Api, Tenanted, add_tenant, api, open_service
from worker.app import Service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service on SQLite and folders."""
    with open_service(tmp_path, limit_requests_per_s=100_000) as opened:
        yield opened


@pytest.fixture
def lund(service: Service, tmp_path: Path) -> Tenanted:
    """The tenant that asks."""
    return add_tenant(service, "lund", tmp_path)


@pytest.fixture
def malmo(service: Service, tmp_path: Path) -> Tenanted:
    """Another one."""
    return add_tenant(service, "malmo", tmp_path)


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    """The application."""
    with api(service) as opened:
        yield opened


@pytest.fixture
def ask(client: httpx.Client, lund: Tenanted) -> Api:
    """Requests of Lund's with a key of all scopes."""
    return Api(client, lund.keys["all"])


@pytest.fixture
def other(client: httpx.Client, malmo: Tenanted) -> Api:
    """Requests of Malmö's."""
    return Api(client, malmo.keys["all"])
