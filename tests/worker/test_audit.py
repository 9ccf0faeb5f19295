"""Every copy has a deadline, every byte of it is read by then, and what is found is true: laws of the audit, on real stores."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from audit_samples import LENIENT, TENANT, Lab, build, flip, ocfl_valid, package, seeded, store_tree, write

from worker.archive import LEDGER, Archive
from worker.archive_copies import PRIMARY
from worker.fixity import reading
from worker.fixity.arrivals import Arrivals
from worker.fixity.auditor import folder_of
from worker.fixity.bound import sentence, upper_bound
from worker.fixity.external import register as register_external
from worker.fixity.folder_place import FolderPlace
from worker.fixity.repair import Outcome
from worker.fixity.replicate import Replicator
from worker.fixity.root import ROOT
from worker.fixity.rules import DAY_S, RepairMode, Rules, due_after, first_turn, share, turn_after
from worker.fixity.verdicts import Verdict
from worker.ledger.clock import seconds_between
from worker.ledger.schema import contents, entries, events, packages
from worker.ledger.schema_fixity import copies, findings, inventories
from worker.verify import Severity, verify


def bad_of(folder: Path) -> list:
    return [finding for finding in verify(folder) if finding.severity is Severity.ERROR]


def test_whole_copies_are_ok_and_left_alone(lab: Lab) -> None:
    before = [store_tree(root) for root in lab.roots.values()]

    assert lab.audit() == set()
    ran = lab.auditor.run()
    assert ran.copies == 0  # nobody's turn any more
    assert [store_tree(root) for root in lab.roots.values()] == before
    assert before[0] == before[1] == before[2]


def test_every_file_of_every_kind_is_read(lab: Lab) -> None:
    """One bit, one byte less, and gone: each file in turn, in one place each; exactly that file is named."""
    with seeded("every file") as chance:
        lab.places = {(TENANT, PRIMARY): lab.places[TENANT, PRIMARY]}
        lab.auditor = lab.make()
        home = folder_of(lab.objects()[0])
        of_root = [file for file in lab.files() if file[1].count("/") < 3 or file[1].endswith("config.json")]
        lab.auditor.copies.forward("test", copies.c.object_id == lab.objects()[0])
        for one in [
            file for file in [*lab.files(), *of_root] if file[0] == PRIMARY and (file[1].startswith(home) or file in of_root)
        ]:
            path = lab.path(one)
            whole = path.read_bytes()
            damage = chance.choice(["flip", "cut", "gone"])
            flip(path, chance) if damage == "flip" else write(path, whole[:-1])
            if damage == "gone":
                path.unlink()
            lab.auditor.copies.forward("test", copies.c.object_id.in_([lab.objects()[0], ROOT]), copies.c.place == PRIMARY)
            lab.auditor.run()
            assert lab.open() == {one}, (one, damage)
            write(path, whole)
        assert lab.audit() == set()


def test_what_does_not_belong_is_unexpected(lab: Lab) -> None:
    home = folder_of(lab.objects()[1])
    root = lab.roots["b"] / home
    write(root / "v1/content/original/inlagd.txt", b"x")
    (root / "tom mapp").mkdir()
    (root / "v1" / "länk").symlink_to("inventory.json")

    found = {path.removeprefix(f"{home}/") for _, path in lab.audit()}

    assert found == {"v1/content/original/inlagd.txt", "tom mapp", "v1/länk"}


def test_swapped_files_are_both_named(lab: Lab) -> None:
    first, second = [one for one in lab.files() if "/original/fil" in one[1] and one[0] == "c"][:2]
    a, b = lab.path(first).read_bytes(), lab.path(second).read_bytes()
    write(lab.path(first), b)
    write(lab.path(second), a)

    assert lab.audit() == {first, second}


def test_inventory_and_sidecar_replaced_together_are_caught(lab: Lab) -> None:
    """The attacker who knows OCFL: content, manifest, sidecar and the version's copies all agree with each other."""
    _attack(lab.roots[PRIMARY], lab.objects()[1])

    found = {path.rpartition("/")[2] for _, path in lab.audit()}
    repaired = lab.repair()

    assert {"inventory.json", "inventory.json.sha512"} <= found
    assert {one.outcome for one in repaired} == {Outcome.REPAIRED}
    assert lab.audit() == set()
    assert store_tree(lab.roots[PRIMARY]) == store_tree(lab.roots["b"])


