"""An archive of several packages with a second and third store beside it, and auditors over them."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import sqlalchemy as sa
from store_samples import POLICY, keep

from tests.conftest import PROJECT
from worker.archive import LEDGER, Archive
from worker.archive_copies import PRIMARY
from worker.commit import commit_job
from worker.fixity.audit_clock import AuditClock
from worker.fixity.auditor import Auditor, folder_of
from worker.fixity.folder_place import FolderPlace
from worker.fixity.place import Place
from worker.fixity.repair import Repairer
from worker.fixity.replicate import Replicator, register
from worker.fixity.root import ROOT
from worker.fixity.rules import RepairMode, Rules
from worker.ledger.facts import Found
from worker.ledger.ledger import Ledger
from worker.ledger.schema import packages
from worker.ledger.schema_fixity import copies
from worker.paths import archival_path

TENANT = "lund"
LENIENT = Rules(repair=RepairMode.AUTOMATIC, breaker_objects=10**6, breaker_share=1.0)


def package(archive: Archive, name: str, files: Mapping[bytes, bytes]) -> None:
    """One job: a new package, or a new version of one."""
    job = archive.ledger.open_job(TENANT, name, b"/in", POLICY, "tools-1")
    archive.ledger.add_tasks(job, [Found(raw, archival_path(raw), None, 1) for raw in files])
    draft = archive.store.open_draft(job.object_id)
    while todo := archive.ledger.claim(job, "w", 10, 60):
        for task in todo:
            keep(archive, draft, task, files[task.raw_path])
    commit_job(archive.store, archive.ledger, draft, job)


def build(folder: Path, count: int, files: int = 3, size_bytes: int = 2000) -> Path:
    """An archive of *count* packages, every third with two versions."""
    chance = random.Random(count)
    with Archive(folder) as archive:
        for number in range(count):
            some = {b"fil %d.txt" % one: chance.randbytes(size_bytes) for one in range(files)} | {b"tom": b""}
            package(archive, f"paket {number}", some)
            if number % 3 == 0:
                package(archive, f"paket {number}", {**some, b"fil 0.txt": chance.randbytes(size_bytes)})
    return folder


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def __call__(self) -> str:
        return (datetime.now(UTC) + self.offset).strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] + "Z"


class Lab:
    """Use as a context manager."""

    def __init__(
        self, folder: Path, others: Mapping[str, Place] | None = None, rules: Rules = LENIENT, *, two: bool = True
    ) -> None:
        self.folder, self.rules, self.clock = folder, rules, Clock()
        self.ledger = Ledger.open(folder / LEDGER)
        self.tx = self.ledger.transactions
        named: dict[str, Place] = {PRIMARY: FolderPlace(PRIMARY, folder)}
        if two and others is None:
            named |= {name: FolderPlace(name, folder.parent / name) for name in ("b", "c")}
        self.places = {(TENANT, name): place for name, place in (named | dict(others or {})).items()}
        self.roots = {name: folder if name == PRIMARY else folder.parent / name for name in named}
        self.auditor = self.make()

    def make(self, *, stop: Callable[[], bool] = lambda: False, places: Mapping[tuple[str, str], Place] | None = None) -> Auditor:
        clock = AuditClock(self.tx, self.clock)
        return Auditor(self.tx, places or self.places, lambda _t, _p: self.rules, clock=clock, stop=stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for place in self.places.values():
            place.close()
        self.ledger.close()

    def objects(self) -> list[str]:
        with self.ledger.engine.connect() as db:
            return list(db.scalars(sa.select(packages.c.object_id).order_by(packages.c.id)))

    def fill(self) -> Lab:
        """Register everything and fill the other places."""
        register(self.auditor, TENANT, PRIMARY, iter(self.objects()), self.rules)
        done = list(Replicator(self.tx, self.auditor).run({TENANT: PRIMARY}))
        assert [one.why for one in done if one.why] == []
        return self

    def all_due(self) -> None:
        self.auditor.copies.forward("test", copies.c.id > 0)

    def audit(self) -> set[tuple[str, str]]:
        """Read everything; what is open of bytes, as (place, path below the place)."""
        self.all_due()
        self.auditor.run()
        return self.open()

    def open(self, about: str = "bytes") -> set[tuple[str, str]]:
        return {
            (one.place, f"store/{one.path}" if one.object_id == ROOT else f"{folder_of(one.object_id)}/{one.path}")
            for one in self.auditor.book.some(limit=10**6)
            if one.state == "open" and one.about == about and one.object_id and one.verdict != "unreadable"
        }

    def repair(self, **more):
        return Repairer(self.tx, self.auditor).run(**more)

    def files(self) -> list[tuple[str, str]]:
        """(place, path) of every file of every folder store."""
        return [
            (name, path.relative_to(root).as_posix())
            for name, root in self.roots.items()
            for path in sorted((root / "store").rglob("*"))
            if path.is_file() and path.stat().st_size
        ]

    def path(self, one: tuple[str, str]) -> Path:
        return self.roots[one[0]] / one[1]


def write(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def flip(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    write(path, bytes(data))


def store_tree(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted((root / "store").rglob("*")) if p.is_file()}


def ocfl_valid(root: Path) -> None:
    """A validator that we did not write accepts the storage root and every object."""
    homes = sorted(path.parent for path in (root / "store").rglob("0=ocfl_object_1.1"))
    tool = Path(sys.executable).with_name("ocfl-validate.py")
    done = subprocess.run([sys.executable, tool, "--quiet", root / "store"], capture_output=True, check=False, cwd=PROJECT)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert homes


@contextmanager
def seeded(label: str):
    """A random source whose seed is printed, and can be given again as BEVARA_SEED."""
    seed = int(os.environ.get("BEVARA_SEED") or random.randrange(2**32))
    print(f"{label}: BEVARA_SEED={seed}")
    yield random.Random(seed)
