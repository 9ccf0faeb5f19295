"""Jobs over the API: what is taken, what is told, what is refused, and that nothing is taken twice."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from tests.api.archives import CALLBACKS, SCOPES, Api, add_tenant, code, end_job, job_with_files
from worker.ledger.facts import Found
from worker.ledger.schema_service import uploads
from worker.record import FileRecord, Status

GOOD = {"source": "file://in/2026/diarium", "package": "diarium 17/å"}
OUTCOMES = {
    "a.pdf": (Status.MIGRATED, "ok"),
    "b.pdf": (Status.FAILED, "tool-timeout"),
    "c.pdf": (Status.FAILED, "tool-crashed"),
    "d.pdf": (Status.KEPT, ""),
}


def test_a_job_is_taken_at_once_and_found_where_the_answer_says(ask) -> None:
    answer = ask("POST", "/v1/jobs", json=GOOD | {"priority": 3, "delivery": "file://ut/17", "callback": CALLBACKS[0] + "/x"})

    assert answer.status_code == 202
    assert int(answer.headers["Retry-After"]) > 0
    found = ask("GET", answer.headers["Location"]).json()
    assert found == answer.json()
    assert (found["state"], found["started"]) == ("accepted", None)
    assert not found["ended"]
    assert (found["package"], found["priority"], found["source"]) == (GOOD["package"], 3, GOOD["source"])
    assert found["policy"]["name"] == "skanearkiv"
    assert found["counts"]["total"] == 0
    assert ask("GET", "/v1/jobs").json() == {"jobs": [found], "next": None}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"source": "file://in"}, None),
        ({"source": "file://in/"}, None),
        ({"source": "file://ut/x"}, "source"),
        ({"source": "file://arkiv/store"}, "source"),
        ({"source": "s3://in/x"}, "source"),
        ({"source": "file://nowhere/x"}, "source"),
        ({"source": "file:///etc"}, "source"),
        ({"source": "file://in/../arkiv"}, "source"),
        ({"source": "file://in//x"}, "source"),
        ({"source": "file://in/a/./b"}, "source"),
        ({"source": "https://169.254.169.254/latest"}, "source"),
        ({"source": "s3://169.254.169.254/x"}, "source"),
        ({"source": "s3://user@in/x"}, "source"),
        ({"source": "file://in:80/x"}, "source"),
        ({"source": "FILE://in/x"}, "source"),
        ({"source": "upload://" + "0" * 32}, "source"),
        ({"source": "upload://../x"}, "source"),
        ({"source": "file://in/a\nb"}, "invalid"),
        ({"source": "file://in/\ud800"}, "invalid"),
        ({"source": 7}, "invalid"),
        ({"package": ""}, "invalid"),
        ({"package": "a\x00b"}, "invalid"),
        ({"package": "x" * 301}, "invalid"),
        ({"priority": 11}, "invalid"),
        ({"priority": "1"}, "invalid"),
        ({"priority": True}, "invalid"),
        ({"surprise": 1}, "invalid"),
        ({"policy": "no-such"}, "policy-unknown"),
        ({"policy": "../policies/skanearkiv"}, "policy-unknown"),
        ({"policy": "/etc/passwd.yaml"}, "policy-unknown"),
        ({"delivery": "file://in/x"}, "delivery"),
        ({"delivery": "file://ut"}, "delivery"),
        ({"delivery": "file://ut/../x"}, "delivery"),
        ({"delivery": "s3://ut/x"}, "delivery"),
        ({"callback": "https://ingest.lund.example.evil.example/bevara"}, "callback"),
        ({"callback": "https://ingest.lund.example/bevara-x"}, "callback"),
        ({"callback": "https://ingest.lund.example/bevara/../admin"}, "callback"),
        ({"callback": "https://ingest.lund.example@10.0.0.1/bevara"}, "callback"),
        ({"callback": "http://ingest.lund.example/bevara"}, "callback"),
        ({"callback": "https://127.0.0.1/bevara"}, "callback"),
        ({"callback": "https://ingest.lund.example:444/bevara"}, "callback"),
        ({"callback": "gopher://x"}, "callback"),
        ({"expected": {"a": {"sha256": "x"}}}, "invalid"),
        ({"expected": {"a": {"md5": "0" * 32}}}, "invalid"),
        ({"expected": 3}, "invalid"),
        ({"expected": {"a": {"sha256": "0" * 64}}}, None),
        ({"expected": "manifest-sha512.txt"}, None),
    ],
)
def test_a_job_points_only_at_what_the_tenant_has_registered(ask, change, said) -> None:
    """No reference names a machine, an address inside the house, or a folder that is not a place (SSRF, path tricks)."""
    answer = ask("POST", "/v1/jobs", content=json.dumps(GOOD | change), headers={"Content-Type": "application/json"})

    assert answer.status_code in ({202} if said is None else {422}), answer.text
    assert said is None or code(answer) == said


def test_a_place_of_another_tenant_is_no_place(ask, other, service, malmo, tmp_path) -> None:
    service.ledger.tenants.add_place("malmo", "hemlig", (tmp_path / "malmo" / "in").as_uri(), is_source=True)

    assert other("POST", "/v1/jobs", json=GOOD | {"source": "file://hemlig/x"}).status_code == 202
    mine = ask("POST", "/v1/jobs", json=GOOD | {"source": "file://hemlig/x"})
    unknown = ask("POST", "/v1/jobs", json=GOOD | {"source": "file://finns-inte/x"})
    assert (mine.status_code, mine.json()) == (422, unknown.json())


def test_the_same_key_gives_the_same_job_and_another_request_is_refused(ask, other) -> None:
    key = {"Idempotency-Key": "2026-17"}
    first = ask("POST", "/v1/jobs", json=GOOD, headers=key)
    again = ask("POST", "/v1/jobs", json=GOOD | {"priority": 0}, headers=key)

    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert code(ask("POST", "/v1/jobs", json=GOOD | {"priority": 1}, headers=key)) == "idempotency-conflict"
    assert other("POST", "/v1/jobs", json=GOOD, headers=key).json()["id"] != first.json()["id"]
    assert len(ask("GET", "/v1/jobs").json()["jobs"]) == 1
    for bad in ("", "a b", "x" * 256, "å"):
        answer = ask("POST", "/v1/jobs", json=GOOD, headers={"Idempotency-Key": bad.encode("latin-1")})
        assert code(answer) == "invalid"


def test_what_was_taken_once_is_told_again_whatever_has_changed_since(client, service, tmp_path) -> None:
    """A client that lost the answer asks again: then the limit is reached, by this very job, or the place is retired."""
    small = add_tenant(service, "hoor", tmp_path, limits={"open_jobs": 1})
    ask, key = Api(client, small.keys["all"]), {"Idempotency-Key": "k"}
    first = ask("POST", "/v1/jobs", json=GOOD, headers=key)

    full = ask("POST", "/v1/jobs", json=GOOD, headers=key)
    service.ledger.tenants.retire_place("hoor", "in")
    retired = ask("POST", "/v1/jobs", json=GOOD, headers=key)

    for again in (full, retired):
        assert (again.status_code, again.json()["id"]) == (202, first.json()["id"]), again.text
        assert again.headers["Location"] == first.headers["Location"]
    assert code(ask("POST", "/v1/jobs", json=GOOD | {"package": "other"}, headers=key)) == "idempotency-conflict"


@pytest.mark.parametrize("char", ["\u00a0", "\u200b", "\u00ad", "\U000e0001", "\u3000"])
def test_a_page_may_end_at_any_name(ask, service, char) -> None:
    """Such characters come with names from office programs, and cannot be seen."""
    names = [f"Protokoll{char}{number}.txt" for number in range(3)]
    job = job_with_files(service, "lund", "p", dict.fromkeys(names, (Status.KEPT, "ok")))

    found, cursor = [], ""
    while cursor is not None:
        page = ask("GET", f"/v1/jobs/{job}/files?limit=1" + (f"&cursor={cursor}" if cursor else "")).json()
        found += [file["path"] for file in page["files"]]
        cursor = page["next"]

    assert found == names


def test_counts_files_and_reasons_are_the_ledgers(ask, service) -> None:
    job = job_with_files(service, "lund", "p", OUTCOMES)

    counts = ask("GET", f"/v1/jobs/{job}").json()["counts"]
    assert {**counts, "by_status": {k: v for k, v in counts["by_status"].items() if v}} == {
        "total": 4, "waiting": 1, "working": 0, "done": 3, "cancelled": 0, "by_status": {"migrated": 1, "failed": 2}
    }  # fmt: skip
    page = ask("GET", f"/v1/jobs/{job}/files?status=failed&limit=1").json()
    rest = ask("GET", f"/v1/jobs/{job}/files?status=failed&limit=1&cursor={page['next']}").json()
    failed = page["files"] + rest["files"]
    assert {one["path"] for one in failed} == {"b.pdf", "c.pdf"}
    assert rest["next"] is None
    assert {one["record"]["message"] for one in failed} == {"So it ended."}
    assert len(ask("GET", f"/v1/jobs/{job}/files").json()["files"]) == 4
    one = ask("GET", f"/v1/jobs/{job}/files?status=failed&reason=tool-timeout").json()["files"]
    assert [file["path"] for file in one] == ["b.pdf"]


@pytest.mark.parametrize("query", ["cursor=x", "cursor=%00", "limit=0", "limit=1001", "status=fine", "reason=a%20b", "limit=x"])
def test_a_bad_page_is_told_and_not_guessed(ask, service, query) -> None:
    job = job_with_files(service, "lund", "p", OUTCOMES)

    assert code(ask("GET", f"/v1/jobs/{job}/files?{query}")) in {"bad-cursor", "invalid", "bad-request"}


def test_cancel_asks_and_is_told(ask, service) -> None:
    job = ask("POST", "/v1/jobs", json=GOOD).json()["id"]

    assert ask("POST", f"/v1/jobs/{job}/cancel").json()["cancel_asked"]
    end_job(service, job, "cancelled")
    assert ask("GET", f"/v1/jobs/{job}").json()["ended"]
    assert code(ask("POST", f"/v1/jobs/{job}/cancel")) == "job-ended"


def test_failed_files_are_tried_again_in_a_job_of_their_own(ask, service) -> None:
    outcomes = {path: (status, reason or "ok") for path, (status, reason) in OUTCOMES.items()}
    job = job_with_files(service, "lund", "p", outcomes)

    assert code(ask("POST", f"/v1/jobs/{job}/retry")) == "job-not-ended"
    end_job(service, job)
    assert code(ask("POST", f"/v1/jobs/{job}/retry?reason=no-such")) == "nothing-to-retry"
    answer = ask("POST", f"/v1/jobs/{job}/retry?reason=tool-timeout", headers={"Idempotency-Key": "k"})
    assert answer.status_code == 202
    assert answer.json()["retry_of"] == job
    again = ask("POST", f"/v1/jobs/{job}/retry?reason=tool-timeout", headers={"Idempotency-Key": "k"})
    assert again.json()["id"] == answer.json()["id"]
    assert code(ask("POST", f"/v1/jobs/{job}/retry", headers={"Idempotency-Key": "k"})) == "idempotency-conflict"


def fail_all(service, job: str, path: str) -> None:
    """The job's only file ends as failed, and the job with it."""
    queue, ledger = service.ledger.queue, service.ledger
    ledger.add_tasks(queue.claim_job(job, "w", 60).job, [Found(path.encode(), path, 1, 1)])
    queue.job_moved(job, "w", "open")
    (task_id,) = queue.admit(window_total=1, window_tenant=1, lease_s=60)
    record = FileRecord(path=path, size_bytes=1, status=Status.FAILED, reason="tool-timeout", message="So it ended.")
    ledger.finish(queue.claim_task(task_id, "w", 60), record)
    end_job(service, job)