def _attack(root: Path, name: str) -> None:
    import hashlib

    home = root / folder_of(name)
    victim = home / "v1/content/original/fil 1.txt"
    before, after = victim.read_bytes(), b"forged"
    write(victim, after)
    text = (home / "inventory.json").read_text("utf-8")
    for algorithm in ("sha512", "sha256"):
        old, new = (hashlib.new(algorithm, data).hexdigest() for data in (before, after))
        text = text.replace(old, new)
    data = text.encode()
    sidecar = f"{hashlib.sha512(data).hexdigest()} inventory.json\n".encode()
    for folder in (home, home / "v1"):
        write(folder / "inventory.json", data)
        write(folder / "inventory.json.sha512", sidecar)


def test_the_attack_before_the_first_reading_is_caught_by_the_ledger(tmp_path: Path) -> None:
    build(tmp_path / "a", 2)
    with Lab(tmp_path / "a", two=False) as lab:
        with lab.ledger.engine.begin() as db:
            db.execute(sa.delete(inventories))
        _attack(tmp_path / "a", lab.objects()[1])
        from worker.fixity.replicate import register

        register(lab.auditor, TENANT, PRIMARY, iter(lab.objects()), lab.rules)
        lab.audit()

        assert lab.open("ledger")


@pytest.mark.parametrize(
    "change",
    [
        sa.update(contents).where(contents.c.package_id == 2).values(sha512="f" * 128),
        sa.update(contents).where(contents.c.package_id == 2).values(sha256="f" * 64),
        sa.update(contents).where(contents.c.package_id == 2).values(size_bytes=1),
        sa.delete(contents).where(contents.c.package_id == 2),
        sa.update(entries).where(entries.c.package_id == 2).values(sha512="e" * 128),
        sa.update(events).where(events.c.package_id == 2, events.c.seq == 2).values(body="{}"),
        sa.delete(events).where(events.c.package_id == 2, events.c.seq == 1),
        sa.delete(events).where(
            events.c.package_id == 2, events.c.seq == sa.select(packages.c.last_seq).where(packages.c.id == 2).scalar_subquery()
        ),
    ],
    ids=["sha512", "sha256", "size", "content-gone", "entry", "event", "first-event-gone", "newest-event-gone"],
)
def test_altered_ledger_rows_are_found_and_no_byte_is_touched_for_them(lab: Lab, change: sa.Executable) -> None:
    before = store_tree(lab.roots[PRIMARY])
    with lab.ledger.engine.begin() as db:
        if "size" not in str(change):
            db.exec_driver_sql("PRAGMA ignore_check_constraints=ON")
        one = sa.select(contents.c.sha512).where(contents.c.package_id == 2).limit(1)
        if isinstance(change, sa.Update) and change.table is contents and "sha512=" in str(change).replace(" ", ""):
            change = change.where(contents.c.sha512 == one.scalar_subquery())
        if isinstance(change, sa.Update) and change.table is entries:
            change = change.where(entries.c.logical_path == "original/fil 1.txt")
        db.execute(change)

    assert lab.audit() == set()
    assert lab.open("ledger")
    assert all(one.outcome is Outcome.NOT_BYTES for one in lab.repair())
    assert store_tree(lab.roots[PRIMARY]) == before


class Flaky(FolderPlace):
    """A store that gives wrong bytes every so many opens, whoever asks."""

    opens = 0
    every = 50

    def open(self, path: str, offset_bytes: int = 0):
        Flaky.opens += 1
        stream = super().open(path, offset_bytes)
        return _Wrong(stream) if Flaky.opens % Flaky.every == 0 else stream

    def fresh(self) -> FolderPlace:
        return Flaky(self.name, self.root)


class _Wrong:
    def __init__(self, stream) -> None:
        self._stream = stream

    def readinto(self, buffer: memoryview) -> int:
        got = self._stream.readinto(buffer)
        if got:
            buffer[0] ^= 1
        return got

    def close(self) -> None:
        self._stream.close()


