"""Evidence that was signed proves what the archive held; whatever was changed, removed or put in since is named."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from evidence_samples import (
    DAYS,
    OTHER,
    PACKAGE,
    TENANT,
    at,
    build_signed,
    codes,
    findings,
    heads,
    home,
    job,
    replace_consistently,
    rewrite,
    roll_back,
    seal,
    sign,
    store_of,
)
from store_samples import tree

from tests.conftest import bevara, missing
from worker.archive import Archive
from worker.evidence import standalone_verifier
from worker.evidence.daily import ClockBackError, make
from worker.evidence.documents import Day, EvidenceError, Leaf, NotADocumentError
from worker.evidence.keys import KeyFolder, KeyFolderError, Signer
from worker.evidence.names import DOCUMENT, KEYS, LEAVES, SIGNATURE, evidence_id, is_evidence, read_package_id
from worker.evidence.proof import VERIFIER, NotProvenError, prove
from worker.evidence.proof_page import proof_page
from worker.evidence.renew import renew
from worker.evidence.shelf import find
from worker.evidence.signing import EvidenceDamagedError
from worker.evidence.verify import Report, verify
from worker.fixity.findings import Severity
from worker.ledger.ledger import object_id
from worker.store.directory import DirectoryStore
from worker.verify import verify as verify_archive


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signed")
    build_signed(folder)
    return folder


@pytest.fixture
def archive(signed: Path, tmp_path: Path) -> Path:
    shutil.copytree(signed, tmp_path, dirs_exist_ok=True)
    return tmp_path / "a"


@pytest.fixture
def keys(archive: Path) -> KeyFolder:
    return KeyFolder(archive.parent / "keys")


def day_home(archive: Path, day: str) -> Path:
    return home(archive, evidence_id(TENANT, day))


# What is whole


def test_what_was_signed_is_proven_and_the_archive_stays_whole(archive: Path, keys: KeyFolder) -> None:
    """Evidence lies in the store as objects that `bevara verify` and any OCFL validator accept."""
    before, report = tree(archive), Report()

    assert findings(archive, keys, report) == []
    assert (report.days, report.first, report.last, report.packages, report.unsigned) == (4, DAYS[0], DAYS[3], 2, 0)
    assert list(verify_archive(archive)) == []
    assert tree(archive) == before


def test_an_ocfl_validator_that_we_did_not_write_accepts_the_store(archive: Path) -> None:
    tool = Path(sys.executable).with_name("ocfl-validate.py")
    if not tool.exists():
        missing("ocfl-py")
    done = subprocess.run([sys.executable, "-W", "ignore", tool, archive / "store"], capture_output=True, check=False, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_day_tells_of_what_had_news_only_and_a_day_without_news_is_signed_too(archive: Path) -> None:
    shelves = [find(store_of(archive), evidence_id(TENANT, day)) for day in DAYS]
    documents = [Day.parse(shelf.read(DOCUMENT)) for shelf in shelves]

    assert [(day.news, day.packages, day.size) for day in documents] == [(1, 1, 1), (1, 1, 2), (1, 2, 3), (0, 2, 3)]
    assert [day.previous for day in documents[1:]] == [hashlib.sha256(shelf.read(DOCUMENT)).hexdigest() for shelf in shelves[:-1]]
    leaf = Leaf.parse(shelves[1].read(LEAVES).strip())
    assert (leaf.object, leaf.before, leaf.version) == (PACKAGE, 0, 2)


def test_a_day_is_signed_once_and_days_that_were_missed_are_made_up_for(archive: Path, keys: KeyFolder) -> None:
    before = tree(archive / "store")
    assert sign(archive, keys, DAYS[3]).days == []
    assert tree(archive / "store") == before

    made = sign(archive, keys, "2100-01-07")

    assert [day.day for day in made.days] == ["2100-01-05", "2100-01-06", "2100-01-07"]
    assert findings(archive, keys) == []


def test_the_same_bytes_go_into_every_store_and_a_store_that_was_away_is_caught_up(archive: Path, keys: KeyFolder) -> None:
    second = DirectoryStore(archive.parent / "b", archive.parent / "b.scratch")

    made = sign(archive, keys, "2100-01-05", second)

    assert made.copied == 4
    for day in (*DAYS, "2100-01-05"):
        one, other = (home_of(root, day) for root in (archive / "store", archive.parent / "b"))
        assert tree(one) == tree(other)


def home_of(root: Path, day: str) -> Path:
    return next(p.parent for p in root.glob("*/*/*/*/inventory.json") if evidence_id(TENANT, day) in p.read_text("utf-8"))


def test_what_came_after_the_newest_day_is_no_fault_and_is_counted(archive: Path, keys: KeyFolder) -> None:
    job(archive, {b"sent.txt": b"sent"}, "sen")
    report = Report()
    late = findings(archive, keys, report)

    assert {finding.severity for finding in late} <= {Severity.WARNING}  # its clock is 2026, and it came after 2100
    assert report.unsigned == 1
    sign(archive, keys, "2100-01-05")
    assert findings(archive, keys) == []


def test_openssl_alone_can_check_a_signature(archive: Path, keys: KeyFolder) -> None:
    content = day_home(archive, DAYS[1]) / "v1/content"
    pem = next(keys.folder.glob("*.public.pem"))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", pem, "-rawin", "-in", content / DOCUMENT]

    assert subprocess.run([*command, "-sigfile", content / SIGNATURE], capture_output=True, check=False).returncode == 0


def test_no_package_can_be_taken_for_evidence() -> None:
    for name in ("evidence", "evidence:2026-01-01", ":evidence:2026-01-01"):
        assert not is_evidence(object_id(TENANT, name))
        assert read_package_id(object_id(TENANT, name)) == TENANT
    assert is_evidence(evidence_id("Lund:x", "2026-01-01"))


# What is not


def events(archive: Path, number: int) -> tuple[Path, list[bytes]]:
    path = home(archive, PACKAGE) / f"v{number}/content/metadata/events/v{number:04d}.jsonl"
    return path, path.read_bytes().splitlines(keepends=True)


def rechained(lines: list[bytes], change: bytes, to: bytes) -> bytes:
    """The attacker who knows our chain too: every later hash made to fit."""
    out, prev = [], ""
    for line in lines:
        body = json.dumps(json.loads(line)["body"], ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        told = json.loads(line)["body"]["prev"]
        body = body.replace(told.encode(), (prev or told).encode()).replace(change, to)
        prev = hashlib.sha256(body).hexdigest()
        out.append(b'{"body":' + body + b',"hash":"' + prev.encode() + b'"}\n')
    return b"".join(out)


def test_an_event_that_was_altered_is_named(archive: Path, keys: KeyFolder) -> None:
    path, lines = events(archive, 2)
    lines[1] = lines[1].replace(b'"outcome":"warning"', b'"outcome":"success"')
    replace_consistently(home(archive, PACKAGE), path.relative_to(home(archive, PACKAGE)).as_posix(), b"".join(lines))
    found = findings(archive, keys)

    assert {"event-changed", "inventory-replaced"} <= {one.code for one in found}
    assert any("event 14" in one.where and DAYS[1] in one.where for one in found), found


def test_a_history_that_was_told_anew_is_named(archive: Path, keys: KeyFolder) -> None:
    """Events altered, and the whole chain after them, the inventories and the sidecars made to fit."""
    place = home(archive, PACKAGE)
    path, lines = events(archive, 2)
    new = rechained(lines, b'"outcome":"warning"', b'"outcome":"success"')
    replace_consistently(place, path.relative_to(place).as_posix(), new)
    found = findings(archive, keys)

    assert "event-changed" not in {one.code for one in found}
    rewritten = [one for one in found if one.code == "history-rewritten"]
    assert len(rewritten) == 1
    assert DAYS[1] in rewritten[0].what


@pytest.mark.parametrize("left", [0, 1, 2])
def test_events_that_were_removed_are_named_by_number_and_day(archive: Path, keys: KeyFolder, left: int) -> None:
    """The newest alone, several, and all that were told on a day."""
    place = home(archive, PACKAGE)
    path, lines = events(archive, 2)
    replace_consistently(place, path.relative_to(place).as_posix(), b"".join(lines[:left]))
    removed = [one for one in findings(archive, keys) if one.code == "events-removed"]

    assert len(removed) == 1
    assert DAYS[1] in removed[0].what
    said = {0: "everything that was told on that day", 1: "events 14 to 15", 2: "the newest event"}[left]
    assert said in removed[0].what


def test_an_event_in_the_middle_that_was_removed_is_named(archive: Path, keys: KeyFolder) -> None:
    place = home(archive, PACKAGE)
    path, lines = events(archive, 1)
    replace_consistently(place, path.relative_to(place).as_posix(), b"".join(lines[:3] + lines[4:]))

    assert {"event-order", "event-chain", "history-rewritten"} <= codes(archive, keys)


def test_a_version_that_was_rolled_back_is_named(archive: Path, keys: KeyFolder) -> None:
    """A whole day of a package, gone without a trace in the object or the ledger: `bevara verify` alone calls it whole."""
    roll_back(home(archive, PACKAGE))
    (archive / "ledger.sqlite3").unlink()

    assert list(verify_archive(archive)) == []
    assert {"version-removed", "events-removed"} == codes(archive, keys)


def test_a_package_that_is_gone_is_named(archive: Path, keys: KeyFolder) -> None:
    shutil.rmtree(home(archive, PACKAGE))
    (archive / "ledger.sqlite3").unlink()
    found = findings(archive, keys)

    assert [(one.code, one.where) for one in found] == [("package-missing", PACKAGE)]


def test_a_file_that_was_replaced_consistently_is_named(archive: Path, keys: KeyFolder) -> None:
    place = home(archive, PACKAGE)
    replace_consistently(place, "v1/content/original/tom.bin", b"not what it was")
    found = findings(archive, keys)

    assert {(one.code, one.where) for one in found} == {
        ("inventory-replaced", f"{PACKAGE} v1/inventory.json"),
        ("inventory-replaced", f"{PACKAGE} v2/inventory.json"),
    }


def test_bytes_that_changed_or_are_gone_are_named(archive: Path, keys: KeyFolder) -> None:
    path = home(archive, PACKAGE) / "v1/content/original/brev.txt"
    rewrite(path, b"Hej?\n")
    assert [(one.code, one.where) for one in findings(archive, keys)] == [("corrupt", f"{PACKAGE} v1/content/original/brev.txt")]
    assert codes(archive, keys, content=False) == set()
    path.unlink()
    assert codes(archive, keys) == {"missing"}


def test_only_the_root_inventory_replaced_is_named(archive: Path, keys: KeyFolder) -> None:
    place = home(archive, PACKAGE)
    rewrite(place / "inventory.json", (place / "inventory.json").read_bytes().replace(b'"bevara"', b'"devara"'))
    seal(place)

    assert "inventory-replaced" in codes(archive, keys)


@pytest.mark.parametrize("day", DAYS)
def test_a_day_of_evidence_that_is_gone_is_named(archive: Path, keys: KeyFolder, day: str) -> None:
    """The newest is missed by whoever knows that it was there: a printed sheet, another store, the signer."""
    shutil.rmtree(day_home(archive, day))

    found = findings(archive, keys, until=DAYS[3])
    assert any(one.code == "evidence-day-missing" for one in found), found
    if day == DAYS[3]:
        with pytest.raises(EvidenceDamagedError, match=f"the evidence of {day} was signed"):
            sign(archive, keys, "2100-01-05")


@pytest.mark.parametrize("name", [DOCUMENT, SIGNATURE, LEAVES, KEYS])
def test_an_evidence_file_that_was_replaced_consistently_is_named(archive: Path, keys: KeyFolder, name: str) -> None:
    place = day_home(archive, DAYS[1])
    old = (place / "v1/content" / name).read_bytes()
    new = {
        DOCUMENT: old.replace(b'"packages":1', b'"packages":3'),
        SIGNATURE: bytes([old[0] ^ 1]) + old[1:],
        LEAVES: old.replace(b'"version":2', b'"version":1'),
        KEYS: old.replace(b"2100-01-01T00", b"2099-01-01T00"),
    }[name]
    replace_consistently(place, f"v1/content/{name}", new)
    wanted = {
        DOCUMENT: {"signature-bad", "day-chain"},
        SIGNATURE: {"signature-bad"},
        LEAVES: {"leaves-changed"},
        KEYS: {"keys-changed"},
    }

    assert wanted[name] <= codes(archive, keys)


def test_somebody_elses_signature_is_named(archive: Path, keys: KeyFolder, tmp_path: Path) -> None:
    """All evidence made anew with another key: it fits itself perfectly."""
    for day in DAYS:
        shutil.rmtree(day_home(archive, day))
    other = KeyFolder(tmp_path / "other")
    other.new()
    sign(archive, other, DAYS[3])

    assert codes(archive, keys) == {"key-unknown"}


def test_evidence_is_never_signed_on_top_of_what_is_not_whole(archive: Path, keys: KeyFolder) -> None:
    place = day_home(archive, DAYS[1])
    replace_consistently(place, f"v1/content/{LEAVES}", b"")

    with pytest.raises(EvidenceDamagedError):
        sign(archive, keys, "2100-01-05")


def test_a_history_that_does_not_hold_is_left_out_and_said(archive: Path, keys: KeyFolder) -> None:
    roll_back(home(archive, PACKAGE))
    made = make([store_of(archive)], TENANT, keys, [(PACKAGE, 1)], clock=at("2100-01-05"))

    assert [name for name, _ in made.left_out] == [PACKAGE]
    assert made.days[0].left_out == 1


# Clocks


def test_a_clock_that_went_back_a_year_signs_nothing_and_says_so(archive: Path, keys: KeyFolder) -> None:
    before = tree(archive / "store")
    for day in ("2099-01-04", DAYS[1], DAYS[3]):
        with Archive(archive) as opened, pytest.raises(ClockBackError, match=f"{DAYS[3]} was signed"):
            make([opened.store], TENANT, keys, heads(opened), clock=at(day, "00:00:00.000"))
    with Archive(archive) as opened, pytest.raises(ClockBackError, match="has not begun"):
        make([opened.store], TENANT, keys, heads(opened), day="2100-02-01", clock=at("2100-01-05"))

    assert tree(archive / "store") == before


def test_a_day_signed_with_a_clock_that_was_set_back_is_named(archive: Path, keys: KeyFolder) -> None:
    """Whoever has the key could sign a day late and date it early: the days around it tell."""
    newest = find(store_of(archive), evidence_id(TENANT, DAYS[3]))
    document = json.loads(newest.read(DOCUMENT))
    document["made"] = "2099-01-04T23:50:00.000Z"
    text = Day(**document).text()
    place = day_home(archive, DAYS[3])
    replace_consistently(place, f"v1/content/{DOCUMENT}", text)
    replace_consistently(place, f"v1/content/{SIGNATURE}", keys.signer().sign(text))

    assert codes(archive, keys) == {"clock-back"}


# Keys


def test_a_rotated_key_goes_on_with_the_trust_of_the_old_one(archive: Path, keys: KeyFolder) -> None:
    first = keys.signer().public.id
    second = keys.rotate().id
    sign(archive, keys, "2100-01-05")

    for anchor in (first, second):
        assert list(verify(store_of(archive), TENANT, {anchor})) == []
    assert {one.code for one in verify(store_of(archive), TENANT, {"0" * 64})} == {"key-unknown"}


def test_a_revoked_key_proves_only_what_a_later_good_day_vouches_for(archive: Path, keys: KeyFolder) -> None:
    stolen = keys.signer()
    keys.rotate(revoke="a laptop was stolen", time="2100-01-04T23:59:00.000Z")
    sign(archive, keys, "2100-01-05")
    assert codes(archive, keys) == set()

    place = day_home(archive, "2100-01-05")
    document = json.loads((place / "v1/content" / DOCUMENT).read_bytes())
    text = Day(**(document | {"key": stolen.public.id})).text()
    replace_consistently(place, f"v1/content/{DOCUMENT}", text)
    replace_consistently(place, f"v1/content/{SIGNATURE}", stolen.sign(text))

    assert codes(archive, keys) == {"key-revoked"}


def test_a_thief_cannot_revoke_the_key_that_took_the_stolen_ones_place(keys: KeyFolder) -> None:
    stolen = keys.signer()
    new = keys.rotate(revoke="stolen", time="2100-01-05T00:00:00.000Z")
    keys._state({"kind": "revocation", "key": new.id, "since": "2000", "made": "2000", "reason": "revenge"}, [stolen])
    trusted = keys.history.trusted({new.id})

    assert (trusted[new.id].revoked, trusted[stolen.public.id].revoked) == (None, "2100-01-05T00:00:00.000Z")


@pytest.mark.parametrize("why", ["stolen", None])
def test_a_thief_cannot_name_a_successor_of_the_key_that_was_rotated_away(keys: KeyFolder, why: str | None) -> None:
    """Nobody who trusts the new key is led to a third one by way of the stolen one."""
    stolen = keys.signer()
    new = keys.rotate(revoke=why, time="2100-01-05T00:00:00.000Z")
    thief = Signer(Ed25519PrivateKey.generate())
    body = {"kind": "key", "key": thief.public.id, "public": thief.public.pem, "algorithm": "ed25519", "made": "2100"}
    keys._state(body | {"previous": stolen.public.id}, [thief, stolen])

    assert thief.public.id not in keys.history.trusted({new.id})
    assert {new.id, stolen.public.id} <= keys.history.trusted({new.id}).keys()


def test_a_private_key_is_for_its_owner_only_and_is_never_shown(keys: KeyFolder) -> None:
    path = next(keys.folder.glob("*.private.pem"))
    secret = path.read_text("ascii").splitlines()[1]

    assert path.stat().st_mode & 0o777 == 0o600
    assert secret not in repr(keys.signer()) + keys.history.text().decode()
    path.chmod(0o640)
    with pytest.raises(KeyFolderError, match="can be read by others"):
        keys.signer()


# Proofs


def checked(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the verifier as a lone file in an otherwise empty folder, apart from everything that we installed."""
    shutil.copyfile(VERIFIER, folder / VERIFIER.name)
    return subprocess.run(
        [sys.executable, "-I", "-S", VERIFIER.name, "proof.json", *args], cwd=folder, capture_output=True, check=False, text=True
    )


