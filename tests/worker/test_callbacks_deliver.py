"""Callbacks arrive, signed, at the address that was checked, at least once, and nobody's receiver holds another's up."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest

from tests.servers.receiver import certificate, receiver
from worker.callbacks import address, transport
from worker.callbacks.deliver import BACKOFF_S, Courier, Rules
from worker.callbacks.sign import new_secret
from worker.ledger.ledger import Ledger

LOOPBACK = (ip_network("127.0.0.0/8"),)
SECRET = new_secret()


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC) + timedelta(seconds=1)

    def __call__(self) -> datetime:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def ledger(tmp_path):
    opened = Ledger.connect(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def courier(ledger, clock, told):
    """Makes couriers that know every name as this machine, and are allowed to go there."""
    made: list[Courier] = []

    def make(*, addresses: tuple[str, ...] = ("127.0.0.1",), **rules) -> Courier:
        settings = {"private": LOOPBACK, "http": True, "timeout_s": 5.0, "resolve": lambda _host, _port: addresses, **rules}
        one = Courier(
            ledger.outbox,
            lambda tenant: ledger.tenants.get(tenant).settings,
            Rules(**settings),
            tell=lambda tenant, outcome: told.append((tenant, outcome)),
            clock=clock,
        )
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


def tenant(ledger: Ledger, name: str, *prefixes: str, secrets: tuple[str, ...] = (SECRET,)) -> None:
    ledger.tenants.add(name, name, settings=json.dumps({"callbacks": prefixes, "callback_secrets": secrets}))


def post(ledger: Ledger, url: str, owner: str = "hoor", job: str = "job-1") -> None:
    ledger.outbox.post(
        tenant=owner, job_id=job, url=url, event="job.finished", body=f'{{"type":"job.finished","data":{{"job":"{job}"}}}}'
    )


def send(one: Courier) -> int:
    """Send all that is due, and wait until it has ended."""
    sent = 0
    while begun := one.send_due():
        sent += begun
        while one._in_hand:
            threading.Event().wait(0.002)
    return sent


def only(ledger: Ledger, owner: str = "hoor", job: str = "job-1"):
    (row,) = ledger.outbox.of_job(owner, job)
    return row


def test_a_callback_arrives_once_and_its_signature_holds(ledger, courier, told) -> None:
    """Verified here with nothing but the specification."""
    with receiver() as ingest:
        tenant(ledger, "hoor", ingest.url(path="/done"))
        post(ledger, ingest.url(path="/done/hoor?x=1"))
        one = courier()

        assert send(one) == 1
        assert send(one) == 0

    (got,) = ingest.got
    assert got.path == "/done/hoor?x=1"
    assert got.headers["host"] == f"ingest.example:{ingest.port}"
    assert got.headers["content-type"] == "application/json"
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    assert got.headers["webhook-signature"] == "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert json.loads(got.body)["data"] == {"job": "job-1"}
    assert only(ledger).state == "delivered"
    assert told == [("hoor", "delivered")]


def test_over_tls_the_certificate_is_checked_for_the_name_though_the_address_is_pinned(ledger, courier, tmp_path) -> None:
    tls = certificate(tmp_path)
    with receiver(tls) as ingest:
        tenant(ledger, "hoor", ingest.url(), ingest.url("other.example"))
        post(ledger, ingest.url(), job="good")
        post(ledger, ingest.url("other.example"), job="wrong-name")
        post(ledger, ingest.url(), job="unknown-authority")
        one = courier(ca_file=tls[0], http=False)
        one.send_due()
        one.close()
        send(courier(http=False))

    assert "ingest.example" in ingest.sni
    states = {job: only(ledger, job=job) for job in ("good", "wrong-name", "unknown-authority")}
    assert states["good"].state == "delivered"
    assert "certificate not accepted" in states["wrong-name"].last_error
    assert [got.headers["webhook-id"].split("_")[1] for got in ingest.got] == ["good"]


def test_a_receiver_that_fails_is_tried_for_three_days_and_then_no_more(ledger, courier, clock, told) -> None:
    with receiver() as ingest:
        ingest.answer = lambda _: (503, {})
        tenant(ledger, "hoor", ingest.url())
        post(ledger, ingest.url())
        one = courier()
        began, waits = clock.now, []
        while only(ledger).state == "pending":
            before = len(ingest.got)
            assert send(one) == 1
            assert len(ingest.got) == before + 1
            assert send(one) == 0, "not before its time"
            due = datetime.fromisoformat(only(ledger).next_at)
            waits.append((due - clock.now).total_seconds())
            clock.now = max(clock.now, due)

    assert len({got.headers["webhook-id"] for got in ingest.got}) == 1
    assert [told_ for _, told_ in told] == ["retry"] * 9 + ["dead"]
    assert timedelta(days=3) < clock.now - began < timedelta(days=4)
    assert all(planned <= waited + 0.001 <= planned * 1.2 + 0.002 for planned, waited in zip(BACKOFF_S, waits, strict=False))
    assert only(ledger).last_error == "HTTP 503"


def test_what_is_dead_can_be_replayed_with_the_same_id(ledger, courier, clock) -> None:
    with receiver() as ingest:
        ingest.answer = lambda _: (410, {})
        tenant(ledger, "hoor", ingest.url())
        post(ledger, ingest.url())
        one = courier()
        send(one)
        assert only(ledger).state == "dead", "410 is: never again"

        ingest.answer = lambda _: (200, {})
        assert ledger.outbox.replay("lund", "job-1") == 0, "not by another tenant"
        assert ledger.outbox.replay("hoor", "job-1") == 1
        clock.wait(1)
        send(one)

    assert only(ledger).state == "delivered"
    first, second = ingest.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_a_receiver_that_asks_for_time_gets_it(ledger, courier, clock) -> None:
    with receiver() as ingest:
        ingest.answer = lambda _: (429, {"retry-after": "3600"})
        tenant(ledger, "hoor", ingest.url())
        post(ledger, ingest.url())
        send(courier())

    assert datetime.fromisoformat(only(ledger).next_at) - clock.now >= timedelta(seconds=3599)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(ledger, courier, status) -> None:
    with receiver() as inside, receiver() as ingest:
        ingest.answer = lambda _: (status, {"location": inside.url("127.0.0.1")})
        tenant(ledger, "hoor", ingest.url())
        post(ledger, ingest.url())
        send(courier())

    assert inside.got == []
    assert only(ledger).last_error == f"HTTP {status}"


def test_a_name_that_changes_its_address_after_the_check_gains_nothing(ledger, courier) -> None:
    """DNS rebinding: asked once, the name leads to the receiver; asked again, it would lead elsewhere."""
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        del port
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    with receiver() as ingest:
        tenant(ledger, "hoor", ingest.url())
        post(ledger, ingest.url())
        send(courier(resolve=rebinding))

    assert len(ingest.got) == 1
    assert asked == ["ingest.example"]


@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("93.184.215.14", "127.0.0.1"), ("::ffff:127.0.0.1",), ("169.254.169.254",)])
def test_without_the_operators_word_nothing_inside_is_called(ledger, courier, addresses) -> None:
    with receiver() as inside:
        tenant(ledger, "hoor", inside.url())
        post(ledger, inside.url())
        send(courier(private=(), addresses=addresses))

    assert inside.got == []
    assert "callback-refused" in only(ledger).last_error
    assert only(ledger).state == "pending", "names are corrected: it is tried again"


def test_an_address_that_was_registered_once_and_is_no_more_is_not_called(ledger, courier) -> None:
    with receiver() as ingest:
        tenant(ledger, "hoor", ingest.url())
        post(ledger, ingest.url())
        ledger.tenants.change("hoor", settings=json.dumps({"callbacks": [], "callback_secrets": [SECRET]}))
        send(courier())

    assert ingest.got == []
    assert "registered" in only(ledger).last_error


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"callback_secrets": []}, "signing secret"),
        ({"callback_secrets": ["whsec_x"]}, "signing secret"),
        ({"callback_secrets": "x"}, "no lists"),
    ],
)
def test_nothing_is_sent_unsigned(ledger, courier, settings, why) -> None:
    with receiver() as ingest:
        ledger.tenants.add("hoor", "Höör", settings=json.dumps({"callbacks": [ingest.url()], **settings}))
        post(ledger, ingest.url())
        send(courier())

    assert ingest.got == []
    assert why in only(ledger).last_error


def test_a_receiver_that_drips_is_left_when_its_time_is_up(ledger, courier) -> None:
    with receiver() as ingest:
        ingest.drip = threading.Event()
        ingest.drip.set()
        tenant(ledger, "hoor", ingest.url())
        post(ledger, ingest.url())
        send(courier(timeout_s=0.3))

    assert only(ledger).last_error == "no answer in time"


def test_a_receiver_that_cuts_the_connection_or_is_not_there_is_tried_again(ledger, courier) -> None:
    with receiver() as ingest:
        ingest.answer = lambda _: None
        tenant(ledger, "hoor", ingest.url(), "https://ingest.example")
        post(ledger, ingest.url(), job="cut")
        send(courier())
        closed = ingest.url()
    post(ledger, closed, job="away")
    post(ledger, "https://ingest.example/x", job="unknown")

    def nobody(_host: str, _port: int) -> list[str]:
        raise OSError(-2, "Name or service not known")

    send(courier())
    ledger.outbox.failed(only(ledger, job="unknown").id, "", only(ledger, job="unknown").created)
    send(courier(resolve=nobody))

    assert only(ledger, job="cut").last_error == "not HTTP"
    assert only(ledger, job="away").last_error == "connection refused"
    assert only(ledger, job="unknown").last_error == "the host's name could not be resolved"


def test_one_tenants_slow_receiver_does_not_hold_another_tenants_callbacks_up(ledger, courier, clock) -> None:
    go_on = threading.Event()
    with receiver() as slow, receiver() as quick:
        slow.answer = lambda _: (go_on.wait(20), (200, {}))[1]
        tenant(ledger, "slow", slow.url())
        tenant(ledger, "hoor", quick.url())
        for number in range(150):
            post(ledger, slow.url(), "slow", f"s{number}")
        post(ledger, quick.url())
        one = courier(timeout_s=30)
        one.send_due()
        while only(ledger).state != "delivered":
            one.send_due()
            threading.Event().wait(0.005)

        assert len(one._in_hand) == 2, "of the slow tenant, no more at once"
        go_on.set()
        one.close()


def test_neither_logs_nor_the_ledgers_note_hold_address_or_secret(ledger, courier, caplog) -> None:
    with receiver() as ingest, caplog.at_level(logging.DEBUG):
        ingest.answer = lambda _: (500, {})
        tenant(ledger, "hoor", ingest.url())
        post(ledger, ingest.url(path="/done/token-s3cret"))
        send(courier())

    ours = "".join(record.getMessage() for record in caplog.records if record.name.startswith("worker"))
    assert "callback 1 of job job-1, tenant hoor: retry, HTTP 500" in ours
    assert "s3cret" not in ours + only(ledger).last_error
    assert SECRET not in caplog.text


def test_more_of_an_answer_than_is_polite_is_not_read(tmp_path) -> None:
    """The status counts; a body without end costs nothing."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        sent = []

        def flood() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                try:
                    while len(sent) < 100_000:
                        sent.append(connection.send(b"x" * 65536))
                except OSError:
                    return

        thread = threading.Thread(target=flood)
        thread.start()
        target = address.parse(f"http://ingest.example:{server.getsockname()[1]}/")
        answer = transport.post(target, ["127.0.0.1"], {}, b"{}", context=transport.tls(), timeout_s=20)
        thread.join()

    assert answer.taken
    assert sum(sent) < 100 * 65536
