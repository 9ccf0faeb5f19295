"""The API as a process of its own, with a ledger that several processes share, and clients that come all at once."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.api.archives import Tenanted, add_tenant, end_job, job_with_files
from tests.api.serving import served
from tests.conftest import Ran, bevara
from tests.servers.receiver import certificate, receiver
from worker.app import Service
from worker.cli.main import main
from worker.client import Client, RefusedRequestError, ServiceUnreachableError, UntrustedServiceError
from worker.client_upload import PART_BYTES
from worker.ledger.facts import UNFINISHED
from worker.record import Status
from worker.service_settings import ServiceSettings

MB = 1024**2
GOOD = {"source": "file://in/x", "package": "p"}


@dataclass(frozen=True)
class Served:
    """A running API, and the service beside it as an operator and a worker would open it."""

    url: str
    pid: int
    service: Service
    lund: Tenanted
    folder: Path

    def ask(self, key: str = "all") -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.lund.keys[key]}"}, timeout=120)

    def bevara(self, *args: object, key: str = "all") -> Ran:
        env = {"BEVARA_API_URL": self.url, "BEVARA_API_KEY": self.lund.keys[key], "XDG_STATE_HOME": str(self.folder / "state")}
        return bevara(*args, env={**os.environ, **env})

    def memory_bytes(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024


def open_beside(folder: Path, url: str) -> Service:
    (folder / "scratch").mkdir(exist_ok=True)
    return Service.open(ServiceSettings.load({"BEVARA_LEDGER_URL": url, "BEVARA_SCRATCH": f"{folder}/scratch"}))


@contextmanager
def running(folder: Path, url: str) -> Iterator[Served]:
    with open_beside(folder, url) as service:
        lund = add_tenant(service, "lund", folder)
        with served(folder, url) as (address, pid):
            yield Served(address, pid, service, lund, folder)


@pytest.fixture(scope="module")
def api(tmp_path_factory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with running(folder, f"sqlite:///{folder}/ledger.sqlite3") as found:
        yield found


@pytest.fixture
def shared(ledger_url, tmp_path) -> Iterator[Served]:
    """On each database."""
    with running(tmp_path, ledger_url) as found:
        yield found


def test_ten_submissions_at_once_with_one_key_are_one_job(shared) -> None:
    def submit(number: int) -> tuple[int, str]:
        del number
        with shared.ask() as client:
            answer = client.post("/v1/jobs", json=GOOD, headers={"Idempotency-Key": "one"})
            return answer.status_code, answer.json()["id"]

    with ThreadPoolExecutor(10) as pool:
        answers = set(pool.map(submit, range(10)))

    assert len(answers) == 1
    assert answers.pop()[0] == 202
    with shared.ask() as client:
        assert len(client.get("/v1/jobs").json()["jobs"]) == 1


def test_a_large_upload_needs_no_more_memory_than_a_small_one(api) -> None:
    """300 MB through one request: the process may keep buffers, not bodies."""
    block, digest = os.urandom(MB), hashlib.sha256()
    with api.ask() as client:
        upload = client.post("/v1/uploads").json()["id"]
        client.put(f"/v1/uploads/{upload}/files/small", content=block)
        before = api.memory_bytes()

        def body() -> Iterator[bytes]:
            for _ in range(300):
                digest.update(block)
                yield block

        answer = client.put(f"/v1/uploads/{upload}/files/large", content=body(), headers={"Content-Length": str(300 * MB)})

    assert answer.json()["sha256"] == digest.hexdigest()
    assert api.memory_bytes() - before < 30 * MB


def test_a_client_that_goes_away_in_the_middle_leaves_nothing(api) -> None:
    with api.ask() as client:
        upload = client.post("/v1/uploads").json()["id"]
        head = (
            f"PUT /v1/uploads/{upload}/files/half HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.lund.keys['all']}\r\n"
            f"Content-Length: 1000000\r\n\r\n"
        )
        host, port = api.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(head.encode() + b"x" * 500_000)
        deadline = 200
        while client.get(f"/v1/uploads/{upload}").json()["files"] and deadline:  # its reservation is given back
            deadline -= 1
        assert client.get(f"/v1/uploads/{upload}/files").json()["files"] == []
        assert client.put(f"/v1/uploads/{upload}/files/half", content=b"whole").status_code == 200


def make_folder(folder: Path) -> Path:
    """Names that are hard, an empty file, and one that goes in parts."""
    (folder / "mapp å").mkdir(parents=True)
    (folder / "mapp å" / "brev #1?.txt").write_bytes(b"Hej")
    (folder / "tom").write_bytes(b"")
    (folder / "100%41.txt").write_bytes(b"%")
    with (folder / "stor.bin").open("wb") as stream:
        for number in range(PART_BYTES // MB + 3):
            stream.write(bytes([number]) * MB)
    return folder


def test_a_folder_is_sent_submitted_and_there_byte_for_byte(api, tmp_path) -> None:
    folder = make_folder(tmp_path / "Leverans")

    ran = api.bevara("submit", folder, "--json")

    assert ran.code == 0, ran.said
    job = json.loads(ran.out)
    assert job["package"] == "Leverans"
    upload = job["source"].removeprefix("upload://")
    kept = api.lund.folders["arkiv"] / "uploads" / upload
    found = {path.relative_to(kept): path for path in kept.rglob("*") if path.is_file()}
    sent = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    assert found.keys() == sent.keys()
    assert all(found[name].read_bytes() == sent[name].read_bytes() for name in sent)
    assert not (api.lund.folders["arkiv"] / "uploads" / f"{upload}.parts").exists()
    assert "4/4 files" in ran.err
    assert list((api.folder / "state").rglob("*.json")) == [], "what is done is forgotten"


def test_what_was_begun_is_gone_on_with(api, tmp_path) -> None:
    """A stop in the middle costs what was in hand, not what was sent."""
    folder = tmp_path / "Avbruten"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "first").write_bytes(b"sent the first time")
    long = folder / ("x" * 250) / ("y" * 250) / ("z" * 250) / ("w" * 100)
    long.parent.mkdir(parents=True)
    long.write_bytes(b"no store can hold this path")

    first = api.bevara("submit", folder)
    (note,) = (api.folder / "state").rglob("*.json")
    long.unlink()
    second = api.bevara("submit", folder, "--json")

    assert (first.code, second.code) == (2, 0), first.said + second.said
    assert "longer than" in first.err
    assert json.loads(second.out)["source"].startswith("upload://")
    assert json.loads(second.out)["policy"]["name"] == "skanearkiv"
    assert not note.exists()
    with api.ask() as client:
        uploads = {one["source"] for one in client.get("/v1/jobs").json()["jobs"] if one["package"] == "Avbruten"}
    assert uploads == {json.loads(second.out)["source"]}


def test_what_changed_since_an_earlier_run_is_sent_as_it_is_now(api, tmp_path) -> None:
    """A stopped sending may be gone on with days later: the same length is not the same file, and what is gone is gone."""
    folder = tmp_path / "Ändrad"
    folder.mkdir()
    for name, data in {"a same": b"stays", "b changed": b"before", "c removed": b"wrongly here"}.items():
        (folder / name).write_bytes(data)
    long = folder / ("x" * 250) / ("y" * 250) / ("z" * 250) / ("w" * 100)
    long.parent.mkdir(parents=True)
    long.write_bytes(b"no store can hold this path")

    first = api.bevara("submit", folder)
    long.unlink()
    (folder / "c removed").unlink()
    (folder / "b changed").write_bytes(b"AFTER!")
    second = api.bevara("submit", folder, "--json")

    assert (first.code, second.code) == (2, 0), first.said + second.said
    kept = api.lund.folders["arkiv"] / "uploads" / json.loads(second.out)["source"].removeprefix("upload://")
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == {"a same": b"stays", "b changed": b"AFTER!"}
    assert "no longer in the folder: c removed" in second.err
    assert f"{'w' * 100}: The file's name is longer" in first.err, "the file is named, not the service"
    assert list((api.folder / "state").rglob("*.*")) == [], "what is done is forgotten"


def test_two_files_that_would_have_one_name_are_told_and_none_is_lost(api, tmp_path) -> None:
    folder = tmp_path / "Tvetydig"
    folder.mkdir()
    (folder / "f%E5.txt").write_bytes(b"one")
    Path(os.fsdecode(os.fsencode(folder) + b"/f\xe5.txt")).write_bytes(b"two")

    ran = api.bevara("submit", folder)

    assert ran.code == 2, ran.said
    assert "two files of the folder" in ran.err


def test_a_job_is_shown_and_what_needs_a_person_sets_the_exit_code(api) -> None:
    outcomes = {"a\x1b[2J.pdf": (Status.REVIEW, "unknown-format"), "b.pdf": (Status.KEPT, "ok")}
    job = job_with_files(api.service, "lund", "visad", outcomes)
    open_one = api.bevara("status", job)
    end_job(api.service, job)

    ended = api.bevara("status", job, "--watch")

    assert (open_one.code, ended.code) == (1, 1)
    assert "state    finished" in ended.out
    assert "1 review" in ended.out
    assert "So it ended." in ended.out
    assert "\x1b[2J" not in ended.said


def test_mistakes_are_told_in_a_sentence_and_keys_never(api, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("BEVARA_API_URL", api.url)
    monkeypatch.setenv("BEVARA_API_KEY", api.lund.keys["all"])
    (tmp_path / "key").write_text("bvr_wrong_key\n")
    (tmp_path / "no-key").write_text("hemligt")
    asked = [
        (("status", "0" * 32), 2, "no such job"),
        (("status", "../x"), 2, "no job's id"),
        (("submit", tmp_path / "nothing"), 2, "neither a folder nor a file"),
        (("submit", "file://in/x"), 2, "--package"),
        (("submit", "file://in/x", "--package", "p", "--policy", "no-such"), 2, "has a policy"),
        (("submit", "file://in/x", "--package", "p", "--priority", "11"), 2, "-10 to 10"),
        (("submit", "s3://elsewhere/x", "--package", "p"), 2, "no such place"),
        (("status", "0" * 32, "--key-file", tmp_path / "key"), 2, "not known"),
        (("status", "0" * 32, "--key-file", tmp_path / "no-key"), 2, "begins with bvr_"),
        (("status", "0" * 32, "--key-file", tmp_path / "none"), 2, "cannot be read"),
        (("status", "0" * 32, "--url", "http://192.0.2.1"), 2, "unencrypted"),
        (("status", "0" * 32, "--url", "ftp://x"), 2, "no address of a service"),
    ]
    for args, exit_code, said in asked:
        ended = main([str(arg) for arg in args])  # in this process: twelve starts would take as long as all the rest
        told = "".join(capsys.readouterr())
        assert (ended, said in told) == (exit_code, True), (args, told)
        assert not any(secret in told for secret in ("hemligt", "bvr_wrong", *api.lund.keys.values()))


def test_a_reference_is_submitted_without_sending_anything(api) -> None:
    ran = api.bevara("submit", "file://in/2026", "--package", "ref", "--delivery", "file://ut/ref", "--manifest", "m.txt", "--json")

    assert ran.code == 0, ran.said
    assert {name: json.loads(ran.out)[name] for name in ("source", "delivery")} == {
        "source": "file://in/2026", "delivery": "file://ut/ref"
    }  # fmt: skip


class Flaky(httpx.BaseTransport):
    """A network that loses requests and answers, and a service that is busy, before it lets one through."""

    def __init__(self, *faults: int | None) -> None:
        self.faults, self.real = list(faults), httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        fault = self.faults.pop(0) if self.faults else 0
        if fault is None:
            raise httpx.ReadError("lost")
        if fault:
            return httpx.Response(fault, headers={"Retry-After": "7"})
        answer = self.real.handle_request(request)
        if self.faults[:1] == [-1]:  # done, but nobody hears of it
            self.faults.pop(0)
            answer.read()
            raise httpx.ReadError("lost")
        return answer

    def close(self) -> None:
        self.real.close()


def test_what_a_network_loses_is_sent_again_and_done_once(api) -> None:
    waits: list[float] = []
    with Client(api.url, api.lund.keys["all"], transport=Flaky(None, 503, 429, 0, -1), sleep=waits.append) as client:
        job = client.submit(GOOD | {"package": "flaky"})

    with api.ask() as asked:
        jobs = [one for one in asked.get("/v1/jobs?limit=1000").json()["jobs"] if one["package"] == "flaky"]
    assert [one["id"] for one in jobs] == [job["id"]]
    assert len(waits) == 4
    assert all(7 <= wait < 10 for wait in waits[1:3]), "as long as it was told"
    assert job["state"] in {str(state) for state in UNFINISHED}


def test_a_service_that_stays_away_is_said_after_a_bounded_time(api) -> None:
    waits: list[float] = []
    away = Flaky(*[None] * 100)
    with (
        Client(api.url, api.lund.keys["all"], transport=away, sleep=waits.append) as client,
        pytest.raises(ServiceUnreachableError, match="does not answer"),
    ):
        client.tenant()
    assert 30 < sum(waits) < 200


def test_a_watch_outlasts_a_restart_of_the_service(api) -> None:
    job = job_with_files(api.service, "lund", "sedd", {"a": (Status.KEPT, "ok")})
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 12:  # longer than one request is tried
            end_job(api.service, job)

    with Client(api.url, api.lund.keys["all"], transport=Flaky(0, *[None] * 20), sleep=wait) as client:
        seen = list(client.watch(job))

    assert [one["ended"] for one in seen] == [False, True]
    with (
        Client(api.url, api.lund.keys["all"], transport=Flaky(*[None] * 10_000), sleep=waits.append) as client,
        pytest.raises(ServiceUnreachableError, match=f"bevara status {job} --watch"),
    ):
        list(client.watch(job))


@pytest.mark.parametrize(("proof", "says"), [("certificate", "SSL_CERT_FILE"), ("none", "is https:// spoken")])
def test_a_service_that_cannot_prove_itself_is_said_at_once(tmp_path, proof, says) -> None:
    """To try for a minute and to say that nobody answers would send people looking in the wrong place."""
    waits: list[float] = []
    with (
        receiver(certificate(tmp_path, "localhost") if proof == "certificate" else None) as told,
        Client(f"https://localhost:{told.port}", "bvr_x", sleep=waits.append) as client,
        pytest.raises(UntrustedServiceError, match=says),
    ):
        client.tenant()
    assert not waits
    assert not told.got


def test_a_refusal_carries_code_status_and_what_was_named(api) -> None:
    with Client(api.url, api.lund.keys["read"]) as client, pytest.raises(RefusedRequestError) as refused:
        client.submit(GOOD)
    assert (refused.value.reason, refused.value.status) == ("scope", 403)
    assert api.lund.keys["read"] not in repr(client) + str(refused.value)


def test_the_log_of_the_process_holds_no_key_and_no_name(api) -> None:
    said = (api.folder / "api.log").read_text()
    assert not any(key in said or key.split("_", 2)[2] in said for key in api.lund.keys.values())
    assert "brev" not in said
