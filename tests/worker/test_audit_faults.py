"""The fault list of audits: detection 100 %, false alarms 0, wrong repairs 0, on folder stores and on a real S3 server."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from audit_samples import LENIENT, TENANT, Lab, build, flip, ocfl_valid, seeded, store_tree, write

from tests.conftest import PROJECT
from tests.servers.faulty import Fault, FaultyProxy
from tests.servers.s3 import minio_server, running, versitygw_server  # noqa: F401 -- fixtures
from worker.archive_copies import PRIMARY, Beside, Configured
from worker.fixity.bucket_place import BucketPlace
from worker.fixity.repair import Outcome
from worker.fixity.replicate import Replicator, register
from worker.fixity.rules import RepairMode, Rules
from worker.fixity.verdicts import Verdict
from worker.ledger.schema_fixity import copies
from worker.store.bucket_s3 import S3Bucket, client_of

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filled") / "a"
    build(folder, 40, files=6)
    with Lab(folder) as lab:
        lab.fill()
    return folder.parent


@pytest.fixture
def folders(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(filled, tmp_path / "x"))


@pytest.fixture
def lab(folders: Path) -> Iterator[Lab]:
    with Lab(folders / "a") as one:
        yield one


def rotten(lab: Lab, chance: random.Random, count: int) -> set[tuple[str, str]]:
    """Flip one bit in each of *count* files of all places; which."""
    chosen = chance.sample(lab.files(), count)
    for one in chosen:
        flip(lab.path(one), chance)
    return set(chosen)


@pytest.mark.parametrize("count", [1, 10, 1000])
def test_bits_flipped_over_three_stores(lab: Lab, count: int) -> None:
    whole = {name: store_tree(root) for name, root in lab.roots.items()}
    with seeded(f"{count} bits") as chance:
        bad = rotten(lab, chance, count)
    damaged = {one: lab.path(one).read_bytes() for one in bad}

    found = lab.audit()
    # Without a sound inventory nothing can say which of an object's files are bad: the object itself is named.
    homes = {(name, path) for name, path in found if path.endswith("/")}
    assert found - bad == homes
    assert [one for one in bad - found if not any(one[0] == name and one[1].startswith(path) for name, path in homes)] == []
    for name, home in homes:
        assert (name, home + "inventory.json") in bad or (name, home + "inventory.json.sha512") in bad
    for _ in range(3):  # a first round may bring the inventory that a second needs, and that names the files for a third
        lab.repair()
        lab.audit()
    lab.repair()

    everywhere = {path for _, path in bad if all((name, path) in bad for name in lab.roots)}
    # No store has this object's inventory any more: nothing proves a copy good, so nothing of it may be repaired.
    lost = tuple({home for _, home in homes if home + "inventory.json" in everywhere})
    for name, root in lab.roots.items():
        after = store_tree(root)
        assert after.keys() == whole[name].keys()
        for path, data in after.items():
            stays = path in everywhere or path.startswith(lost)
            assert data == whole[name][path] or (stays and data == damaged[name, path]), (name, path)
    left = lab.audit()
    assert {path for _, path in left} <= everywhere | {home for _, home in homes}
    if not left:
        for root in lab.roots.values():
            ocfl_valid(root)


def test_cut_deleted_and_swapped(lab: Lab) -> None:
    whole = store_tree(lab.folder)
    with seeded("cut, deleted, swapped") as chance:
        chosen = chance.sample([one for one in lab.files() if "/content/" in one[1] and one[0] != "c"], 40)
        bad = set(chosen)
        for one in chosen[:10]:
            data = lab.path(one).read_bytes()
            write(lab.path(one), data[: chance.randrange(len(data))])
        for one in chosen[10:20]:
            lab.path(one).unlink()
        for first, second in zip(chosen[20:30], chosen[30:], strict=True):
            one, two = lab.path(first).read_bytes(), lab.path(second).read_bytes()
            if one == two:
                bad -= {first, second}
            write(lab.path(first), two)
            write(lab.path(second), one)

    assert lab.audit() == bad
    assert {one.outcome for one in lab.repair()} == {Outcome.REPAIRED}
    assert lab.audit() == set()
    for root in lab.roots.values():
        assert store_tree(root) == whole
        ocfl_valid(root)


def test_a_mass_failure_stops_all_repair_until_a_person_has_looked(lab: Lab) -> None:
    lab.rules = Rules(repair=RepairMode.AUTOMATIC)
    whole = store_tree(lab.folder)
    with seeded("mass failure") as chance:
        bad = set(chance.sample([one for one in lab.files() if one[0] == "b"], len(lab.files()) // 10))  # 30 % of one store
        for one in bad:
            flip(lab.path(one), chance)
    before = store_tree(lab.roots["b"])

    assert lab.audit() == bad
    assert {one.outcome for one in lab.repair()} == {Outcome.STOPPED}
    assert store_tree(lab.roots["b"]) == before

    from worker.fixity.breaker import Breaker

    assert Breaker(lab.tx).clear(TENANT, "b", "anna", lab.clock())
    assert {one.outcome for one in lab.repair()} == {Outcome.REPAIRED}
    assert store_tree(lab.roots["b"]) == whole
    assert lab.audit() == set()


def bevara(folder: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "worker.cli", "audit", "run", "--archive", str(folder), *more]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def configured(folder: Path) -> None:
    said = Configured(audit={"repair": "automatic", "breaker_objects": 10**6, "breaker_share": 1.0})
    for name in ("b", "c"):
        said = said.with_place(Beside(name, (folder.parent / name).as_uri()))
    said.write(folder)


def test_an_auditor_killed_at_random_moments_50_times(folders: Path) -> None:
    """In the middle of reading, writing down and repairing; afterwards everything is found, once, and repaired right."""
    folder = folders / "a"
    configured(folder)
    with Lab(folder) as lab:
        whole = {name: store_tree(root) for name, root in lab.roots.items()}
        lab.all_due()
        with seeded("50 kills") as chance:
            chosen = [one for one in lab.files() if one[0] == chance.choice(["b", PRIMARY])]
            bad = set(chance.sample(chosen, 60))
            for one in bad:
                flip(lab.path(one), chance)
            killed = 0
            while killed < 50:
                process = bevara(folder, *(["--all"] if killed % 5 == 0 else []))
                time.sleep(0.5 + chance.random() * 1.5)
                if process.poll() is None:
                    process.kill()
                process.wait()
                killed += 1
        with lab.ledger.engine.begin() as db:  # a killed auditor's leases run out by themselves; not waited for here
            db.execute(copies.update().values(lease_until=None, worker=None))
        for _ in range(2):
            assert bevara(folder, "--all").wait(300) in (0, 1)
        assert lab.open() == set()
        opened = [
            (one.place, one.object_id, one.path, one.verdict) for one in lab.auditor.book.some(limit=10**6) if one.about == "bytes"
        ]
        assert len(opened) >= len(bad)
        for name, root in lab.roots.items():
            assert store_tree(root) == whole[name]
            ocfl_valid(root)


def test_two_auditors_at_once_read_each_copy_once(folders: Path) -> None:
    folder = folders / "a"
    configured(folder)
    with Lab(folder) as lab:
        total = len(lab.auditor.copies.some())
        with seeded("two auditors") as chance:
            bad = rotten(lab, chance, 5)
        lab.all_due()
        from concurrent.futures import ThreadPoolExecutor

        with Lab(folder) as other, ThreadPoolExecutor(2) as pool:
            ran = list(pool.map(lambda one: one.auditor.run(), (lab, other)))
        assert sum(one.copies for one in ran) == total
        assert all(one.copies > 0 for one in ran)
        assert lab.open() == bad
        assert len([one for one in lab.auditor.book.some() if one.about == "bytes"]) == len(bad)


# S3


@pytest.fixture(params=["minio_server", "versitygw_server"])
def on_s3(request: pytest.FixtureRequest, tmp_path: Path, filled: Path):
    """An archive whose second place is a bucket behind a proxy that misbehaves when told to."""
    folder = Path(shutil.copytree(filled / "a", tmp_path / "x" / "a"))
    server = request.getfixturevalue(request.param)
    bucket = server.new_bucket()
    with FaultyProxy(server.port) as proxy:
        place = BucketPlace("s3", lambda: S3Bucket(client_of(server.through(proxy.port)), bucket, "lund/kopia"))
        direct = BucketPlace("s3", lambda: S3Bucket(client_of(server.endpoint), bucket, "lund/kopia"))
        with Lab(folder, {"s3": direct}) as lab:
            register(lab.auditor, TENANT, PRIMARY, iter(lab.objects()), LENIENT)
            done = list(Replicator(lab.tx, lab.auditor).run({TENANT: PRIMARY}))
            assert [one.why for one in done if one.why] == []
            yield lab, proxy, place, S3Bucket(client_of(server.endpoint), bucket, "lund/kopia")


def test_bits_flipped_on_s3_are_found_and_repaired(on_s3) -> None:
    lab, _, _, bucket = on_s3
    whole = store_tree(lab.folder)
    with seeded("s3 bits") as chance:
        chosen = chance.sample([blob.key for blob in bucket.list("store/") if blob.size_bytes], 30)
        for key in chosen:
            data = bytearray(bucket.get(key).read())
            data[chance.randrange(len(data))] ^= 1
            bucket.put(key, bytes(data))
        gone = chance.choice([key for key in whole if key not in chosen])
        bucket.delete([gone])

    assert lab.audit() == {("s3", key) for key in [*chosen, gone]}
    assert {one.outcome for one in lab.repair()} == {Outcome.REPAIRED}
    assert lab.audit() == set()
    assert {blob.key: bucket.get(blob.key).read() for blob in bucket.list("store/")} == whole


def test_a_server_that_throttles_breaks_off_or_is_away_is_unreadable_never_mismatch(on_s3) -> None:
    lab, proxy, place, _ = on_s3
    auditor = lab.make(places={**lab.places, (TENANT, "s3"): place})
    number = len(auditor.copies.some(copies.c.place == "s3"))
    with seeded("bad days"):
        for day, faults in enumerate(([Fault("503", times=None)], [Fault("cut", times=None)], [Fault("refuse", times=None)], None)):
            proxy.vanish() if faults is None else proxy.add(*faults)
            auditor.copies.forward("test", copies.c.place == "s3")
            lab.clock.offset = timedelta(days=day)
            auditor.run(most_copies=6)
            open_now = [one for one in auditor.book.some(limit=10**6) if one.state == "open" and one.place == "s3"]
            assert open_now
            assert {one.verdict for one in open_now} == {"unreadable"}
            proxy.clear()
    proxy.listen()
    lab.clock.offset = timedelta(days=10)
    auditor.copies.forward("test", copies.c.place == "s3")
    assert auditor.run().verdicts == {Verdict.OK: number}
    assert [one for one in auditor.book.some(limit=10**6) if one.state == "open"] == []


def test_wrong_bytes_every_50th_read_over_s3_are_not_a_mismatch(on_s3) -> None:
    lab, proxy, place, _ = on_s3
    auditor = lab.make(places={(TENANT, "s3"): place})
    auditor.copies.forward("test", copies.c.place == "s3")
    for _ in range(8):
        proxy.add(Fault("flip", method="GET", path="/store/"))
        auditor.run(most_copies=2)

    flipped = [one for one in proxy.done if one[0] == "flip"]
    assert flipped
    assert {one.verdict for one in auditor.book.some()} <= {"unreadable"}
    assert lab.open() == set()