def test_a_proof_stands_alone(archive: Path, tmp_path: Path) -> None:
    """It names the file and its events, tells of no other file, and needs nothing but itself."""
    proof = prove(store_of(archive), TENANT, PACKAGE, "original/tom.bin")
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "proof.json").write_text(json.dumps(proof), "utf-8")
    (alone / "file").write_bytes(b"")
    done = checked(alone, "file")

    assert done.returncode == 0, done.stderr
    assert f"existed by / fanns senast {DAYS[0]}" in done.stdout
    assert f"gäller till {DAYS[1]}" in done.stdout
    assert "brev" not in json.dumps(proof)
    assert "original/tom.bin" in proof_page(proof)
    (alone / "file").write_bytes(b"x")
    assert checked(alone, "file").returncode != 0


def test_a_proof_is_of_the_newest_bytes_at_a_path(archive: Path) -> None:
    proof = prove(store_of(archive), TENANT, PACKAGE, "original/brev.txt")

    assert proof["file"]["sha512"] == hashlib.sha512(b"nytt").hexdigest()
    assert [json.loads(one["document"])["day"] for one in proof["witnesses"]] == [DAYS[1]]


def test_anything_changed_in_a_proof_is_refused(archive: Path, tmp_path: Path) -> None:
    """Every value of it, one after another."""
    proof = prove(store_of(archive), TENANT, PACKAGE, "original/tom.bin")
    alone = tmp_path / "alone"
    alone.mkdir()
    for place in _places(proof):
        forged = json.loads(json.dumps(proof))
        _set(forged, place)
        (alone / "proof.json").write_text(json.dumps(forged), "utf-8")
        assert _refuses(alone / "proof.json"), place


