"""Builds signed archives, and attacks them the way somebody would who knows OCFL."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from store_samples import FILES, POLICY, keep, run_job

from worker.archive import Archive
from worker.commit import commit_job
from worker.evidence.daily import Made, make
from worker.evidence.keys import KeyFolder
from worker.evidence.verify import Report, verify
from worker.fixity.findings import Finding
from worker.ledger.facts import Found
from worker.ledger.schema import packages
from worker.paths import archival_path
from worker.store.contract import Store
from worker.store.directory import DirectoryStore

TENANT, OTHER = "Lund", "annat"
PACKAGE = "urn:bevara:Lund:paket%201%2F%C3%A5"
DAYS = ("2100-01-01", "2100-01-02", "2100-01-03", "2100-01-04")
"""After every real clock: what the samples store is always older."""


def at(day: str, time: str = "23:50:00.000") -> Callable[[], str]:
    return lambda: f"{day}T{time}Z"


def heads(archive: Archive) -> list[tuple[str, int]]:
    with archive.ledger.engine.connect() as db:
        return [(row.object_id, row.version) for row in db.execute(sa.select(packages))]


def sign(folder: Path, keys: KeyFolder, day: str, *more: Store, **options) -> Made:
    with Archive(folder) as archive:
        return make([archive.store, *more], TENANT, keys, heads(archive), clock=at(day), **options)


def job(folder: Path, files: dict[bytes, bytes], package: str = "") -> None:
    with Archive(folder) as archive:
        if not package:
            run_job(archive, files)
            return
        begun = archive.ledger.open_job(TENANT, package, b"/in", POLICY, "tools-1")
        archive.ledger.add_tasks(begun, [Found(raw, archival_path(raw), None, 1) for raw in files])
        draft = archive.store.open_draft(begun.object_id)
        while todo := archive.ledger.claim(begun, "w", 10, 60):
            for task in todo:
                keep(archive, draft, task, files[task.raw_path])
        commit_job(archive.store, archive.ledger, draft, begun)


def build_signed(folder: Path) -> tuple[Path, KeyFolder]:
    """Day 1: a package. Day 2: its second version. Day 3: another package. Day 4: nothing new."""
    archive, keys = folder / "a", KeyFolder(folder / "keys")
    keys.new(time="2100-01-01T00:00:00.000Z")
    job(archive, FILES)
    sign(archive, keys, DAYS[0])
    job(archive, {**FILES, b"brev.txt": b"nytt"})
    sign(archive, keys, DAYS[1])
    job(archive, {b"ny.txt": b"ny"}, OTHER)
    sign(archive, keys, DAYS[2])
    sign(archive, keys, DAYS[3])
    return archive, keys


def store_of(folder: Path) -> DirectoryStore:
    return DirectoryStore(folder / "store", folder / "scratch")


def findings(folder: Path, keys: KeyFolder, report: Report | None = None, **options) -> list[Finding]:
    anchors = {str(statement.body["key"]) for statement in keys.history.statements[:1]}
    return list(verify(store_of(folder), TENANT, anchors, report=report, **options))


def codes(folder: Path, keys: KeyFolder, **options) -> set[str]:
    return {finding.code for finding in findings(folder, keys, **options)}


def home(folder: Path, object_id: str) -> Path:
    return next(
        path.parent for path in folder.glob("store/*/*/*/*/inventory.json") if f'"id":"{object_id}"' in path.read_text("utf-8")
    )


def rewrite(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


def seal(home: Path) -> None:
    """Make every sidecar fit its inventory again."""
    for path in [*home.glob("inventory.json"), *home.glob("v*/inventory.json")]:
        rewrite(
            path.with_name("inventory.json.sha512"), f"{hashlib.sha512(path.read_bytes()).hexdigest()} inventory.json\n".encode()
        )


def replace_consistently(home: Path, content: str, data: bytes) -> None:
    """The attacker who knows OCFL: other bytes, and every inventory and sidecar made to fit."""
    path = home / content
    old = path.read_bytes()
    rewrite(path, data)
    for inventory in [*home.glob("inventory.json"), *home.glob("v*/inventory.json")]:
        text = inventory.read_bytes()
        for kind in ("sha512", "sha256"):
            text = text.replace(hashlib.new(kind, old).hexdigest().encode(), hashlib.new(kind, data).hexdigest().encode())
        rewrite(inventory, text)
    seal(home)


def roll_back(home: Path) -> None:
    """Take the second version away without a trace in the object."""
    import shutil

    shutil.rmtree(home / "v2")
    for name in ("inventory.json", "inventory.json.sha512"):
        rewrite(home / name, (home / "v1" / name).read_bytes())
