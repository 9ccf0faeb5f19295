"""What a tenant has registered for its callbacks: addresses and signing secrets, from its settings in the ledger.

The settings are a JSON object; ours are two names in it. Whoever changes them (the operator's command line) checks them
here, so that a mistake is told then and not at night.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar

from actions.errors import PermanentError
from worker.callbacks.address import CallbackRefusedError, Target, parse, registered
from worker.callbacks.sign import Signer

ADDRESSES, SECRETS = "callbacks", "callback_secrets"
MOST_SECRETS = 4  # while one follows another there are two; each lengthens a header


class RouteError(PermanentError):
    """What a tenant registered for its callbacks cannot be used."""

    code: ClassVar[str] = "callback-settings"


@dataclass(frozen=True, slots=True)
class Route:
    """Where a tenant's callbacks may go (prefixes of addresses), and what signs them."""

    prefixes: tuple[str, ...] = ()
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, settings: str, tenant: str) -> Route:
        """From a tenant's settings (JSON).

        Raises:
            RouteError: Not a list of addresses, or not a list of secrets. Its message holds neither.
        """
        given = _object(settings)
        prefixes, secrets = given.get(ADDRESSES, []), given.get(SECRETS, [])
        if not _texts(prefixes) or not _texts(secrets) or len(secrets) > MOST_SECRETS:
            raise RouteError(
                f"has settings {ADDRESSES} or {SECRETS} that are no lists of texts (of secrets at most {MOST_SECRETS})",
                tenant,
                "Correct this tenant's settings.",
            )
        return cls(tuple(prefixes), tuple(secrets))

    def check(self, tenant: str, *, http: bool = False) -> None:
        """Say what could not be used when a callback is due.

        Raises:
            PreservationError: A prefix is no address, one lacks TLS, or a secret is malformed or missing.
        """
        for prefix in self.prefixes:
            if parse(prefix).query:
                raise CallbackRefusedError("has a query, which a registered address must not", "the callback", "Write it without.")
            registered(prefix, [prefix], http=http)
        if self.prefixes or self.secrets:
            Signer.of(self.secrets, tenant)

    def target(self, url: str, *, http: bool = False) -> Target:
        """*url* taken apart, when it is below a registered address.

        Raises:
            CallbackRefusedError: It is not.
        """
        return registered(url, self.prefixes, http=http)


def _object(settings: str) -> dict[str, Any]:
    try:
        given = json.loads(settings or "{}")
    except ValueError:
        given = None
    return given if isinstance(given, dict) else {ADDRESSES: None}


def _texts(given: object) -> bool:
    return isinstance(given, list) and all(isinstance(one, str) for one in given)
