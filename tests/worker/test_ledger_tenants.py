"""Tenants and their keys: what is not known to be right is refused, and nothing that opens a door is kept or told."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from service_samples import open_job, take

from worker.ledger.clock import later, seconds_between
from worker.ledger.events import now
from worker.ledger.ledger import Ledger
from worker.ledger.schema_service import keys, metadata, policies
from worker.ledger.tenants import TenantError


def all_text(ledger: Ledger) -> str:
    """Everything in the database."""
    with ledger.engine.connect() as db:
        return "\n".join(str(tuple(row)) for table in metadata.sorted_tables for row in db.execute(sa.select(table)))


def used(ledger: Ledger, moment: str) -> None:
    with ledger.engine.begin() as db:
        db.execute(sa.update(keys).values(last_used=moment))


def test_a_key_says_who_asks_and_for_what(api: Ledger) -> None:
    key = api.tenants.add_key("lund", "ingest", ["submit", "read"])
    principal = api.tenants.verify_key(key.text)

    assert (principal.tenant, principal.key_id, principal.scopes) == ("lund", key.id, {"submit", "read"})
    assert re.fullmatch(r"bvr_[0-9a-f]{16}_[A-Za-z0-9_-]{43}", key.text)


def test_a_secret_is_kept_nowhere(ledger: Ledger) -> None:
    key = ledger.tenants.add_key("lund", "ingest", ["read"])
    secret = key.text.split("_", 2)[2]

    assert secret not in all_text(ledger)
    assert secret not in repr(key)


def test_a_key_that_is_not_quite_right_is_none(ledger: Ledger) -> None:
    text = ledger.tenants.add_key("lund", "ingest", ["read"]).text

    for wrong in (text[:-1], text + "A", text[:-1] + "å", text.upper(), "", text[4:], f"{text}\n"):
        assert ledger.tenants.verify_key(wrong) is None, wrong


def test_a_key_does_not_open_with_another_key_s_secret(ledger: Ledger) -> None:
    one, two = (ledger.tenants.add_key("lund", name, ["read"]) for name in "ab")

    assert ledger.tenants.verify_key(f"bvr_{one.id}_{two.text.split('_', 2)[2]}") is None


def test_a_key_ends_when_it_is_revoked_or_its_time_is_over(ledger: Ledger) -> None:
    revoked = ledger.tenants.add_key("lund", "a", ["read"])
    over = ledger.tenants.add_key("lund", "b", ["read"], expires=later(now(), -60))
    good = ledger.tenants.add_key("lund", "c", ["read"], expires=later(now(), 600))

    assert ledger.tenants.revoke_key(revoked.id)
    assert not ledger.tenants.revoke_key(revoked.id)
    assert [ledger.tenants.verify_key(key.text) is not None for key in (revoked, over, good)] == [False, False, True]


def test_a_tenant_cannot_end_another_s_key(ledger: Ledger) -> None:
    key = ledger.tenants.add_key("lund", "a", ["read"])

    assert not ledger.tenants.revoke_key(key.id, "malmo")
    with pytest.raises(TenantError):
        ledger.tenants.rotate_key(key.id, 60, "malmo")
    assert ledger.tenants.verify_key(key.text)


def test_a_rotated_key_works_beside_its_follower_until_the_overlap_is_over(ledger: Ledger) -> None:
    old = ledger.tenants.add_key("lund", "ingest", ["submit", "read"])
    new = ledger.tenants.rotate_key(old.id, 3600)

    assert ledger.tenants.verify_key(old.text).scopes == ledger.tenants.verify_key(new.text).scopes == {"submit", "read"}
    (first, second) = ledger.tenants.keys("lund")
    assert 3500 < seconds_between(first.created, first.expires) <= 3601
    assert second.expires is None
    newest = ledger.tenants.rotate_key(new.id, -1)
    assert ledger.tenants.verify_key(new.text) is None
    assert ledger.tenants.verify_key(newest.text)


def test_a_key_that_ends_soon_ends_no_later_for_being_rotated(ledger: Ledger) -> None:
    ends = later(now(), 60)
    old = ledger.tenants.add_key("lund", "ingest", ["read"], expires=ends)
    ledger.tenants.rotate_key(old.id, 3600)

    assert {key.expires for key in ledger.tenants.keys("lund")} == {ends}


def test_last_used_is_kept_to_the_minute_and_not_written_each_time(ledger: Ledger) -> None:
    key = ledger.tenants.add_key("lund", "ingest", ["read"])
    assert ledger.tenants.keys("lund")[0].last_used is None
    ledger.tenants.verify_key(key.text)
    first = ledger.tenants.keys("lund")[0].last_used
    recent, old = later(first, -30), later(first, -90)

    used(ledger, recent)
    ledger.tenants.verify_key(key.text)
    assert ledger.tenants.keys("lund")[0].last_used == recent
    used(ledger, old)
    ledger.tenants.verify_key(key.text)
    assert ledger.tenants.keys("lund")[0].last_used > recent


def test_a_key_has_scopes_that_exist(ledger: Ledger) -> None:
    for scopes in ([], ["root"], ["read", "write"]):
        with pytest.raises(TenantError, match="scopes are"):
            ledger.tenants.add_key("lund", "x", scopes)


def test_a_suspended_tenant_s_keys_and_files_stand_still(ledger: Ledger) -> None:
    key = ledger.tenants.add_key("lund", "ingest", ["read"])
    open_job(ledger, "lund", files=2)
    open_job(ledger, "malmo", files=2)
    ledger.tenants.suspend("lund")

    assert ledger.tenants.verify_key(key.text) is None
    assert {task.job.tenant for task in take(ledger)} == {"malmo"}
    ledger.tenants.suspend("lund", active=True)
    assert ledger.tenants.verify_key(key.text)
    assert len(take(ledger)) == 2


def test_an_id_has_the_form_of_an_id(ledger: Ledger) -> None:
    for name in ("", "Lund", "-lund", "lund/x", "a" * 64, "lund ", "lund\n", "*"):
        with pytest.raises(TenantError, match="small letters"):
            ledger.tenants.add(name, "Lund")


def test_a_tenant_is_added_once_and_changed_with_care(ledger: Ledger) -> None:
    with pytest.raises(TenantError, match="already"):
        ledger.tenants.add("lund", "Lund")
    assert [one.id for one in ledger.tenants.list()] == ["lund", "malmo"]
    assert ledger.tenants.change("lund", weight=3, settings='{"a": 1}').weight == 3
    assert ledger.tenants.get("lund").settings == '{"a": 1}'
    for wrong in ({"weight": 0}, {"settings": "[]"}, {"settings": "{"}):
        with pytest.raises(TenantError):
            ledger.tenants.change("lund", **wrong)
    with pytest.raises(TenantError, match="not a tenant"):
        ledger.tenants.change("ystad", weight=2)
    with pytest.raises(TenantError, match="not a tenant"):
        ledger.tenants.add_key("ystad", "x", ["read"])


def test_stores_come_in_order_and_the_first_active_one_is_the_primary(ledger: Ledger) -> None:
    t = ledger.tenants
    t.add_place("lund", "one", "s3://bucket/a", endpoint="main", is_store=True)
    t.add_place("lund", "two", "file:///srv/two", is_store=True)
    t.add_place("lund", "in", "file:///srv/in", is_source=True)
    t.add_place("malmo", "one", "file:///srv/m", is_store=True)

    assert [(place.name, place.position) for place in t.places("lund")] == [("one", 0), ("two", 1), ("in", 0)]
    assert t.primary("lund").name == "one"
    assert t.place("malmo", "in") is None
    assert t.retire_place("lund", "one")
    assert t.primary("lund").name == "two"
    assert t.place("lund", "one") is None
    with pytest.raises(TenantError, match="already"):
        t.add_place("lund", "one", "file:///srv/three", is_store=True)


def test_two_stores_of_a_tenant_are_never_one_place(ledger: Ledger) -> None:
    t = ledger.tenants
    t.add_place("lund", "one", "s3://bucket/a", endpoint="main", is_store=True)
    t.add_place("lund", "two", "file:///srv/two", is_store=True)

    for url, endpoint in (("s3://bucket/a/", "main"), ("file:///srv/two", None)):
        with pytest.raises(TenantError, match="is the address of the store"):
            t.add_place("lund", "three", url, endpoint=endpoint, is_store=True)
    t.add_place("lund", "three", "s3://bucket/a", endpoint="elsewhere", is_store=True)
    t.add_place("lund", "in", "file:///srv/two", is_source=True)
    t.add_place("malmo", "two", "file:///srv/two", is_store=True)


def test_a_place_s_address_has_one_of_two_forms(ledger: Ledger) -> None:
    wrong = [
        "srv/in",
        "file://host/srv",
        "file:srv",
        "http://x/y",
        "s3://",
        "s3://key:word@bucket/x",
        "file:///srv/../etc",
        "s3://b/x?y=1",
    ]
    for url in wrong:
        with pytest.raises(TenantError, match="neither"):
            ledger.tenants.add_place("lund", "x", url, is_source=True)


def test_every_text_of_a_policy_stays_and_the_last_one_put_is_the_newest(ledger: Ledger) -> None:
    t = ledger.tenants
    for version, sha256 in (("1", "a" * 64), ("2", "b" * 64)):
        t.put_policy("lund", "own", version, sha256, f"version: {version}")
        with ledger.engine.begin() as db:  # a minute later
            db.execute(sa.update(policies).values(created=later(now(), -60)).where(policies.c.version == version))
    t.put_policy("malmo", "own", "9", "c" * 64, "version: 9")

    assert t.policy_text("lund", "own", "a" * 64) == "version: 1"
    assert t.policy_text("lund", "own", "c" * 64) is None
    t.put_policy("lund", "own", "1", "a" * 64, "version: 1")
    assert [one.version for one in t.policies("lund")] == ["1"]
    assert t.policy("lund", "own").version == "1"


def test_an_upload_counts_while_it_is_open(ledger: Ledger) -> None:
    t = ledger.tenants
    upload = t.open_upload("lund", 3600)

    assert t.grow_upload("lund", upload.id, files=2, size_bytes=10)
    assert not t.grow_upload("malmo", upload.id, files=1, size_bytes=1)
    assert t.upload("malmo", upload.id) is None
    assert t.close_upload("lund", upload.id, "submitted")
    assert not t.grow_upload("lund", upload.id, files=1, size_bytes=1)
    assert (t.upload("lund", upload.id).files, t.upload("lund", upload.id).bytes) == (2, 10)
    stale = t.open_upload("lund", -1)
    assert [one.id for one in t.stale_uploads()] == [stale.id]


# The outbox


def post(ledger: Ledger, job_id: str, tenant: str = "lund") -> None:
    ledger.outbox.post(tenant=tenant, job_id=job_id, url="https://a.example", event="job.finished", body="{}")


def test_a_message_is_due_until_it_was_delivered(ledger: Ledger) -> None:
    post(ledger, "j")
    (one,) = ledger.outbox.due(10)
    ledger.outbox.failed(one.id, "503", later(now(), 60))
    assert ledger.outbox.due(10) == []
    (again,) = ledger.outbox.due(10, later(now(), 61))
    assert (again.id, again.attempts, again.last_error) == (one.id, 1, "503")
    ledger.outbox.delivered(one.id)

    assert ledger.outbox.due(10, later(now(), 99)) == []
    (done,) = ledger.outbox.of_job("lund", "j")
    assert (done.state, done.attempts, done.last_error) == ("delivered", 2, None)


def test_a_dead_message_lives_again_by_replay_with_the_id_it_had(ledger: Ledger) -> None:
    post(ledger, "j")
    post(ledger, "other", "malmo")
    (mine, _) = ledger.outbox.due(10)
    ledger.outbox.failed(mine.id, "410", None)
    assert [one.job_id for one in ledger.outbox.due(10)] == ["other"]
    assert ledger.outbox.replay("malmo", "j") == 0
    assert ledger.outbox.replay("lund", "j") == 1

    assert {one.id for one in ledger.outbox.due(10)} >= {mine.id}
    assert ledger.outbox.of_job("malmo", "j") == []
