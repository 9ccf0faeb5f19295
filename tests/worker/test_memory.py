"""What threads give back is there for the others, instead of being kept once for each of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT

# Threads that ask for memory all at once, and what the C library says of its arenas then.
COUNTED = """
import ctypes, sys, threading
from pathlib import Path
from worker.cli.service import connected
from worker.service_settings import ServiceSettings

def counted():
    meet = threading.Barrier(8)
    def ask():
        meet.wait()
        kept = [bytearray(50_000) for _ in range(20)]
        meet.wait()
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for one in threads: one.start()
    for one in threads: one.join()
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    stream = ctypes.c_void_p(libc.fopen(sys.argv[1].encode() + b".xml", b"w"))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    print(Path(sys.argv[1] + ".xml").read_text().count("<heap "))

if sys.argv[2] == "service":
    with connected(ServiceSettings.load({"BEVARA_LEDGER_URL": "sqlite:///" + sys.argv[1]})):
        counted()
else:
    counted()
"""


@pytest.mark.parametrize("process", ["service", "any other"])
def test_the_threads_of_the_service_share_one_arena(tmp_path: Path, process: str) -> None:
    """The second case shows that the C library would do otherwise by itself."""
    argv = [sys.executable, "-c", COUNTED, str(tmp_path / "ledger.sqlite3"), process]
    done = subprocess.run(argv, capture_output=True, check=True, text=True, cwd=PROJECT)

    assert (int(done.stdout) == 1) is (process == "service")
