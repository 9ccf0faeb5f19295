"""A body on its way into a store: measured as it passes, compared before its end, and alone on its file."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from worker.api.digest_header import Measured
from worker.api.problems import ApiError

_BLOCK = 1 << 20


class Readable(Protocol):
    """Bytes as they come; an empty answer is the end."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to *size* bytes."""
        ...


class Checked:
    """A body of known length, measured as it passes. Its last bytes are given out only when every digest agrees.

    So whoever writes it cannot come to the end of bytes that are wrong, and leaves nothing.
    """

    def __init__(self, source: Readable, size_bytes: int, wanted: Mapping[str, bytes]) -> None:
        self._source, self._left, self._wanted = source, size_bytes, dict(wanted)
        self.size_bytes, self.measured = size_bytes, Measured()
        if not size_bytes:
            self._compare()

    def read(self, size: int = -1) -> bytes:
        """Return exactly *size* bytes, or all that is left.

        Raises:
            ApiError: ``digest-mismatch``; ``bad-request``: it ended early.
        """
        asked = self._left if size is None or size < 0 else min(size, self._left)
        pieces = []
        while asked > 0:
            piece = self._source.read(asked)
            if not piece:
                raise ApiError("bad-request", "The body ended before its length was reached.")
            self.measured.update(piece)
            pieces.append(piece)
            asked -= len(piece)
            self._left -= len(piece)
        if pieces and not self._left:
            self._compare()
        return b"".join(pieces)

    def drain(self) -> None:
        """Read to the end, for the digests only."""
        while self.read(_BLOCK):
            pass

    def _compare(self) -> None:
        if self.measured.differs(self._wanted):
            raise ApiError("digest-mismatch", "The bytes that came are not those of the digest that came with them.")


class Busy:
    """Files that a request of this process is writing right now."""

    def __init__(self) -> None:
        self._lock, self._held = threading.Lock(), set[str]()

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Have *key* alone.

        Raises:
            ApiError: ``upload-busy``.
        """
        with self._lock:
            if key in self._held:
                raise ApiError("upload-busy", "Another request is writing this file.", headers={"Retry-After": "5"})
            self._held.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._held.discard(key)
