"""What the API tells of audits, and an officer's word on a repair."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.archives import Api, add_tenant, api, code, found_bad, open_service, preserve

OBJECT = "urn:bevara:lund:p"


@pytest.fixture
def world(tmp_path: Path):
    with open_service(tmp_path, everything=True) as worker, open_service(tmp_path) as service, api(service) as client:
        lund = add_tenant(worker, "lund", tmp_path, audit={"repair": "two", "interval_days": 30})
        preserve(worker, "lund", "p", {b"brev.txt": b"kort"})
        yield worker, client, lund


def test_the_status_says_what_is_promised_and_what_is_open(world) -> None:
    worker, client, lund = world
    found_bad(worker, "lund", OBJECT)

    told = Api(client, lund.keys["read"])("GET", "/v1/audit/status").json()

    assert told["repair"] == "two"
    [store] = told["stores"]
    assert (store["store"], store["interval_days"], store["copies"]) == ("arkiv", 30, 1)
    assert store["open_findings"] == {"mismatch": 1}
    assert (store["overdue"], store["never_read"], store["oldest"], store["repair_stopped"]) == (0, 1, None, None)


def test_findings_are_paged_and_chosen(world) -> None:
    worker, client, lund = world
    numbers = [found_bad(worker, "lund", f"{OBJECT}{n}") for n in range(5)]
    ask, seen, cursor = Api(client, lund.keys["read"]), [], ""
    while True:
        page = ask("GET", f"/v1/audit/findings?limit=2{cursor}").json()
        seen += [one["id"] for one in page["findings"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"

    assert seen == numbers
    assert ask("GET", "/v1/audit/findings?state=repaired").json()["findings"] == []
    assert len(ask("GET", "/v1/audit/findings?store=arkiv&state=open").json()["findings"]) == 5
    assert ask("GET", "/v1/audit/findings?store=annat").json()["findings"] == []
    assert code(ask("GET", "/v1/audit/findings?cursor=x")) == "bad-cursor"


def test_two_different_officers_must_agree(world) -> None:
    """The same officer twice, and a rotated key of the same officer, count once."""
    worker, client, lund = world
    number, tenants = found_bad(worker, "lund", OBJECT), worker.ledger.tenants
    anna, bo = (tenants.add_key("lund", name, ["officer"]) for name in ("Anna", "Bo"))
    again = tenants.rotate_key(anna.id, 3600, "lund")

    told = [Api(client, key.text)("POST", f"/v1/audit/approvals/{number}").json() for key in (anna, anna, again, bo)]

    assert [(one["needed"], one["missing"]) for one in told] == [(2, 1), (2, 1), (2, 1), (2, 0)]
    assert [one["who"] for one in told[-1]["approvals"]] == ["Anna", "Bo"]
    listed = Api(client, lund.keys["read"])("GET", "/v1/audit/findings").json()["findings"]
    assert [one["who"] for one in listed[0]["approvals"]] == ["Anna", "Bo"]


def test_what_has_ended_takes_no_approval(world) -> None:
    worker, client, lund = world
    from worker.fixity.book import Book

    number = found_bad(worker, "lund", OBJECT)
    Book(worker.ledger.transactions).end(number, "looked at", "2026-01-01T00:00:00.000Z")

    assert code(Api(client, lund.keys["officer"])("POST", f"/v1/audit/approvals/{number}")) == "conflict"
