"""A stream that a job can print to without ever failing because of it.

A pipe whose reader has gone, a full disk behind a redirect, or a C locale that knows no å must not end a job of a million files.
"""

from __future__ import annotations

import os
import sys
from typing import IO, TextIO, cast

from rich.console import Console


def is_terminal(stream: TextIO) -> bool:
    """Return whether a person watches *stream* on a terminal that can move its cursor."""
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except (ValueError, AttributeError):  # closed, or no real stream (pythonw)
        return False


class Terminal:
    """Wraps a text stream: what it cannot encode is written as an escape; once it is broken, everything is dropped."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self.broken = False

    @property
    def encoding(self) -> str:
        """The stream's own encoding: rich draws ASCII where it is not UTF."""
        return self._encoding

    def isatty(self) -> bool:
        """Return what the stream says."""
        return not self.broken and is_terminal(self._stream)

    def fileno(self) -> int:
        """Return the stream's own descriptor: rich asks it for the window's size."""
        return self._stream.fileno()

    def console(self) -> Console:
        """Return a rich console that prints here, and takes no mark-up from what it prints."""
        return Console(file=cast("IO[str]", self), highlight=False, emoji=False, markup=False)

    def write(self, text: str) -> int:
        """Write *text*, or drop it where the stream is broken."""
        if self.broken:
            return len(text)
        try:
            self._stream.write(text.encode(self._encoding, "backslashreplace").decode(self._encoding))
        except (OSError, ValueError):  # ValueError: closed
            self._give_up()
        return len(text)

    def flush(self) -> None:
        """Flush, or find out that nobody listens any more."""
        if self.broken:
            return
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self._give_up()

    def _give_up(self) -> None:
        """Write no more; turn the descriptor away, or Python's own flush at exit fails and sets exit code 120."""
        self.broken = True
        if self._stream in (sys.stdout, sys.stderr):
            try:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)
            except (OSError, ValueError):
                return
