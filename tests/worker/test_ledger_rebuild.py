"""The ledger indexes what the store proves, and can be made again from it (promise P8)."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from store_samples import FILES, build, run_job

from worker.archive import LEDGER, Archive
from worker.ledger.schema import contents, entries, events, packages, tasks
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
        archive.rebuild_ledger()
        after = rows(archive)

        assert after["events"] == before["events"]
        assert after["entries"] == before["entries"]
        assert run_job(archive, MORE) is None
    assert list(verify(folder)) == []


def test_a_rebuild_repairs_a_ledger_that_was_tampered_with(tmp_path: Path) -> None:
    folder = build(tmp_path / "a", FILES)
    with Archive(folder) as archive:
        with archive.ledger.engine.begin() as db:
            db.execute(sa.delete(events).where(events.c.seq == 2))
        assert list(verify(folder))
        archive.rebuild_ledger()
    assert list(verify(folder)) == []


def test_the_next_version_goes_on_after_a_rebuild(tmp_path: Path) -> None:
    folder = build(tmp_path / "a", FILES)
    (folder / LEDGER).unlink()
    with Archive(folder) as archive:
        assert run_job(archive, MORE) == 2
    assert list(verify(folder)) == []