def test_one_flipped_bit_anywhere_in_a_proof_is_refused(archive: Path, tmp_path: Path) -> None:
    """Also of a package that one day alone tells of, with a time stamp; also where another way to write the same remains."""
    one, path = prove(store_of(archive), TENANT, PACKAGE, "original/brev.txt"), tmp_path / "proof.json"
    stamp = b"0" + hashlib.sha512(one["witnesses"][0]["document"].encode()).digest()
    one["witnesses"][0]["timestamp"] = base64.b64encode(stamp).decode()
    path.write_text(json.dumps(one), "utf-8")
    standalone_verifier.main(str(path))
    for place in _places(one):
        old = _get(one, place)
        chosen = random.Random(str(place)).sample(range(len(old)), min(12, len(old))) if isinstance(old, str) else []
        for number in chosen:
            flipped = chr(ord(old[number]) ^ (0x20 if number % 2 else 1))
            forged = json.loads(json.dumps(one))
            _put(forged, place, old[:number] + flipped + old[number + 1 :])
            path.write_text(json.dumps(forged), "utf-8")
            # Of a time stamp only the digest and its writing are looked at here: its authority is another tool's to check.
            assert _refuses(path) or (place[-1] == "timestamp" and number < 2), (place, number)


def test_the_verifier_needs_nothing_that_python_3_9_lacks() -> None:
    tree = ast.parse(VERIFIER.read_text("utf-8"), feature_version=(3, 9))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    named = {f"{node.module}.{alias.name}" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}

    assert imported == {"base64", "hashlib", "json", "sys"}
    assert named == {"__future__.annotations", "pathlib.Path", "typing.Any"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "strict"]  # of zip: 3.10


