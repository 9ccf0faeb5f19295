"""Keys as paths below one folder, and nothing beyond it: no link that leads out is read or written through."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from worker.store.bucket import BadKeyError, check_key

_NOTHING = frozenset({errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ENXIO})


class Inside:
    """The folder of a place. *own* is the name in it that no key may begin with."""

    def __init__(self, folder: Path, own: str) -> None:
        self._folder, self._own = folder, own

    def path(self, key: str) -> Path:
        """Where *key* lies.

        Raises:
            BadKeyError: It is no key, or the place's own.
        """
        if key.partition("/")[0] == self._own:
            raise BadKeyError(f"begins with {self._own!r}, which is the place's own", "a key", "Use another name.")
        return self._folder / check_key(key)

    def open(self, key: str) -> int:
        """The file under *key*, for reading; a link is nothing, and so is what lies behind one that leads out.

        Raises:
            FileNotFoundError: Nothing stands there.
        """
        try:
            fd = os.open(self.path(key), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as no:
            if no.errno in _NOTHING:
                raise FileNotFoundError(no.errno, "") from None
            raise
        real = os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115 -- a text, not a path to follow
        if self._holds(real) and stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
        raise FileNotFoundError(errno.ENOENT, "")

    def check_parent(self, path: Path) -> None:
        """Refuse a path whose folder is not in the place.

        Raises:
            BadKeyError: A link leads out.
        """
        if not self._holds(os.path.realpath(path.parent)):
            raise BadKeyError("would be written through a link that leads out of the place", "a key", "Remove the link.")

    def _holds(self, real: str) -> bool:
        root = os.path.realpath(self._folder)
        return real.removesuffix(" (deleted)") == root or real.startswith(f"{root.rstrip('/')}/")
