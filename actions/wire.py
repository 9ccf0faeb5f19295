"""How worker and host talk: one JSON document a message, with its length in front.

Plain data only, so that a host that was taken over by a hostile file can lie about that file, and
nothing else (design.md §5). The worker bounds what it is willing to read.
"""

from __future__ import annotations

import json
import os
import select
import struct
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from typing import Any

from actions.contract import Outcome

HEADER = struct.Struct(">I")
MAX_MESSAGE_BYTES = 64 * 1024 * 1024  # a comparison of 10,000 pages stays below 5 MB


class PipeClosedError(Exception):
    """The other side is gone, or stopped in the middle of a message."""


class PipeTimeoutError(Exception):
    """No complete message before the deadline."""


def dumped(outcome: Outcome) -> dict[str, Any]:
    """An outcome as plain data."""
    return asdict(outcome)


def loaded(plain: object) -> Outcome:
    """An outcome from plain data, checked: a host is not trusted to send what it should.

    Raises:
        ValueError: It is no outcome.
    """
    return _checked()(plain)


@cache
def _checked() -> Callable[[object], Outcome]:
    from pydantic import TypeAdapter  # noqa: PLC0415 -- 0.1 s to load; a host only sends

    return TypeAdapter(Outcome).validate_python


def send(fd: int, message: dict[str, Any]) -> None:
    """Write one message.

    Raises:
        PipeClosedError: Nobody reads any more.
    """
    body = json.dumps(message, ensure_ascii=True).encode()
    data = memoryview(HEADER.pack(len(body)) + body)
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError as gone:
        raise PipeClosedError(str(gone)) from gone


def receive(fd: int, *, timeout_s: float | None = None) -> dict[str, Any]:
    """Read one message.

    Raises:
        PipeClosedError: End of file, or a message longer than ``MAX_MESSAGE_BYTES``.
        PipeTimeoutError: *timeout_s* passed.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    (size,) = HEADER.unpack(_exactly(fd, HEADER.size, deadline))
    if size > MAX_MESSAGE_BYTES:
        raise PipeClosedError(f"a message of {size} bytes was announced")
    message = json.loads(_exactly(fd, size, deadline))
    if not isinstance(message, dict):
        raise PipeClosedError("a message that is not an object")
    return message


def _exactly(fd: int, size: int, deadline: float | None) -> bytes:
    parts = bytearray()
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while len(parts) < size:
        if deadline is not None:
            left_ms = int((deadline - time.monotonic()) * 1000)
            if left_ms <= 0 or not poll.poll(left_ms):
                raise PipeTimeoutError
        part = os.read(fd, min(size - len(parts), 1 << 20))
        if not part:
            raise PipeClosedError("end of file")
        parts += part
    return bytes(parts)
