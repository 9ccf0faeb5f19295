"""Watching a job: every event once, in order, from where the client was, and an end when the job has one."""

from __future__ import annotations

import json
import threading

import pytest

from tests.api.archives import code, end_job, job_with_files
from worker.ledger.events import EventDraft
from worker.record import Status

OUTCOMES = {"a": (Status.KEPT, "ok")}


def events(text: str) -> list[dict[str, str]]:
    """The stream's events: fields by name; comments are passed over."""
    blocks = (block.splitlines() for block in text.split("\n\n") if block.strip() and not block.startswith(":"))
    return [dict(line.split(": ", 1) for line in block) for block in blocks]


@pytest.fixture
def job(service, lund) -> str:
    found = job_with_files(service, "lund", "p", OUTCOMES)
    tell(service, found, 3)
    return found


def tell(service, job: str, number: int) -> None:
    service.ledger.append_events(service.ledger.job(job), [EventDraft("validation", detail=f"{n}") for n in range(number)])


def test_all_that_happened_comes_once_and_then_the_end(ask, service, job) -> None:
    end_job(service, job)

    answer = ask("GET", f"/v1/jobs/{job}/events")

    assert answer.headers["content-type"].startswith("text/event-stream")
    told = events(answer.text)
    assert [one["event"] for one in told] == ["premis"] * 3 + ["job"]
    assert [int(one["id"]) for one in told[:3]] == [1, 2, 3]
    assert json.loads(told[0]["data"])["event"]["type"] == "validation"
    assert json.loads(told[-1]["data"]) == ask("GET", f"/v1/jobs/{job}").json()
    assert json.loads(told[-1]["data"])["ended"]


def test_a_client_that_was_cut_off_goes_on_where_it_was(ask, service, job) -> None:
    end_job(service, job)

    told = events(ask("GET", f"/v1/jobs/{job}/events", headers={"Last-Event-ID": "2"}).text)

    assert [one.get("id") for one in told] == ["3", None]
    for bad in ("x", "-1", "1.5", "9" * 21):
        assert code(ask("GET", f"/v1/jobs/{job}/events", headers={"Last-Event-ID": bad})) == "invalid"


def test_what_happens_later_is_told_and_the_end_closes_the_stream(ask, service, job) -> None:
    answers = []
    watching = threading.Thread(target=lambda: answers.append(ask("GET", f"/v1/jobs/{job}/events")))
    watching.start()
    tell(service, job, 600)  # more than a page
    end_job(service, job)
    watching.join(60)

    (answer,) = answers
    ids = [int(one["id"]) for one in events(answer.text) if one["event"] == "premis"]
    assert ids == list(range(1, 604))
    assert json.loads(events(answer.text)[-1]["data"])["state"] == "finished"


def test_events_of_the_packages_other_jobs_are_not_among_them(ask, service, job) -> None:
    end_job(service, job)
    second = job_with_files(service, "lund", "p", OUTCOMES)
    tell(service, second, 2)
    end_job(service, second)

    ids = [one.get("id") for one in events(ask("GET", f"/v1/jobs/{second}/events").text)]

    assert ids == ["4", "5", None]


@pytest.mark.parametrize("end", ["revoke", "expire", "suspend"])
def test_a_key_that_ends_ends_what_it_watches(ask, service, job, end) -> None:
    """P7: who was let in once does not see on and on what a key shows that was taken away."""
    tenants = service.ledger.tenants
    mine = tenants.verify_key(ask.key).key_id
    watching = threading.Thread(target=lambda: ask("GET", f"/v1/jobs/{job}/events"), daemon=True)
    watching.start()

    watching.join(1)
    assert watching.is_alive(), "the job has not ended"
    {
        "revoke": lambda: tenants.revoke_key(mine),
        "expire": lambda: tenants.rotate_key(mine, 0),
        "suspend": lambda: tenants.suspend("lund"),
    }[end]()
    watching.join(20)
    ended = not watching.is_alive()
    tenants.suspend("lund", active=True)
    end_job(service, job)
    watching.join(20)

    assert ended
