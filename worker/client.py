"""A small client of the service's API, for the command line and for ingest systems written in Python.

Every request can be sent twice without harm, so what a network loses is sent again, with back-off. Sending folders is
``worker.client_upload``; printing is the command line's.
"""

from __future__ import annotations

import json
import random
import ssl
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

import httpx

from actions.errors import PermanentError, PreservationError, TransientError
from worker import __version__

_PROBLEM = "urn:bevara:problem:"
_TRIES = 8  # with the waits below: about two minutes, which a restart of the service takes at most
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
_WATCHED_ROUNDS = 30  # of those tries, before a watch gives up: an upgrade of the service may take half an hour
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
LONG = httpx.Timeout(3600.0, connect=10.0)  # the service joins parts of a large file before it answers
_AGAIN = frozenset({408, 429, 502, 503, 504})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

Sleep = Callable[[float], None]
Body = bytes | Iterator[bytes] | None


class RefusedRequestError(PermanentError):
    """The service said no; ``reason`` is the end of the problem's ``type``, ``errors`` what it named."""

    code: ClassVar[str] = "refused-request"

    def __init__(self, what: str, subject: str, remedy: str, *, code: str, status: int, errors: tuple[str, ...] = ()) -> None:
        super().__init__(what, subject, remedy, code=code)
        self.status = status
        self.problems = errors


class ServiceUnreachableError(TransientError):
    """The service did not answer, however often it was asked."""

    code: ClassVar[str] = "service-unreachable"


class UntrustedServiceError(PermanentError):
    """TLS failed: to ask again would not help, and the key was not sent."""

    code: ClassVar[str] = "service-untrusted"

    @classmethod
    def of(cls, error: ssl.SSLError, url: str) -> Self:
        """What to do about *error*."""
        if isinstance(error, ssl.SSLCertVerificationError):
            remedy = (
                "Check the address. For an authority of your own, name its file in SSL_CERT_FILE, or install it on this machine."
            )
            return cls(f"its certificate is not trusted ({error.verify_message})", url, remedy)
        return cls(f"TLS failed ({error.reason or 'no reason given'})", url, "Check the address: is https:// spoken on this port?")