def _places(value: object, at: tuple = ()) -> list[tuple]:
    if isinstance(value, dict):
        return [place for name, inner in value.items() for place in _places(inner, (*at, name))]
    if isinstance(value, list):
        return [place for index, inner in enumerate(value) for place in _places(inner, (*at, index))]
    return [at]


def _get(value: object, place: tuple) -> object:
    for step in place:
        value = value[step]
    return value


def _put(value: object, place: tuple, new: object) -> None:
    _get(value, place[:-1])[place[-1]] = new


def _set(value: object, place: tuple) -> None:
    for step in place[:-1]:
        value = value[step]
    old = value[place[-1]]
    middle = len(old) // 2 if isinstance(old, str) else 0
    if old is None:
        value[place[-1]] = "b3Ro"
        return
    value[place[-1]] = old + 1 if isinstance(old, int) else old[:middle] + ("b" if old[middle] != "b" else "c") + old[middle + 1 :]


def _refuses(path: Path) -> bool:
    try:
        standalone_verifier.main(str(path))
    except (SystemExit, ValueError, KeyError, IndexError):
        return True
    return False


def test_what_no_day_tells_of_cannot_be_proven(archive: Path) -> None:
    for package, path in ((PACKAGE, "original/annan"), (object_id(TENANT, "inget"), "original/brev.txt")):
        with pytest.raises(NotProvenError):
            prove(store_of(archive), TENANT, package, path)
    assert prove(store_of(archive), TENANT, object_id(TENANT, OTHER), "original/ny.txt")


