"""Uploads into real S3 servers, through the API as a process: whole or not at all there too, whatever goes wrong in the middle."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import signal
import socket
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.api.archives import code
from tests.api.serving import served
from tests.installation import installed, wait_for
from tests.servers.child import free_port
from tests.servers.s3 import WANTED, S3Server
from worker.app import Service
from worker.service_settings import ServiceSettings
from worker.store.bucket_s3 import PART_BYTES, S3Bucket, client_of

MIB = 1 << 20
LARGE = PART_BYTES + 4 * MIB  # goes to the S3 server in two parts
BLOCK = os.urandom(MIB)


def digest(data: bytes) -> dict[str, str]:
    return {"Content-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"}


def data(size: int) -> bytes:
    return (BLOCK * (size // MIB + 1))[:size]


def climbing_zip() -> bytes:
    """A zip whose names lead out of any folder that it is unpacked in."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in ("../../../../tmp/climbed.txt", "/etc/climbed.txt", "..\\climbed.txt", "inside.txt"):
            archive.writestr(name, "out")
    return made.getvalue()


@dataclass
class Site:
    """A running API over one S3 server, and the tenant's place there as a test sees it."""

    server: S3Server
    bucket: S3Bucket
    url: str
    key: str
    pid: int = 0

    def ask(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=120, trust_env=False)

    def begin(self, upload: str, name: str, declared: int, sent: int) -> socket.socket:
        """A request that has told of *declared* bytes and sent *sent* of them; the caller decides what becomes of it."""
        host, port = self.url.removeprefix("http://").split(":")
        connection = socket.create_connection((host, int(port)), timeout=60)
        head = f"PUT /v1/uploads/{upload}/files/{name} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.key}\r\n"
        connection.sendall(head.encode() + f"Content-Length: {declared}\r\n\r\n".encode() + data(sent))
        return connection

    def stored(self) -> dict[str, str]:
        """Every key of uploads, with the SHA-256 of its bytes."""
        found = {}
        for blob in self.bucket.list("uploads"):
            with self.bucket.get(blob.key) as stream:
                found[blob.key] = hashlib.file_digest(stream, "sha256").hexdigest()
        return found

    def unfinished(self, key: str) -> int:
        """Uploads in parts that the S3 server waits for, of one key: MinIO tells of them only by the whole name."""
        client, where = self.bucket._client, self.bucket._prefix + key
        return len(client._list_multipart_uploads(self.bucket._bucket, prefix=where).uploads)


@contextmanager
def api_over(server: S3Server, folder: Path) -> Iterator[Site]:
    """An API with one tenant, whose store is a prefix of a bucket of *server*."""
    folder.mkdir(exist_ok=True)
    one = server.endpoint
    s3 = {"ENDPOINT": f"http://{one.endpoint}", "ACCESS_KEY": one.access_key, "SECRET_KEY": one.secret_key, "REGION": one.region}
    with pytest.MonkeyPatch.context() as environ:
        for name, value in s3.items():
            environ.setenv(f"BEVARA_S3_MAIN_{name}", value)
        url, bucket = f"sqlite:///{folder}/ledger.sqlite3", server.new_bucket()
        with Service.open(ServiceSettings(ledger_url=url)) as service:
            service.ledger.tenants.add("lund", "Lund")
            service.ledger.tenants.add_place("lund", "arkiv", f"s3://{bucket}/sk\u00e5ne/lund", endpoint="main", is_store=True)
            key = service.ledger.tenants.add_key("lund", "all", ["submit", "read"]).text
        with served(folder, url) as (address, pid):
            yield Site(server, S3Bucket(client_of(one), bucket, "sk\u00e5ne/lund"), address, key, pid)


@pytest.fixture(scope="module", params=WANTED)
def server(request: pytest.FixtureRequest) -> S3Server:
    return request.getfixturevalue(f"{request.param}_server")


