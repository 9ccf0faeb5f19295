"""What the client remembers of uploads that are not finished: beside the user's other state, where the user has a home.

Which upload was begun for a folder, and which files it has, each as it was when it was sent. Sending is ``client_upload``'s.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Begun:
    """An upload of this user that may not be finished, and the key under which it will be submitted."""

    upload: str
    idempotency_key: str


class Notes:
    """Remembers what was begun, in one small file for each folder, service and package."""

    def __init__(self, url: str, source: bytes, package: str) -> None:
        home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
        name = hashlib.sha256(b"\0".join([url.encode(), source, package.encode()])).hexdigest()[:32]
        self._path = Path(home) / "bevara" / "uploads" / f"{name}.json"
        self._sent = self._path.with_suffix(".sent")

    def begun(self) -> Begun | None:
        """What an earlier run left; None: nothing, or nothing readable."""
        try:
            return Begun(**json.loads(self._path.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def keep(self, begun: Begun) -> None:
        """Remember, where the user has a home: without one, as in a container, a folder is sent all the same."""
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.write_text(json.dumps(asdict(begun)), "utf-8")

    def sent(self) -> set[str]:
        """Marks of the files that earlier runs sent, as they were then."""
        try:
            return set(self._sent.read_text("ascii").split())
        except (OSError, UnicodeDecodeError):
            return set()

    def keep_sent(self, mark: str) -> None:
        """Remember a file that the service has; one line at once, so that threads do not mix."""
        with contextlib.suppress(OSError), self._sent.open("a", encoding="ascii") as lines:
            lines.write(f"{mark}\n")

    def forget(self) -> None:
        """It is done."""
        for path in (self._path, self._sent):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()


def mark_of(path: bytes, found: os.stat_result) -> str:
    """A file as it is now: every change of its content gives it another time of change, which nobody can set."""
    facts = f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}".encode()
    return hashlib.sha256(path + b"\0" + facts).hexdigest()[:32]
