"""Where an audit could vouch for what nobody read, or a repair could lose what it should keep: each a law, on real stores."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from audit_samples import LENIENT, TENANT, Lab, build, flip, ocfl_valid, package, store_tree, write

from tests.conftest import bevara
from worker.archive import Archive
from worker.archive_copies import PRIMARY, Beside, Configured
from worker.fixity import promise
from worker.fixity.arrivals import Arrivals
from worker.fixity.auditor import folder_of
from worker.fixity.copies import AT_ONCE
from worker.fixity.folder_place import FolderPlace
from worker.fixity.known import Reading
from worker.fixity.place import UnreadableError
from worker.fixity.repair import Outcome
from worker.fixity.replicate import Replicator, register
from worker.fixity.rules import RepairMode, Rules, RulesError, due_after
from worker.fixity.verdicts import Fault, Verdict
from worker.ledger.schema import events
from worker.ledger.schema_fixity import breakers, copies, findings, inventories
from worker.store.layout import INVENTORY, ROOT_FILES, SIDECAR


class Broken(FolderPlace):
    """A disk of which some files cannot be read. ``broken``: ends of their paths."""

    broken: tuple[str, ...] = ()

    def open(self, path: str, offset_bytes: int = 0):
        if path.endswith(self.broken):
            raise UnreadableError("could not be read: Input/output error", path, "")
        return super().open(path, offset_bytes)

    def fresh(self) -> Broken:
        again = Broken(self.name, self.root)
        again.broken = self.broken
        return again


def broken(lab: Lab, *ends: str, name: str = "b") -> Broken:
    place = Broken(name, lab.roots[name])
    place.broken = ends
    lab.places[TENANT, name] = place
    lab.auditor = lab.make()
    return place


def content(lab: Lab, end: str, name: str = "b") -> tuple[str, str]:
    return next(one for one in lab.files() if one[0] == name and one[1].endswith(end))


def copy_of(lab: Lab, one: tuple[str, str]):
    return next(copy for copy in lab.auditor.copies.some(copies.c.place == one[0]) if one[1].startswith(folder_of(copy.object_id)))


# What counts as read


def test_a_copy_of_which_a_part_could_not_be_read_is_not_read_although_another_part_is_bad(lab: Lab) -> None:
    bad = content(lab, "fil 0.txt")
    flip(lab.path(bad), random.Random(1))
    place = broken(lab, bad[1].replace("fil 0.txt", "fil 2.txt"))
    before = copy_of(lab, bad)

    assert lab.audit() == {bad}

    after = copy_of(lab, bad)
    assert (after.due, after.last_checked, after.tries) == (before.due, before.last_checked, 1)
    assert after.last_verdict == "mismatch"
    place.broken = ()
    lab.clock.offset = timedelta(hours=1)
    lab.auditor.run()
    assert copy_of(lab, bad).tries == 0
    assert copy_of(lab, bad).due > before.due


def test_a_bad_file_that_cannot_be_read_the_next_time_stays_a_finding(lab: Lab) -> None:
    first, second = content(lab, "fil 0.txt"), content(lab, "fil 2.txt")
    second = (first[0], first[1].replace("fil 0.txt", "fil 2.txt"))
    for one in (first, second):
        flip(lab.path(one), random.Random(1))
    assert lab.audit() == {first, second}

    broken(lab, second[1])

    assert lab.audit() == {first, second}


def test_what_could_not_be_read_before_a_stop_is_read_when_the_audit_goes_on(lab: Lab) -> None:
    one = content(lab, "fil 0.txt")
    place = broken(lab, one[1])
    number = copy_of(lab, one).id
    asked = [0]

    def stop() -> bool:
        asked[0] += 1
        return asked[0] > 12

    taken = lab.auditor.copies.take(number, "w", lease_s=60)
    auditor = lab.make(stop=stop)
    auditor.name = "w"
    assert auditor.audit(taken)[0].cursor is not None
    place.broken = ()

    for hours in (0, 1, 2):
        lab.clock.offset = timedelta(hours=hours)
        lab.all_due()
        lab.auditor.run()

    assert lab.auditor.copies.some(copies.c.id == number)[0].last_verdict == "ok"
    assert lab.auditor.book.some(findings.c.state == "open") == []


def test_a_reading_that_was_stopped_is_no_verdict(lab: Lab) -> None:
    lab.all_due()
    ran = lab.auditor.run(most_bytes=1)
    for _ in range(200):
        ran = lab.auditor.run(most_bytes=1)
        if lab.auditor.copies.some(copies.c.cursor.is_not(None)):
            assert ran.verdicts == {}
            return
    raise AssertionError("nothing was stopped in the middle")


def test_what_seems_bad_while_a_commit_goes_on_is_not_written_down(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    one = content(lab, "fil 2.txt")
    flip(lab.path(one), random.Random(1))
    monkeypatch.setattr(lab.auditor, "_moving", lambda *_: True)

    assert lab.audit() == set()


def test_a_place_that_is_away_for_years_is_still_asked_once_a_day(lab: Lab) -> None:
    with lab.ledger.engine.begin() as db:
        db.execute(sa.update(copies).values(tries=5000))
    lab.roots["b"].rename(lab.roots["b"].with_name("away"))

    assert lab.audit() == set()
    assert {one.tries for one in lab.auditor.copies.some(copies.c.place == "b")} == {5001}


def test_each_place_has_its_own_budget_and_its_own_hours(lab: Lab) -> None:
    soon, later = (datetime.now().astimezone() + timedelta(hours=hours) for hours in (11, 12))
    tight, shut = Rules(bytes_per_run=1), Rules(windows=(f"{soon:%H:%M}-{later:%H:%M}",))
    rules = {"b": tight, PRIMARY: LENIENT, "c": shut}
    lab.all_due()
    auditor = lab.make()
    auditor.rules = lambda _tenant, place: rules[place]

    auditor.run()

    read = {name: {one.last_verdict for one in auditor.copies.some(copies.c.place == name)} for name in rules}
    assert read[PRIMARY] == {"ok"}
    assert len([one for one in auditor.copies.some(copies.c.place == "b") if one.turn != AT_ONCE]) <= 1
    assert {one.turn for one in auditor.copies.some(copies.c.place == "c")} == {AT_ONCE}


@pytest.mark.parametrize(
    "wrong",
    [
        *({"interval_days": value} for value in ("90", None, True, -1, 0)),
        *({name: value} for name in ("bytes_per_run", "breaker_objects", "breaker_share") for value in ("5", -1, [])),
        {"windows": "22:00-05:00"},
        {"windows": [5]},
        [],
    ],
)
def test_a_rule_that_is_none_is_said_and_brings_no_auditor_down(wrong: object) -> None:
    with pytest.raises(RulesError):
        Rules.of(json.dumps({"audit": wrong}))


def test_a_shorter_interval_binds_what_was_read_under_the_longer_one(lab: Lab) -> None:
    lab.audit()
    lab.clock.offset = timedelta(days=40)
    number = lab.auditor.copies.some(copies.c.place == "b")[0].id
    with lab.ledger.engine.begin() as db:
        db.execute(sa.update(copies).where(copies.c.id == number).values(last_checked=None))
    before = {one.id: one for one in lab.auditor.copies.some(copies.c.place == "b")}
    month = Rules(interval_days=30)

    assert promise.keep(lab.tx, TENANT, "b", Rules(), lab.clock()) == 0  # of the copy that was never read the deadline stands
    assert promise.keep(lab.tx, TENANT, "b", month, lab.clock()) == len(before)

    for one in lab.auditor.copies.some(copies.c.place == "b"):
        assert one.due == due_after(one.last_checked or lab.clock(), month)[:10] + one.due[10:]
        assert one.turn < one.due
    assert lab.auditor.copies.overdue(lab.clock(), TENANT, "b") == len(before) - 1
    after = {one.id: one.due for one in lab.auditor.copies.some(copies.c.place == "b")}
    for rules in (month, Rules(interval_days=365)):
        assert promise.keep(lab.tx, TENANT, "b", rules, lab.clock()) == 0
    assert {one.id: one.due for one in lab.auditor.copies.some(copies.c.place == "b")} == after


def test_the_commands_hold_deadlines_to_a_shorter_interval(lab: Lab) -> None:
    lab.audit()
    with lab.ledger.engine.begin() as db:
        db.execute(sa.update(copies).values(last_checked="2020-01-01T00:00:00.000Z"))
    Configured((Beside("b", lab.roots["b"].as_uri()),), {"interval_days": 30}).write(lab.folder)

    assert bevara("copies", "status", lab.folder).code == 1
    assert lab.auditor.copies.overdue(lab.clock(), TENANT, "b")


# The clock


def test_a_clock_that_went_back_is_settled_when_all_that_it_put_in_doubt_was_read(lab: Lab) -> None:
    lab.audit()
    lab.clock.offset = timedelta(days=-365)
    with lab.ledger.engine.begin() as db:
        never = db.execute(sa.select(copies.c.id).limit(1)).scalar_one()
        db.execute(sa.update(copies).where(copies.c.id == never).values(last_checked=None, due="2999", turn="2999"))

    assert lab.auditor.run(most_copies=1).clock
    assert [one.state for one in lab.auditor.book.some()] == ["open"]
    lab.auditor.run()

    assert [one.state for one in lab.auditor.book.some()] == ["vanished"]
    assert lab.auditor.copies.some(copies.c.last_checked.is_(None)) == []


# Repair


def test_a_repair_that_was_killed_before_it_told_of_itself_is_told_by_the_next(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    one = content(lab, "fil 2.txt")
    good = lab.path(one).read_bytes()
    flip(lab.path(one), random.Random(1))
    bad = lab.path(one).read_bytes()
    lab.audit()

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(lab.auditor.book, "repaired", killed)
        with pytest.raises(Killed):
            lab.repair()
    assert lab.path(one).read_bytes() == good
    lab.clock.offset = timedelta(days=1)

    assert [done.outcome for done in lab.repair()] == [Outcome.REPAIRED]
    assert [path.read_bytes() for path in (lab.roots["b"] / "quarantine").rglob("fil 2.txt")] == [bad]
    assert lab.audit() == set()
    with lab.ledger.engine.connect() as db:
        told = [json.loads(text)["type"] for text in db.scalars(sa.select(events.c.body).where(events.c.job_id == "audit"))]
    assert told == ["fixity check", "recovery"]


def test_bytes_that_are_right_again_are_not_moved_nor_called_repaired(lab: Lab) -> None:
    one = content(lab, "fil 2.txt")
    good = lab.path(one).read_bytes()
    flip(lab.path(one), random.Random(1))
    lab.audit()
    write(lab.path(one), good)

    assert [done.outcome for done in lab.repair()] == [Outcome.UNREADABLE]
    assert not (lab.roots["b"] / "quarantine").exists()
    lab.auditor.run()
    assert [entry.state for entry in lab.auditor.book.some()] == ["vanished"]


def test_a_disk_that_does_not_keep_what_is_written_is_tried_again_and_every_try_is_kept(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = content(lab, "fil 2.txt")
    good = lab.path(one).read_bytes()
    flip(lab.path(one), random.Random(1))
    lab.audit()
    put_file = FolderPlace.put_file

    def rots(self: FolderPlace, path: str, source: Path) -> None:
        put_file(self, path, source)
        flip(self.root / path, random.Random(2))

    with monkeypatch.context() as patched:
        patched.setattr(FolderPlace, "put_file", rots)
        assert [done.outcome for done in lab.repair()] == [Outcome.UNREADABLE]

    assert [done.outcome for done in lab.repair()] == [Outcome.REPAIRED]
    assert lab.path(one).read_bytes() == good
    assert len(list((lab.roots["b"] / "quarantine").rglob("fil 2.txt*"))) == 2


def test_what_cannot_be_repaired_is_not_read_again_at_once(lab: Lab) -> None:
    """Else an auditor that repairs by itself reads one lost package for ever, and nothing else."""
    for name in lab.roots:
        flip(lab.path((name, content(lab, "fil 2.txt")[1])), random.Random(1))
    lab.audit()
    turns = {one.id: one.turn for one in lab.auditor.copies.some()}

    assert {done.outcome for done in lab.repair()} == {Outcome.NO_QUORUM}

    assert {one.id: one.turn for one in lab.auditor.copies.some()} == turns
    assert lab.auditor.copies.some(copies.c.worker.is_not(None)) == []


def test_a_dry_run_changes_nothing_also_in_the_ledger(lab: Lab) -> None:
    for name in lab.roots:
        flip(lab.path((name, content(lab, "fil 2.txt")[1])), random.Random(1))
    flip(lab.path(content(lab, "fil 0.txt")), random.Random(1))
    lab.audit()

    def ledger() -> list[tuple]:
        with lab.ledger.engine.connect() as db:
            return [tuple(row) for table in (findings, copies, breakers) for row in db.execute(sa.select(table))]

    before, trees = ledger(), [store_tree(root) for root in lab.roots.values()]
    for lab.rules in (LENIENT, Rules(breaker_objects=0)):
        lab.repair(dry=True)
        assert ledger() == before
    assert [store_tree(root) for root in lab.roots.values()] == trees
    assert not list(lab.folder.parent.rglob("quarantine"))


def test_one_person_is_one_person_however_the_name_is_written(lab: Lab) -> None:
    lab.rules = Rules(repair=RepairMode.TWO)
    one = content(lab, "fil 2.txt")
    flip(lab.path(one), random.Random(1))
    lab.audit()
    number = lab.auditor.book.some(findings.c.state == "open")[0].id

    for name in ("Anna Åberg", " anna  åberg ", "ANNA A\u030aBERG"):
        assert lab.auditor.book.approve(number, TENANT, name, lab.clock()) == 1
    with pytest.raises(ValueError, match="empty"):
        lab.auditor.book.approve(number, TENANT, " ", lab.clock())
    assert [done.outcome for done in lab.repair()] == [Outcome.WAITS]
    assert lab.auditor.book.approve(number, TENANT, "Bo", lab.clock()) == 2
    assert [done.outcome for done in lab.repair()] == [Outcome.REPAIRED]


def test_many_bad_files_in_few_packages_are_a_sick_store_too(tmp_path: Path) -> None:
    with Archive(tmp_path / "a") as archive:
        for name in ("ett", "två"):
            package(archive, name, {b"%d" % number: b"%d %s" % (number, name.encode()) for number in range(60)})
    with Lab(tmp_path / "a", rules=Rules(repair=RepairMode.AUTOMATIC)) as lab:
        lab.fill()
        bad = random.Random(1).sample([one for one in lab.files() if one[0] == "b" and "/original/" in one[1]], 36)
        for one in bad:
            flip(lab.path(one), random.Random(1))

        assert lab.audit() == set(bad)
        assert {one.outcome for one in lab.repair()} == {Outcome.STOPPED}


# Quorum


def attack(home: Path, content_path: str, data: bytes) -> None:
    """The attacker who knows OCFL, on an object of one version."""
    victim = home / content_path
    before = victim.read_bytes()
    write(victim, data)
    text = (home / INVENTORY).read_text("utf-8")
    for algorithm in ("sha512", "sha256"):
        text = text.replace(hashlib.new(algorithm, before).hexdigest(), hashlib.new(algorithm, data).hexdigest())
    sidecar = f"{hashlib.sha512(text.encode()).hexdigest()} {INVENTORY}\n".encode()
    for folder in (home, home / "v1"):
        write(folder / INVENTORY, text.encode())
        write(folder / SIDECAR, sidecar)


def test_evidence_that_was_forged_before_it_was_ever_read_replaces_no_true_copy(tmp_path: Path) -> None:
    from worker.evidence.keys import KeyFolder
    from worker.evidence.names import evidence_id
    from worker.ledger.events import now

    folder = build(tmp_path / "a", 1)
    Configured((Beside("b", (tmp_path / "b").as_uri()),)).write(folder)
    KeyFolder(tmp_path / "keys").new()
    assert bevara("copies", "replicate", folder).code == 0
    assert bevara("evidence", "make", folder, "--keys", tmp_path / "keys").code == 0
    name = evidence_id(TENANT, now()[:10])
    true, forged = folder / folder_of(name), tmp_path / "b" / folder_of(name)
    whole = {path: path.read_bytes() for path in true.rglob("*") if path.is_file()}
    attack(forged, next(p.relative_to(forged).as_posix() for p in forged.rglob("page.txt")), b"forged")
    with Lab(folder, {"b": FolderPlace("b", tmp_path / "b")}) as lab:
        number = lab.auditor.copies.get(TENANT, "b", name).id
        lab.auditor.audit(lab.auditor.copies.take(number, lab.auditor.name, lease_s=60))  # the forged one is read first

        lab.audit()
        done = lab.repair()

    assert {one.outcome for one in done} == {Outcome.NO_QUORUM}
    assert {path: path.read_bytes() for path in true.rglob("*") if path.is_file()} == whole


def test_an_inventory_that_a_reading_taught_repairs_unless_a_whole_copy_tells_otherwise(lab: Lab) -> None:
    """After a ledger was lost: what a reading taught is good for a flipped bit, and not for saying which of two was replaced."""
    with lab.ledger.engine.begin() as db:
        db.execute(sa.update(inventories).values(known_by="reading"))
    one = content(lab, "fil 2.txt")
    flip(lab.path(one), random.Random(1))
    lab.audit()
    assert {done.outcome for done in lab.repair()} == {Outcome.REPAIRED}
    name = lab.objects()[1]

    attack(lab.roots["b"] / folder_of(name), "v1/content/original/fil 1.txt", b"forged")

    lab.audit()
    assert {done.outcome for done in lab.repair()} == {Outcome.NO_QUORUM}


# Copying


def replicated(lab: Lab) -> list[tuple[str, str]]:
    return [(one.place, one.why) for one in Replicator(lab.tx, lab.auditor).run({TENANT: PRIMARY})]


def new_version(lab: Lab, name: str = "paket 2") -> None:
    with Archive(lab.folder) as archive:
        package(archive, name, {b"ny": b"nytt", b"fil 1.txt": b"annat"})
    Arrivals(lab.tx).look(lab.auditor, TENANT, PRIMARY, lab.rules)


def test_a_new_version_is_no_repair_of_what_an_older_one_has_lost(lab: Lab) -> None:
    """Without a finding, an approval, the breaker and the quarantine nothing of a held copy is replaced."""
    name = lab.objects()[2]
    victim = lab.roots["b"] / folder_of(name) / "v1/content/original/fil 2.txt"
    flip(victim, random.Random(1))
    bad = victim.read_bytes()
    new_version(lab)

    done = dict(replicated(lab))

    assert victim.read_bytes() == bad
    assert done["b"]
    assert not done["c"]
    lab.auditor.run()
    assert [(one.place, one.path) for one in lab.auditor.book.some()] == [("b", "v1/content/original/fil 2.txt")]
    assert {one.outcome for one in lab.repair()} == {Outcome.REPAIRED}
    assert lab.audit() == set()
    assert replicated(lab) == []
    assert store_tree(lab.roots["b"]) == store_tree(lab.folder)
    ocfl_valid(lab.roots["b"])


def test_a_forged_inventory_is_not_written_over_by_the_next_version(lab: Lab) -> None:
    name = lab.objects()[2]
    home = lab.roots["b"] / folder_of(name)
    attack(home, "v1/content/original/fil 1.txt", b"forged")
    forged = (home / INVENTORY).read_bytes()
    new_version(lab)

    assert dict(replicated(lab))["b"]

    assert (home / INVENTORY).read_bytes() == forged
    lab.auditor.run()
    assert {one.path for one in lab.auditor.book.some()} >= {INVENTORY, "v1/content/original/fil 1.txt"}
    lab.auditor.run()  # neighbours and the like
    assert dict(replicated(lab))["b"]
    assert lab.auditor.run().copies == 0, "it was named: copying that fails again does not have it read over and over"
    for _ in range(3):
        lab.repair()
        lab.audit()
    assert replicated(lab) in ([], [("b", "")])
    assert lab.audit() == set()
    assert store_tree(lab.roots["b"]) == store_tree(lab.folder)


def test_a_disk_that_is_not_mounted_gets_no_storage_root_on_the_disk_below_it(lab: Lab) -> None:
    lab.audit()
    lab.roots["b"].rename(lab.roots["b"].with_name("away"))
    lab.roots["b"].mkdir()
    new_version(lab)

    done = dict(replicated(lab))

    assert "not mounted" in done["b"]
    assert list(lab.roots["b"].iterdir()) == []
    assert lab.audit() == set()


def test_a_place_that_is_ahead_of_the_ledger_is_not_set_back(lab: Lab) -> None:
    """A ledger that was restored from an old backup."""
    name = lab.objects()[2]
    new_version(lab)
    assert not any(why for _, why in replicated(lab))
    before = store_tree(lab.roots["b"])
    with lab.ledger.engine.begin() as db:
        from worker.ledger.schema import packages

        db.execute(sa.update(packages).where(packages.c.object_id == name).values(version=1))
        db.execute(sa.update(copies).where(copies.c.object_id == name, copies.c.place == "b").values(version=0, wants=1))

    assert "newer version" in dict(replicated(lab))["b"]
    assert store_tree(lab.roots["b"]) == before


def test_a_copy_whose_making_was_stopped_is_free_at_once(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    new_version(lab)

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Replicator, "_write", stopped)
        with pytest.raises(KeyboardInterrupt):
            replicated(lab)

    lab.auditor = lab.make()  # another process
    assert dict(replicated(lab)) == {"b": "", "c": ""}


def test_what_stands_in_the_way_of_a_new_copy_is_kept(lab: Lab) -> None:
    """A place with an older, damaged copy of the same package is named as a new store."""
    other = lab.folder.parent / "d"
    shutil.copytree(lab.roots["b"] / "store", other / "store")
    name = lab.objects()[1]
    victim = other / folder_of(name) / "v1/content/original/fil 1.txt"
    write(victim, b"what somebody kept")
    with Lab(lab.folder, {"d": FolderPlace("d", other)}) as two:
        register(two.auditor, TENANT, PRIMARY, iter(two.objects()), LENIENT)
        assert [one.why for one in Replicator(two.tx, two.auditor).run({TENANT: PRIMARY}) if one.why] == []

    assert store_tree(other) == store_tree(lab.folder)
    assert [path.read_bytes() for path in (other / "quarantine").rglob("fil 1.txt")] == [b"what somebody kept"]


# The command line


def test_the_commands_say_by_their_code_that_something_was_not_read(lab: Lab) -> None:
    folder = lab.folder
    Configured((Beside("b", lab.roots["b"].as_uri()),)).write(folder)
    for root in ROOT_FILES:
        (lab.roots["b"] / "store" / root).unlink()
    lab.roots["b"].rename(lab.roots["b"].with_name("away"))

    assert bevara("audit", "run", "--archive", folder, "--all").code == 1
    assert bevara("audit", "sample", "--archive", folder).code == 1
    assert bevara("audit", "package", TENANT, "paket 1", "--archive", folder).code == 1
    assert bevara("audit", "repair", "--archive", folder, "--finding", "999").code == 2
    with lab.ledger.engine.begin() as db:
        db.execute(sa.update(copies).values(worker="another", lease_until="2999"))
    asked = bevara("audit", "package", TENANT, "paket 1", "--archive", folder)
    assert (asked.code, "another auditor" in asked.said) == (1, True)


def test_two_copies_in_one_place_are_one(tmp_path: Path) -> None:
    folder = build(tmp_path / "a", 1)
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "b").mkdir()
    (tmp_path / "other").symlink_to(tmp_path / "b")

    for name, url, code in (
        ("a", tmp_path / "link", 2),
        ("a", folder / "scratch", 2),
        ("b", tmp_path / "b", 0),
        ("c", f"{tmp_path}/b/", 2),
        ("c", tmp_path / "other", 2),
        ("c", tmp_path / "c", 0),
    ):
        assert bevara("copies", "add", folder, name, url).code == code, url


def test_a_digest_or_a_path_that_is_none_is_refused_and_does_not_become_a_false_alarm(tmp_path: Path) -> None:
    folder = build(tmp_path / "a", 1)
    assert bevara("copies", "add", folder, "hos-andra", tmp_path, "--read-only").code == 0
    good = hashlib.sha256(b"").hexdigest()
    for key, digest in (("film", good[:-1]), ("film", "g" + good[1:]), ("../film", good), ("/film", good)):
        assert bevara("copies", "external", folder, TENANT, "hos-andra", key, "--sha256", digest).code == 2, (key, digest)
    assert bevara("copies", "external", folder, TENANT, "hos-andra", "film", "--sha256", good.upper()).code == 0


def test_a_folder_that_cannot_be_looked_at_is_unreadable(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: FolderPlace, folder: str) -> Iterator[object]:
        raise PermissionError(13, "Permission denied")

    lab.audit()
    monkeypatch.setattr(FolderPlace, "listing", denied)

    assert lab.audit() == set()
    kinds = {one.last_verdict for one in lab.auditor.copies.some(copies.c.kind == "object")}
    assert kinds == {"unreadable"}


def test_a_verdict_of_a_part_is_not_the_whole() -> None:
    fault = Fault("x", Verdict.UNREADABLE, "")
    assert not Reading("now", faults=[fault, Fault("y", Verdict.MISMATCH, "")]).whole
    assert Reading("now", faults=[Fault("y", Verdict.MISMATCH, "")]).whole
