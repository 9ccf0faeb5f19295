"""The base of every action's parameters, checked at the border by pydantic. Which parameters there are is ``catalog``'s."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Params(BaseModel):
    """Base of every action's parameters: a policy's typo must stop at load, not at file 40 000."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoParams(Params):
    """For an action with nothing to set."""
