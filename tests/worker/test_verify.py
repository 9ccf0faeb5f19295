"""Whatever is changed in an archive is named; what is whole is called whole."""

# ruff: noqa: E501 -- SQL reads best on one line

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from store_samples import FILES, begin, build, keep, object_home, tree

from worker.archive import LEDGER, Archive
from worker.verify import Finding, Severity, verify


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("whole") / "a", FILES, {**FILES, b"brev.txt": b"nytt"})


@pytest.fixture
def archive(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "a"))


def bad(folder: Path) -> list[Finding]:
    return [finding for finding in verify(folder) if finding.severity is not Severity.INFO]


def rewrite(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


def test_a_whole_archive_is_called_whole_and_left_alone(archive: Path) -> None:
    before = tree(archive)

    assert list(verify(archive)) == []
    assert tree(archive) == before


def test_one_byte_anywhere_in_the_store_is_named(archive: Path) -> None:
    """Every file, flipped, cut and lengthened by one byte at random places; the finding names that very file."""
    chance = random.Random(1)
    for name, data in tree(archive / "store").items():
        path, place = archive / "store" / name, chance.randrange(len(data) or 1)
        damages = [data[:place] + b"\x00" + data[place:]]
        if data:
            damages += [
                data[:place] + bytes([data[place] ^ (1 << chance.randrange(8))]) + data[place + 1 :],
                data[:place] + data[place + 1 :],
            ]
        for damaged in damages:
            rewrite(path, damaged)
            where = [finding.where for finding in bad(archive)]
            related = {f"store/{name}", f"store/{name.removesuffix('.sha512')}"}
            assert related & set(where), (name, place, where)
        rewrite(path, data)
    assert bad(archive) == []


def test_a_file_that_is_gone_is_named(archive: Path) -> None:
    for name, data in tree(archive / "store").items():
        path = archive / "store" / name
        path.unlink()
        found = [finding.where for finding in bad(archive)]
        assert f"store/{name}" in found or any(name.startswith(where.removeprefix("store/")) for where in found), (name, found)
        path.write_bytes(data)
    assert bad(archive) == []


def test_anything_that_was_put_in_is_named(archive: Path) -> None:
    """A file, an empty folder or a link, in every folder of the store."""
    folders = [archive / "store", *(path for path in (archive / "store").rglob("*") if path.is_dir())]
    adds: list[tuple[Callable[[Path], object], Callable[[Path], object]]] = [
        (lambda path: path.write_bytes(b""), Path.unlink),
        (Path.mkdir, Path.rmdir),
        (lambda path: path.symlink_to("/etc"), Path.unlink),
    ]
    for folder in folders:
        for add, remove in adds:
            path = folder / "främmande"
            add(path)
            assert any("främmande" in finding.where for finding in bad(archive)), path
            remove(path)
    assert bad(archive) == []


def test_a_content_file_that_became_a_link_or_a_pipe_is_named(archive: Path) -> None:
    path = object_home(archive) / "v1/content/original/brev.txt"
    data = path.read_bytes()
    (archive.parent / "same").write_bytes(data)
    path.unlink()
    path.symlink_to(archive.parent / "same")
    assert bad(archive)
    path.unlink()
    os.mkfifo(path)
    assert bad(archive)


TAMPERING = {
    "changed detail": "UPDATE events SET body = replace(body, 'success', 'fail') WHERE seq = 4",
    "changed hash": "UPDATE events SET hash = replace(hash, substr(hash, 1, 1), 'x') WHERE seq = 4",
    "changed column": "UPDATE events SET object_path = 'original/annan' WHERE seq = 4",
    "changed job": "UPDATE events SET job_id = 'x' WHERE seq = 4",
    "moved to another version": "UPDATE events SET version = 2 WHERE seq = 4",
    "said to be uncommitted": "UPDATE events SET version = NULL WHERE seq = 4",
    "removed first": "DELETE FROM events WHERE seq = 1",
    "removed middle": "DELETE FROM events WHERE seq = 5",
    "removed newest": "DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)",
    "removed newest, traces wiped": (
        "DELETE FROM events WHERE seq = (SELECT max(seq) FROM events);"
        "UPDATE packages SET last_seq = (SELECT max(seq) FROM events), last_hash = (SELECT hash FROM events ORDER BY seq DESC LIMIT 1)"
    ),
    "removed all": "DELETE FROM events",
    "added at the end": "INSERT INTO events SELECT package_id, seq + 1, hash, hash, body, object_path, job_id, NULL FROM events ORDER BY seq DESC LIMIT 1",
    "added before the first": "INSERT INTO events SELECT package_id, 0, hash, hash, body, object_path, job_id, 1 FROM events WHERE seq = 1",
    "reordered": "UPDATE events SET seq = -1 WHERE seq = 2; UPDATE events SET seq = 2 WHERE seq = 3; UPDATE events SET seq = 3 WHERE seq = -1",
    "entry changed": "UPDATE entries SET sha512 = (SELECT sha512 FROM contents ORDER BY size_bytes LIMIT 1) WHERE logical_path = 'original/brev.txt'",
    "entry removed": "DELETE FROM entries WHERE logical_path = 'original/brev.txt'",
    "entry added": "INSERT INTO entries SELECT package_id, 'original/ny', sha512, source, puid, mime, dropped, version FROM entries LIMIT 1",
    "entry said to be superseded": "UPDATE entries SET dropped = 1 WHERE logical_path = 'original/brev.txt'",
    "entry said to leave with the next version": "UPDATE entries SET dropped = 1, version = NULL WHERE logical_path = 'original/brev.txt'",
    "record said to have superseded": "UPDATE tasks SET dropped = '[\"original/brev.txt\"]' WHERE version = 1",
    "content changed": "UPDATE contents SET size_bytes = size_bytes + 1 WHERE version = 2",
    "content removed": "DELETE FROM contents WHERE version = 1",
    "record changed": "UPDATE tasks SET record = replace(record, 'Migrated', 'Kept') WHERE version = 1",
    "status changed": "UPDATE tasks SET status = 'kept' WHERE version = 1",
    "task removed": "DELETE FROM tasks WHERE version = 2",
    "job changed": "UPDATE jobs SET policy_sha256 = 'x' WHERE version = 1",
    "package renamed": "UPDATE packages SET tenant = 'Malmö'",
    "package moved on": "UPDATE packages SET version = 3",
    "package removed": "PRAGMA foreign_keys = OFF; DELETE FROM events; DELETE FROM packages",
}


@pytest.mark.parametrize("sql", TAMPERING.values(), ids=TAMPERING.keys())
def test_a_ledger_that_was_tampered_with_is_named(archive: Path, sql: str) -> None:
    """Promise P4."""
    db = sqlite3.connect(archive / LEDGER)
    db.executescript(sql)
    db.close()
    found = bad(archive)

    assert any(finding.where.startswith(LEDGER) and "paket" in finding.where for finding in found), found


def test_a_damaged_ledger_file_is_named_and_the_store_still_checked(archive: Path) -> None:
    (archive / LEDGER).write_bytes(b"SQLite format 3\x00" + os.urandom(8000))
    (object_home(archive) / "v1/content/original/tom.bin").unlink()

    assert {"ledger-damaged", "missing"} <= {finding.code for finding in bad(archive)}


def test_no_ledger_is_needed(archive: Path) -> None:
    """Promise P8."""
    (archive / LEDGER).unlink()

    assert bad(archive) == []


def test_history_retold_in_the_store_itself_is_named(archive: Path) -> None:
    """Someone changes an event and makes every digest and inventory fit again: the chain and PREMIS still tell."""
    import hashlib
    import json

    (archive / LEDGER).unlink()
    home = object_home(archive)
    path = home / "v2/content/metadata/events/v0002.jsonl"
    old = path.read_bytes()
    rewrite(path, old.replace(b'"outcome":"success"', b'"outcome":"fail"', 1))
    new512, new256 = hashlib.sha512(path.read_bytes()).hexdigest(), hashlib.sha256(path.read_bytes()).hexdigest()
    text = (home / "inventory.json").read_bytes()
    text = text.replace(hashlib.sha512(old).hexdigest().encode(), new512.encode()).replace(
        hashlib.sha256(old).hexdigest().encode(), new256.encode()
    )
    assert json.loads(text)
    for folder in (home, home / "v2"):
        rewrite(folder / "inventory.json", text)
        rewrite(folder / "inventory.json.sha512", f"{hashlib.sha512(text).hexdigest()} inventory.json\n".encode())

    assert "event-changed" in {finding.code for finding in bad(archive)}


def test_an_archive_in_the_middle_of_a_job_is_whole(archive: Path) -> None:
    with Archive(archive) as opened:
        job = begin(opened, {b"ny.txt": b"ny"})
        draft = opened.store.open_draft(job.object_id)
        for task in opened.ledger.claim(job, "w", 1, 60):
            keep(opened, draft, task, b"ny")
        draft.close()

    assert [finding.code for finding in verify(archive)] == ["draft"]


def test_a_stranger_beside_the_store_is_a_warning(archive: Path) -> None:
    (archive / "anteckning.txt").write_bytes(b"x")

    assert [(finding.where, finding.severity) for finding in verify(archive)] == [("anteckning.txt", Severity.WARNING)]


def test_a_place_of_the_service_and_a_store_alone_can_be_verified(tmp_path) -> None:
    """Offline, with nothing but the folder: no ledger lies beside a place."""
    archive = build(tmp_path / "archive", FILES)
    place = tmp_path / "place"
    shutil.copytree(archive / "store", place / "store")
    (place / "staging").mkdir()

    assert [finding for folder in (place, place / "store") for finding in verify(folder)] == []

    content = next(place.glob("store/*/*/*/*/v1/content/original/brev.txt"))
    content.chmod(0o644)
    content.write_bytes(b"Hej?\n")
    for folder in (place, place / "store"):
        assert [finding.code for finding in verify(folder)] == ["corrupt"], folder
