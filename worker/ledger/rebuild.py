"""Makes the ledger again from the store alone: the ledger indexes, the store proves (design.md §8).

Also catches up after a kill between the store's commit and the ledger's. Nothing here judges the store: a chain that does
not hold is indexed as it stands, and ``bevara verify`` names the place.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import sqlalchemy as sa

from worker.ledger import engine as database
from worker.ledger import stored
from worker.ledger.events import canonical, first_prev
from worker.ledger.facts import JobState, TaskState
from worker.ledger.ledger import Ledger
from worker.ledger.schema import contents, entries, events, jobs, packages, tasks
from worker.paths import raw_path
from worker.store.contract import Content, Store, StoreDamagedError

_CHUNK = 500


def reconcile(ledger: Ledger, store: Store) -> list[str]:
    """Bring the ledger up to what the store has committed; one sentence for each package that was behind.

    Raises:
        StoreDamagedError: The ledger knows of versions that the store does not have. Nothing is changed: this is a loss.
    """
    with ledger.engine.connect() as db:
        known = {row.object_id: row for row in db.execute(sa.select(packages))}
    for name, indexed in known.items():
        if indexed.version > (head := store.head(name)):
            raise StoreDamagedError(
                f"the ledger knows version {indexed.version}, the store has {head}: versions were lost",
                name,
                "Restore the store from another copy. To accept the loss, run `bevara ledger rebuild`.",
            )
    done = []
    for name in store.objects():
        row, head = known.get(name), store.head(name)
        if row is not None and row.version == head:
            continue
        if (row is not None and _catch_up(ledger, store, row, head)) or _rebuild_package(ledger, store, name):
            done.append(f"The ledger was brought up to version {head} of {name}.")
    return done


def _catch_up(ledger: Ledger, store: Store, row: sa.Row[Any], head: int) -> bool:
    """The usual case: the ledger has all that the version carries, and only was not told that it is committed."""
    texts = stored.texts(store, row.object_id)
    if row.version != head - 1 or not texts or texts[-1].version != head:
        return False
    last = ""
    for line in stored.lines(store, row.object_id, texts[-1].events):
        last = line["hash"]
    job = ledger.job(stored.document(store, row.object_id, texts[-1].job)["job"])
    if last != row.last_hash or job is None:
        return False
    ledger.finish_job(job, head)
    return True


def _rebuild_package(ledger: Ledger, store: Store, name: str) -> bool:
    """Index one package; False: another program put it into the store, it is preserved but not our history."""
    texts = stored.texts(store, name)
    if not texts:
        return False
    with ledger.engine.begin() as db:
        _forget(db, name)
        first = stored.document(store, name, texts[0].job)
        row = {"object_id": name, "tenant": first["tenant"], "package": first["package"], "version": store.head(name)}
        home = db.execute(
            sa.insert(packages).values(**row, last_seq=0, last_hash=first_prev(name)).returning(packages.c.id)
        ).scalar_one()
        for text in texts:
            _add_job(db, home, stored.document(store, name, text.job))
            _add_events(db, home, text.version, stored.lines(store, name, text.events))
            _add_records(ledger, db, home, text.version, stored.lines(store, name, text.records))
        _locate_contents(db, home, store.contents(name))
    return True


def _forget(db: sa.Connection, name: str) -> None:
    home = sa.select(packages.c.id).where(packages.c.object_id == name).scalar_subquery()
    for table in (events, entries, contents, tasks, jobs):
        db.execute(sa.delete(table).where(table.c.package_id == home))
    db.execute(sa.delete(packages).where(packages.c.object_id == name))


def _add_job(db: sa.Connection, home: int, job: dict[str, Any]) -> None:
    policy = job["policy"]
    row = {
        "id": job["job"],
        "package_id": home,
        "source": raw_path(job["source"]),
        "policy_name": policy["name"],
        "policy_version": policy["version"],
        "policy_sha256": policy["sha256"],
        "toolchain": job["toolchain"],
        "state": JobState.FINISHED,
        "started": job["started"],
        "finished": job["started"],
        "version": job["version"],
    }
    if not db.execute(sa.update(jobs).where(jobs.c.id == job["job"]).values(**row)).rowcount:
        db.execute(sa.insert(jobs).values(**row))


def _add_events(db: sa.Connection, home: int, version: int, lines: Iterable[dict[str, Any]]) -> None:
    source = iter(lines)
    while chunk := list(islice(source, _CHUNK)):
        rows = [_event(home, version, line) for line in chunk]
        db.execute(sa.insert(events), rows)
        db.execute(sa.update(packages).where(packages.c.id == home).values(last_seq=rows[-1]["seq"], last_hash=rows[-1]["hash"]))


def _event(home: int, version: int, line: dict[str, Any]) -> dict[str, Any]:
    body = line["body"]
    return {
        "package_id": home,
        "seq": body["seq"],
        "prev_hash": body["prev"],
        "hash": line["hash"],
        "body": canonical(body),
        "object_path": body["object"],
        "job_id": body["job"],
        "version": version,
    }


def _add_records(ledger: Ledger, db: sa.Connection, home: int, version: int, lines: Iterable[dict[str, Any]]) -> None:
    source = iter(lines)
    while chunk := list(islice(source, _CHUNK)):
        for line in chunk:
            _add_missing_job(db, home, line["job"])
        db.execute(sa.insert(tasks), [_task(home, version, line) for line in chunk])
        put = [entry for line in chunk for entry in line["entries"]]
        if put:
            db.execute(database.insert_or_ignore(ledger.engine, contents), [_content(home, entry) for entry in put])
        _replay(ledger, db, home, version, chunk)


def _replay(ledger: Ledger, db: sa.Connection, home: int, version: int, chunk: list[dict[str, Any]]) -> None:
    """What *chunk* leaves of each path that it speaks of: a later line may supersede what an earlier one put, and put it again."""
    last: dict[str, dict[str, Any] | None] = {}
    for line in chunk:
        last |= {entry["path"]: entry for entry in line["entries"]}
        last |= dict.fromkeys(line["dropped"])
    standing = [_entry(home, version, entry) for entry in last.values() if entry]
    if standing:
        db.execute(database.insert_or_replace(ledger.engine, entries), standing)
    gone = [{"gone": path} for path, entry in last.items() if entry is None]
    if gone:
        mine = (entries.c.package_id == home, entries.c.logical_path == sa.bindparam("gone"))
        db.execute(sa.delete(entries).where(*mine), gone)


def _add_missing_job(db: sa.Connection, home: int, job_id: str) -> None:
    """A job that was superseded before it ended: its files were committed by the job that followed."""
    if db.execute(sa.select(jobs.c.id).where(jobs.c.id == job_id)).first():
        return
    last = db.execute(sa.select(jobs).where(jobs.c.package_id == home).order_by(jobs.c.started.desc()).limit(1)).mappings().one()
    row = {**last, "id": job_id, "state": JobState.SUPERSEDED, "version": None}
    db.execute(sa.insert(jobs).values(**row))


def _task(home: int, version: int, line: dict[str, Any]) -> dict[str, Any]:
    record = line["record"]
    return {
        "job_id": line["job"],
        "package_id": home,
        "raw_path": raw_path(line["path"]),
        "path": line["path"],
        "size_bytes": line["size_bytes"],
        "mtime_ns": line["mtime_ns"],
        "kind": line["kind"],
        "state": TaskState.DONE,
        "attempts": 1,
        "status": record["status"],
        "reason": record["reason"],
        "key": line["key"],
        "sha512": record.get("sha512"),
        "record": json.dumps(record, ensure_ascii=False, separators=(",", ":")),
        "entries": json.dumps(line["entries"], ensure_ascii=False, separators=(",", ":")),
        "dropped": json.dumps(line["dropped"], ensure_ascii=False, separators=(",", ":")),
        "version": version,
    }


def _entry(home: int, version: int, entry: dict[str, Any]) -> dict[str, Any]:
    names = {name: entry[name] for name in ("sha512", "source", "puid", "mime")}
    return {"package_id": home, "logical_path": entry["path"], "dropped": False, "version": version, **names}


def _content(home: int, entry: dict[str, Any]) -> dict[str, Any]:
    names = {name: entry[name] for name in ("sha512", "sha256", "size_bytes")}
    return {"package_id": home, "content_path": "", "version": None, **names}


def _locate_contents(db: sa.Connection, home: int, manifest: Iterator[Content]) -> None:
    stmt = sa.update(contents).where(contents.c.package_id == home, contents.c.sha512 == sa.bindparam("digest"))
    stmt = stmt.values(content_path=sa.bindparam("place"), version=sa.bindparam("since"))
    while chunk := list(islice(manifest, _CHUNK)):
        db.execute(
            stmt,
            [
                {"digest": c.sha512, "place": c.content_path, "since": int(c.content_path.split("/", 1)[0].removeprefix("v"))}
                for c in chunk
            ],
        )
    # Made and superseded before any version was committed: the store never held it, only the record tells of it.
    db.execute(sa.delete(contents).where(contents.c.package_id == home, contents.c.content_path == ""))