# Renewal


def test_a_renewal_adds_a_stronger_digest_of_everything_and_replaces_nothing(archive: Path, keys: KeyFolder) -> None:
    before = tree(archive / "store")
    with Archive(archive) as opened:
        renew([opened.store], TENANT, keys, clock=at(DAYS[3]))
    after = tree(archive / "store")

    assert {name: after[name] for name in before} == before
    assert findings(archive, keys) == []
    assert list(verify_archive(archive)) == []
    place = home(archive, PACKAGE)
    replace_consistently(place, "v1/content/original/tom.bin", b"forged")
    assert "renewal-differs" in codes(archive, keys)


def test_a_second_renewal_names_the_first_and_a_forged_one_is_named(archive: Path, keys: KeyFolder) -> None:
    with Archive(archive) as opened:
        renew([opened.store], TENANT, keys, algorithm="sha512", clock=at(DAYS[3]))
        second = renew([opened.store], TENANT, keys, clock=at(DAYS[3]))
    assert (second.number, bool(second.previous)) == (2, True)
    assert findings(archive, keys) == []

    replace_consistently(home(archive, evidence_id(TENANT, "renewal-0001")), "v1/content/digests.jsonl", b"")
    assert {"root-differs", "renewal-differs"} <= codes(archive, keys)


