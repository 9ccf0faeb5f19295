"""Ledgers that several suites ask for: as the processes have them, and as the API has them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from service_samples import tenants

from worker.ledger.ledger import Ledger


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """With two tenants, Lund and Malmö."""
    one = Ledger.connect(ledger_url)
    tenants(one, "lund", "malmo")
    yield one
    one.close()


@pytest.fixture
def api(ledger: Ledger, ledger_url: str) -> Iterator[Ledger]:
    """The same as the API has it: no connection sees anything by itself."""
    del ledger
    one = Ledger.connect(ledger_url, everything=False)
    yield one
    one.close()
