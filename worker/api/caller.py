"""Who asks: the tenant and scopes of the key, as a route needs them.

The key itself was checked by ``gate``; here a route says which scope it asks for, and gets the tenant's door.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from worker.api.limits import Limits
from worker.api.problems import ApiError
from worker.api.surroundings import Surroundings
from worker.ledger.door import Door
from worker.ledger.service_facts import Principal, Tenant

SCOPES = ("read", "submit", "officer", "admin")

bearer = HTTPBearer(
    auto_error=False, scheme_name="key", bearerFormat="bvr_<id>_<secret>", description="A key of the tenant, from the operator."
)


@dataclass(frozen=True, slots=True)
class Caller:
    """The tenant that asks, through which nothing of another tenant can be reached."""

    principal: Principal
    about: Tenant
    limits: Limits
    service: Surroundings
    door: Door

    @property
    def tenant(self) -> str:
        """The tenant's id."""
        return self.principal.tenant

    def callbacks(self) -> list[str]:
        """Addresses below which the tenant may be called."""
        given = settings_of(self.about).get("callbacks", [])
        return [str(one) for one in given] if isinstance(given, list) else []


def settings_of(tenant: Tenant) -> dict[str, Any]:
    """A tenant's settings; what is no JSON object counts as none."""
    try:
        found = json.loads(tenant.settings)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _needs(scope: str) -> Callable[[Request, object], Awaitable[Caller]]:
    async def check(request: Request, key: Annotated[object, Security(bearer)]) -> Caller:
        del key  # was checked by the gate, before the body was read; named here for the OpenAPI document
        caller: Caller = request.state.caller
        if scope not in caller.principal.scopes and "admin" not in caller.principal.scopes:
            raise ApiError("scope", f"This needs a key with the scope `{scope}`.")
        return caller

    return check


Reader = Annotated[Caller, Depends(_needs("read"))]
Submitter = Annotated[Caller, Depends(_needs("submit"))]
Officer = Annotated[Caller, Depends(_needs("officer"))]
