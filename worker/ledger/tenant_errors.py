"""What can be wrong with what an operator sets up for a tenant."""

from __future__ import annotations

from typing import ClassVar, Self

from actions.errors import PermanentError


class TenantError(PermanentError):
    """A tenant, key, place or policy cannot be made as it was asked for, or is not there."""

    code: ClassVar[str] = "tenant"

    @classmethod
    def unknown(cls, tenant: str) -> Self:
        """There is no such tenant."""
        return cls("is not a tenant of this service", tenant, "See `bevara tenant list`, or add it.")