def test_files_of_an_upload_are_tried_again_while_it_is_there(ask, service) -> None:
    upload = ask("POST", "/v1/uploads").json()["id"]
    ask("PUT", f"/v1/uploads/{upload}/files/a", content=b"x")
    job = ask("POST", "/v1/jobs", json=GOOD | {"source": f"upload://{upload}"}).json()["id"]
    fail_all(service, job, "a")
    assert ask("POST", f"/v1/jobs/{job}/retry").status_code == 202

    with service.ledger.engine.begin() as db:
        db.execute(sa.update(uploads).values(expires="2026-01-01T00:00:00.000Z"))

    answer = ask("POST", f"/v1/jobs/{job}/retry")
    assert code(answer) == "source"
    assert "new upload" in answer.json()["remedy"]


def test_callbacks_of_a_job_can_be_sent_again(ask, service) -> None:
    job = ask("POST", "/v1/jobs", json=GOOD | {"callback": CALLBACKS[0]}).json()["id"]

    assert ask("POST", f"/v1/jobs/{job}/callbacks/replay").json() == {"callbacks": 0}


def test_so_many_open_jobs_and_no_more(client, service, tmp_path) -> None:
    small = add_tenant(service, "hoor", tmp_path, limits={"open_jobs": 1})
    ask = Api(client, small.keys["all"])
    assert ask("POST", "/v1/jobs", json=GOOD).status_code == 202

    answer = ask("POST", "/v1/jobs", json=GOOD)

    assert code(answer) == "too-many-jobs"
    assert int(answer.headers["Retry-After"]) > 0


def test_a_tenant_without_a_store_is_told(client, service) -> None:
    service.ledger.tenants.add("tom", "Tom")
    ask = Api(client, service.ledger.tenants.add_key("tom", "k", SCOPES).text)

    upload = ask("POST", "/v1/uploads").json()["id"]
    assert code(ask("PUT", f"/v1/uploads/{upload}/files/a", content=b"x")) == "no-store"
    assert code(ask("POST", "/v1/jobs", json=GOOD)) == "source"
