"""Where a page ended, as text that only the ledger reads: the last row's own sort values, so that new rows shift nothing."""

from __future__ import annotations

import base64
import json
import re
from typing import Any, ClassVar

import sqlalchemy as sa

from actions.errors import PermanentError

_UNFIT = re.compile("[\x00\ud800-\udfff]")


class CursorError(PermanentError):
    """The cursor is not one that this ledger gave for this list."""

    code: ClassVar[str] = "cursor"


def write_cursor(kind: str, *values: str | int) -> str:
    """The cursor after a row with these sort values; *kind* names the list, so that no other takes it."""
    return base64.urlsafe_b64encode(json.dumps([kind, *values]).encode()).decode().rstrip("=")


def read_cursor(kind: str, cursor: str, *types: type) -> tuple[Any, ...]:
    """The values that ``write_cursor`` was given.

    Raises:
        CursorError: It was not written for this list.
    """
    try:
        found = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, UnicodeError):  # what a client made up
        found = None
    if isinstance(found, list) and len(found) == len(types) + 1 and found[0] == kind:
        values = tuple(found[1:])
        if all(type(value) is wanted and _fits(value) for value, wanted in zip(values, types, strict=True)):
            return values
    raise CursorError("is not a cursor of this list", "cursor", "Take it as it came with the page before, or begin without one.")


def behind(columns: tuple[sa.ColumnElement[Any], ...], values: tuple[Any, ...], *, falling: bool = False) -> sa.ColumnElement[bool]:
    """Rows behind *values* in the order of *columns*; *falling*: in the other direction."""
    left, right = (
        sa.tuple_(*columns),
        sa.tuple_(*(sa.literal(value, column.type) for value, column in zip(values, columns, strict=True))),
    )
    return left < right if falling else left > right


def _fits(value: Any) -> bool:
    """What a database takes: PostgreSQL has no zero byte and no half of a character in a text, nor a number beyond 64 bits."""
    return not _UNFIT.search(value) if isinstance(value, str) else abs(value) < 1 << 63
