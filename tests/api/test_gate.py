"""Who is let in: a valid key, of the tenant, with the scope, not too often, and with nothing too large."""

from __future__ import annotations

import json
import logging

import pytest

from tests.api.archives import SCOPES, Api, add_tenant, api, code, open_service
from worker.api.limits import Limits, Rates
from worker.api.problems import PROBLEMS


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic eDp5", "Bearer x", "Bearer bvr_", "Bearer bvr_x_y", "bvr_x_y",
     "Bearer bvr_å", "Bearer bvr_" + "x" * 300,
     "Bearer bvr_a b", "Bearer bvr_'; DROP TABLE keys_x"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/tenant", "/v1/jobs/x", "/v1/nothing", "/v1/uploads/x/files/../y"])
def test_without_a_valid_key_nothing_is_told_apart(client, lund, header, path) -> None:
    headers = {} if header is None else {"Authorization": header.encode()}

    answer = client.get(path, headers=headers)

    assert (answer.status_code, code(answer)) == (401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_key_that_was_revoked_has_expired_or_is_a_suspended_tenants_is_none(client, service, lund, malmo) -> None:
    tenants = service.ledger.tenants
    expired = tenants.add_key("lund", "old", SCOPES, "2020-01-01T00:00:00.000Z").text
    revoked = tenants.add_key("lund", "gone", SCOPES)
    tenants.revoke_key(revoked.id)
    tenants.suspend("malmo")
    wrong = lund.keys["all"][:-1] + ("a" if lund.keys["all"][-1] != "a" else "b")

    for key in (expired, revoked.text, malmo.keys["all"], wrong, lund.keys["all"] + "x"):
        assert client.get("/v1/tenant", headers={"Authorization": f"Bearer {key}"}).status_code == 401
    assert client.get("/v1/tenant", headers=[("Authorization", f"Bearer {lund.keys['all']}")] * 2).status_code == 401
    assert client.get("/v1/tenant", headers={"Authorization": f"bearer {lund.keys['read']}"}).status_code == 200


def test_the_tenant_sees_what_it_may_name(ask) -> None:
    found = ask("GET", "/v1/tenant").json()

    assert (found["id"], found["scopes"]) == ("lund", sorted(SCOPES))
    assert {one["name"]: [one["store"], one["source"], one["delivery"]] for one in found["places"]} == {
        "arkiv": [True, False, False], "in": [False, True, False], "ut": [False, False, True]
    }  # fmt: skip
    assert "url" not in json.dumps(found["places"])


def test_a_body_that_is_too_large_is_refused_before_it_is_read_and_while_it_comes(client, service, tmp_path) -> None:
    ask = Api(client, add_tenant(service, "hoor", tmp_path, limits={"body_bytes": 1000}).keys["all"])
    large = json.dumps({"source": "file://in/x", "package": "p", "expected": "x" * 2000}).encode()

    def pieces():
        for _ in range(100):
            yield b"x" * 100

    kind = {"Content-Type": "application/json"}
    for answer in (ask("POST", "/v1/jobs", content=large, headers=kind), ask("POST", "/v1/jobs", content=pieces(), headers=kind)):
        assert (answer.status_code, code(answer)) == (413, "too-large")
    assert code(ask("PUT", "/v1/policies/hoor", content=large, headers={"Content-Type": "application/yaml"})) == "too-large"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"\xff", b"{}", b'"x"', b"[" * 100_000, b'{"a":' * 50_000, b"NaN",
     b'{"package": "\\ud800", "source": "file://in/x"}',
     b'{"source": "file://in/x", "package": "p", "priority": 1e999}',
     b'{"source": "file://in/x", "package": "p", "priority": ' + b"9" * 5000 + b"}",
     b"\x00", b"\xef\xbb\xbf{}", '{"source": "file://in/x"}'.encode("utf-16")],
)  # fmt: skip
def test_a_body_that_is_no_request_is_told_so(ask, body) -> None:
    answer = ask("POST", "/v1/jobs", content=body, headers={"Content-Type": "application/json"})

    assert code(answer) in {"bad-request", "invalid"}


