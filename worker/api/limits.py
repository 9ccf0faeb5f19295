"""How much one tenant or one key may ask for, and the counting of requests.

The service's settings give the ceiling of all tenants; a tenant's own settings may set other numbers under ``limits``.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

_REMEMBERED_KEYS = 10_000  # buckets kept: one that fell out starts full again, which harms nobody


@dataclass(frozen=True, slots=True)
class Limits:
    """What a tenant may ask for. ``requests_per_s`` is per key, and twice as many may come at once."""

    body_bytes: int = 4 * 1024**2
    file_bytes: int = 64 * 1024**3
    upload_bytes: int = 1024**4
    upload_files: int = 200_000
    open_jobs: int = 1000
    requests_per_s: int = 50

    @classmethod
    def of(cls, settings: object) -> Self:
        """The service's ceiling, from the ``limit_…`` settings that there are."""
        named = {one.name: getattr(settings, f"limit_{one.name}", None) for one in fields(cls)}
        return cls(**{name: value for name, value in named.items() if value is not None})

    def of_tenant(self, settings: Mapping[str, Any]) -> Limits:
        """With the numbers of a tenant's own settings; what is no positive number there is passed over."""
        own = settings.get("limits")
        if not isinstance(own, Mapping):
            return self
        known = {one.name: getattr(self, one.name) for one in fields(self)}
        numbers = {name: own[name] for name in known if type(own.get(name)) is int and own[name] > 0}
        return Limits(**(known | numbers))


@dataclass(slots=True)
class _Tokens:
    left: float
    seen_s: float


class Rates:
    """A token bucket for each key, in this process alone. ``shared_rates`` counts for all of them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: OrderedDict[str, _Tokens] = OrderedDict()

    def wait_s(self, key: str, per_s: int) -> float:
        """Take one request of *key*. 0: it may go on; else the seconds after which one more is free."""
        now, most = self._clock(), 2.0 * per_s
        with self._lock:
            tokens = self._keys.setdefault(key, _Tokens(most, now))
            self._keys.move_to_end(key)
            if len(self._keys) > _REMEMBERED_KEYS:
                self._keys.popitem(last=False)
            tokens.left = min(most, tokens.left + (now - tokens.seen_s) * per_s)
            tokens.seen_s = now
            if tokens.left >= 1:
                tokens.left -= 1
                return 0.0
            return (1 - tokens.left) / per_s
