"""The time by which leases, keys and callbacks are judged: the database's own, so that no worker's clock matters.

On PostgreSQL that is the server's; on SQLite this machine's, where all its processes are. Written as the rest of the ledger's
times (``events.now``), so that texts compare as times do.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

_PATTERN = 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'


class Clock:
    """One database's time, as SQL."""

    def __init__(self, engine: sa.Engine) -> None:
        self._server = engine.dialect.name == "postgresql"

    def now(self) -> sa.ColumnElement[str]:
        """The moment when the statement began."""
        return self.after(0.0)

    def after(self, seconds: float | sa.BindParameter[float]) -> sa.ColumnElement[str]:
        """*seconds* from now; negative: before. A parameter where the statement is prepared."""
        offset: Any = seconds if isinstance(seconds, sa.BindParameter) else sa.literal(float(seconds), sa.Double)
        if self._server:
            moment = sa.func.statement_timestamp() + sa.func.make_interval(0, 0, 0, 0, 0, 0, offset)
            return sa.func.to_char(sa.func.timezone("UTC", moment), _PATTERN)
        return sa.func.strftime("%Y-%m-%dT%H:%M:%fZ", "now", sa.func.printf("%+f seconds", offset))


def later(moment: str, seconds: float) -> str:
    """A time as the ledger writes it, *seconds* after another one."""
    return _written(datetime.fromisoformat(moment) + timedelta(seconds=seconds))


def seconds_between(earlier: str, after: str) -> float:
    """How many seconds lie between two of the ledger's times; negative when they stand the other way round."""
    return (datetime.fromisoformat(after) - datetime.fromisoformat(earlier)).total_seconds()


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] + "Z"
