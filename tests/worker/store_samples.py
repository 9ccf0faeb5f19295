"""Builds small real archives for the tests of store, ledger, PREMIS and verify."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from worker.archive import Archive
from worker.commit import commit_job
from worker.ledger.events import EventDraft, Success
from worker.ledger.facts import Entry, Found, Held, Job, Task
from worker.paths import archival_path
from worker.record import FileRecord, OutputRecord, PolicyRef, Status
from worker.store.contract import Draft, Stored

POLICY = PolicyRef(name="default", version="1", sha256="a" * 64)
SUFFIXES = {"default": ".pdf", "odf": ".odt", "retain": ""}  # by the policy's name
FILES = {b"protokoll/bilaga \xc3\xa5.txt": "Räksmörgås".encode(), b"tom.bin": b"", b"brev.txt": b"Hej!\n", b"kopia.txt": b"Hej!\n"}


def held(stored: Stored) -> Held:
    return Held(stored.sha512, stored.sha256, stored.size_bytes, stored.content_path)


def begin(archive: Archive, files: Iterable[bytes], policy: PolicyRef = POLICY) -> Job:
    job = archive.ledger.open_job("Lund", "paket 1/å", b"/in", policy, "tools-1")
    archive.ledger.add_tasks(job, [Found(raw, archival_path(raw), None, 1) for raw in files])
    return job


def keep(archive: Archive, draft: Draft, task: Task, data: bytes) -> FileRecord:
    """What the pipeline does with one file: original and a derivative, stored, told and finished.

    Bytes that begin with ``locked`` cannot be converted; the policy's name says what the others become.
    """
    fd = memory_file(data)
    try:
        stored = draft.ingest(fd, f"original/{task.path}")
    finally:
        os.close(fd)
    before = archive.ledger.previous(task.job, task.path)
    if before and (before.sha512, before.key) == (stored.sha512, task.job.policy.sha256):
        return archive.ledger.finish(task, before.record.model_copy(update={"unchanged": True}), key=before.key)
    suffix = "" if data.startswith(b"locked") else SUFFIXES[task.job.policy.name]
    if not suffix:
        return _returned(archive, task, stored)
    original, derived = f"original/{task.path}", f"preservation/{task.path}{suffix}"
    fd = memory_file(b"%PDF " + data)
    try:
        made = draft.ingest(fd, derived)
    finally:
        os.close(fd)
    record = FileRecord(
        path=task.path,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        sha512=stored.sha512,
        puid="x-fmt/111",
        status=Status.MIGRATED,
        reason="ok",
        message="Migrated.",
        outputs=[
            OutputRecord(
                representation="preservation",
                path=derived,
                puid="fmt/477",
                sha256=made.sha256,
                sha512=made.sha512,
                size_bytes=made.size_bytes,
            )
        ],
    )
    told = [
        EventDraft("ingestion", object_path=original, agents=("bevara 0.1",), digest=stored.sha512),
        EventDraft("format identification", Success.WARNING, "x-fmt/111 <by & extension>", ("siegfried 1.11.9",), original),
        EventDraft("normalization", object_path=derived, source_path=original, agents=("Å-verktyg 1.0",), digest=made.sha512),
    ]
    put = [
        Entry(original, stored.sha512, None, "x-fmt/111", "text/plain"),
        Entry(derived, made.sha512, original, "fmt/477", "application/pdf"),
    ]
    return archive.ledger.finish(task, record, held=[held(stored), held(made)], put=put, told=told, key=task.job.policy.sha256)


def _returned(archive: Archive, task: Task, stored: Stored) -> FileRecord:
    """Only the original is kept."""
    original = f"original/{task.path}"
    record = FileRecord(
        path=task.path,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        sha512=stored.sha512,
        status=Status.RETURNED,
        reason="encrypted",
        message="Locked.",
    )
    told = [EventDraft("ingestion", object_path=original, agents=("bevara 0.1",), digest=stored.sha512)]
    put = [Entry(original, stored.sha512, None, "x-fmt/111", "text/plain")]
    return archive.ledger.finish(task, record, held=[held(stored)], put=put, told=told, key=task.job.policy.sha256)


def memory_file(data: bytes) -> int:
    fd = os.memfd_create("sample")
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def run_job(archive: Archive, files: Mapping[bytes, bytes], policy: PolicyRef = POLICY) -> int | None:
    """A whole job from open to commit; continues one that was interrupted."""
    job = begin(archive, files, policy)
    draft = archive.store.open_draft(job.object_id)
    while todo := archive.ledger.claim(job, "w", 10, 60):
        for task in todo:
            keep(archive, draft, task, files[task.raw_path])
    return commit_job(archive.store, archive.ledger, draft, job)


def build(folder: Path, *versions: Mapping[bytes, bytes]) -> Path:
    """An archive with one package and a version for each set of files."""
    with Archive(folder) as archive:
        for files in versions:
            run_job(archive, files)
    return folder


def object_home(folder: Path) -> Path:
    return next(folder.glob("store/*/*/*/*/inventory.json")).parent


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