def test_what_is_wrong_is_named_and_not_repeated(ask, lund) -> None:
    """A key that was pasted in the wrong field must not come back, or end in a log of answers."""
    secret = lund.keys["admin"]
    body = {"source": secret, "package": "p", secret: secret, "priority": secret}
    for answer in (
        ask("POST", "/v1/jobs", json=body),
        ask("GET", f"/v1/jobs/{secret}"),
        ask("GET", f"/v1/jobs?state={secret}&limit={secret}"),
    ):
        assert answer.status_code in {404, 422}
        assert secret not in answer.text
        assert secret[4:] not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "/v1/nothing", "not-found"),
        ("PATCH", "/v1/jobs", "method-not-allowed"),
        ("DELETE", "/v1/jobs/x", "method-not-allowed"),
        ("GET", "/v1/jobs/", "not-found"),
        ("GET", "/v1/jobs?cursor=%00", "bad-request"),
        ("GET", "/v1/jobs/%00", "bad-request"),
        ("GET", "/v1//jobs", "not-found"),
        ("GET", "/v1/jobs?cursor=%FF", "bad-cursor"),
        ("GET", "/v1/jobs?limit=9" + "9" * 400, "invalid"),
        ("GET", "/v1/packages/x/events?after=99999999999999999999", "invalid"),
        ("GET", "/nothing", "not-found"),
    ],
)
def test_an_address_that_is_none_is_a_problem_document_too(ask, method, path, said) -> None:
    assert code(ask(method, path)) == said


def test_a_header_of_any_length_is_no_fault(ask) -> None:
    assert code(ask("GET", "/v1/tenant", headers={"X": "x" * 9000})) == "headers-too-large"


def test_too_many_requests_are_told_when_to_come_again(tmp_path) -> None:
    with open_service(tmp_path) as service, api(service) as client:
        hoor = add_tenant(service, "hoor", tmp_path, limits={"requests_per_s": 3})
        ask, reader = Api(client, hoor.keys["all"]), Api(client, hoor.keys["read"])
        answers = [ask("GET", "/v1/tenant") for _ in range(30)]
        refused = [answer for answer in answers if answer.status_code == 429]

        assert 6 <= 30 - len(refused) < 30
        assert code(refused[0]) == "rate"
        assert int(refused[0].headers["Retry-After"]) >= 1
        assert reader("GET", "/v1/tenant").status_code == 200, "another key has its own"


def test_a_key_gets_back_as_many_requests_as_time_gives() -> None:
    now = 0.0
    rates = Rates(lambda: now)

    assert [rates.wait_s("k", 2) for _ in range(4)] == [0, 0, 0, 0]
    assert rates.wait_s("k", 2) == pytest.approx(0.5)
    now = 0.5
    assert rates.wait_s("k", 2) == 0
    assert rates.wait_s("k", 2) > 0
    assert rates.wait_s("other", 2) == 0


def test_a_tenants_own_limits_are_numbers_or_nothing() -> None:
    most = Limits()

    assert most.of_tenant({"limits": {"open_jobs": 5}}).open_jobs == 5
    for odd in ({}, {"limits": []}, {"limits": {"open_jobs": "5"}}, {"limits": {"open_jobs": -1}}, {"limits": {"open_jobs": True}}):
        assert most.of_tenant(odd) == most


def test_health_needs_no_key_and_names_what_is_away(client, service, lund, tmp_path) -> None:
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    parts = {"ledger": "ok", "queue": "ok", "store": "ok", "scratch": "ok"}
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "parts": parts})


def test_a_store_that_is_away_is_said_without_naming_it(client, service, lund, tmp_path) -> None:
    service.ledger.tenants.add("borta", "Borta")
    service.ledger.tenants.add_place("borta", "arkiv", (tmp_path / "not" / "mounted").as_uri(), is_store=True)
    key = service.ledger.tenants.add_key("borta", "k", SCOPES).text
    ask = Api(client, key)

    ready = client.get("/readyz")

    assert (ready.status_code, ready.json()["parts"]["store"]) == (503, "store-unreachable")
    assert str(tmp_path) not in ready.text
    upload = ask("POST", "/v1/uploads").json()["id"]
    answer = ask("PUT", f"/v1/uploads/{upload}/files/a", content=b"x")
    assert (answer.status_code, code(answer)) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert str(tmp_path) not in answer.text


def test_a_fault_in_the_program_is_a_problem_and_its_log_names_the_place_only(service, lund, caplog, monkeypatch) -> None:
    """The net below everything: what a message of an exception holds goes neither to the client nor to the log."""

    def broken(self):
        raise RuntimeError("brev om Anna.pdf")

    monkeypatch.setattr("worker.ledger.door.Door.unfinished_jobs", broken)
    with caplog.at_level(logging.DEBUG), api(service) as client:
        answer = Api(client, lund.keys["all"])("POST", "/v1/jobs", json={"source": "file://in/x", "package": "p"})

    assert (answer.status_code, code(answer)) == (500, "internal")
    assert "Anna" not in answer.text + caplog.text
    assert "test_gate.py" in caplog.text


def test_every_problem_has_a_status_and_says_what_to_do() -> None:
    for name, kind in PROBLEMS.items():
        assert name == name.lower()
        assert 400 <= kind.status < 600
        assert kind.title[0].isupper()
        assert not kind.title.endswith(".")
        assert kind.remedy.endswith(".")
