"""A proxy on loopback that misbehaves as it is told: what stands between a store and its S3 server on a bad day.

It speaks just enough HTTP/1.1 to know where an answer begins and ends. Faults are taken in the order in which they were
added; each is used up after so many requests.

    with FaultyProxy(server.port) as proxy:
        proxy.add(Fault("flip", method="GET", path="staging/"))
        endpoint = server.through(proxy.port)
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, Self

_SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
_PIECE = 1 << 16


@dataclass
class Fault:
    """What goes wrong, with which requests, and how often (None: until it is cleared).

    ``refuse`` breaks the connection before an answer; ``503`` answers SlowDown; ``delay`` waits *seconds* before the answer;
    ``cut`` closes after half of the answer's body; ``flip`` changes one bit in the middle of it; ``slow`` sends the body
    in small pieces over *seconds*.
    """

    kind: Literal["refuse", "503", "delay", "cut", "flip", "slow"]
    times: int | None = 1
    method: str = ""
    path: str = ""
    seconds: float = 0.0

    def fits(self, method: str, path: str) -> bool:
        return self.times != 0 and self.method in ("", method) and self.path in path


@dataclass
class FaultyProxy:
    """See the module. ``done`` tells which faults were carried out, as (kind, method, path)."""

    upstream_port: int
    port: int = 0
    done: list[tuple[str, str, str]] = field(default_factory=list)
    _faults: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _listener: socket.socket | None = None
    _threads: list[threading.Thread] = field(default_factory=list)
    _open: set[socket.socket] = field(default_factory=set)

    def add(self, *faults: Fault) -> None:
        with self._lock:
            self._faults += faults

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.vanish()
        for thread in self._threads:
            thread.join(10)

    def listen(self) -> None:
        """Accept connections, at the same port as before."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept, self._listener)

    def vanish(self) -> None:
        """Refuse every connection, and break those that are open: as if the machine were gone."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            for one in tuple(self._open):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _start(self, work: object, *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError, EOFError):
            stack.enter_context(client)
            server = stack.enter_context(socket.create_connection(("127.0.0.1", self.upstream_port)))
            with self._lock:
                self._open |= {client, server}
            stack.callback(self._forget, client, server)
            upstream = stack.enter_context(server.makefile("rb"))
            requests = stack.enter_context(client.makefile("rb"))
            while self._one(client, requests, server, upstream):
                pass

    def _forget(self, *ended: socket.socket) -> None:
        with self._lock:
            self._open -= set(ended)

    def _one(self, client, requests, server, upstream) -> bool:
        """One request and its answer; False: the connection ends."""
        head = _head(requests)
        method, path, _ = head[0].decode("latin-1").split(" ", 2)
        fault = self._fault(method, path)
        kind = fault.kind if fault else ""
        if kind == "refuse":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # an RST, not an orderly end
            return False
        server.sendall(b"".join(head)) if kind != "503" else None
        for piece in _body(requests, head, has_body=True, until_closed=False):
            server.sendall(piece) if kind != "503" else None
        if kind == "503":
            headers = f"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: {len(_SLOW_DOWN)}\r\n\r\n"
            client.sendall(headers.encode() + (b"" if method == "HEAD" else _SLOW_DOWN))
            return True
        if fault and kind == "delay":
            time.sleep(fault.seconds)
        return self._answer(client, upstream, method, fault)

    def _answer(self, client, upstream, method: str, fault: Fault | None) -> bool:
        head = _head(upstream)
        client.sendall(b"".join(head))
        status = int(head[0].split(b" ")[1])
        if 100 <= status < 200:
            return self._answer(client, upstream, method, fault)
        has_body = method != "HEAD" and status not in (204, 304)
        size, sent, kind = _length(head) or 0, 0, fault.kind if fault else ""
        for whole in _body(upstream, head, has_body=has_body, until_closed=True):
            piece = whole
            if kind == "flip" and sent <= size // 2 < sent + len(piece):
                at = size // 2 - sent
                piece = piece[:at] + bytes([piece[at] ^ 0x10]) + piece[at + 1 :]
            if kind == "cut" and sent + len(piece) > size // 2:
                client.sendall(piece[: size // 2 - sent])
                return False
            if fault and kind == "slow" and size:
                time.sleep(fault.seconds * len(piece) / size)
            client.sendall(piece)
            sent += len(piece)
        return True

    def _fault(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.fits(method, path):
                    if fault.times is not None:
                        fault.times -= 1
                    self.done.append((fault.kind, method, path))
                    return fault
        return None


def _head(stream) -> list[bytes]:
    """The lines of a request's or an answer's head, the empty one included."""
    lines = []
    while True:
        line = stream.readline(_PIECE)
        if not line:
            raise EOFError
        lines.append(line)
        if line == b"\r\n" and len(lines) > 1:
            return lines


def _header(head: list[bytes], name: bytes) -> bytes | None:
    for line in head[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip().lower()
    return None


def _length(head: list[bytes]) -> int | None:
    value = _header(head, b"content-length")
    return int(value) if value else None


def _body(stream, head: list[bytes], *, has_body: bool, until_closed: bool) -> Iterator[bytes]:
    """The body in pieces as they come, framing included."""
    if not has_body:
        return
    if _header(head, b"transfer-encoding") == b"chunked":
        while True:
            line = stream.readline(_PIECE)
            size = int(line.split(b";")[0], 16)
            yield line + stream.read(size + 2)
            if not size:
                return
    left = _length(head)
    if left is None and not until_closed:
        return
    while left is None or left:
        piece = stream.read1(_PIECE if left is None else min(_PIECE, left))
        if not piece:
            return
        left = None if left is None else left - len(piece)
        yield piece