def test_wrong_bytes_now_and_then_are_not_called_a_mismatch(lab: Lab) -> None:
    """And such a copy does not count as read: its deadline stays where it was."""
    flaky = Flaky(PRIMARY, lab.roots[PRIMARY])
    auditor = lab.make(places={(TENANT, PRIMARY): flaky})
    lab.all_due()
    due = {one.id: one.due for one in auditor.copies.some(copies.c.place == PRIMARY)}

    auditor.run()

    listed = auditor.book.some()
    assert {one.verdict for one in listed} == {"unreadable"}
    assert any(one.about == "unstable" for one in listed)
    for one in auditor.copies.some(copies.c.place == PRIMARY):
        assert (one.due == due[one.id]) == (one.last_verdict == "unreadable")
    lab.clock.offset = timedelta(days=1)
    lab.auditor.run()
    assert [one for one in auditor.book.some() if one.state == "open"] == []


def test_a_place_that_is_not_mounted_is_unreadable_not_missing(lab: Lab) -> None:
    lab.roots["b"].rename(lab.roots["b"].with_name("away"))
    lab.roots["b"].mkdir()

    assert lab.audit() == set()
    listed = [one for one in lab.auditor.book.some() if one.state == "open"]
    assert {(one.place, one.verdict) for one in listed} == {("b", "unreadable")}
    before = lab.auditor.copies.some(copies.c.place == "b")
    lab.auditor.run()  # put off: not asked again at once
    assert [one.tries for one in lab.auditor.copies.some(copies.c.place == "b")] == [one.tries for one in before]

    lab.roots["b"].rmdir()
    lab.roots["b"].with_name("away").rename(lab.roots["b"])
    lab.clock.offset = timedelta(hours=1)
    lab.auditor.run()
    assert [one for one in lab.auditor.book.some() if one.state == "open"] == []


# Deadlines


def test_an_audit_that_stops_goes_on_where_it_was_and_reads_nothing_twice(lab: Lab) -> None:
    """Stopped after every few reads; the sum of what was read is what there is."""
    lab.all_due()
    total = sum(len(store_tree(root)) for root in lab.roots.values())
    read, rounds = 0, 0
    while True:
        asked = [0]

        def stop(asked: list[int] = asked) -> bool:
            asked[0] += 1
            return asked[0] > 12

        ran = lab.make(stop=stop).run()
        read, rounds = read + ran.files, rounds + 1
        if not ran.stopped and not ran.copies:
            break
        assert rounds < 200
    assert rounds > 10
    assert read >= total - len(lab.roots)  # the whole, and of what was stopped each file once
    assert {one.last_verdict for one in lab.auditor.copies.some(copies.c.state == "held")} == {"ok"}


