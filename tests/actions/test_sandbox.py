"""Promise P6: what a parser that was taken over can see and reach from inside the sandbox."""

from __future__ import annotations

import pytest

from actions.tools import bubblewrap, process
from tests.conftest import PROJECT, missing


def inside(script: str) -> str:
    """What a shell in the sandbox says."""
    if bubblewrap.boundary().kind == "none":
        missing(f"the sandbox ({bubblewrap.boundary().why})")
    command = ["bwrap", *bubblewrap._system(), "--", "/bin/sh", "-c", script]
    return process.run(command, subject="sandbox", timeout_s=20, accept=range(256)).stdout


def test_there_is_no_network() -> None:
    """Not even this machine's own services: only the loopback of its own empty namespace."""
    names = [line.split(":")[0].strip() for line in inside("cat /proc/net/dev").splitlines() if ":" in line]

    assert names == ["lo"]


@pytest.mark.parametrize("path", ["/etc/shadow", "/etc/passwd", "/root", "/home", "/var/lib/dpkg", "/run", str(PROJECT)])
def test_credentials_and_other_files_do_not_exist(path) -> None:
    """What is not there cannot be read."""
    assert inside(f"test -e '{path}' && echo there || echo absent").strip() == "absent"


def test_the_system_is_read_only() -> None:
    """A tool cannot be changed for the next file."""
    assert inside("touch /usr/bin/x 2>/dev/null && echo written || echo refused").strip() == "refused"


def test_other_processes_are_not_seen() -> None:
    """An own PID namespace: no process to look into or to end."""
    assert len(inside("ls /proc | grep -c '^[0-9]'").split()) == 1
    assert int(inside("ls /proc | grep -c '^[0-9]'")) <= 4
