"""What every request passes before its route and before its body: key, rate, size of body, and the last net.

Written as plain ASGI because a framework's own order reads a body first and asks who sent it afterwards.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

import anyio.to_thread
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.api import upload_names
from worker.api.caller import Caller, settings_of
from worker.api.limits import Limits
from worker.api.problems import ApiError, of_error
from worker.api.surroundings import Surroundings

OPEN = frozenset({"/v1/openapi.json"})
_FILES = re.compile(r"/v1/uploads/[^/]+/files/", re.DOTALL)
_KEY = re.compile(rb"(?i:bearer) +(bvr_[\x21-\x7e]{1,200})")
_AUTHORIZATION = b"authorization"
_HEADER_BYTES = 8192  # of one header: what the parsers of uvicorn take varies


class Gate:
    """Middleware; see the module."""

    def __init__(self, app: ASGIApp, service: Surroundings) -> None:
        self._app, self._service = app, service
        self._limits, self._rates = Limits.of(service.settings), service.rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send)
        try:
            await self._through(scope, exchange)
        except Exception as error:  # noqa: BLE001 -- the last net: nothing that a client sends may end as silence
            if exchange.begun:  # half an answer cannot be taken back: the connection is closed, and the client sees it
                of_error(error)
                raise ConnectionError("the answer broke off") from None
            await of_error(error).response()(scope, receive, send)

    async def _through(self, scope: Scope, exchange: _Exchange) -> None:
        if any(len(value) > _HEADER_BYTES for _, value in scope["headers"]):
            raise ApiError("headers-too-large", f"A header is longer than {_HEADER_BYTES} bytes.")
        path = scope["path"]
        if b"%00" in scope["query_string"] or ("\0" in path and not _FILES.match(path)):
            raise ApiError("bad-request", "The address holds a NUL.")
        exchange.left = self._limits.body_bytes
        if path.startswith("/v1/") and path not in OPEN:
            caller = await self._caller(scope)
            scope.setdefault("state", {})["caller"] = caller
            exchange.left = caller.limits.body_bytes
            if _FILES.match(path):
                scope["state"]["path"] = upload_names.from_url(scope.get("raw_path") or path.encode())
                exchange.left = None if scope["method"] == "PUT" else exchange.left  # the route counts for itself
        declared = _declared(scope)
        if exchange.left is not None and declared > exchange.left:
            raise ApiError("too-large", f"The body may have {exchange.left} bytes.")
        await self._app(scope, exchange.receive, exchange.send)
        if exchange.over and not exchange.begun:
            raise ApiError("too-large", "The body is longer than allowed.")

    async def _caller(self, scope: Scope) -> Caller:
        """Who asks, within the rate of the key."""
        given = [value for name, value in scope["headers"] if name == _AUTHORIZATION]
        found = _KEY.fullmatch(given[0]) if len(given) == 1 else None
        if found is None:
            raise ApiError("unauthorized", "The request carries no key.")
        return await anyio.to_thread.run_sync(self._admitted, found[1].decode("ascii"))

    def _admitted(self, key: str) -> Caller:
        caller = self._verified(key)
        most = caller.limits.requests_per_s
        wait_s = self._rates.wait_s(caller.principal.key_id, most)
        if wait_s > 0:
            raise ApiError("rate", f"The key may send {most} requests a second.", headers={"Retry-After": str(int(wait_s) + 1)})
        return caller

    def _verified(self, key: str) -> Caller:
        ledger = self._service.ledger
        principal = ledger.tenants.verify_key(key)
        tenant = ledger.tenants.get(principal.tenant) if principal else None
        if principal is None or tenant is None:
            raise ApiError("unauthorized", "The key is not known, has ended, or is a suspended tenant's.")
        limits = self._limits.of_tenant(settings_of(tenant))
        return Caller(principal, tenant, limits, self._service, ledger.door(principal.tenant))


class _Exchange:
    """One request's body and answer on their way. ``left``: bytes of the body that may still come; None: not counted here."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self.left: int | None = None
        self.over, self.begun = False, False

    async def receive(self) -> Message:
        """One piece; a body that is too long ends as if the client had gone, and is answered by the gate."""
        if self.over:
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.request" and self.left is not None:
            self.left -= len(message.get("body", b""))
            if self.left < 0:
                self.over = True
                return {"type": "http.disconnect"}
        return message

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """One piece of the answer; what an application says about a body that was cut is dropped."""
        if self.over and not self.begun:
            return
        if message["type"] == "http.response.start":
            self.begun = True
        await self._send(message)


def _declared(scope: Scope) -> int:
    """``Content-Length``; 0 when it is not told, and then the body is counted as it comes."""
    values = [value for name, value in scope["headers"] if name == b"content-length"]
    if not values:
        return 0
    if len(values) > 1 or not values[0].isdigit() or len(values[0]) > 18:
        raise ApiError("bad-request", "`Content-Length` is not a number.")
    return int(values[0])
