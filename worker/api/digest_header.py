"""``Content-Digest`` and ``Repr-Digest`` of RFC 9530: what a client says the bytes are, and what we say they are.

Only sha-256 and sha-512 are looked at; RFC 9530 section 5 has the others as insecure.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from worker.api.problems import ApiError

ALGORITHMS = {"sha-256": 32, "sha-512": 64}
_MEMBER = re.compile(r"\s*([a-z][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):\s*")


def parse(*headers: str | None) -> dict[str, bytes]:
    """Algorithm → digest of all *headers*; algorithms that we do not know are passed over.

    Raises:
        ApiError: A header is not of the form ``sha-256=:…:``, or names none that we know, or two contradict each other.
    """
    found: dict[str, bytes] = {}
    for header in headers:
        if header is None:
            continue
        known = 0
        for member in header.split(","):
            match = _MEMBER.fullmatch(member)
            if match is None:
                raise _unusable("A digest header is not of the form `sha-256=:BASE64:`.")
            if match[1] in ALGORITHMS:
                value = _decoded(match[1], match[2])
                if found.setdefault(match[1], value) != value:
                    raise _unusable("Two digest headers contradict each other.")
                known += 1
        if not known:
            raise _unusable("A digest header names neither sha-256 nor sha-512.")
    return found


def _decoded(algorithm: str, text: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise _unusable(f"The {algorithm} digest is not base64.") from None
    if len(value) != ALGORITHMS[algorithm]:
        raise _unusable(f"The {algorithm} digest has not {ALGORITHMS[algorithm]} bytes.")
    return value


def _unusable(detail: str) -> ApiError:
    return ApiError("bad-request", detail, "Write it as RFC 9530 has it, or leave it out.")


def header_of(*, sha256: str, sha512: str) -> str:
    """The header's value for digests in hexadecimal."""
    return ", ".join(
        f"{name}=:{base64.b64encode(bytes.fromhex(value)).decode()}:" for name, value in (("sha-256", sha256), ("sha-512", sha512))
    )


class Measured:
    """SHA-256 and SHA-512 of bytes as they pass."""

    def __init__(self) -> None:
        self._sums = {"sha-256": hashlib.sha256(), "sha-512": hashlib.sha512()}

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        for one in self._sums.values():
            one.update(data)

    def differs(self, wanted: dict[str, bytes]) -> bool:
        """Whether any digest that was *wanted* is another than what was measured."""
        return any(self._sums[name].digest() != value for name, value in wanted.items())

    def hexes(self) -> dict[str, str]:
        """``sha256`` and ``sha512`` in hexadecimal, as reports and ledger have them."""
        return {name.replace("-", ""): one.hexdigest() for name, one in self._sums.items()}
