"""``/healthz``: this process lives. ``/readyz``: what it needs answers, or which part does not. No key is asked for.

The same as on the admin port (``worker.observe.admin``), for load balancers that reach this one only.
"""

from __future__ import annotations

import sqlalchemy as sa
from fastapi import APIRouter, Response
from pydantic import BaseModel

from actions.errors import TransientError
from worker.api.surroundings import Surroundings
from worker.observe.admin import Check, Readiness

STORE_MARK = "store/0=ocfl_1.1"  # asked for, whether it is there or not: the answer shows that the place can be reached


class Health(BaseModel):
    """The process lives."""

    status: str = "ok"


class Ready(BaseModel):
    """``parts``: each ``ok``, or the code of what is wrong."""

    ready: bool
    parts: dict[str, str]


def routes(readiness: Readiness) -> APIRouter:
    """The two addresses."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", operation_id="health", summary="Does the process live")
    def health() -> Health:
        """Answers as long as the process can."""
        return Health()

    @router.get(
        "/readyz",
        operation_id="ready",
        summary="Can it do its work",
        responses={503: {"model": Ready, "description": "A part is away."}},
    )
    def ready(response: Response) -> Ready:
        """Asks the ledger, the queue, the stores and the scratch area. Names no tenant and no address: it is open to everybody."""
        parts = readiness()
        good = all(said == "ok" for said in parts.values())
        if not good:
            response.status_code = 503
            response.headers["Retry-After"] = "5"
        return Ready(ready=good, parts=parts)

    return router


def checks(service: Surroundings, *, scratch: bool = True) -> dict[str, Check]:
    """What the API needs, each with a question that fails when it is away. For the admin port as well.

    Args:
        scratch: False: the process puts nothing down.
    """

    def ledger() -> None:
        with service.ledger.engine.connect() as db:
            db.execute(sa.select(1))

    def queue() -> None:
        if not service.broker_alive():
            raise TransientError("does not answer", "the queue", "Start Redis.", code="queue-unreachable")

    def store() -> None:
        asked = set()
        for tenant in service.ledger.tenants.list():
            place = service.ledger.tenants.primary(tenant.id) if tenant.state == "active" else None
            if place is not None and (place.url, place.endpoint) not in asked:
                asked.add((place.url, place.endpoint))
                service.bucket_of(tenant.id).stat(STORE_MARK)

    def room() -> None:
        service.check_scratch()

    parts: dict[str, Check] = {"ledger": ledger, "queue": queue, "store": store}
    return {**parts, "scratch": room} if scratch else parts
