"""Policies: the shipped ones and the tenant's own. An officer puts them; every version that was ever put stays."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Path, Request

from actions.catalog import CATALOG
from worker.api.answers import answers
from worker.api.caller import Caller, Officer, Reader
from worker.api.package_words import PolicyAnswer, PolicyList
from worker.api.problems import ApiError, not_found
from worker.ledger.service_facts import StoredPolicy
from worker.policy.inherit import find, shipped
from worker.policy.load import load_policy
from worker.policy.problem import PolicyError
from worker.policy.text import MOST_BYTES, load_text
from worker.record import PolicyRef

router = APIRouter(prefix="/v1/policies", tags=["policies"])
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_TYPES = frozenset({"application/yaml", "application/x-yaml", "text/yaml", "text/plain"})
Name = Annotated[str, Path(max_length=200, examples=["skanearkiv"])]


def resolve(caller: Caller, name: str) -> PolicyRef:
    """The policy that a job means by *name*: the newest of the tenant's own, or the shipped one.

    In this order: a policy that a later bevara ships under the same name must not take an own one's place unseen.

    Raises:
        ApiError: ``policy-unknown``.
    """
    own = caller.service.ledger.tenants.policy(caller.tenant, name) if _NAME.fullmatch(name) else None
    if own is None and name in shipped():
        return _shipped(name)
    if own is None:
        raise ApiError("policy-unknown", "Neither bevara nor the tenant has a policy of this name.")
    return PolicyRef(name=own.name, version=own.version, sha256=own.sha256)


@lru_cache(maxsize=64)
def _shipped(name: str) -> PolicyRef:
    return load_policy(name, CATALOG).ref


@router.get("", operation_id="listPolicies", summary="List policies", responses=answers())
def listed(caller: Reader) -> PolicyList:
    """All policies that a job may name: those shipped with bevara, and the newest of each of the tenant's own."""
    own = [_own(one) for one in caller.service.ledger.tenants.policies(caller.tenant)]
    return PolicyList(policies=[_of_shipped(name) for name in shipped()] + own)


@router.get("/{name}", operation_id="getPolicy", summary="Show a policy", responses=answers("not-found"))
def shown(caller: Reader, name: Name) -> PolicyAnswer:
    """A policy with its text."""
    own = caller.service.ledger.tenants.policy(caller.tenant, name) if _NAME.fullmatch(name) else None
    if own is None and name in shipped():
        return _of_shipped(name, text=find(name).read_text("utf-8"))
    if own is None:
        raise not_found("policy")
    return _own(own, text=own.text)


@router.put(
    "/{name}",
    operation_id="putPolicy",
    summary="Put a policy",
    responses=answers("media-type", "policy-invalid"),
    openapi_extra={"requestBody": {"required": True, "content": {"application/yaml": {"schema": {"type": "string"}}}}},
)
async def put(caller: Officer, name: Name, request: Request) -> PolicyAnswer:
    """Check a policy's YAML and keep it. Jobs that name it use it from now on; the ones under way keep theirs.

    It may extend a shipped policy, and needs a name that no shipped one has. Its own `name` must be the one in the address.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in _TYPES:
        raise ApiError("media-type", "A policy is sent as application/yaml.")
    body = await request.body()
    return await to_thread.run_sync(_put, caller, name, body)


def _put(caller: Caller, name: str, body: bytes) -> PolicyAnswer:
    if len(body) > MOST_BYTES:
        raise ApiError("too-large", f"A policy may have {MOST_BYTES} bytes.")
    if not _NAME.fullmatch(name) or name in shipped():
        detail = "The name is a shipped policy's, or not of the form `[a-z0-9][a-z0-9-]*`."
        raise ApiError("policy-invalid", detail, "Choose another name; the policy may extend a shipped one.")
    try:
        text = body.decode("utf-8")
        policy, warnings = load_text(name, text, CATALOG)
    except UnicodeDecodeError:
        raise ApiError("policy-invalid", "The policy is not UTF-8.") from None
    except PolicyError as error:
        errors = [
            {"line": one.line, "severity": str(one.severity), "what": one.what, "remedy": one.remedy} for one in error.problems
        ]
        raise ApiError("policy-invalid", f"The policy has {len(errors)} error(s).", errors=errors) from None
    ref = policy.ref
    kept = caller.service.ledger.tenants.put_policy(caller.tenant, name, ref.version, ref.sha256, text)
    return _own(kept, warnings=[f"line {one.line}: {one.what}. {one.remedy}" for one in warnings])


def _own(one: StoredPolicy, *, text: str | None = None, warnings: list[str] | None = None) -> PolicyAnswer:
    return PolicyAnswer(
        name=one.name, version=one.version, sha256=one.sha256, origin="own", created=one.created, text=text, warnings=warnings or []
    )


def _of_shipped(name: str, text: str | None = None) -> PolicyAnswer:
    ref = _shipped(name)
    return PolicyAnswer(name=name, version=ref.version, sha256=ref.sha256, origin="shipped", created=None, text=text)
