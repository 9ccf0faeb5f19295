"""Uploads: kept whole or not at all, under the very name that was sent, and only while no job has taken them."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import pytest

from tests.api.archives import Api, add_tenant, code

DATA = "Räksmörgås\n".encode() * 1000


def digest(data: bytes, name: str = "sha-256") -> str:
    return f"{name}=:{base64.b64encode(hashlib.new(name.replace('-', ''), data).digest()).decode()}:"


def stored(folder: Path) -> dict[str, bytes]:
    """Everything that lies in a tenant's store and is an upload's."""
    found = (path for top in folder.glob("uploads*") for path in top.rglob("*"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found if path.is_file()}


@pytest.fixture
def upload(ask) -> str:
    answer = ask("POST", "/v1/uploads")
    assert (answer.status_code, answer.headers["Location"]) == (201, f"/v1/uploads/{answer.json()['id']}")
    return answer.json()["id"]


@pytest.fixture
def put(ask, upload):
    def send(path: str, data: bytes = DATA, **headers: str):
        query = f"?part={headers.pop('part')}" if "part" in headers else ""
        return ask("PUT", f"/v1/uploads/{upload}/files/{path}{query}", content=data, headers=headers)

    return send


def test_a_file_arrives_as_it_was_sent(ask, put, upload, lund) -> None:
    answer = put("mapp/brev%20%C3%A5.txt", **{"Content-Digest": digest(DATA), "Repr-Digest": digest(DATA, "sha-512")})

    assert answer.status_code == 200, answer.text
    sha256, sha512 = hashlib.sha256(DATA).hexdigest(), hashlib.sha512(DATA).hexdigest()
    assert answer.json() == {"path": "mapp/brev å.txt", "size_bytes": len(DATA), "sha256": sha256, "sha512": sha512}
    assert digest(DATA) in answer.headers["Repr-Digest"]
    assert stored(lund.folders["arkiv"]) == {f"uploads/{upload}/mapp/brev å.txt": DATA}
    about = ask("GET", f"/v1/uploads/{upload}").json()
    assert (about["files"], about["size_bytes"], about["source"]) == (1, len(DATA), f"upload://{upload}")
    assert ask("GET", f"/v1/uploads/{upload}/files").json()["files"] == [{"path": "mapp/brev å.txt", "size_bytes": len(DATA)}]


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04" + os.urandom(50)], ids=["empty", "zip"])
def test_an_empty_file_is_a_file_and_a_zip_stays_a_zip(put, upload, lund, data) -> None:
    assert put("a.zip", data, **{"Content-Digest": digest(data)}).status_code == 200
    assert stored(lund.folders["arkiv"]) == {f"uploads/{upload}/a.zip": data}


@pytest.mark.parametrize(
    "path",
    [
        "%2e%2e/x", "a/%2e%2e/x", "a/%2E%2E", "%2e", "a/%2e/b", "%2Fetc/passwd", "/etc/passwd", "a//b", "a/", "",
        "a%00b", "a%0Ab", "%1b[2J", "a%7Fb", "%C2%85", "%FF", "%C3", "%ED%A0%80", "a" * 256, "/".join(["a" * 200] * 5), "..%2Fx",
        "%EF%BF%BF",
    ],
)  # fmt: skip
def test_a_name_that_could_lead_astray_is_refused(put, lund, path) -> None:
    """Never mended: a name is part of the record."""
    answer = put(path)

    assert answer.status_code in {422, 404}, answer.text
    assert code(answer) == "upload-name"
    assert stored(lund.folders["arkiv"]) == {}


@pytest.mark.parametrize(
    "path", ["..a", "a..b", "a.", "-x", "å" * 100, "a\\b", "%25", "~", "con", "a:b", "%F0%9F%97%84", "%E2%80%AEx"]
)
def test_a_strange_name_is_kept_as_it_is(put, ask, upload, path) -> None:
    assert put(path).status_code == 200
    (kept,) = ask("GET", f"/v1/uploads/{upload}/files").json()["files"]
    assert kept["path"] == put(path).json()["path"]


def test_no_file_takes_anothers_place_unseen(put, upload, lund) -> None:
    assert put("a", b"one").status_code == 200
    assert put("a", b"one").status_code == 200
    assert code(put("a", b"two")) == "upload-name-taken"
    assert code(put("a", b"three")) == "upload-name-taken"
    assert code(put("a/b", b"x")) == "upload-name-taken"
    assert put("c/d", b"x").status_code == 200
    assert code(put("c", b"x")) == "upload-name-taken"
    assert stored(lund.folders["arkiv"]) == {f"uploads/{upload}/a": b"one", f"uploads/{upload}/c/d": b"x"}


def test_wrong_bytes_leave_nothing(ask, put, upload, lund) -> None:
    assert code(put("a", **{"Content-Digest": digest(b"other")})) == "digest-mismatch"
    assert code(put("a", **{"Repr-Digest": digest(b"other", "sha-512")})) == "digest-mismatch"
    assert code(put("a", b"", **{"Repr-Digest": digest(b"other")})) == "digest-mismatch"
    assert code(put("a", part="1", **{"Content-Digest": digest(b"other")})) == "digest-mismatch"
    assert stored(lund.folders["arkiv"]) == {}
    assert ask("GET", f"/v1/uploads/{upload}").json()["files"] == 0
    assert ask("GET", f"/v1/uploads/{upload}").json()["size_bytes"] == 0


@pytest.mark.parametrize("header", ["sha-256=:x:", "sha-256=abc", "md5=:AAAA:", "sha-256=:AAAA:", "", "sha-256=:====:"])
def test_a_digest_that_cannot_be_read_is_not_passed_over(put, header) -> None:
    assert code(put("a", **{"Content-Digest": header})) == "bad-request"


def test_a_large_file_goes_in_parts_that_may_come_twice_and_in_any_order(ask, put, upload, lund) -> None:
    parts = [os.urandom(5000), os.urandom(5000), os.urandom(17)]
    whole = {"path": "film/x.mkv", "parts": 3, "sha512": hashlib.sha512(b"".join(parts)).hexdigest()}
    complete = f"/v1/uploads/{upload}/complete"
    for number in (3, 1):
        assert put("film/x.mkv", parts[number - 1], part=str(number)).json()["part"] == number

    assert code(ask("POST", complete, json=whole)) == "upload-incomplete"
    assert code(ask("POST", "/v1/jobs", json={"source": f"upload://{upload}", "package": "p"})) == "upload-incomplete"
    assert ask("GET", f"/v1/uploads/{upload}/files/film/x.mkv").json() == {
        "path": "film/x.mkv", "complete": False, "size_bytes": 5017,
        "parts": [{"part": 1, "size_bytes": 5000}, {"part": 3, "size_bytes": 17}],
    }  # fmt: skip
    put("film/x.mkv", b"an older try", part="2")
    assert code(ask("POST", complete, json=whole)) == "digest-mismatch"
    put("film/x.mkv", parts[1], part="2")
    answer = ask("POST", complete, json=whole)
    assert answer.status_code == 200, answer.text
    assert ask("POST", complete, json=whole).json() == answer.json()
    assert stored(lund.folders["arkiv"]) == {f"uploads/{upload}/film/x.mkv": b"".join(parts)}
    about = ask("GET", f"/v1/uploads/{upload}").json()
    assert (about["files"], about["size_bytes"]) == (1, 10017)
    assert code(put("film/x.mkv", b"x", part="1")) == "upload-name-taken"
    assert code(ask("POST", complete, json=whole | {"path": "a/../b"})) == "upload-name"
    assert code(ask("POST", complete, json=whole | {"path": "other"})) == "upload-incomplete"
    for part in ("0", "10001", "x", "-1"):
        assert code(put("y", part=part)) == "invalid"


def test_files_and_uploads_can_be_taken_back_until_a_job_has_them(ask, put, upload, lund) -> None:
    put("a"), put("b"), put("c", b"x", part="1")

    assert ask("DELETE", f"/v1/uploads/{upload}/files/a").status_code == 204
    assert ask("DELETE", f"/v1/uploads/{upload}/files/c").status_code == 204
    assert code(ask("DELETE", f"/v1/uploads/{upload}/files/a")) == "not-found"
    about = ask("GET", f"/v1/uploads/{upload}").json()
    assert (about["files"], about["size_bytes"]) == (1, len(DATA))
    job = {"source": f"upload://{upload}", "package": "p"}
    assert ask("POST", "/v1/jobs", json=job).status_code == 202
    assert ask("POST", "/v1/jobs", json=job).status_code == 202, "another policy may want the same files"
    for method, path in (("PUT", "files/d"), ("DELETE", "files/b"), ("DELETE", "")):
        answer = ask(method, f"/v1/uploads/{upload}/{path}".rstrip("/"), content=b"")
        assert code(answer) == "upload-closed"
    assert set(stored(lund.folders["arkiv"])) == {f"uploads/{upload}/b"}
    second = ask("POST", "/v1/uploads").json()["id"]
    ask("PUT", f"/v1/uploads/{second}/files/x", content=b"1")
    assert ask("DELETE", f"/v1/uploads/{second}").status_code == 204
    assert ask("GET", f"/v1/uploads/{second}").json()["state"] == "expired"
    assert set(stored(lund.folders["arkiv"])) == {f"uploads/{upload}/b"}
    assert code(ask("POST", "/v1/jobs", json={"source": f"upload://{second}", "package": "p"})) == "source"


def test_the_list_is_paged_by_name(ask, put, upload) -> None:
    names = ["a", "a.b", "a0", "b/c", "b/d", "ö"]
    for name in names:
        put(name, b"x")
    found, cursor = [], ""
    while cursor is not None:
        page = ask("GET", f"/v1/uploads/{upload}/files?limit=2{cursor and '&cursor=' + cursor}").json()
        found += [one["path"] for one in page["files"]]
        cursor = page["next"]

    assert found == sorted(names, key=str.encode)
    for bad in ("!", "AAAA", "Li4vLi4veA==", "w6U"):
        assert code(ask("GET", f"/v1/uploads/{upload}/files?cursor={bad}")) == "bad-cursor"


def test_limits_are_the_tenants_and_each_has_its_answer(client, service, tmp_path) -> None:
    limits = {"file_bytes": 10, "upload_bytes": 15, "upload_files": 2, "body_bytes": 300}
    ask = Api(client, add_tenant(service, "hoor", tmp_path, limits=limits).keys["all"])
    upload = ask("POST", "/v1/uploads").json()["id"]

    def put(name: str, size: int, query: str = "", **headers: str):
        return ask("PUT", f"/v1/uploads/{upload}/files/{name}{query}", content=b"x" * size, headers=headers)

    assert code(put("a", 11)) == "too-large"
    assert code(put("a", 11, "?part=1")) == "too-large"
    assert put("a", 10).status_code == 200
    assert code(put("b", 6)) == "upload-too-large"
    assert put("b", 5).status_code == 200
    assert code(put("c", 0)) == "upload-too-large"
    second = ask("POST", "/v1/uploads").json()["id"]
    for number in (1, 2):
        ask("PUT", f"/v1/uploads/{second}/files/x?part={number}", content=b"x" * 7)
    assert code(ask("POST", f"/v1/uploads/{second}/complete", json={"path": "x", "parts": 2})) == "upload-too-large"


def test_a_body_without_its_length_or_with_a_wrong_one_is_refused(ask, upload) -> None:
    def pieces():
        yield b"x"

    assert code(ask("PUT", f"/v1/uploads/{upload}/files/a", content=pieces())) == "length-required"
    assert code(ask("PUT", f"/v1/uploads/{upload}/files/a", content=b"xy", headers={"Content-Length": "3"})) == "bad-request"
    assert code(ask("PUT", f"/v1/uploads/{upload}/files/a", content=b"xy", headers={"Content-Length": "x"})) == "bad-request"


def test_an_upload_whose_time_is_over_is_none(ask, service, lund) -> None:
    """Its files may be gone already: a job of it would preserve an empty package, and say that all is well."""
    old = service.ledger.tenants.open_upload("lund", -1).id

    assert code(ask("PUT", f"/v1/uploads/{old}/files/a", content=b"x")) == "upload-closed"
    assert code(ask("POST", "/v1/jobs", json={"source": f"upload://{old}", "package": "p"})) == "source"