class Client:
    """One service and one key. Used by several threads; a context manager.

    Args:
        url: ``https://HOST[:PORT]``, as the operator gave it.
        key: ``bvr_…``; never printed.
        allow_http: Send the key without TLS to another machine than this one.
        transport: For tests: where requests go instead of the network.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        allow_http: bool = False,
        transport: httpx.BaseTransport | None = None,
        sleep: Sleep = time.sleep,
    ) -> None:
        self.url, self._sleep = _checked(url, allow_http=allow_http), sleep
        headers = {"Authorization": f"Bearer {_checked_key(key)}", "User-Agent": f"bevara/{__version__}"}
        # The system's authorities, not a list of the library's own: a site's are installed there. SSL_CERT_FILE names others.
        tls = ssl.create_default_context()
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=_TIMEOUT, transport=transport, verify=tls)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._http.close()

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    # What it asks

    def tenant(self) -> dict[str, Any]:
        """Who the key speaks for, and what is allowed."""
        return self.ask("GET", "/v1/tenant")

    def submit(self, request: Mapping[str, Any], *, idempotency_key: str | None = None) -> dict[str, Any]:
        """Ask for a package to be preserved; see the API's ``JobRequest``. The same key gives the same job."""
        key = idempotency_key or uuid.uuid4().hex
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        return self.ask("POST", "/v1/jobs", body=lambda: json.dumps(request).encode(), headers=headers)

    def job(self, job_id: str) -> dict[str, Any]:
        """A job as it stands."""
        return self.ask("GET", f"/v1/jobs/{_part(job_id)}")

    def files(self, job_id: str, status: str | None = None) -> Iterator[dict[str, Any]]:
        """A job's files, streamed; only those that ended in *status*, when it is given."""
        wanted = {"limit": "500"} | ({"status": status} if status else {})
        yield from self.pages(f"/v1/jobs/{_part(job_id)}/files", "files", wanted)

    def cancel(self, job_id: str) -> dict[str, Any]:
        """Ask a job to end."""
        return self.ask("POST", f"/v1/jobs/{_part(job_id)}/cancel")

    def watch(self, job_id: str, every_s: float = 1.0) -> Iterator[dict[str, Any]]:
        """The job again and again, until it has ended; the last one has ``ended``. A service that is away is waited for.

        Raises:
            RefusedRequestError: The service answered that it will not.
            ServiceUnreachableError: It stayed away for half an hour and more.
        """
        away = 0
        while True:
            try:
                job = self.job(job_id)
            except ServiceUnreachableError as still:
                away += 1
                if away < _WATCHED_ROUNDS:
                    continue
                remedy = f"The job does not need you: `bevara status {job_id} --watch` goes on watching."
                raise ServiceUnreachableError(still.what, self.url, remedy) from None
            away = 0
            yield job
            if job["ended"]:
                return
            self._sleep(every_s)

    # How

    def pages(self, path: str, name: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """The entries of a list, page by page."""
        cursor: str | None = None
        while True:
            page = self.ask("GET", path, query={**query, **({"cursor": cursor} if cursor else {})})
            yield from page[name]
            cursor = page["next"]
            if cursor is None:
                return

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Callable[[], Body] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: httpx.Timeout | None = None,
    ) -> dict[str, Any]:
        """Send one request, again while the service is away, and return its JSON (empty: there was none).

        Args:
            path: Already percent-encoded.
            body: Makes the body anew for each try.

        Raises:
            RefusedRequestError: The service answered that it will not.
            UntrustedServiceError: Whatever answers does not prove that it is the service.
            ServiceUnreachableError: It could not be reached in any of the tries.
        """
        for attempt in range(1, _TRIES + 1):
            try:
                answer = self._http.request(
                    method,
                    path,
                    params=query,
                    content=body() if body else None,
                    headers=dict(headers or {}),
                    timeout=timeout or _TIMEOUT,
                )
            except httpx.TransportError as error:
                if (untrusted := _tls(error)) is not None:
                    raise UntrustedServiceError.of(untrusted, self.url) from None
                if attempt == _TRIES:
                    raise ServiceUnreachableError(
                        f"the service does not answer ({type(error).__name__}, tried {_TRIES} times)",
                        self.url,
                        "Check the address and that the service runs; run the same command again to go on.",
                    ) from None
                self._wait(attempt, None)
                continue
            if answer.status_code not in _AGAIN or attempt == _TRIES:
                break
            self._wait(attempt, answer.headers.get("retry-after"))
        if answer.is_success:
            found: dict[str, Any] = answer.json() if answer.content else {}
            return found
        raise self._refused(answer)

    def _wait(self, attempt: int, told: str | None) -> None:
        """Wait as long as the service says, else longer each time, and not all clients at once."""
        wait_s = float(told) if told and told.isdigit() else _FIRST_WAIT_S * 2 ** (attempt - 1)
        self._sleep(min(wait_s, _LONGEST_WAIT_S) * random.uniform(1.0, 1.3))  # noqa: S311 -- spreads load, keeps no secret

    def _refused(self, answer: httpx.Response) -> PreservationError:
        try:
            problem = answer.json()
        except ValueError:
            problem = {}
        if not isinstance(problem, dict) or not str(problem.get("type", "")).startswith(_PROBLEM):
            return ServiceUnreachableError(
                f"answered {answer.status_code}, and not as bevara does",
                self.url,
                "Check the address: something else answers there.",
            )
        code = str(problem["type"]).removeprefix(_PROBLEM)
        what, remedy = str(problem["detail"]).rstrip("."), str(problem["remedy"])
        if answer.status_code in _AGAIN or answer.status_code >= 500:
            return ServiceUnreachableError(what, self.url, f"{remedy} Run the same command again to go on.")
        errors = tuple(" ".join(str(value) for value in one.values()) for one in problem.get("errors", ()))
        return RefusedRequestError(what, self.url, remedy, code=code, status=answer.status_code, errors=errors)


def _checked(url: str, *, allow_http: bool) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise PermanentError("is no address of a service", url or "--url", "Write https://HOST or https://HOST:PORT.", code="usage")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not allow_http:
        raise PermanentError(
            "the key would travel unencrypted",
            url,
            "Use https://, or add --allow-http inside a network that you trust.",
            code="usage",
        )
    return url.rstrip("/")


def _checked_key(key: str) -> str:
    if not key.startswith("bvr_") or not key.isascii() or not key.isprintable() or " " in key:
        raise PermanentError("is no key of this service", "the key", "A key begins with bvr_; the operator gives it.", code="usage")
    return key


def _tls(error: BaseException | None) -> ssl.SSLError | None:
    """What TLS said about a connection that could not be made; None: it is not to blame, or the line was only cut."""
    while error is not None:
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _part(job_id: str) -> str:
    if not job_id.isalnum() or not job_id.isascii():
        raise PermanentError("is no job's id", job_id, "Give the id that `bevara submit` printed.", code="usage")
    return job_id
