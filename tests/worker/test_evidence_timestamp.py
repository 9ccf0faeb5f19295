"""A time stamp counts only when a real authority's answer holds in every part; the authority here is `openssl ts`."""

from __future__ import annotations

import http.server
import shutil
import subprocess
import threading
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from evidence_samples import PACKAGE, TENANT, at, findings, job, store_of
from store_samples import FILES

from tests.conftest import missing
from worker.archive import Archive
from worker.evidence import der
from worker.evidence.daily import make
from worker.evidence.keys import KeyFolder
from worker.evidence.names import DOCUMENT, TIMESTAMP, evidence_id
from worker.evidence.proof import prove
from worker.evidence.shelf import find
from worker.evidence.timestamp import NoTimestampError, TimestampError, asker, check, request
from worker.evidence.verify import Report

CONFIG = """
[tsa]
default_tsa = one
[one]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


def openssl(folder: Path, *args: str) -> None:
    subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)


def authority(folder: Path, kind: str, usage: str = "critical,timeStamping") -> Path:
    """A certificate authority and a time stamping authority below it."""
    if shutil.which("openssl") is None:
        missing("openssl")
    folder.mkdir()
    key = {"rsa": ["rsa:2048"], "ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]}[kind]
    openssl(
        folder, "req", "-x509", "-newkey", *key, "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "3", "-subj", "/CN=root"
    )
    openssl(folder, "req", "-newkey", *key, "-nodes", "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=tsa")
    (folder / "usage").write_text(f"extendedKeyUsage={usage}\n")
    openssl(
        folder,
        "x509",
        "-req",
        "-in",
        "tsa.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-days",
        "2",
        "-extfile",
        "usage",
        "-out",
        "tsa.pem",
    )
    (folder / "ts.cnf").write_text(CONFIG.format(folder=folder))
    (folder / "serial").write_text("01\n")
    return folder


def root(folder: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates((folder / "ca.pem").read_bytes())


def stamp(folder: Path, document: bytes, nonce: int = 7) -> bytes:
    (folder / "q").write_bytes(request(document, nonce))
    openssl(folder, "ts", "-reply", "-config", "ts.cnf", "-queryfile", "q", "-out", "a")
    return (folder / "a").read_bytes()


@pytest.fixture(scope="module", params=["rsa", "ec"])
def tsa(request, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return authority(tmp_path_factory.mktemp("tsa") / "one", request.param)


@pytest.fixture
def url(tsa: Path) -> Iterator[str]:
    """The authority behind HTTP on loopback."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            (tsa / "q").write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
            openssl(tsa, "ts", "-reply", "-config", "ts.cnf", "-queryfile", "q", "-out", "a")
            data = (tsa / "a").read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_good_time_stamp_is_read_and_openssl_agrees(tsa: Path) -> None:
    answer = stamp(tsa, b"document")
    said = check(b"document", answer, root(tsa))
    (tsa / "data").write_bytes(b"document")
    openssl(tsa, "ts", "-verify", "-data", "data", "-in", "a", "-CAfile", "ca.pem")

    assert (said.nonce, said.authority) == (7, "CN=tsa")


def test_only_a_hash_leaves_the_house() -> None:
    assert b"secret" not in request(b"secret", 1)
    assert len(request(b"secret" * 1000, 1)) == len(request(b"", 1))


def test_a_time_stamp_of_another_document_or_authority_is_refused(tsa: Path, tmp_path: Path) -> None:
    answer = stamp(tsa, b"document")
    other = authority(tmp_path / "other", "ec")
    wrong = authority(tmp_path / "wrong", "ec", "critical,serverAuth,timeStamping")

    for document, data, roots in ((b"Document", answer, root(tsa)), (b"document", answer, root(other)), (b"document", answer, [])):
        with pytest.raises(TimestampError):
            check(document, data, roots)
    with pytest.raises((TimestampError, subprocess.CalledProcessError)):  # openssl itself may refuse to stamp with it
        check(b"document", stamp(wrong, b"document"), root(wrong))


def test_one_changed_byte_anywhere_never_makes_another_good_time_stamp(tsa: Path) -> None:
    """It is refused, or says the very same: the envelope around what is signed has bytes that mean nothing."""
    answer, roots = stamp(tsa, b"document"), root(tsa)
    good = check(b"document", answer, roots)
    for place in range(0, len(answer), 3):
        try:
            said = check(b"document", answer[:place] + bytes([answer[place] ^ 4]) + answer[place + 1 :], roots)
        except TimestampError:
            continue
        assert said == good
    for place in range(0, len(answer), 50):
        with pytest.raises(TimestampError):
            check(b"document", answer[:place], roots)


def test_a_day_is_stamped_and_its_proof_carries_the_stamp(tmp_path: Path, tsa: Path, url: str) -> None:
    keys = KeyFolder(tmp_path / "keys")
    keys.new(time="2100-01-01T00:00:00.000Z")
    job(tmp_path / "a", FILES)
    with Archive(tmp_path / "a") as archive:
        made = make([archive.store], TENANT, keys, [(PACKAGE, 1)], clock=at("2100-01-01"), stamp=asker(url, root(tsa)))
    shelf = find(store_of(tmp_path / "a"), evidence_id(TENANT, "2100-01-01"))

    assert made.unstamped == ""
    assert check(shelf.read(DOCUMENT), shelf.read(TIMESTAMP), root(tsa)).authority == "CN=tsa"
    proof = prove(store_of(tmp_path / "a"), TENANT, PACKAGE, "original/tom.bin")
    assert b64decode(proof["witnesses"][0]["timestamp"]) == shelf.read(TIMESTAMP)
    report = Report()
    assert [one.code for one in findings(tmp_path / "a", keys, report, roots=root(tsa))] == ["clock-ahead"]  # ours says 2100
    assert report.stamped == 1
    assert findings(tmp_path / "a", keys) == []


def test_an_authority_that_is_away_keeps_no_day_from_being_signed(tmp_path: Path) -> None:
    keys = KeyFolder(tmp_path / "keys")
    keys.new()
    job(tmp_path / "a", FILES)
    ask = asker("http://127.0.0.1:9/", [])
    with pytest.raises(NoTimestampError):
        ask(b"document")
    with Archive(tmp_path / "a") as archive:
        made = make([archive.store], TENANT, keys, [(PACKAGE, 1)], clock=at("2100-01-01"), stamp=ask)

    assert len(made.days) == 1
    assert "gave no time stamp" in made.unstamped


@pytest.mark.parametrize("data", [b"", b"0", b"0\x80", b"0\x05\x02\x01", b"\x30\x85\x01\x01\x01\x01\x01", b"\x1f\x00", b"0" * 50])
def test_what_is_not_der_is_refused(data: bytes) -> None:
    with pytest.raises(TimestampError):
        check(b"document", data, [])


def test_object_identifiers_and_lengths_are_written_as_der_has_them() -> None:
    assert der.put_oid("1.2.840.113549.1.7.2").hex() == "06092a864886f70d010702"
    assert der.put_integer(128).hex() == "02020080"
    assert der.whole(der.put(der.OCTETS, b"x" * 300)).content == b"x" * 300
