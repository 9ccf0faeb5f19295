"""One HTTP POST, to addresses that were checked, within one span of time, and no further than its first answer.

No redirects, no proxies of the environment, no cookies, no name looked up again. What is sent and when it is tried
again is the business of ``deliver``.
"""

from __future__ import annotations

import ssl
import time
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpcore

from worker.callbacks.address import Target

MOST_BODY_BYTES = 16 * 1024  # of an answer, of which nothing is kept: enough to let a polite receiver finish


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. ``status`` is HTTP's; 0: nothing did, and ``why`` says what went wrong in a few words."""

    status: int
    why: str
    retry_after_s: float | None = None

    @property
    def taken(self) -> bool:
        """The receiver has it."""
        return 200 <= self.status < 300


def tls(ca_file: Path | None = None) -> ssl.SSLContext:
    """Certificates are checked by the system's authorities, and those of *ca_file*."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


def post(
    target: Target, addresses: Sequence[str], headers: Mapping[str, str], body: bytes, *, context: ssl.SSLContext, timeout_s: float
) -> Answer:
    """Send *body* to the first of *addresses* that takes a connection. Never raises for the receiver's sake.

    Args:
        target: Names the host for TLS and HTTP.
        addresses: Of that host, as ``address.checked`` gave them.
        headers: To send.
        body: To send.
        context: Whose certificates are believed.
        timeout_s: For all of it, from the first packet to the last, so that a receiver that drips cannot hold a thread.
    """
    url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.request_target)
    backend = _Pinned(addresses, time.monotonic() + timeout_s)
    try:
        with (
            httpcore.ConnectionPool(ssl_context=context, max_connections=1, retries=0, network_backend=backend) as pool,
            pool.stream("POST", url, headers=list(headers.items()), content=body) as response,
        ):
            _drain(response)
            return Answer(response.status, f"HTTP {response.status}", _retry_after_s(response.headers))
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError) as problem:
        return Answer(0, _why(problem))


def _drain(response: httpcore.Response) -> None:
    """Read the start of the answer's body and forget it; the status is all that counts, even when the rest fails."""
    read = 0
    try:
        for chunk in response.iter_stream():
            read += len(chunk)
            if read >= MOST_BODY_BYTES:
                return
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        return


def _retry_after_s(headers: Sequence[tuple[bytes, bytes]]) -> float | None:
    """``Retry-After`` in its form of seconds; its form of a date is not worth trusting another machine's clock."""
    for name, value in headers:
        if name.lower() == b"retry-after" and value.isdigit() and len(value) < 10:
            return float(value)
    return None


def _why(problem: BaseException) -> str:
    """A few words of our own: an exception's text may repeat the address, or what the receiver sent."""
    cause: BaseException | None = problem
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"certificate not accepted ({cause.verify_message})"
        if isinstance(cause, ssl.SSLError):
            return "TLS failed"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        cause = cause.__cause__ or cause.__context__
    if isinstance(problem, (httpcore.TimeoutException, TimeoutError)):
        return "no answer in time"
    return "not HTTP" if isinstance(problem, httpcore.ProtocolError) else "connection failed"


class _Pinned(httpcore.NetworkBackend):
    """Connects to the addresses that were checked, whatever the name now resolves to."""

    def __init__(self, addresses: Sequence[str], deadline_s: float) -> None:
        self._addresses, self._deadline_s = addresses, deadline_s
        self._real = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: typing.Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        del host, timeout
        last: Exception = OSError("no address to connect to")
        for address in self._addresses:
            try:
                left_s = _left_s(self._deadline_s)
                stream = self._real.connect_tcp(address, port, left_s, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as problem:
                last = problem
            else:
                return _Timed(stream, self._deadline_s)
        raise last


class _Timed(httpcore.NetworkStream):
    """A connection whose every step must end by one deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline_s: float) -> None:
        self._stream, self._deadline_s = stream, deadline_s

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del timeout
        return self._stream.read(max_bytes, _left_s(self._deadline_s))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        self._stream.write(buffer, _left_s(self._deadline_s))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        del timeout
        return _Timed(self._stream.start_tls(ssl_context, server_hostname, _left_s(self._deadline_s)), self._deadline_s)

    def get_extra_info(self, info: str) -> typing.Any:
        return self._stream.get_extra_info(info)


def _left_s(deadline_s: float) -> float:
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise httpcore.ReadTimeout("the time for this callback is up")
    return left_s
