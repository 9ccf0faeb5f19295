"""Indexes one package from what its versions say of themselves in the store: jobs, events, records, entries, contents.

Runs inside its caller's transaction. What the store does not hold is not touched: tenants, keys, places, and of a job how it was
asked for, whom it calls back and what it is waiting for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import sqlalchemy as sa

from worker.ledger import counts, news, stored
from worker.ledger import engine as database
from worker.ledger.events import AUDIT_JOB, canonical, first_prev, hash_of
from worker.ledger.facts import UNFINISHED, JobState, TaskState
from worker.ledger.schema import contents, entries, events, jobs, packages, tasks
from worker.ledger.schema_service import tenants
from worker.paths import raw_path
from worker.store.contract import Content, Store

_CHUNK = 500


def index_package(db: sa.Connection, store: Store, name: str, texts: list[stored.Texts]) -> None:
    """Index the package *name*, whose metadata are *texts*; what the ledger said of it before is forgotten."""
    first, told = stored.document(store, name, texts[0].job), _told_since(db, name)
    home = _home(db, name, first["tenant"], first["package"], store.head(name))
    for text in texts:
        _add_job(db, home, stored.document(store, name, text.job))
        _add_events(db, home, text.version, stored.lines(store, name, text.events))
        _add_records(db, home, text.version, stored.lines(store, name, text.records))
    _locate_contents(db, home, store.contents(name))
    _tell_again(db, home, told)
    begin_again(db, home)


def begin_again(db: sa.Connection, home: int) -> None:
    """Jobs that the service had in work, and whose version no store has, do all their work again; and all are counted anew."""
    mine = (jobs.c.package_id == home, jobs.c.state.in_(UNFINISHED), jobs.c.version.is_(None))
    registered = sa.exists().where(tenants.c.id == jobs.c.tenant)
    anew = {"state": JobState.ACCEPTED, "worker": None, "lease_until": None, "attempts": 0}
    db.execute(sa.update(jobs).where(*mine, registered).values(anew))
    for job_id in db.scalars(sa.select(jobs.c.id).where(jobs.c.package_id == home)).all():
        counts.recount(db, job_id)


def forget(db: sa.Connection, home: int, version: int = 0) -> None:
    """Forget what was said of a package, but not that it and its jobs were asked for."""
    name = db.scalar(sa.select(packages.c.object_id).where(packages.c.id == home)) or ""
    for table in (events, entries, contents, tasks):
        db.execute(sa.delete(table).where(table.c.package_id == home))
    begun = {"version": version, "last_seq": 0, "last_hash": first_prev(name)}
    db.execute(sa.update(packages).where(packages.c.id == home).values(begun))
    db.execute(sa.update(jobs).where(jobs.c.package_id == home).values(version=None))


def _home(db: sa.Connection, name: str, tenant: str, package: str, version: int) -> int:
    known = db.execute(sa.select(packages.c.id, packages.c.version).where(packages.c.object_id == name)).one_or_none()
    if known is not None:
        forget(db, known.id, version)
        if known.version != version:  # of one that nobody knew, the round over all packages learns: it needs no haste
            news.announce(db, known.id, version)
        return int(known.id)
    row = {
        "object_id": name,
        "tenant": tenant,
        "package": package,
        "version": version,
        "last_seq": 0,
        "last_hash": first_prev(name),
    }
    return int(db.execute(sa.insert(packages).values(row).returning(packages.c.id)).scalar_one())


def _add_job(db: sa.Connection, home: int, job: dict[str, Any]) -> None:
    """A job that is known keeps what the store does not tell of it. One that was being committed goes on from there."""
    at_work = jobs.c.state.in_(UNFINISHED) & sa.exists().where(tenants.c.id == jobs.c.tenant)
    ended = (JobState.CANCELLED, JobState.FAILED)
    state = sa.case((at_work, JobState.COMMITTING.value), (jobs.c.state.in_(ended), jobs.c.state), else_=JobState.FINISHED.value)
    known = (
        sa.update(jobs).where(jobs.c.id == job["job"]).values(state=state, version=job["version"], worker=None, lease_until=None)
    )
    if db.execute(known).rowcount:
        return
    policy = job["policy"]
    row = {
        "id": job["job"],
        "package_id": home,
        "tenant": job["tenant"],
        "source": raw_path(job["source"]),
        "policy_name": policy["name"],
        "policy_version": policy["version"],
        "policy_sha256": policy["sha256"],
        "toolchain": job["toolchain"],
        "state": JobState.FINISHED,
        "created": job["started"],
        "started": job["started"],
        "finished": job["started"],
        "version": job["version"],
    }
    db.execute(sa.insert(jobs).values(**row))


def _add_events(db: sa.Connection, home: int, version: int, lines: Iterable[dict[str, Any]]) -> None:
    source = iter(lines)
    while chunk := list(islice(source, _CHUNK)):
        rows = [_event(home, version, line) for line in chunk]
        db.execute(sa.insert(events), rows)
        db.execute(sa.update(packages).where(packages.c.id == home).values(last_seq=rows[-1]["seq"], last_hash=rows[-1]["hash"]))


def _event(home: int, version: int | None, line: dict[str, Any]) -> dict[str, Any]:
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


def _told_since(db: sa.Connection, name: str) -> list[dict[str, Any]]:
    """What audits told since the newest version: no store holds it, and no job would tell it again."""
    mine = sa.select(packages.c.id).where(packages.c.object_id == name).scalar_subquery()
    e = events.c
    stmt = sa.select(e.body).where(e.package_id == mine, e.job_id == AUDIT_JOB, e.version.is_(None))
    return [json.loads(body) for body in db.scalars(stmt.order_by(e.seq))]


def _tell_again(db: sa.Connection, home: int, told: list[dict[str, Any]]) -> None:
    """Put it at the end of the chain, where the store's newest version does not tell it by now."""
    last = db.execute(sa.select(packages.c.last_seq, packages.c.last_hash).where(packages.c.id == home)).one()
    seq, prev = int(last.last_seq), str(last.last_hash)
    stmt = sa.select(events.c.body).where(events.c.package_id == home, events.c.job_id == AUDIT_JOB)
    known = {_said(json.loads(body)) for body in db.scalars(stmt)} if told else set()
    for one in told:
        if _said(one) in known:
            continue
        seq += 1
        body = {**one, "seq": seq, "prev": prev}
        prev = hash_of(canonical(body))
        db.execute(sa.insert(events).values(_event(home, None, {"body": body, "hash": prev})))
    db.execute(sa.update(packages).where(packages.c.id == home).values(last_seq=seq, last_hash=prev))


