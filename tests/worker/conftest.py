"""Ledgers and audited archives that several suites ask for: as the processes have them, and as the API has them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from audit_samples import Lab, build
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


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an archive of four packages, ``a``, and two more stores that hold them. Not to be changed."""
    folder = tmp_path_factory.mktemp("filled") / "a"
    build(folder, 4)
    with Lab(folder) as lab:
        lab.fill()
    return folder.parent


@pytest.fixture
def lab(filled: Path, tmp_path: Path) -> Iterator[Lab]:
    """Auditors over a copy of it."""
    shutil.copytree(filled, tmp_path / "x")
    with Lab(tmp_path / "x" / "a") as one:
        yield one
