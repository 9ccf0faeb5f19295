"""The ledger indexes what the store proves, and can be made again from it (promise P8)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa
from store_samples import FILES, build, memory_file, run_job

from worker.archive import LEDGER, Archive
from worker.ledger.engine import LedgerDamagedError
from worker.ledger.schema import contents, entries, events, packages, tasks
from worker.store.contract import StateEntry, StoreDamagedError, VersionNote
from worker.verify import verify

MORE = {**FILES, b"brev.txt": b"nytt", b"\xff.txt": b"x"}


def rows(archive: Archive) -> dict[str, list[tuple[object, ...]]]:
    """What must be the same again: all but the ledger's own numbers and times."""
    own = {"id", "package_id", "attempts"}
    found = {}
    with archive.ledger.engine.connect() as db:
        for table in (packages, contents, entries, events, tasks):
            columns = [column for column in table.columns if column.name not in own]
            stmt = sa.select(*columns)
            if table is tasks:
                stmt = stmt.where(tasks.c.version > 0)
            found[table.name] = sorted(map(str, db.execute(stmt)))
    return found


def test_a_lost_ledger_is_made_again_from_the_store(tmp_path: Path) -> None:
    folder = build(tmp_path / "a", FILES, MORE)
    with Archive(folder) as archive:
        before = rows(archive)
    for path in folder.glob(f"{LEDGER}*"):
        path.unlink()
    with Archive(folder) as archive:
        after = rows(archive)

        assert {name: len(found) for name, found in after.items()} == {name: len(found) for name, found in before.items()}
        for name in ("packages", "contents", "entries", "events"):
            assert after[name] == before[name]
        assert run_job(archive, MORE) is None
    assert list(verify(folder)) == []


def test_a_rebuild_changes_nothing_that_was_right(tmp_path: Path) -> None:
    folder = build(tmp_path / "a", FILES, MORE)
    with Archive(folder) as archive:
        before = rows(archive)
    with Archive(folder, rebuild=True) as archive:
        after = rows(archive)

        assert after["events"] == before["events"]
        assert after["entries"] == before["entries"]
        assert run_job(archive, MORE) is None
    assert list(verify(folder)) == []


def test_a_rebuild_repairs_a_ledger_that_was_tampered_with(tmp_path: Path) -> None:
    folder = build(tmp_path / "a", FILES)
    with Archive(folder) as archive, archive.ledger.engine.begin() as db:
        db.execute(sa.delete(events).where(events.c.seq == 2))
    assert list(verify(folder))
    Archive(folder, rebuild=True).close()
    assert list(verify(folder)) == []


def test_the_next_version_goes_on_after_a_rebuild(tmp_path: Path) -> None:
    folder = build(tmp_path / "a", FILES)
    (folder / LEDGER).unlink()
    with Archive(folder) as archive:
        assert run_job(archive, MORE) == 2
    assert list(verify(folder)) == []


def test_a_ledger_that_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    folder = build(tmp_path / "a", FILES)
    (folder / LEDGER).write_bytes(b"not a database at all" * 300)
    with pytest.raises(LedgerDamagedError, match="bevara ledger rebuild"):
        Archive(folder)
    Archive(folder, rebuild=True).close()
    assert list(verify(folder)) == []


def test_an_object_of_another_program_is_left_alone(tmp_path: Path) -> None:
    folder = build(tmp_path / "a", FILES)
    with Archive(folder) as archive:
        draft = archive.store.open_draft("urn:other:1")
        sha512 = draft.ingest(memory_file(b"x"), "x").sha512
        archive.store.commit(draft, [StateEntry("x", sha512)], VersionNote("2026-11-22T12:00:00Z", "by hand", "someone"))
    with Archive(folder) as archive:
        assert archive.recovered == []
    assert [finding.code for finding in verify(folder)] == ["foreign-object"]


def test_a_store_that_lost_a_version_is_not_taken_as_the_truth(tmp_path: Path) -> None:
    """A store put back from an old backup: the newer ledger is the only witness, and must not be overwritten."""
    folder = build(tmp_path / "a", FILES)
    shutil.copytree(folder / "store", tmp_path / "backup")
    build(folder, MORE)
    shutil.rmtree(folder / "store")
    (tmp_path / "backup").rename(folder / "store")

    with pytest.raises(StoreDamagedError, match="versions were lost"):
        Archive(folder)
    assert any("claims version 2" in finding.what for finding in verify(folder))
    Archive(folder, rebuild=True).close()
    assert list(verify(folder)) == []
