"""A store that is used no more owes nothing, and says so; when it is used again, all it holds is due at once."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from audit_samples import TENANT, Lab, build, flip
from test_audit_watch import World, no_idling, second_store  # noqa: F401 -- a fixture

from tests.api.archives import add_tenant, open_service, preserve
from tests.conftest import bevara
from worker.archive_copies import COPIES, ArchiveCopies, Beside, Configured
from worker.cli.audit_report import asked
from worker.cli.audit_watch import copies as service_copies
from worker.fixity import retired
from worker.fixity.copies import AT_ONCE, NEVER, Copies, PlaceState
from worker.fixity.retired import settle
from worker.ledger.events import now
from worker.ledger.schema_fixity import breakers, copies, findings, retirements
from worker.ledger.tenant_errors import TenantError
from worker.report import audit_files, audit_html

MANUAL = {"repair": "two"}
PAST = "2020-01-01T00:00:00.000Z"


@pytest.fixture
def world(ledger_url: str, tmp_path: Path):
    """Two packages in two stores, all read."""
    with open_service(tmp_path, everything=True, ledger_url=ledger_url) as service:
        add_tenant(service, "lund", tmp_path, audit=MANUAL)
        made = World(service, tmp_path)
        preserve(service, "lund", "p", {b"brev.txt": b"kort brev"})
        preserve(service, "lund", "q", {b"brev.txt": b"ett annat"})
        second_store(made)
        made.round(rounds=2)
        made.all_due()
        made.round()
        yield made


def set_copies(world: World, **values: object) -> None:
    world.tx.write(lambda db: db.execute(sa.update(copies).where(copies.c.place == "andra").values(values)))


def retire(world: World) -> None:
    """With a copy that is bad, one that is wanted, and a breaker that waits for a person."""
    flip(world.file(world.second), random.Random(1))
    world.all_due()
    world.round()
    set_copies(world, due=PAST)
    wanted = {
        "tenant": "lund",
        "place": "andra",
        "object_id": "urn:bevara:lund:r",
        "kind": "object",
        "state": "wanted",
        "version": 0,
    }
    wanted |= {"size_bytes": 0, "files": 0, "tries": 0, "due": NEVER, "turn": NEVER, "wants": 1}
    stopped = {"tenant": "lund", "place": "andra", "since": now(), "why": "sick"}
    world.tx.write(lambda db: (db.execute(sa.insert(copies).values(wanted)), db.execute(sa.insert(breakers).values(stopped))))
    assert sum(one.overdue for one in Copies(world.tx).states(now())) == 3
    assert open_findings(world)
    assert world.service.ledger.tenants.retire_place("lund", "andra")


def again(world: World) -> None:
    world.service.ledger.tenants.add_place("lund", "andra", world.second.as_uri(), is_store=True)


def open_findings(world: World) -> list[str]:
    stmt = sa.select(findings.c.place).where(findings.c.state == "open")
    return world.tx.read(lambda db: list(db.scalars(stmt)))


def state(world: World, place: str = "andra") -> PlaceState:
    return next(one for one in Copies(world.tx).states(now(), "lund") if one.place == place)


def test_a_retired_store_owes_nothing(world: World) -> None:
    """No deadline, no alarm, no finding, nothing to be made; its copies are still known."""
    retire(world)

    world.round()

    stands = state(world)
    assert (stands.held, stands.wanted, stands.overdue, stands.size_bytes) == (0, 0, 0, 0)
    assert open_findings(world) == []
    [told] = world.tx.read(lambda db: db.execute(sa.select(findings)).all())
    assert (told.state, told.remedy) == ("vanished", "its place was retired")
    assert world.value("bevara_audit_overdue_copies", tenant="lund", store="andra") is None
    assert world.value("bevara_audit_overdue_copies", tenant="lund", store="arkiv") == 0
    assert world.tx.read(lambda db: db.scalar(sa.select(breakers.c.cleared_by))) == "its place was retired"
    assert {one.state for one in Copies(world.tx).some(copies.c.place == "andra")} == {"retired"}
    assert (state(world, "arkiv").held, len(Copies(world.tx).some(copies.c.place == "andra"))) == (3, 3)


def test_a_store_that_is_used_again_is_due_at_once(world: World) -> None:
    retire(world)
    world.round()
    preserve(world.service, "lund", "q", {b"brev.txt": b"ett nytt brev"})
    world.round()
    again(world)

    watch = world.watch()
    watch._look_at_places()
    back = Copies(world.tx).some(copies.c.place == "andra")
    watch.close()

    assert {(one.state, one.turn, one.why) for one in back} == {("held", AT_ONCE, "its place is used again")}
    assert {one.due[:10] for one in back} == {now()[:10]}
    assert retired.retired(world.tx) == {}
    world.round(rounds=2)
    assert {one.version for one in Copies(world.tx).some(copies.c.object_id == "urn:bevara:lund:q")} == {2}
    assert open_findings(world) == ["andra"]  # what was bad before still is


def test_a_retirement_and_a_return_go_on_after_a_kill(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retired, "_PAGE", 1)
    write, left = world.tx.write, iter([True, False])

    def killed(work, **more):
        if not next(left, True):
            raise KeyboardInterrupt
        return write(work, **more)

    used = world.service.ledger.tenants.used
    retire(world)
    for begin, end in (("held", "retired"), ("retired", "held")):
        left = iter([True, False])
        with monkeypatch.context() as broken:
            broken.setattr(world.tx, "write", killed)
            with pytest.raises(KeyboardInterrupt):
                settle(world.tx, used, now())
        states = {one.state for one in Copies(world.tx).some(copies.c.place == "andra", copies.c.state != "wanted")}
        assert states == {begin, end}

        settle(world.tx, used, now())

        states = {one.state for one in Copies(world.tx).some(copies.c.place == "andra")}
        assert states == {end}
        if end == "retired":
            again(world)


def test_the_name_of_a_retired_store_is_its_own(world: World) -> None:
    """Another address under the name would make another place's history of this one's."""
    world.service.ledger.tenants.retire_place("lund", "andra")

    with pytest.raises(TenantError, match="already"):
        world.service.ledger.tenants.add_place("lund", "andra", (world.folder / "x").as_uri(), is_store=True)
    again(world)
    with pytest.raises(TenantError, match="already"):
        again(world)

    assert world.service.ledger.tenants.used("lund") == {"arkiv", "andra", "in", "ut"}


def test_the_report_says_when_a_store_was_retired(world: World, tmp_path: Path) -> None:
    retire(world)
    world.round()
    with service_copies(world.service) as at:
        told = asked(at, "lund", now()[:10], now()[:10])
        audit_html.write(tmp_path / "audit.html", told)
        audit_files.write_json(tmp_path / "audit.json", told)
        audit_files.write_csv(tmp_path, told)
    [since] = retired.retired(world.tx).values()

    html, whole = (tmp_path / "audit.html").read_text("utf-8"), json.loads((tmp_path / "audit.json").read_bytes())
    assert "andra: " in html
    assert "is retired, and owes no checks, since" in html
    assert "No copy is overdue: the promise is kept." in html
    [store] = [one for one in whole["stores"] if one["store"] == "andra"]
    assert (store["retired"], store["overdue"]) == ([{"since": since, "until": None}], 0)
    assert since in (tmp_path / "stores.csv").read_text("utf-8-sig")
    [arkiv] = [one for one in whole["stores"] if one["store"] == "arkiv"]
    assert arkiv["retired"] == []


def test_a_suspended_tenant_is_still_owed_its_audits(world: World) -> None:
    """Its keys and jobs rest; what was promised about what the archive holds does not."""
    world.service.ledger.tenants.suspend("lund")
    flip(world.file(world.second), random.Random(1))
    set_copies(world, due=PAST, turn=AT_ONCE)
    watch = world.watch()
    watch._figures()
    assert world.value("bevara_audit_overdue_copies", tenant="lund", store="andra") == 3

    watch.round()
    watch.close()

    assert open_findings(world) == ["andra"]
    assert state(world).overdue == 0


def test_an_archive_s_place_is_retired_and_comes_back(tmp_path: Path) -> None:
    folder = build(tmp_path / "a", 2)
    Configured(tuple(Beside(name, (tmp_path / name).as_uri()) for name in ("b", "c"))).write(folder)
    with Lab(folder) as lab:
        lab.fill().audit()
        lab.clock.offset = timedelta(days=-1)
        lab.tx.write(lambda db: db.execute(sa.update(copies).where(copies.c.place == "b").values(due=PAST)))
    assert bevara("audit", "status", "--archive", folder).code == 1

    ran = bevara("copies", "retire", folder, "b")

    assert ran.code == 0, ran.said
    assert "3 copies are owed no audits" in ran.out
    assert [one["name"] for one in json.loads((folder / COPIES).read_bytes())["places"]] == ["c"]
    status = bevara("audit", "status", "--archive", folder)
    assert status.code == 0, status.said
    assert "retired since 20" in status.out
    assert (tmp_path / "b" / "store").is_dir()
    assert bevara("copies", "retire", folder, "d").code != 0
    assert bevara("copies", "retire", folder, "primary").code != 0

    assert bevara("copies", "add", folder, "b", tmp_path / "b").code == 0
    assert bevara("copies", "status", folder).code in (0, 1)
    with ArchiveCopies(folder) as at:
        back = Copies(at.ledger.transactions).some(copies.c.place == "b")
        ended = at.ledger.transactions.read(lambda db: list(db.scalars(sa.select(retirements.c.ended))))
    assert {(one.tenant, one.state, one.turn) for one in back} == {(TENANT, "held", AT_ONCE)}
    assert all(ended)


def test_a_place_that_was_only_taken_out_of_the_list_still_alarms(tmp_path: Path) -> None:
    """The list may have been lost: only a person's word retires."""
    folder = build(tmp_path / "a", 1)
    Configured((Beside("b", (tmp_path / "b").as_uri()),)).write(folder)
    with Lab(folder) as lab:
        lab.fill().audit()
        lab.tx.write(lambda db: db.execute(sa.update(copies).where(copies.c.place == "b").values(due=PAST)))
    (folder / COPIES).unlink()

    assert bevara("audit", "status", "--archive", folder).code == 1
    assert bevara("copies", "retire", folder, "b").code == 0
    assert bevara("audit", "status", "--archive", folder).code == 0


def test_the_first_store_is_not_retired_while_the_next_lacks_packages(world: World) -> None:
    """As the first it would never be written to: what it lacks would stay in the retired store alone."""
    tenants = world.service.ledger.tenants
    preserve(world.service, "lund", "p", {b"brev.txt": b"kort brev", b"nytt.txt": b"nytt"})

    with pytest.raises(TenantError, match="does not hold 1 packages"):
        tenants.retire_place("lund", "arkiv")

    assert [place.name for place in tenants.places("lund") if place.is_store] == ["arkiv", "andra"]
    world.round(rounds=2)
    assert tenants.retire_place("lund", "arkiv")
    assert tenants.retire_place("lund", "andra")  # there is no next


def test_a_first_store_that_is_lost_is_retired_all_the_same(world: World) -> None:
    set_copies(world, state="wanted")

    assert world.service.ledger.tenants.retire_place("lund", "arkiv", lost=True)
