"""What the archive gives out: exactly the bytes that it holds, in parts too, and its own account of them."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from types import SimpleNamespace
from urllib.parse import quote

import pytest

from tests.api.archives import POLICY, code, preserve
from tests.worker.store_samples import FILES, keep
from worker.commit import commit_job
from worker.ledger.facts import Found

TEXT = FILES["protokoll/bilaga å.txt".encode()]


@pytest.fixture
def package(service, lund) -> str:
    preserve(service, "lund", "paket 1/å", FILES)
    return "/v1/packages/" + quote("urn:bevara:lund:paket%201%2F%C3%A5", safe="")


def test_packages_are_listed_with_links_that_lead_somewhere(ask, package) -> None:
    (found,) = ask("GET", "/v1/packages").json()["packages"]

    assert (found["id"], found["package"], found["version"]) == ("urn:bevara:lund:paket%201%2F%C3%A5", "paket 1/å", "v1")
    assert found["links"]["self"] == package
    for link in found["links"].values():
        assert ask("GET", link).status_code == 200
    assert ask("GET", package).json() == found


def test_a_package_is_found_by_its_name_too(ask, service, lund) -> None:
    preserve(service, "lund", "diarium 17", {b"a": b"x"})

    assert ask("GET", "/v1/packages/diarium%2017").json()["package"] == "diarium 17"


def test_the_premis_is_the_one_in_the_store(ask, package, service) -> None:
    answer = ask("GET", f"{package}/premis")

    assert answer.headers["content-type"] == "application/xml"
    with service.store_of("lund").read("urn:bevara:lund:paket%201%2F%C3%A5", "metadata/premis.xml") as stream:
        assert answer.content == stream.read()


def test_the_events_chain_as_they_are_given_out(ask, package) -> None:
    first = ask("GET", f"{package}/events?limit=2").json()["events"]
    rest = ask("GET", f"{package}/events?after={first[-1]['seq']}&limit=1000").json()["events"]

    chain = first + rest
    assert [one["seq"] for one in chain] == list(range(1, len(chain) + 1))
    assert all(after["event"]["prev"] == before["hash"] for before, after in pairwise(chain))


def test_every_file_comes_with_its_digests_and_is_what_they_say(ask, package) -> None:
    files = ask("GET", f"{package}/files?limit=1000").json()["files"]

    assert {one["representation"] for one in files} == {"original", "preservation"}
    for one in files:
        answer = ask("GET", f"{package}/files/{quote(one['path'])}?representation={one['representation']}")
        assert answer.status_code == 200, answer.text
        assert hashlib.sha512(answer.content).hexdigest() == one["sha512"]
        assert answer.headers["etag"] == f'"{one["sha512"]}"'
        assert answer.headers["content-length"] == str(one["size_bytes"])
        assert answer.headers["content-type"] == one["mime"]
        assert answer.headers["repr-digest"].startswith("sha-256=:")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]


def test_what_was_made_from_a_file_is_found_by_the_files_own_name(ask, package) -> None:
    path = quote("protokoll/bilaga å.txt")

    made = ask("GET", f"{package}/files/{path}?representation=preservation")

    assert made.content == b"%PDF " + TEXT
    assert made.headers["content-disposition"] == (
        "attachment; filename=\"bilaga _.txt.pdf\"; filename*=UTF-8''bilaga%20%C3%A5.txt.pdf"
    )
    assert code(ask("GET", f"{package}/files/{path}?representation=access")) == "not-found"
    assert code(ask("GET", f"{package}/files/{path}?representation=secret")) == "invalid"


@pytest.mark.parametrize(
    ("header", "status", "span"),
    [
        ("bytes=0-0", 206, (0, 0)),
        ("bytes=3-", 206, (3, len(TEXT) - 1)),
        ("bytes=-4", 206, (len(TEXT) - 4, len(TEXT) - 1)),
        ("bytes=2-9999", 206, (2, len(TEXT) - 1)),
        ("bytes=-9999", 206, (0, len(TEXT) - 1)),
        ("bytes=5-4", 200, None),
        ("bytes=0-1,3-4", 200, None),
        ("bytes=" + ",".join(f"{n}-{n}" for n in range(100)), 200, None),
        ("lines=0-1", 200, None),
        ("bytes=-", 200, None),
        (f"bytes={len(TEXT)}-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=" + "9" * 18 + "-", 416, None),
    ],
)
def test_a_range_is_exactly_those_bytes(ask, package, header, status, span) -> None:
    answer = ask("GET", f"{package}/files/{quote('protokoll/bilaga å.txt')}", headers={"Range": header})

    assert answer.status_code == status
    if span:
        assert answer.content == TEXT[span[0] : span[1] + 1]
        assert answer.headers["content-range"] == f"bytes {span[0]}-{span[1]}/{len(TEXT)}"
    elif status == 416:
        assert code(answer) == "range"
        assert answer.headers["content-range"] == f"bytes */{len(TEXT)}"
    else:
        assert answer.content == TEXT


def test_what_the_client_has_is_not_sent_again(ask, package) -> None:
    path = f"{package}/files/brev.txt"
    tag = ask("GET", path).headers["etag"]

    for header in (tag, "*", f'"x", W/{tag}'):
        answer = ask("GET", path, headers={"If-None-Match": header})
        assert (answer.status_code, answer.content) == (304, b"")
    assert ask("GET", path, headers={"If-None-Match": '"x"'}).status_code == 200
    assert ask("GET", path, headers={"Range": "bytes=0-1", "If-Range": tag}).status_code == 206
    assert ask("GET", path, headers={"Range": "bytes=0-1", "If-Range": '"older"'}).status_code == 200
    head = ask("HEAD", path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "5")


def test_an_empty_file_can_be_fetched(ask, package) -> None:
    answer = ask("GET", f"{package}/files/tom.bin")

    assert (answer.status_code, answer.content) == (200, b"")
    assert code(ask("GET", f"{package}/files/tom.bin", headers={"Range": "bytes=0-"})) == "range"


@pytest.mark.parametrize(
    "path", ["brev", "..%2f..%2finventory.json", "%2e%2e/premis", "a%00b", "%FF", "metadata/premis.xml", "%0a"]
)
def test_what_is_no_file_of_the_package_is_not_found(ask, package, path) -> None:
    assert code(ask("GET", f"{package}/files/{path}")) in {"not-found", "bad-request"}


def test_a_package_without_a_version_has_no_premis_yet(ask) -> None:
    job = ask("POST", "/v1/jobs", json={"source": "file://in/x", "package": "ny"}).json()

    assert ask("GET", job["links"]["package"]).json()["version"] is None
    assert code(ask("GET", "/v1/packages/ny/premis")) == "not-found"


def test_a_file_that_the_store_has_lost_is_no_fault_of_the_clients(ask, package, lund) -> None:
    for found in lund.folders["arkiv"].rglob("brev.txt"):
        found.unlink()

    answer = ask("GET", f"{package}/files/brev.txt")

    assert (answer.status_code, code(answer)) == (503, "unavailable")


def test_what_the_archive_holds_can_be_fetched_while_it_is_delivered_anew(ask, package, service) -> None:
    """The newest version stands until the next one does, however long that job takes, and if it never ends well."""
    path, object_id = "protokoll/bilaga å.txt", "urn:bevara:lund:paket%201%2F%C3%A5"
    here, made = f"{package}/files/{quote(path)}", f"{package}/files/{quote(path)}?representation=preservation"
    before, copy = ask("GET", here), ask("GET", made)
    store, ledger = service.store_of("lund"), service.ledger
    job = ledger.open_job("lund", "paket 1/å", b"file://in/x", POLICY, "tools-1")
    ledger.add_tasks(job, [Found(path.encode(), path, 6, 2)])
    (task,) = ledger.claim(job, "w", 10, 60)
    archive = SimpleNamespace(store=store, ledger=ledger)
    draft = store.open_draft(object_id)
    keep(archive, draft, task, b"locked")

    for at, was in ((here, before), (made, copy)):
        now = ask("GET", at)
        assert (now.status_code, now.content, now.headers["etag"]) == (200, was.content, was.headers["etag"])
        assert now.headers["repr-digest"] == was.headers["repr-digest"]
    assert ask("GET", here, headers={"Range": "bytes=0-1"}).content == TEXT[:2]

    commit_job(store, ledger, draft, job)
    assert ask("GET", here).content == b"locked"
    assert ask("GET", made).status_code == 404
