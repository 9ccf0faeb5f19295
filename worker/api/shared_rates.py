"""The counting of requests that all API processes share, in the queue's server: a key may ask as often wherever it asks.

While that server is away each process counts for itself: a key that may ask a little more often harms less than an API
that is closed. What is kept there is a key's id and a moment, forgotten after seconds.
"""

from __future__ import annotations

import logging
import time

import redis
from redis.exceptions import RedisError

from worker.api.limits import Rates

log = logging.getLogger("bevara")

ANSWER_S = 0.5  # counting must never cost more than the request
AWAY_S = 5.0  # after a fault, for which the server is not asked
NAMESPACE = "bevara:rate:"

# The generic cell rate algorithm with the server's own clock. One number for each key: when it would have asked for all that it
# may, at an even pace. KEYS: the key's. ARGV: requests per second, how many may come at once. Returns seconds to wait, as text.
_TAKE = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local gap = 1 / tonumber(ARGV[1])
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + gap
local early = due - now - gap * tonumber(ARGV[2])
if early > 0.000001 then return string.format('%.6f', early) end
redis.call('SET', KEYS[1], string.format('%.6f', due), 'PX', math.ceil((due - now) * 1000))
return '0'
"""


def connected(url: str) -> redis.Redis:
    """A client that gives up quickly. Connects when first used."""
    return redis.Redis.from_url(url, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S, retry=None)


class SharedRates:
    """As ``limits.Rates``, counted in *server*. Used by several threads."""

    def __init__(self, server: redis.Redis) -> None:
        self._take, self._own, self._away_until_s = server.register_script(_TAKE), Rates(), 0.0

    def wait_s(self, key: str, per_s: int) -> float:
        """Take one request of *key*. 0: it may go on; else the seconds after which one more is free."""
        if time.monotonic() >= self._away_until_s:
            try:
                return float(self._take(keys=[NAMESPACE + key], args=[per_s, 2 * per_s]))
            except RedisError as away:
                self._away_until_s = time.monotonic() + AWAY_S
                log.warning("requests are counted in this process alone: the queue's server failed (%s)", type(away).__name__)
        return self._own.wait_s(key, per_s)
