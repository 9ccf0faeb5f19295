"""A server process that a fixture started, and how it ends."""

from __future__ import annotations

import socket
import subprocess


class Child:
    """What has a ``process``: told to end, or ended. Only ever the process that was started here."""

    process: subprocess.Popen[bytes] | None

    def stop(self) -> None:
        """Ask it to end, as an operator would; after 10 s it is killed."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
            self.process = None

    def kill(self) -> None:
        """``kill -9``."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