def _said(body: dict[str, Any]) -> str:
    """An event without its place in the chain."""
    return canonical({name: value for name, value in body.items() if name not in ("seq", "prev")})


def _add_records(db: sa.Connection, home: int, version: int, lines: Iterable[dict[str, Any]]) -> None:
    source = iter(lines)
    while chunk := list(islice(source, _CHUNK)):
        for line in chunk:
            _add_missing_job(db, home, line["job"])
        db.execute(sa.insert(tasks), [_task(home, version, line) for line in chunk])
        put = [entry for line in chunk for entry in line["entries"]]
        if put:
            db.execute(database.insert_or_ignore(db.engine, contents), [_content(home, entry) for entry in put])
        _replay(db, home, version, chunk)


def _replay(db: sa.Connection, home: int, version: int, chunk: list[dict[str, Any]]) -> None:
    """What *chunk* leaves of each path that it speaks of: a later line may supersede what an earlier one put, and put it again."""
    last: dict[str, dict[str, Any] | None] = {}
    for line in chunk:
        last |= {entry["path"]: entry for entry in line["entries"]}
        last |= dict.fromkeys(line["dropped"])
    standing = [_entry(home, version, entry) for entry in last.values() if entry]
    if standing:
        db.execute(database.insert_or_replace(db.engine, entries), standing)
    gone = [{"gone": path} for path, entry in last.items() if entry is None]
    if gone:
        mine = (entries.c.package_id == home, entries.c.logical_path == sa.bindparam("gone"))
        db.execute(sa.delete(entries).where(*mine), gone)


def _add_missing_job(db: sa.Connection, home: int, job_id: str) -> None:
    """A job that was superseded before it ended: its files were committed by the job that followed."""
    if db.execute(sa.select(jobs.c.id).where(jobs.c.id == job_id)).first():
        return
    last = db.execute(sa.select(jobs).where(jobs.c.package_id == home).order_by(jobs.c.started.desc()).limit(1)).mappings().one()
    asked: dict[str, Any] = {"idempotency_key": None, "request_sha256": None, "callback_url": None, "delivery": None}
    row = {**last, **asked, "id": job_id, "state": JobState.SUPERSEDED, "version": None}
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
