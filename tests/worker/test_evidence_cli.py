"""From an archive to a proof on the command line, as an operator does it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from evidence_samples import PACKAGE, TENANT, home, sign, store_of
from store_samples import FILES, build

from tests.conftest import bevara
from worker.evidence.keys import SIGNED, KeyFolder
from worker.evidence.names import evidence_id
from worker.evidence.shelf import find
from worker.evidence.verify import verify
from worker.store.bucket_folder import FolderBucket
from worker.store.bucket_store import BucketStore


def test_an_operator_signs_verifies_prints_and_gives_out_a_proof(tmp_path: Path) -> None:
    archive, keys, out = build(tmp_path / "a", FILES), tmp_path / "keys", tmp_path / "out"
    assert bevara("evidence", "make", archive, "--keys", keys).code == 2  # no key yet, and it says how to get one
    assert "BEGIN PUBLIC KEY" in bevara("evidence", "key", "new", "--keys", keys).out
    public = next(keys.glob("*.public.pem"))

    assert "1 packages with news" in bevara("evidence", "make", archive, "--keys", keys, "--also", tmp_path / "b").out
    assert "proven: it holds what was signed" in bevara("evidence", "verify", archive, "--key", public).out
    assert TENANT in bevara("evidence", "print", archive).out
    assert bevara("evidence", "proof", archive, "paket 1/å", "original/brev.txt", "--out", out).code == 0
    command = [sys.executable, "-I", "standalone_verifier.py", "proof.json", "brev.txt"]
    assert subprocess.run(command, cwd=out, capture_output=True, check=False).returncode == 0
    assert bevara("evidence", "renew", archive, "--keys", keys).code == 0
    assert bevara("verify", archive).code == 0

    (home(archive, PACKAGE) / "v1/content/original/brev.txt").unlink()
    ended = bevara("evidence", "verify", archive / "store", "--key", public)
    assert ended.code == 1
    assert "brev.txt: is missing" in ended.out


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_store_without_evidence_is_never_proven(tmp_path: Path, more: tuple[str, ...]) -> None:
    """Nor one that somebody emptied to its root, nor for a program that reads JSON."""
    KeyFolder(tmp_path / "keys").new()
    key = next((tmp_path / "keys").glob("*.public.pem"))
    folder = build(tmp_path / "a", FILES)

    unsigned = bevara("evidence", "verify", folder, "--key", key, *more)
    for tuples in (folder / "store").glob("???"):
        shutil.rmtree(tuples)
    emptied = bevara("evidence", "verify", folder, "--key", key, *more)

    for said in (unsigned, emptied):
        assert (said.code, "nothing can be proven" in said.said, "proven: it holds" in said.said) == (1, True, False)


def test_mistakes_are_said_in_a_sentence(tmp_path: Path) -> None:
    archive = build(tmp_path / "a", FILES)
    said = {
        "lies inside the archive": ("make", archive, "--keys", archive / "keys"),
        "is neither an archive nor a store": ("verify", tmp_path, "--key", "x"),
        "cannot be used: No such file": ("verify", archive, "--key", tmp_path / "x"),
        "no signed day tells of this file": ("proof", archive, "paket", "original/x", "--out", tmp_path / "out"),
        "has no evidence of": ("print", archive),
        "go together": ("make", archive, "--tsa", "http://127.0.0.1:9/"),
    }
    for sentence, words in said.items():
        ended = bevara("evidence", *words)
        assert ended.code == 2, ended.said
        assert sentence in ended.err
        assert "Traceback" not in ended.err


def test_private_keys_have_a_passphrase_that_no_command_line_shows(tmp_path: Path) -> None:
    """Made with one, or given one later; the right one signs, and none, another or an empty one does not."""
    archive, keys, words = build(tmp_path / "a", FILES), tmp_path / "keys", tmp_path / "words"
    words.write_text("korrekt häst batteri\n", "utf-8")
    (tmp_path / "other").write_text("fel\n")
    (tmp_path / "empty").write_text("\n")
    setting = {"BEVARA_EVIDENCE_PASSPHRASE_FILE": str(words)}
    assert bevara("evidence", "key", "new", "--keys", keys).code == 0
    assert b"ENCRYPTED" not in next(keys.glob("*.private.pem")).read_bytes()
    assert bevara("evidence", "key", "protect", "--keys", keys).code == 2  # with what?
    assert "1 private keys" in bevara("evidence", "key", "protect", "--keys", keys, "--passphrase-file", words).out
    assert "0 private keys" in bevara("evidence", "key", "protect", "--keys", keys, env=setting).out
    assert bevara("evidence", "key", "rotate", "--keys", keys, env=setting).code == 0

    private = sorted(keys.glob("*.private.pem"))
    assert len(private) == 2
    assert all(b"ENCRYPTED" in path.read_bytes() and path.stat().st_mode & 0o777 == 0o600 for path in private)
    for more, what in (
        ((), "has a passphrase, and none was given"),
        (("--passphrase-file", tmp_path / "other"), "is not opened by the passphrase"),
        (("--passphrase-file", tmp_path / "empty"), "is empty"),
        (("--passphrase-file", tmp_path / "none"), "cannot be read"),
    ):
        ended = bevara("evidence", "make", archive, "--keys", keys, *more)
        assert (ended.code, what in ended.err) == (2, True), ended.said
        assert "häst" not in ended.said
        assert "Traceback" not in ended.said
    assert bevara("evidence", "make", archive, "--keys", keys, env=setting).code == 0
    public = [word for path in keys.glob("*.public.pem") for word in ("--key", path)]
    assert bevara("evidence", "verify", archive, *public).code == 0


def test_a_kill_between_the_store_and_the_signers_memory_is_made_good(tmp_path: Path) -> None:
    """The day is in the store: it stands, and the next day goes on from it."""
    archive, keys = build(tmp_path / "a", FILES), KeyFolder(tmp_path / "keys")
    keys.new(time="2100-01-01T00:00:00.000Z")
    sign(archive, keys, "2100-01-01")
    (keys.folder / SIGNED).unlink()

    assert sign(archive, keys, "2100-01-01").days == []
    assert [day.day for day in sign(archive, keys, "2100-01-02").days] == ["2100-01-02"]


def test_a_store_in_a_bucket_takes_and_proves_evidence_too(tmp_path: Path) -> None:
    """The same bytes as in the directory store; and what is proven there is proven through the same contract."""
    archive, keys = build(tmp_path / "a", FILES), KeyFolder(tmp_path / "keys")
    public = keys.new(time="2100-01-01T00:00:00.000Z")
    (tmp_path / "bucket").mkdir()
    bucket = BucketStore(FolderBucket(tmp_path / "bucket"), tmp_path / "scratch")
    sign(archive, keys, "2100-01-01", bucket)
    sign(archive, keys, "2100-01-02", bucket)

    for day in ("2100-01-01", "2100-01-02"):
        name = evidence_id(TENANT, day)
        one, other = find(store_of(archive), name), find(bucket, name)
        assert [one.read(part) for part in sorted(one.files)] == [other.read(part) for part in sorted(other.files)]
        with store_of(archive).inventory(name) as mine, bucket.inventory(name) as theirs:
            assert mine.read() == theirs.read()
    found = list(verify(bucket, TENANT, {public.id}))
    assert [one.code for one in found] == ["package-missing"]  # the package was never copied there: replication is another's task
