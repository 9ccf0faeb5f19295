"""A ledger that is made again knows which copies there are, what their inventories are, and which were found bad."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa
from audit_samples import LENIENT, TENANT, Lab, build, flip, package, write

from tests.conftest import Ran, bevara
from worker.archive import LEDGER, Archive
from worker.archive_copies import COPIES, PRIMARY, Beside, Configured
from worker.evidence.keys import KeyFolder
from worker.evidence.names import evidence_id
from worker.fixity.auditor import folder_of
from worker.fixity.external import register as register_external
from worker.fixity.root import ROOT
from worker.ledger.events import AUDIT_JOB
from worker.ledger.ledger import object_id
from worker.ledger.rebuild import rebuild_all
from worker.ledger.schema import events
from worker.ledger.schema_fixity import copies, findings, inventories
from worker.store.layout import INVENTORY, SIDECAR, sidecar
from worker.verify import verify

ONE = object_id(TENANT, "paket 1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two packages, in the archive and in two places beside it."""
    folder = build(tmp_path / "a", 2)
    Configured(tuple(Beside(name, (tmp_path / name).as_uri()) for name in ("b", "c"))).write(folder)
    with Lab(folder) as lab:
        lab.fill().audit()
    return folder


def lab(folder: Path) -> Lab:
    return Lab(folder)


def rebuilt(folder: Path) -> Ran:
    return bevara("ledger", "rebuild", folder)


def register(one: Lab) -> dict[tuple[str, str], tuple[str, int]]:
    with one.ledger.engine.connect() as db:
        rows = db.execute(sa.select(copies)).all()
    return {(row.place, row.object_id): (row.state, row.version) for row in rows}


def digests(one: Lab) -> dict[tuple[str, int], str]:
    with one.ledger.engine.connect() as db:
        return {(row.object_id, row.version): row.sha512 for row in db.execute(sa.select(inventories))}


def test_every_copy_is_known_again_due_at_once_and_its_newest_inventory_too(folder: Path) -> None:
    with lab(folder) as before:
        held, known = register(before), digests(before)

    ran = rebuilt(folder)

    assert ran.code == 0, ran.said
    assert "6 copies of packages" in ran.out
    with lab(folder) as after:
        assert {key: state for key, (state, _) in register(after).items()} == dict.fromkeys(held, "held")
        assert {key: version for key, (_, version) in register(after).items() if key[1] != ROOT} == {
            key: version for key, (_, version) in held.items() if key[1] != ROOT
        }
        assert digests(after).items() <= known.items()
        assert {name for name, _ in digests(after)} == set(after.objects())
        ran_all = after.auditor.run()  # nobody brought anything forward
        assert ran_all.copies == len(held)
        assert after.open() == set()
        assert digests(after) == known


def test_what_became_bad_is_found_and_repaired_after_a_rebuild(folder: Path) -> None:
    bad = next(
        path for path in sorted((folder.parent / "b" / folder_of(ONE)).rglob("*")) if "original" in path.parts and path.is_file()
    )
    whole = bad.read_bytes()
    flip(bad, random.Random(1))
    rebuilt(folder)

    with lab(folder) as after:
        after.auditor.run()
        assert len(after.open()) == 1
        after.repair()
        assert after.audit() == set()
    assert bad.read_bytes() == whole


def test_an_inventory_that_two_places_tell_differently_is_told_and_believed_from_neither(folder: Path) -> None:
    """The attacker who knows OCFL, and was there before the ledger was made again."""
    home = folder.parent / "b" / folder_of(ONE)
    data = (home / INVENTORY).read_bytes().replace(b'"message"', b'"message" ', 1)
    import hashlib

    for part in (home, home / "v1"):
        write(part / INVENTORY, data)
        write(part / SIDECAR, sidecar(hashlib.sha512(data).hexdigest()))

    ran = rebuilt(folder)

    assert ran.code == 1
    assert ONE in ran.out
    assert "its inventory of version 1 is not the one" in ran.out
    with lab(folder) as after:
        assert (ONE, 1) not in digests(after)


def test_what_cannot_be_had_is_said(folder: Path) -> None:
    """A place that is away, an inventory that does not agree with its sidecar, and a package that the primary store lost."""
    shutil.rmtree(folder.parent / "c")
    write(folder.parent / "b" / folder_of(ONE) / SIDECAR, b"nonsense\n")
    shutil.rmtree(folder / folder_of(object_id(TENANT, "paket 0")))

    ran = rebuilt(folder)

    assert ran.code == 1
    assert "c: could not be listed" in ran.out
    assert f"{ONE}: its inventory and sidecar do not agree" in ran.out
    assert f"{object_id(TENANT, 'paket 0')} is here, and not in the primary store" in ran.out
    assert "Traceback" not in ran.said