def test_large_content_goes_on_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are learnt while the whole matches; afterwards a stopped reading goes on at the part where it was."""
    monkeypatch.setattr(reading, "RANGE_BYTES", 4 * reading.CHUNK_BYTES)
    monkeypatch.setattr(reading, "PARTS_FROM_BYTES", 16 * reading.CHUNK_BYTES)
    size = 22 * reading.CHUNK_BYTES + 17
    with Archive(tmp_path / "a") as archive:
        package(archive, "stort", {b"film": bytes(range(256)) * (size // 256) + b"x" * (size % 256)})
    with Lab(tmp_path / "a", two=False) as lab:
        lab.fill()
        assert lab.audit() == set()
        known = lab.auditor.knowledge.of(lab.objects()[0])
        assert {len(parts) for parts in known.parts.values()} == {6}
        lab.all_due()
        ran = lab.auditor.run(most_bytes=10 * reading.CHUNK_BYTES)
        assert ran.stopped
        first = ran.size_bytes
        copy = next(one for one in lab.auditor.copies.some(copies.c.kind == "object"))
        assert json.loads(copy.cursor or "{}")["parts"] >= 2
        ran = lab.auditor.run()
        assert {one.last_verdict for one in lab.auditor.copies.some(copies.c.kind == "object")} == {"ok"}
        assert ran.size_bytes < 3 * size - 8 * reading.CHUNK_BYTES, first
        film = next(path for path in (tmp_path / "a/store").rglob("film") if "original" in path.parts)
        data = bytearray(film.read_bytes())
        data[18 * reading.CHUNK_BYTES] ^= 1
        write(film, bytes(data))
        assert {path.rpartition("/")[2] for _, path in lab.audit()} == {"film"}


def test_deadlines_are_spread_evenly_and_before_the_promise() -> None:
    rules, now = Rules(interval_days=90), "2026-01-01T00:00:00.000Z"
    days = [0] * 15
    for number in range(10_000):
        turn = seconds_between(now, turn_after(now, rules, f"k{number}")) / DAY_S
        assert 72 <= turn <= 85.5
        days[int(turn - 72)] += 1
        assert first_turn(now, rules, f"k{number}") < due_after(now, rules)
    assert max(days[:13]) < 1.3 * min(days[:13])
    assert share("a") == share("a")


def test_what_is_overdue_longest_comes_first_and_nothing_is_too_old(lab: Lab) -> None:
    with lab.ledger.engine.begin() as db:
        for number, row in enumerate(db.execute(sa.select(copies.c.id)).all()):
            db.execute(
                sa.update(copies).where(copies.c.id == row.id).values(turn=f"{1990 + number}-01-01T00:00:00.000Z", due="1999")
            )
    order = []
    assert sum(one.overdue for one in lab.auditor.copies.states(lab.clock())) == len(lab.auditor.copies.some())
    while True:
        taken = [lab.auditor.copies.claim(*key, "w", lab.clock(), lease_s=60) for key in lab.places]
        if not any(taken):
            break
        order.append([one[0].turn for one in taken if one])
    turns = [turn for some in order for turn in some]
    by_place = list(zip(*order, strict=False)) if len({len(some) for some in order}) == 1 else []
    assert len(turns) == len(lab.auditor.copies.some())
    assert all(list(turns_) == sorted(turns_) for turns_ in by_place)


def test_a_clock_that_went_back_puts_nothing_off(lab: Lab) -> None:
    lab.audit()
    lab.clock.offset = timedelta(days=80)
    lab.auditor.clock.check()
    lab.clock.offset = timedelta(days=-285)

    ran = lab.auditor.run()

    assert ran.clock is not None
    assert "went back by 365.0 days" in ran.clock
    assert ran.copies == len(lab.auditor.copies.some())  # all claim to have been read in what is now the future
    assert any(one.about == "clock" for one in lab.auditor.book.some())
    assert lab.auditor.run().clock is None


def test_neighbours_of_a_bad_copy_are_next(lab: Lab) -> None:
    lab.audit()
    lab.clock.offset = timedelta(days=10)
    name = lab.objects()[0]
    flip(lab.roots["b"] / folder_of(name) / "v1/content/original/fil 1.txt", __import__("random").Random(1))
    with lab.ledger.engine.begin() as db:
        db.execute(sa.update(copies).where(copies.c.place == "b", copies.c.object_id == name).values(turn="0"))

    ran = lab.auditor.run()

    read = lab.auditor.copies.some(copies.c.place == "b")
    assert ran.copies == len(read)
    assert {one.last_checked[:10] for one in read if one.last_checked} == {lab.clock()[:10]}


# Repair


def test_repair_restores_the_very_bytes_keeps_the_bad_ones_and_tells_the_history(lab: Lab) -> None:
    one = next(one for one in lab.files() if one[0] == PRIMARY and one[1].endswith("fil 2.txt"))
    good = lab.path(one).read_bytes()
    flip(lab.path(one), __import__("random").Random(1))
    bad = lab.path(one).read_bytes()

    assert lab.audit() == {one}
    assert [done.outcome for done in lab.repair(dry=True)] == [Outcome.WOULD]
    assert lab.path(one).read_bytes() == bad
    assert [done.outcome for done in lab.repair()] == [Outcome.REPAIRED]

    assert lab.path(one).read_bytes() == good
    assert [path.read_bytes() for path in (lab.folder / "quarantine").rglob("fil 2.txt")] == [bad]
    assert lab.audit() == set()
    with lab.ledger.engine.connect() as db:
        told = [json.loads(text) for text in db.scalars(sa.select(events.c.body).where(events.c.job_id == "audit"))]
    assert [event["type"] for event in told] == ["fixity check", "recovery"]
    assert bad_of(lab.folder) == []
    with Archive(lab.folder) as archive:  # the next version carries it into the store
        package(archive, "paket 1", {b"ny": b"ny"})
    assert bad_of(lab.folder) == []
    ocfl_valid(lab.folder)


def test_no_copy_with_right_bytes_no_repair(lab: Lab) -> None:
    one = next(one for one in lab.files() if one[0] == PRIMARY and one[1].endswith("fil 2.txt"))
    for name in lab.roots:
        flip(lab.path((name, one[1])), __import__("random").Random(1))
    before = [store_tree(root) for root in lab.roots.values()]

    assert len(lab.audit()) == 3
    assert {done.outcome for done in lab.repair()} == {Outcome.NO_QUORUM}
    assert [store_tree(root) for root in lab.roots.values()] == before


def test_two_copies_that_agree_on_wrong_bytes_do_not_outvote_the_ledger(lab: Lab) -> None:
    one = next(one for one in lab.files() if one[0] == "c" and one[1].endswith("fil 2.txt"))
    good = lab.path(one).read_bytes()
    for name in (PRIMARY, "b"):
        write(lab.path((name, one[1])), b"the same wrong bytes")

    lab.audit()
    lab.repair()

    assert {lab.path((name, one[1])).read_bytes() for name in lab.roots} == {good}


@pytest.mark.parametrize(("mode", "people"), [(RepairMode.OFFICER, 1), (RepairMode.TWO, 2)])
def test_repair_waits_for_as_many_people_as_the_tenant_asks_for(lab: Lab, mode: RepairMode, people: int) -> None:
    lab.rules = Rules(repair=mode, breaker_objects=100, breaker_share=1.0)
    one = next(one for one in lab.files() if one[0] == PRIMARY and one[1].endswith("fil 2.txt"))
    flip(lab.path(one), __import__("random").Random(1))
    lab.audit()
    number = lab.auditor.book.some(findings.c.state == "open")[0].id
    for person in range(people):
        assert [done.outcome for done in lab.repair()] == [Outcome.WAITS]
        lab.auditor.book.approve(number, TENANT, f"person {person}", lab.clock())
        lab.auditor.book.approve(number, TENANT, f"person {person}", lab.clock())  # the same person again does not count

    assert [done.outcome for done in lab.repair()] == [Outcome.REPAIRED]


def test_nothing_is_repaired_while_a_job_works_on_the_package(lab: Lab) -> None:
    one = next(one for one in lab.files() if one[0] == PRIMARY and one[1].endswith("fil 2.txt"))
    flip(lab.path(one), __import__("random").Random(1))
    lab.audit()
    from store_samples import POLICY

    for name in range(4):
        lab.ledger.open_job(TENANT, f"paket {name}", b"/in", POLICY, "tools-1")

    assert [done.outcome for done in lab.repair()] == [Outcome.BUSY]


# Copies


def test_a_new_version_reaches_the_other_places(lab: Lab) -> None:
    with Archive(lab.folder) as archive:
        package(archive, "paket 2", {b"ny": b"nytt", b"fil 1.txt": b"annat"})

    Arrivals(lab.tx).look(lab.auditor, TENANT, PRIMARY, lab.rules)
    done = list(Replicator(lab.tx, lab.auditor).run({TENANT: PRIMARY}))

    assert [(one.place, one.version, one.why) for one in done] == [("b", 2, ""), ("c", 2, "")]
    assert store_tree(lab.folder) == store_tree(lab.roots["b"]) == store_tree(lab.roots["c"])
    ocfl_valid(lab.roots["b"])
    assert lab.audit() == set()


def test_bad_bytes_are_not_spread_to_a_new_place(lab: Lab) -> None:
    one = next(one for one in lab.files() if one[0] == PRIMARY and one[1].endswith("fil 2.txt"))
    flip(lab.path(one), __import__("random").Random(1))
    lab.places[TENANT, "d"] = FolderPlace("d", lab.folder.parent / "d")
    with Lab(lab.folder, {"d": lab.places[TENANT, "d"]}) as two:
        from worker.fixity.replicate import register

        register(two.auditor, TENANT, PRIMARY, iter(two.objects()), LENIENT)
        done = list(Replicator(two.tx, two.auditor).run({TENANT: PRIMARY}))

    assert len([one for one in done if one.why]) == 1
    good = {path: data for path, data in store_tree(lab.roots["b"]).items() if path.endswith("fil 2.txt")}
    assert all(good[path] == data for path, data in store_tree(lab.folder.parent / "d").items() if path in good)


def test_external_objects_are_audited_and_never_written_to(lab: Lab, tmp_path: Path) -> None:
    import hashlib

    kept = tmp_path / "theirs"
    kept.mkdir()
    (kept / "objekt.bin").write_bytes(b"theirs")
    place = FolderPlace("theirs", kept, is_store=False)
    auditor = lab.make(places={**lab.places, (TENANT, "theirs"): place})
    digest = hashlib.sha256(b"theirs").hexdigest()
    assert register_external(lab.tx, TENANT, "theirs", "objekt.bin", rules=LENIENT, now=lab.clock(), sha256=digest, sha512=None)
    lab.all_due()
    assert auditor.run().verdicts == {Verdict.OK: len(auditor.copies.some())}
    (kept / "objekt.bin").write_bytes(b"Theirs")
    lab.all_due()
    assert auditor.run().verdicts[Verdict.MISMATCH] == 1
    lab.auditor = auditor
    assert [done.outcome for done in lab.repair()] == [Outcome.NOT_BYTES]
    assert (kept / "objekt.bin").read_bytes() == b"Theirs"


def test_external_objects_on_a_disk_that_is_not_mounted_are_unreadable_not_missing(lab: Lab, tmp_path: Path) -> None:
    kept = tmp_path / "theirs"
    kept.mkdir()  # as a mount point stands without its disk
    auditor = lab.make(places={(TENANT, "theirs"): FolderPlace("theirs", kept, is_store=False)})
    args = {"rules": LENIENT, "now": lab.clock(), "sha256": "0" * 64, "sha512": None}
    assert register_external(lab.tx, TENANT, "theirs", "objekt.bin", **args)

    lab.all_due()
    assert auditor.run().verdicts == {Verdict.UNREADABLE: 1}

    (kept / "annat.bin").write_bytes(b"mounted again, and without it")
    lab.clock.offset = timedelta(hours=1)
    assert auditor.run().verdicts == {Verdict.MISSING: 1}


def test_a_sample_says_what_it_proves() -> None:
    """Checked by the binomial itself: at the bound, as few bad ones as were seen have a chance of 5 %."""
    from math import comb

    assert sentence(0, 3000) == "0 of 3,000 → with 95 % confidence below 0.1 %"
    for bad, read in ((0, 10), (1, 50), (3, 300), (7, 20)):
        bound = upper_bound(bad, read)
        chance = sum(comb(read, k) * bound**k * (1 - bound) ** (read - k) for k in range(bad + 1))
        assert chance == pytest.approx(0.05, rel=1e-6)
    assert upper_bound(5, 5) == 1.0
    with pytest.raises(ValueError, match="0 of 0"):
        upper_bound(0, 0)


def test_hours_and_rules_are_checked() -> None:
    from datetime import datetime

    night = Rules(windows=("22:00-05:00",))
    assert night.open_at(datetime(2026, 1, 1, 23, 0))  # noqa: DTZ001 -- local time is what the operator wrote
    assert night.open_at(datetime(2026, 1, 1, 4, 59))  # noqa: DTZ001 -- as above
    assert not night.open_at(datetime(2026, 1, 1, 12, 0))  # noqa: DTZ001 -- as above
    assert Rules.of('{"audit": {"interval_days": 30, "repair": "two"}}').repair.approvals == 2
    for wrong in ('{"audit": {"interval": 3}}', '{"audit": {"repair": "maybe"}}', '{"audit": {"windows": ["x"]}}'):
        with pytest.raises(Exception, match="audit"):
            Rules.of(wrong)


assert LEDGER
