"""The tenant of the key: what it is called, what the key may do, what is registered, what is allowed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal, cast

from fastapi import APIRouter

from worker.api.answers import answers
from worker.api.caller import Reader
from worker.api.package_words import PlaceAnswer, TenantAnswer
from worker.ledger.service_facts import Place

router = APIRouter(prefix="/v1/tenant", tags=["tenant"])


@router.get("", operation_id="getTenant", summary="Look at oneself", responses=answers())
def shown(caller: Reader) -> TenantAnswer:
    """A good first request: it says whether the key works, and what a job may name."""
    return TenantAnswer(
        id=caller.about.id,
        name=caller.about.name,
        scopes=sorted(caller.principal.scopes),
        places=[_place(one) for one in caller.service.ledger.tenants.places(caller.tenant)],
        callbacks=caller.callbacks(),
        limits=asdict(caller.limits),
    )


def _place(one: Place) -> PlaceAnswer:
    kind = cast("Literal['s3', 'file']", one.url.partition("://")[0])
    return PlaceAnswer(name=one.name, kind=kind, store=one.is_store, source=one.is_source, delivery=one.is_delivery)
