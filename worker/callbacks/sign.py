"""Signatures of callbacks as the Standard Webhooks specification has them, so that receivers can use any of its libraries.

Knows secrets and bytes; where a callback goes and when is the business of ``address`` and ``deliver``.

Source:
    Standard Webhooks 1.0.0, "Signature scheme" and "Webhook headers (sending metadata to consumers)".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from actions.errors import PermanentError

PREFIX = "whsec_"
LEAST_BYTES, MOST_BYTES = 24, 64  # of a secret, as the specification recommends
TOLERANCE_S = 300  # by how much a receiver may find the time stamp off; our own verifier's, not the sender's


class SigningSecretError(PermanentError):
    """A signing secret that is none. The message never holds it."""

    code = "signing-secret"


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs with every secret that is valid now: while a tenant changes its secret there are two."""

    keys: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def of(cls, texts: Sequence[str], tenant: str) -> Signer:
        """A signer with the secrets *texts* (``whsec_…``) of *tenant*, newest first.

        Raises:
            SigningSecretError: None is given, or one is malformed.
        """
        if not texts:
            raise SigningSecretError(
                "has no signing secret, so nobody could tell its callbacks from forged ones", tenant, "Make one for this tenant."
            )
        return cls(tuple(_key(text, tenant) for text in texts))

    def headers(self, event_id: str, at_s: int, body: bytes) -> dict[str, str]:
        """The three headers that carry the signature.

        Args:
            event_id: The same for every attempt at one event: receivers drop what they have had.
            at_s: Time of this attempt, in whole seconds since 1970.
            body: The very bytes that are sent.
        """
        signatures = " ".join(signature(key, event_id, at_s, body) for key in self.keys)
        return {"webhook-id": event_id, "webhook-timestamp": str(at_s), "webhook-signature": signatures}


def signature(key: bytes, event_id: str, at_s: int, body: bytes) -> str:
    """One entry of ``webhook-signature``: the scheme's version and the HMAC-SHA256."""
    signed = b".".join((event_id.encode(), str(at_s).encode(), body))
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


def verified(texts: Sequence[str], headers: dict[str, str], body: bytes, now_s: float) -> bool:
    """Whether one of the secrets *texts* signed this callback, and lately: for our own client and for tests.

    Args:
        texts: Secrets that are believed.
        headers: By lower-case name.
        body: As received.
        now_s: This machine's time in seconds since 1970.
    """
    event_id, at, given = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not at.isascii() or not at.isdigit() or len(at) > 15 or abs(now_s - int(at)) > TOLERANCE_S:
        return False
    wanted = [signature(_key(text, "the receiver"), event_id, int(at), body).encode() for text in texts]
    offered = [one.encode() for one in given.split(" ")]
    return any(hmac.compare_digest(one, other) for one in wanted for other in offered)


def new_secret() -> str:
    """A new signing secret: 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def _key(text: str, tenant: str) -> bytes:
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True) if text.startswith(PREFIX) else b""
    except (binascii.Error, ValueError):
        key = b""
    if not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise SigningSecretError(
            f"has a signing secret that is not {PREFIX} and {LEAST_BYTES} to {MOST_BYTES} bytes in base64", tenant, "Make another."
        )
    return key
