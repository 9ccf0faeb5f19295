"""A process that cannot put down what it works on is not ready, says so with the setting to change, and blames no file for it."""

from __future__ import annotations

import errno
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import missing
from tests.installation import Installation, installed, wait_for
from tests.servers.child import free_port
from tests.worker.test_bad_input import small_disk
from tests.worker.test_service_commands import told
from tests.worker.test_service_parts import AWAY, raising, service, state, taken
from worker.api.health import checks
from worker.app import Service
from worker.observe.admin import Readiness
from worker.observe.metrics import Metrics
from worker.queue.files import FULL_S
from worker.queue.patience import MOST_TRIES, wait_s
from worker.scratch import ScratchUnusableError
from worker.store.spool import ScratchFullError

__all__ = ["service"]  # a fixture

FULL = ScratchFullError("the scratch area has no room", "/scratch", "Wait.")


@pytest.fixture
def site(tmp_path: Path, postgres_url: str, redis_url: str) -> Iterator[Installation]:
    """An installation whose processes answer on an admin port, one at a time."""
    with installed(tmp_path / "site", postgres_url, redis_url, BEVARA_ADMIN_PORT=str(free_port())) as one:
        one.tenant("lund")
        yield one


def ready(site: Installation) -> tuple[int, dict[str, str]]:
    """What ``/readyz`` says; 0 while nobody listens."""
    try:
        answer = httpx.get(f"http://127.0.0.1:{site.more['BEVARA_ADMIN_PORT']}/readyz", trust_env=False, timeout=30)
    except httpx.TransportError:
        return 0, {}
    return answer.status_code, answer.json()["checks"]


@pytest.mark.parametrize("command", [("work",), ("serve",), ("audit", "watch")], ids=" ".join)
def test_a_process_without_a_scratch_folder_does_not_start(command, tmp_path, redis_url, monkeypatch, capsys) -> None:
    """Exit code 3, the setting, and what to do: before it has taken any work. A file in the folder's place stops root too."""
    (tmp_path / "taken").write_bytes(b"")
    monkeypatch.setenv("BEVARA_LEDGER_URL", f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    monkeypatch.setenv("BEVARA_REDIS_URL", redis_url)
    monkeypatch.setenv("BEVARA_ADMIN_PORT", "0")
    monkeypatch.setenv("BEVARA_SCRATCH", str(tmp_path / "taken" / "scratch"))

    said = told(capsys, *command, code=3)

    assert "Set BEVARA_SCRATCH to a folder on a local disk that the service may write" in said
    assert str(tmp_path / "taken") in said
    assert "started" not in said


def test_a_scheduler_puts_nothing_down_and_needs_no_scratch_folder(site, tmp_path) -> None:
    """So a folder that is wrong there stops nothing."""
    (tmp_path / "taken").write_bytes(b"")
    site.more["BEVARA_SCRATCH"] = str(tmp_path / "taken" / "scratch")

    site.start("schedule").until("started")
    wait_for(lambda: ready(site)[0] != 0)

    assert ready(site) == (200, {"ledger": "ok", "queue": "ok", "store": "ok"})


@pytest.mark.parametrize("command", ["work", "serve"])
def test_a_full_disk_is_told_at_start_and_waited_for(command, site, tmp_path) -> None:
    """Up, not ready, and ready by itself as soon as there is room."""
    with small_disk(tmp_path / "disk", 80) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(40 << 20))
        site.more["BEVARA_SCRATCH"] = str(disk / "scratch")
        child = site.start(command)
        wait_for(lambda: ready(site)[0] != 0)
        full, said = ready(site), child.said()
        ballast.unlink()
        wait_for(lambda: ready(site)[0] == 200)
        child.end()

    assert full == (503, {"ledger": "ok", "queue": "ok", "store": "ok", "scratch": "scratch-full"})
    assert "not ready: the scratch area has no room, and all work waits until it has" in said
    assert "Make room there, or set BEVARA_SCRATCH to a folder on a larger disk" in said


def asked(service: Service) -> str:
    """What readiness says of the scratch area now."""
    made = Readiness(checks(service), Metrics("work"))
    try:
        return made()["scratch"]
    finally:
        made.close()


def test_a_disk_that_turns_read_only_is_no_longer_ready(service) -> None:
    """As a file system does after an error of its disk; and back, when it is mended."""
    folder, before = service.scratch.folder, asked(service)
    with closed(folder):
        shut = asked(service)

    assert (before, shut, asked(service)) == ("ok", "scratch", "ok")
    assert list(folder.glob("probe-*")) == []


@contextmanager
def closed(folder: Path) -> Iterator[None]:
    """*folder* cannot be written for a while: not even by root, who runs tests."""
    if subprocess.run(["mount", "--bind", folder, folder], capture_output=True, check=False).returncode:
        missing("the right to mount")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_folder_that_somebody_removed_is_no_longer_ready(service) -> None:
    assert asked(service) == "ok"
    shutil.rmtree(service.settings.scratch)

    assert asked(service) == "scratch"
    with pytest.raises(ScratchUnusableError, match="BEVARA_SCRATCH"):
        service.check_scratch()


@pytest.mark.parametrize("tries", [1, MOST_TRIES * 3])
def test_no_file_is_blamed_for_a_scratch_folder_that_is_gone(service, tries) -> None:
    """The error alone looks like our own fault; it is waited for, however often it was tried."""

    def gone(*_: object) -> None:
        service.check_scratch()
        shutil.rmtree(service.settings.scratch)
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    task_id, _, _ = taken(service, gone, tries=tries)

    assert state(service, task_id) == ("pending", "scratch", True)


def test_a_scratch_area_without_room_is_waited_for_without_end(service) -> None:
    """ "Full" means wait, not fail; a store that is away is another matter, and ends after hours."""
    task_id, _, _ = taken(service, raising(FULL), tries=MOST_TRIES * 3)
    away, _, _ = taken(service, raising(AWAY), tries=MOST_TRIES)

    assert state(service, task_id) == ("pending", "scratch-full", True)
    assert state(service, away)[:2] == ("done", "store-unreachable")
    assert wait_s(FULL, 1) == FULL_S
