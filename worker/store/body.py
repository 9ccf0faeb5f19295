"""Bytes on their way out of a place: all that were promised, or an error; never short data."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO, cast

from worker.store.bucket import StoreUnreachableError

_BUFFER_BYTES = 1 << 16


class _Body(io.RawIOBase):
    """See ``reader``. ``left_bytes`` tells how much is still to come."""

    def __init__(
        self,
        left_bytes: int,
        fill: Callable[[memoryview], int],
        end: Callable[[bool], None],
        broke_off: Callable[[int, str], StoreUnreachableError],
    ) -> None:
        self.left_bytes, self._fill, self._end, self._broke_off = left_bytes, fill, end, broke_off

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill *buffer* as far as one read goes."""
        wanted = min(len(buffer), self.left_bytes)
        if not wanted:
            return 0
        try:
            got = self._fill(memoryview(buffer)[:wanted])
        except OSError as no:
            raise self._broke_off(self.left_bytes, type(no).__name__) from None
        if not got:
            raise self._broke_off(self.left_bytes, "end of data")
        self.left_bytes -= got
        return got

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._end(not self.left_bytes)


def reader(
    left_bytes: int,
    fill: Callable[[memoryview], int],
    end: Callable[[bool], None],
    broke_off: Callable[[int, str], StoreUnreachableError],
) -> BinaryIO:
    """A stream of exactly *left_bytes*.

    Args:
        fill: Reads once into what it is given, and returns how much; 0: there is no more. OSError: it broke.
        end: Called once when the stream is closed, with whether it was read to its end.
        broke_off: The error for a stream that ends so many bytes too early, and why.
    """
    return cast("BinaryIO", io.BufferedReader(_Body(left_bytes, fill, end, broke_off), buffer_size=_BUFFER_BYTES))
