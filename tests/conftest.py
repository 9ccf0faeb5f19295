"""What the tests of the whole service share: the command line as a child process, samples, the shared corpus."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import samples

pytest_plugins = ["tests.servers.s3", "tests.servers.postgres", "tests.servers.redis"]  # s3 first: others import from it

PROJECT = Path(__file__).resolve().parents[1]
SHARED = PROJECT.parent / "shared"


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err


def bevara(*args: object, timeout_s: float = 300, **more: Any) -> Ran:
    """Run the command line as a user would."""
    command = [sys.executable, "-m", "worker.cli", *map(_text, args)]
    done = subprocess.run(command, capture_output=True, timeout=timeout_s, cwd=PROJECT, check=False, **more)
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode(errors="replace"))


def _text(arg: object) -> str:
    return os.fsdecode(arg) if isinstance(arg, bytes | Path) else str(arg)


def report(archive: Path) -> dict[str, Any]:
    """The newest job's report.json."""
    newest = max((archive / "reports").glob("*/report.json"), key=lambda path: path.stat().st_mtime_ns)
    return json.loads(newest.read_text("utf-8"))


def files_of(archive: Path) -> dict[str, dict[str, Any]]:
    """The newest job's files by path."""
    return {entry["path"]: entry for entry in report(archive)["files"]}


def missing(what: str) -> None:
    """A test needs something that this machine lacks: skipped loudly for a person, an error in CI."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing, and CI must have it")
    pytest.skip(f"NOT TESTED: {what} is missing on this machine; `make setup` installs it")


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's samples, made once a session. Not to be changed: copy what a test changes."""
    return samples.make(tmp_path_factory.mktemp("samples") / "Leverans")


@pytest.fixture(scope="session")
def preserved(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """An archive of the samples, and how its job ended. Not to be changed."""
    archive = tmp_path_factory.mktemp("preserved") / "archive"
    return archive, bevara("preserve", sample_folder, "--archive", archive)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which real S3 servers this run has used."""
    from tests.servers.s3 import COVERED

    if COVERED:
        terminalreporter.write_line(f"S3 servers that this run covered: {', '.join(sorted(COVERED))}")
