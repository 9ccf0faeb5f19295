"""A key may ask as often wherever it asks: all API processes count together, and none is closed because the counter is away."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from tests.api.archives import Api, add_tenant, api, code, open_service
from tests.servers import redis as redis_servers
from tests.servers.child import free_port
from worker.api.limits import Rates
from worker.api.shared_rates import SharedRates, connected


@pytest.fixture
def shared(redis_url: str) -> Iterator[Callable[[], SharedRates]]:
    """Makes a process's counter, each with connections of its own."""
    made = []

    def another() -> SharedRates:
        made.append(connected(redis_url))
        return SharedRates(made[-1])

    yield another
    for server in made:
        server.close()


def test_two_processes_count_the_same_requests(shared) -> None:
    """At a pace of one in a thousand seconds no time gives anything back while this runs."""
    one, two = shared(), shared()
    slow = 1  # a second: the least there is

    taken = [rates.wait_s("k", slow) for rates in (one, two, one, two, one)]

    assert taken[:2] == [0, 0]
    assert all(0 < wait <= slow for wait in taken[2:]) or taken.count(0) > 2, taken
    assert two.wait_s("other", slow) == 0, "another key has its own"


def test_as_many_at_once_as_alone(shared, redis_url) -> None:
    """Twice the number of a second, and not one of them lost to rounding."""
    for per_s in (1, 3, 50, 1000):
        rates, own = shared(), Rates(lambda: 0.0)
        alone = sum(own.wait_s("k", per_s) == 0 for _ in range(2 * per_s))

        assert sum(rates.wait_s(f"k{per_s}", per_s) == 0 for _ in range(2 * per_s)) == alone == 2 * per_s


def test_nothing_but_a_keys_id_and_a_moment_is_kept_and_not_for_long(shared, redis_url) -> None:
    rates = shared()
    rates.wait_s("f493379e", 1)
    with closing(connected(redis_url)) as server:
        (name,) = server.keys()
        left_ms = server.pttl(name)

    assert name == b"bevara:rate:f493379e"
    assert 0 < left_ms <= 2000


def test_a_key_gets_no_more_from_two_apis_than_from_one(tmp_path, redis_url) -> None:
    """Through the whole application, over one ledger and one Redis."""
    more = {"redis_url": redis_url}
    with (
        open_service(tmp_path, **more) as first,
        open_service(tmp_path, **more) as second,
        api(first) as one,
        api(second) as two,
    ):
        hoor = add_tenant(first, "hoor", tmp_path, limits={"requests_per_s": 1})
        asks = [Api(client, hoor.keys["all"]) for client in (one, two)]
        answers = [ask("GET", "/v1/tenant") for _ in range(5) for ask in asks]
        refused = [answer for answer in answers if answer.status_code == 429]
        by_two = [answer.status_code for answer in answers[1::2]]

    assert len(refused) >= 3
    assert code(refused[0]) == "rate"
    assert int(refused[0].headers["Retry-After"]) >= 1
    assert 429 in by_two, "the second knows what the first has given"


def test_while_the_counter_is_away_each_process_counts_for_itself(caplog) -> None:
    """From the start, and when it goes; told once, and no request fails for it."""
    server = redis_servers.new_server()
    try:
        with closing(connected(server.url)) as client, caplog.at_level(logging.WARNING, "bevara"):
            rates = SharedRates(client)
            assert rates.wait_s("k", 1) == 0
            server.kill()
            answers = [rates.wait_s("k", 1) for _ in range(4)]
    finally:
        redis_servers.end(server)
    with closing(connected(f"redis://127.0.0.1:{free_port()}/0")) as nobody:
        never = SharedRates(nobody).wait_s("k", 1)

    assert answers[:2] == [0, 0]
    assert answers[2] > 0
    assert never == 0
    assert [entry.getMessage() for entry in caplog.records][:1] == [
        "requests are counted in this process alone: the queue's server failed (ConnectionError)"
    ]
