"""What a job may point at: a source, a delivery and a callback, each only by what the tenant has registered.

A reference names a *place*, never a host or a path of a machine, so nothing that a client writes is ever connected to.
"""

from __future__ import annotations

import re

from worker.api.caller import Caller
from worker.api.problems import ApiError
from worker.callbacks.address import CallbackRefusedError, registered
from worker.ledger.service_facts import Place

_REFERENCE = re.compile(r"(s3|file)://([a-z0-9][a-z0-9-]{0,62})(?:/(.*))?", re.DOTALL)
_UPLOAD = re.compile(r"upload://([0-9a-f]{32})")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")
_OURS = ("store", "staging", "uploads", "reports")  # below a store's place these are the store's own
_MOST_CHARS = 900


def upload_of(source: str) -> str | None:
    """The upload's id, when *source* is one."""
    found = _UPLOAD.fullmatch(source)
    return found[1] if found else None


def check_source(caller: Caller, source: str) -> None:
    """See that *source* is a registered place's, and that the place may be read from.

    Raises:
        ApiError: ``source``.
    """
    name, _ = _placed(source, "source")
    if not _place(caller, name, "source").is_source:
        raise ApiError("source", "The place is not registered as a source.")


def check_delivery(caller: Caller, delivery: str) -> None:
    """See that *delivery* is a prefix of a registered place that takes deliveries, and none that a store lives in.

    Raises:
        ApiError: ``delivery``.
    """
    name, below = _placed(delivery, "delivery")
    place = _place(caller, name, "delivery")
    if not place.is_delivery:
        raise ApiError("delivery", "The place is not registered for deliveries.")
    first = below.split("/", 1)[0]
    if not first or (place.is_store and (first in _OURS or first.startswith("uploads."))):
        raise ApiError("delivery", "The prefix is empty, or the store's own.", "Name a prefix of your own below the place.")


def _placed(reference: str, code: str) -> tuple[str, str]:
    """Place and what is below it, after all that can be seen from the text."""
    found = _REFERENCE.fullmatch(reference)
    if found is None or len(reference) > _MOST_CHARS:
        raise ApiError(code, "It is not of the form `s3://PLACE/prefix` or `file://PLACE/folder`.")
    below = (found[3] or "").removesuffix("/")
    if _CONTROL.search(below) or any(part in {"", ".", ".."} for part in below.split("/") if below):
        raise ApiError(code, "The path below the place has a control character, or a part that is empty, `.` or `..`.")
    return f"{found[1]}://{found[2]}", below


def _place(caller: Caller, scheme_and_name: str, code: str) -> Place:
    scheme, _, name = scheme_and_name.partition("://")
    place = caller.service.ledger.tenants.place(caller.tenant, name)
    if place is None or not place.url.startswith(f"{scheme}://"):
        raise ApiError(code, "There is no such place.")
    return place


def check_callback(caller: Caller, url: str) -> None:
    """See that *url* lies below an address that the operator has registered for the tenant.

    Where it leads is looked at again when it is called (``worker.callbacks``).

    Raises:
        ApiError: ``callback``.
    """
    http = bool(getattr(caller.service.settings, "callback_http", False))
    try:
        registered(url, caller.callbacks(), http=http)
    except CallbackRefusedError:
        raise ApiError("callback", "The callback's address is not below a registered one, or cannot be used.") from None