@pytest.fixture(scope="module")
def site(server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with api_over(server, tmp_path_factory.mktemp("api")) as one:
        yield one


@pytest.fixture
def upload(site: Site) -> Iterator[str]:
    """An upload of its own; nothing of it is left for the next test."""
    with site.ask() as ask:
        made = ask.post("/v1/uploads").json()["id"]
        yield made
        ask.delete(f"/v1/uploads/{made}")
    assert site.stored() == {}


def test_files_of_every_size_arrive_as_they_were_sent(site: Site, upload: str) -> None:
    """Empty, small, and one that the store takes in parts; a zip stays the one file that it is, whatever its names say."""
    sent = {"tom": b"", "mapp/brev \u00e5 #1?.txt": b"Hej", "stor.bin": data(LARGE), "a.zip": climbing_zip()}
    with site.ask() as ask:
        for path, content in sent.items():
            quoted = path.replace(" ", "%20").replace("#", "%23").replace("?", "%3F")
            answer = ask.put(f"/v1/uploads/{upload}/files/{quoted}", content=content, headers=digest(content))
            assert answer.status_code == 200, answer.text
        again = ask.put(f"/v1/uploads/{upload}/files/stor.bin", content=sent["stor.bin"])
        other = ask.put(f"/v1/uploads/{upload}/files/stor.bin", content=b"x" * LARGE)
        about = ask.get(f"/v1/uploads/{upload}").json()
        listed = ask.get(f"/v1/uploads/{upload}/files").json()["files"]

    assert site.stored() == {f"uploads/{upload}/{path}": hashlib.sha256(content).hexdigest() for path, content in sent.items()}
    assert (again.status_code, code(other)) == (200, "upload-name-taken")
    assert (about["files"], about["size_bytes"]) == (4, sum(map(len, sent.values())))
    assert [one["path"] for one in listed] == sorted(sent, key=str.encode)


def test_no_name_leads_out_of_the_upload(site: Site, upload: str) -> None:
    with site.ask() as ask:
        for name in ("%2e%2e/x", "a/%2e%2e/%2e%2e/x", "%2Fetc/passwd", "a//b", "..%2Fx", "../x", "a%00b"):
            raw = httpx.URL(site.url).copy_with(raw_path=f"/v1/uploads/{upload}/files/{name}".encode())
            assert ask.request("PUT", raw, content=b"x").status_code in {404, 422}, name
    assert site.stored() == {}


def test_a_wrong_checksum_leaves_nothing_not_even_parts(site: Site, upload: str) -> None:
    """Of a small file, of one that the store takes in parts, of a part, and of the file that parts are joined to."""
    with site.ask() as ask:
        for size in (5, LARGE):
            wrong = ask.put(f"/v1/uploads/{upload}/files/fel", content=data(size), headers=digest(b"other"))
            assert code(wrong) == "digest-mismatch"
            assert site.stored() == {}
        assert code(ask.put(f"/v1/uploads/{upload}/files/fel?part=1", content=b"x", headers=digest(b"y"))) == "digest-mismatch"
        about = ask.get(f"/v1/uploads/{upload}").json()

    assert site.stored() == {}
    assert site.unfinished(f"uploads/{upload}/fel") == 0
    assert (about["files"], about["size_bytes"]) == (0, 0)


def test_parts_in_any_order_become_one_file_when_the_checksum_agrees(site: Site, upload: str) -> None:
    """One of them so large that the store takes it in parts of its own; one is sent twice, first with other bytes."""
    parts = [data(LARGE), data(5 * MIB)[::-1], b"the end"]
    whole = hashlib.sha512(b"".join(parts)).hexdigest()
    body = {"path": "film.mkv", "parts": 3, "sha512": whole}
    with site.ask() as ask:
        where, complete = f"/v1/uploads/{upload}/files/film.mkv", f"/v1/uploads/{upload}/complete"
        for number, content in ((3, parts[2]), (1, parts[0]), (2, b"an older try")):
            assert ask.put(f"{where}?part={number}", content=content, headers=digest(content)).status_code == 200
        assert code(ask.post(complete, json=body)) == "digest-mismatch"
        assert f"uploads/{upload}/film.mkv" not in site.stored()
        ask.put(f"{where}?part=2", content=parts[1])
        done, again = ask.post(complete, json=body), ask.post(complete, json=body)

    assert (done.status_code, again.json()) == (200, done.json())
    assert site.stored() == {f"uploads/{upload}/film.mkv": hashlib.sha256(b"".join(parts)).hexdigest()}
    assert site.unfinished(f"uploads/{upload}/film.mkv") == 0


def test_a_client_that_goes_away_in_the_middle_leaves_nothing_at_the_server(site: Site, upload: str) -> None:
    """After the store has taken a part already: what the API began there, it gives up; and the name is free again."""
    with site.ask() as ask:
        with site.begin(upload, "halv", 3 * PART_BYTES, PART_BYTES + 2 * MIB):
            wait_for(lambda: site.unfinished(f"uploads/{upload}/halv") == 1)
        wait_for(lambda: ask.get(f"/v1/uploads/{upload}").json()["size_bytes"] == 0)  # its reservation is given back
        wait_for(lambda: site.unfinished(f"uploads/{upload}/halv") == 0)
        assert site.stored() == {}

        assert ask.put(f"/v1/uploads/{upload}/files/halv", content=b"whole").status_code == 200


def test_what_a_killed_api_had_begun_is_no_file_and_is_cleared_away(server: S3Server, tmp_path: Path) -> None:
    """kill -9 in the middle: nothing can be read under the name, and ``bevara gc`` ends what the S3 server still waits for."""
    with api_over(server, tmp_path / "killed") as site:
        with site.ask() as ask:
            upload = ask.post("/v1/uploads").json()["id"]
        key = f"uploads/{upload}/halv"
        with site.begin(upload, "halv", 3 * PART_BYTES, PART_BYTES + 2 * MIB):
            wait_for(lambda: site.unfinished(key) == 1)
            os.kill(site.pid, signal.SIGKILL)
    others = S3Bucket(client_of(server.endpoint), site.bucket._bucket, "sk\u00e5ne/malmo")
    client = others._client
    begun = client._create_multipart_upload(others._bucket, others._prefix + "theirs", {})

    assert site.stored() == {}
    assert site.bucket.sweep(3600) == 0, "what is young may be under way"
    swept = site.bucket.sweep(0)

    if server.name == "minio":  # it tells of unfinished uploads by their whole name only, and ends them itself after a day
        assert swept == 0
    else:
        assert (swept, site.unfinished(key)) == (1, 0)
    assert len(client._list_multipart_uploads(others._bucket, prefix=others._prefix + "theirs").uploads) == 1
    client._abort_multipart_upload(others._bucket, others._prefix + "theirs", begun)


def test_an_upload_becomes_a_package_and_what_is_not_as_expected_is_returned(
    versitygw_server: S3Server, tmp_path: Path, postgres_url: str, redis_url: str
) -> None:
    """The whole way, with the S3 server for uploads and store: checksums of the job's own list, parts, a zip that climbs."""
    port = str(free_port())
    with installed(tmp_path, postgres_url, redis_url, versitygw_server.endpoint, BEVARA_API_PORT=port) as at:
        at.tenant("lund", versitygw_server.new_bucket())
        key = at.ledger.tenants.add_key("lund", "all", ["submit", "read"]).text
        for command in ("serve", "schedule", "work"):
            at.start(command)
        sent = {
            "r\u00e4tt.txt": b"R\xc3\xa4tt\n",
            "fel.txt": b"Fel\n",
            "a.zip": climbing_zip(),
            "stor.txt": b"rad\n" * (LARGE // 4),
        }
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=120, trust_env=False) as ask:
            wait_for(lambda: _up(ask))
            upload = ask.post("/v1/uploads").json()["id"]
            for path, content in sent.items():
                half = len(content) // 2
                for number, piece in enumerate((content[:half], content[half:]), start=1):
                    ask.put(f"/v1/uploads/{upload}/files/{path}?part={number}", content=piece).raise_for_status()
                ask.post(f"/v1/uploads/{upload}/complete", json={"path": path, "parts": 2}).raise_for_status()
            expected = {path: {"sha256": hashlib.sha256(content).hexdigest()} for path, content in sent.items()}
            expected["fel.txt"] = {"sha256": "0" * 64}
            asked = {"source": f"upload://{upload}", "package": "p", "expected": expected}
            job = ask.post("/v1/jobs", json=asked)
            assert job.status_code == 202, job.text
            ended = at.until_over("lund", job.json()["id"])
            back = {path: ask.get(f"/v1/packages/p/files/{path}").content for path in sent}

        ends = {path: (str(record.status), record.reason) for path, record in at.records(ended.id).items()}
        assert (ended.state, set(ends)) == ("finished", set(sent))
        assert ends["fel.txt"] == ("returned", "checksum-mismatch")
        assert ends["r\u00e4tt.txt"] == ends["stor.txt"] == ("kept", "ok")
        assert back == sent
        assert not Path("/tmp/climbed.txt").exists()  # where the zip's names lead
        assert not Path("/etc/climbed.txt").exists()


def _up(ask: httpx.Client) -> bool:
    try:
        return ask.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False
