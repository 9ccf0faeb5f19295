"""Makes what a job finished into the package's next OCFL version, so that the store explains itself (promise P8).

The order is the promise: metadata into the draft, the store's commit, then the ledger. A process killed in between is
caught up by ``worker.ledger.rebuild.reconcile``. Works on any ``Store``; knows no file's content.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import BinaryIO, ClassVar, cast

import sqlalchemy as sa

from actions.errors import TransientError
from worker import premis
from worker.digests import copy_and_digest
from worker.fixity.knowledge import Knowledge
from worker.ledger.events import ChainedEvent, now
from worker.ledger.facts import Job
from worker.ledger.ledger import Ledger
from worker.ledger.schema import contents, entries, events, packages, tasks
from worker.paths import archival_path
from worker.store.contract import Draft, StateEntry, Store, VersionNote

SOFTWARE, ADDRESS = "bevara", "urn:bevara:software"


class OutOfStepError(TransientError):
    """The store and the ledger do not agree on the package's newest version."""

    code: ClassVar[str] = "out-of-step"


def commit_job(store: Store, ledger: Ledger, draft: Draft, job: Job) -> int | None:
    """Commit *draft* with everything the ledger holds for it; returns the version, or None: nothing was new.

    The draft is gone afterwards, and the job is finished. When it fails, both stay, and it can be repeated.

    Raises:
        OutOfStepError: The store has a version that the ledger was not told of: it must be caught up first.
    """
    if not ledger.has_news(job):
        store.discard(draft)
        ledger.finish_job(job, None)
        return None
    _in_step(ledger, draft, job)
    # Before PREMIS names them. The generators below are read after this.
    ledger.place_contents(job, store.places(draft, _state(ledger, job, [])))
    name = f"v{draft.version:04d}"
    pieces = {
        f"metadata/jobs/{name}.json": _job_text(job, draft.version),
        f"metadata/events/{name}.jsonl": _event_lines(ledger, job),
        f"metadata/records/{name}.jsonl": _record_lines(ledger, job),
        "metadata/premis.xml": _premis(ledger, job),
    }
    metadata = [_kept(draft, path, lines) for path, lines in pieces.items()]
    # Not the clock: a commit that is begun again by another process comes to the same bytes.
    note = VersionNote(ledger.news_time(job), f"job {job.id}, policy {job.policy.name} {job.policy.version}", SOFTWARE, ADDRESS)
    version = store.commit(draft, _state(ledger, job, metadata), note, dropped=_dropped(ledger, job))
    with store.inventory(job.object_id) as stream:  # audits hold every copy to it: whoever replaces it later is caught
        inventory = copy_and_digest(stream)
    Knowledge(ledger.transactions).committed(job.object_id, version, inventory.sha512, now())
    ledger.finish_job(job, version)
    return version


def _in_step(ledger: Ledger, draft: Draft, job: Job) -> None:
    """Refuse to tell twice what a version tells already that another process committed a moment ago."""
    for (known,) in ledger.stream(sa.select(packages.c.version).where(packages.c.id == job.package_key)):
        if draft.version != known + 1:
            raise OutOfStepError(
                f"the ledger knows version {known}, and the next in the store is {draft.version}",
                job.object_id,
                "Nothing is lost: the ledger is caught up, and the job goes on. If it does not, run `bevara ledger rebuild`.",
            )


def _kept(draft: Draft, path: str, lines: Iterator[str]) -> StateEntry:
    stored = draft.ingest(_stream(lines), path)
    draft.release(stored)
    return StateEntry(path, stored.sha512)


def _state(ledger: Ledger, job: Job, metadata: list[StateEntry]) -> Iterator[StateEntry]:
    stmt = sa.select(entries.c.logical_path, entries.c.sha512).where(
        entries.c.package_id == job.package_key, entries.c.version.is_(None), entries.c.dropped.is_(False)
    )
    for path, sha512 in ledger.stream(stmt):
        yield StateEntry(path, sha512)
    yield from metadata


def _dropped(ledger: Ledger, job: Job) -> Iterator[str]:
    """What was superseded since the version before."""
    stmt = sa.select(entries.c.logical_path).where(
        entries.c.package_id == job.package_key, entries.c.version.is_(None), entries.c.dropped.is_(True)
    )
    for (path,) in ledger.stream(stmt):
        yield path