def test_findings_come_back_from_the_histories_as_they_ended(folder: Path) -> None:
    """One that was repaired and one that was not; a path holds what stands between path and detail."""
    with Archive(folder) as archive:
        package(archive, "tvetydig", {b"a: b.txt": b"x" * 500, b"c.txt": b"y" * 500})
    name = object_id(TENANT, "tvetydig")
    with lab(folder) as one:
        one.fill().audit()
        for path in ("original/a: b.txt", "original/c.txt"):
            flip(next((folder.parent / "b" / folder_of(name)).rglob(path)), random.Random(1))
        one.audit()
        [first] = [found for found in one.auditor.book.some() if found.path.endswith("a: b.txt")]
        one.repair(only=first.id)
        one.auditor.run()
        before = {(found.path, found.verdict, found.state, found.detail, found.remedy) for found in one.auditor.book.some()}
    with Archive(folder) as archive:
        package(archive, "tvetydig", {b"a: b.txt": b"x" * 500, b"c.txt": b"y" * 500, b"ny": b"z"})  # tells it in the store

    ran = rebuilt(folder)

    assert ran.code == 1
    assert "1 open again, 1 repaired" in ran.out
    with lab(folder) as after:
        told = {(found.path, found.verdict, found.state, found.detail, found.remedy) for found in after.auditor.book.some()}
        assert told == before
        after.audit()
        assert len(after.auditor.book.some()) == 2  # seen again, not opened again
    assert "1 open again" in rebuilt(folder).out


def test_what_no_store_holds_is_told_from_the_ledger_that_was_set_aside(folder: Path) -> None:
    flip(next((folder.parent / "b" / folder_of(ONE)).rglob("original/fil 0.txt")), random.Random(1))
    with lab(folder) as one:
        one.audit()
        register_external(one.tx, TENANT, "b", "annat/x", rules=LENIENT, now=one.clock(), sha256="a" * 64, sha512=None)

    ran = rebuilt(folder)

    assert ran.code == 1
    assert f"The old ledger had an open finding: mismatch: {TENANT} b: {ONE} v1/content/original/fil 0.txt" in ran.out
    assert f"bevara copies external {folder} {TENANT} b annat/x --sha256 {'a' * 64}" in ran.out
    assert list((folder / "scratch").glob(f"ledger-*/{LEDGER}"))


def test_what_audits_told_since_the_newest_version_stays_when_the_index_is_made_again(folder: Path) -> None:
    """The service's ledger is not set aside: what it told of a package, and no store holds yet, follows what the store holds."""
    flip(next((folder.parent / "b" / folder_of(ONE)).rglob("original/fil 0.txt")), random.Random(1))
    with lab(folder) as one:
        one.audit()
        one.repair()
        one.auditor.run()
        stmt = sa.select(events.c.body).where(events.c.job_id == AUDIT_JOB).order_by(events.c.seq)
        before = [json.loads(body)["type"] for body in one.tx.read(lambda db: list(db.scalars(stmt)))]
        assert before == ["fixity check", "recovery"]
    with Archive(folder) as archive:
        for _ in range(2):
            rebuild_all(archive.ledger, {TENANT: archive.store})
        with archive.ledger.engine.connect() as db:
            assert [json.loads(body)["type"] for body in db.scalars(stmt)] == before
            assert db.scalar(sa.select(sa.func.count()).select_from(findings)) == 1
    assert list(verify(folder)) == []
    with Archive(folder) as archive:
        package(archive, "paket 1", {b"ny": b"ny"})
        rebuild_all(archive.ledger, {TENANT: archive.store})
        with archive.ledger.engine.connect() as db:
            assert [json.loads(body)["type"] for body in db.scalars(stmt)] == before  # told by the store now, and once
    assert list(verify(folder)) == []


def test_evidence_is_found_again_like_packages(folder: Path) -> None:
    keys = folder.parent / "keys"
    KeyFolder(keys).new()
    assert bevara("evidence", "make", folder, "--keys", keys).code == 0

    ran = rebuilt(folder)

    assert "6 copies of packages and 3 of evidence" in ran.out, ran.said
    with lab(folder) as after:
        after.auditor.run()
        day = after.clock()[:10]
        assert {one.place for one in after.auditor.copies.of_object(evidence_id(TENANT, day))} == {PRIMARY, "b", "c"}
        assert after.open() == set()
    assert (folder / COPIES).is_file()