def test_a_renewal_vouches_for_no_bytes_that_are_not_the_stored_ones(archive: Path, keys: KeyFolder) -> None:
    victim = home(archive, PACKAGE) / "v1/content/original/tom.bin"
    rewrite(victim, b"rot")

    with Archive(archive) as opened, pytest.raises(EvidenceError, match="not those that were stored"):
        renew([opened.store], TENANT, keys, clock=at(DAYS[3]))
    assert find(store_of(archive), evidence_id(TENANT, "renewal-0001")) is None


def test_a_renewal_is_not_made_of_what_is_not_what_was_signed(archive: Path, keys: KeyFolder) -> None:
    replace_consistently(home(archive, PACKAGE), "v1/content/original/tom.bin", b"forged")

    done = bevara("evidence", "renew", archive, "--keys", keys.folder)

    assert (done.code, "Nothing was signed" in done.said) == (2, True), done.said
    assert find(store_of(archive), evidence_id(TENANT, "renewal-0001")) is None


# Documents


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"{" * 10_000, b'{"seq":1}'])
def test_what_is_no_document_is_refused(text: bytes) -> None:
    for kind in (Day, Leaf):
        with pytest.raises(NotADocumentError):
            kind.parse(text)


def test_a_document_that_says_the_same_in_other_bytes_is_refused(archive: Path) -> None:
    text = find(store_of(archive), evidence_id(TENANT, DAYS[0])).read(DOCUMENT)
    for other in (
        text + b" ",
        text.replace(b":", b": ", 1),
        text.replace(b'"news":1', b'"news":true'),
        text.replace(b'"news":1', b'"news":1.0'),
    ):
        with pytest.raises(NotADocumentError):
            Day.parse(other)


def test_an_evidence_object_is_no_package_to_the_ledger(archive: Path) -> None:
    with Archive(archive, rebuild=True) as opened:
        assert sorted(name for name, _ in heads(opened)) == sorted([PACKAGE, object_id(TENANT, OTHER)])