def _job_text(job: Job, version: int) -> Iterator[str]:
    """What a rebuilt ledger needs to know of the job, and what a person wants to."""
    facts = {
        "schema": "bevara.job/1",
        "job": job.id,
        "object": job.object_id,
        "tenant": job.tenant,
        "package": job.package,
        "source": archival_path(job.source or b"."),
        "policy": job.policy.model_dump(),
        "toolchain": job.toolchain,
        "started": job.started,
        "version": version,
    }
    yield json.dumps(facts, ensure_ascii=False, indent=2) + "\n"


def _event_lines(ledger: Ledger, job: Job) -> Iterator[str]:
    stmt = sa.select(events.c.seq, events.c.prev_hash, events.c.hash, events.c.body)
    stmt = stmt.where(events.c.package_id == job.package_key, events.c.version.is_(None)).order_by(events.c.seq)
    for row in ledger.stream(stmt):
        yield ChainedEvent(*row).line()


def _record_lines(ledger: Ledger, job: Job) -> Iterator[str]:
    columns = (
        tasks.c.path,
        tasks.c.job_id,
        tasks.c.size_bytes,
        tasks.c.mtime_ns,
        tasks.c.kind,
        tasks.c.key,
        tasks.c.entries,
        tasks.c.dropped,
        tasks.c.record,
    )
    stmt = sa.select(*columns).where(tasks.c.package_id == job.package_key, tasks.c.state == "done", tasks.c.version.is_(None))
    for path, job_id, size, mtime_ns, kind, key, put, dropped, record in ledger.stream(stmt.order_by(tasks.c.id)):
        head = {"path": path, "job": job_id, "size_bytes": size, "mtime_ns": mtime_ns, "kind": kind, "key": key}
        tail = f'"entries": {put}, "dropped": {dropped}, "record": {record}'
        yield f"{json.dumps(head, ensure_ascii=False)[:-1]}, {tail}}}\n"


def _premis(ledger: Ledger, job: Job) -> Iterator[str]:
    whose = premis.Whose(job.object_id, job.tenant, job.package)
    return premis.write(whose, _files(ledger, job), _events(ledger, job))


def _files(ledger: Ledger, job: Job) -> Iterator[premis.FileFacts]:
    same = (contents.c.package_id == entries.c.package_id) & (contents.c.sha512 == entries.c.sha512)
    e, c = entries.c, contents.c
    stmt = sa.select(e.logical_path, c.sha256, c.sha512, c.size_bytes, c.content_path, e.source, e.puid, e.mime)
    stmt = stmt.select_from(entries.join(contents, same)).where(e.package_id == job.package_key, e.dropped.is_(False))
    for row in ledger.stream(stmt.order_by(e.logical_path)):
        yield premis.FileFacts(*row)


def _events(ledger: Ledger, job: Job) -> Iterator[premis.EventFacts]:
    stmt = (
        sa.select(events.c.seq, events.c.hash, events.c.body).where(events.c.package_id == job.package_key).order_by(events.c.seq)
    )
    for seq, digest, text in ledger.stream(stmt):
        body = json.loads(text)
        yield premis.EventFacts(
            seq=seq,
            hash=digest,
            type=body["type"],
            code=body["code"],
            time=body["time"],
            outcome=body["outcome"],
            detail=body["detail"],
            agents=tuple(body["agents"]),
            object_path=body["object"],
            source_path=body["source"],
        )


class _Pieces(io.RawIOBase):
    """A text generator as a binary stream: what is exported is never held whole, in memory or on disk."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces, self._left = pieces, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill *buffer* as far as one gathering of pieces goes."""
        if not self._left:
            gathered, size = [], 0
            for piece in self._pieces:
                gathered.append(piece)
                size += len(piece)
                if size >= 1 << 18:
                    break
            self._left = "".join(gathered).encode()
        got = min(len(buffer), len(self._left))
        buffer[:got] = self._left[:got]
        self._left = self._left[got:]
        return got


def _stream(pieces: Iterator[str]) -> BinaryIO:
    return cast("BinaryIO", io.BufferedReader(_Pieces(pieces), buffer_size=1 << 18))
