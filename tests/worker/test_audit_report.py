"""What an inspector reads is what the ledger holds: in every form, in both languages, and whatever names files have."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from audit_samples import TENANT, Lab, build, flip, package, seeded

from tests.conftest import PROJECT, bevara
from worker.archive import Archive
from worker.archive_copies import PRIMARY
from worker.fixity import coverage
from worker.fixity.bound import upper_bound
from worker.fixity.period import Period, SampleSums, period
from worker.fixity.rules import RepairMode, Rules
from worker.ledger.schema_fixity import copies, findings
from worker.report import audit_files, audit_html
from worker.report.audit_calendar import calendar
from worker.report.audit_sums import of_sample
from worker.report.audit_words import VERDICTS, sentence

TWO = Rules(repair=RepairMode.TWO, breaker_objects=10**6, breaker_share=1.0)
EVIL = "=cmd|' /C calc'!A0\n<script>alert(1)</script>\u202efdp.exe"


@pytest.fixture
def lab(tmp_path: Path):
    build(tmp_path / "a", 3)
    with Lab(tmp_path / "a", rules=TWO) as one:
        yield one.fill()


def of(lab: Lab, first: str = "2000-01-01", last: str = "2100-01-01") -> Period:
    return period(
        lab.tx, TENANT, first, last, rules=lambda _: lab.rules, stores=[PRIMARY, "b", "c"], name="Lunds kommun", clock=lab.clock
    )


def today(lab: Lab) -> str:
    return lab.clock()[:10]


def page(lab: Lab, folder: Path, **more: str) -> str:
    audit_html.write(folder / "audit.html", of(lab, today(lab), today(lab), **more))
    return (folder / "audit.html").read_text("utf-8")


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    data = (folder / name).read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_every_form_says_the_same_and_all_of_it(lab: Lab, tmp_path: Path) -> None:
    """Promise, readings, each finding with what was done: the numbers of the register, of the day's readings, of the book."""
    with seeded("report") as chance:
        lab.audit()
        bad = chance.sample([one for one in lab.files() if "/content/original/" in one[1]], 3)
        for one in bad:
            flip(lab.path(one), chance)
        assert lab.audit() == set(bad)
        first = lab.auditor.book.some()[0]
        for who in ("Anna", "Bo"):
            lab.auditor.book.approve(first.id, TENANT, who, lab.clock())
        lab.repair()
        lab.auditor.run()
    told = of(lab, today(lab), today(lab))

    audit_files.write_json(tmp_path / "audit.json", told)
    audit_files.write_csv(tmp_path, told)
    html, whole = page(lab, tmp_path), json.loads((tmp_path / "audit.json").read_bytes())

    book = lab.auditor.book.some()
    assert [one["id"] for one in whole["findings"]] == [one.id for one in book]
    assert [int(one["id"]) for one in rows(tmp_path, "findings.csv")] == [one.id for one in book]
    assert {one["state"] for one in whole["findings"]} == {"open", "repaired"}
    assert [one["who"] for one in whole["findings"][0]["approvals"]] == ["Anna", "Bo"]
    assert sum(int(one["copies"]) for one in rows(tmp_path, "readings.csv")) == sum(
        store["read"]["copies"] for store in whole["stores"]
    )
    states = lab.auditor.copies.states(lab.clock(), TENANT)
    for state, store, line in zip(states, sorted_stores(whole), sorted_lines(tmp_path), strict=True):
        assert (store["store"], store["copies"], store["overdue"]) == (state.place, state.held, state.overdue)
        assert (line["store"], int(line["copies"])) == (state.place, state.held)
    assert html.count('<article class="finding') == len(book)
    for entry in book:
        assert entry.object_id in html
        assert VERDICTS[entry.verdict].sv in html


def sorted_stores(whole: dict) -> list[dict]:
    return sorted(whole["stores"], key=lambda one: one["store"])


def sorted_lines(folder: Path) -> list[dict[str, str]]:
    return sorted(rows(folder, "stores.csv"), key=lambda one: one["store"])


def test_a_finding_outside_the_period_is_left_out_and_one_that_was_open_then_is_in(lab: Lab) -> None:
    with lab.ledger.engine.begin() as db:
        for number, (seen, ended) in enumerate(
            [("2026-01-05", "2026-01-09"), ("2026-01-05", None), ("2026-03-05", None), ("2026-02-28", "2026-03-01")]
        ):
            row = {"tenant": TENANT, "place": "b", "object_id": "x", "path": str(number), "verdict": "missing", "about": "bytes"}
            row |= {"detail": "is missing", "state": "open" if ended is None else "vanished", "times": 1}
            row |= {"first_seen": f"{seen}T23:59:59.999Z", "last_seen": f"{seen}T23:59:59.999Z"}
            db.execute(sa.insert(findings).values(**row, ended=ended and f"{ended}T00:00:00.000Z"))

    assert [entry.path for entry, _ in of(lab, "2026-02-01", "2026-02-28").findings()] == ["1", "3"]
    assert [entry.path for entry, _ in of(lab, "2026-01-01", "2026-01-09").findings()] == ["0", "1"]


def test_a_name_from_a_stranger_is_neither_run_nor_believed(lab: Lab, tmp_path: Path) -> None:
    """No script in the page, no formula in a spreadsheet, no line broken."""
    with lab.ledger.engine.begin() as db:
        row = {"tenant": TENANT, "place": "b", "object_id": EVIL, "path": EVIL, "verdict": "missing", "about": "bytes"}
        row |= {"detail": "is missing", "state": "open", "times": 1, "first_seen": lab.clock(), "last_seen": lab.clock()}
        db.execute(sa.insert(findings).values(**row, remedy=EVIL))

    html = page(lab, tmp_path)
    audit_files.write_csv(tmp_path, of(lab))

    assert "<script>alert" not in html
    assert "\u202e" not in html
    assert len(re.findall("<script", html)) == 1
    [found] = rows(tmp_path, "findings.csv")
    assert all(not value.startswith(("=", "+", "-", "@")) for value in found.values())
    assert found["path"] == f"'{EVIL}"


def test_the_page_needs_no_network_and_speaks_both_languages(lab: Lab, tmp_path: Path) -> None:
    lab.audit()
    html = page(lab, tmp_path)

    assert not re.findall(r"""(?:src|href)=(?!"#)""", html)
    assert "default-src 'none'" in html
    texts = re.findall(r'class="t" lang="(sv|en)"', html)
    assert texts.count("sv") == texts.count("en") > 40
    assert "Ingen kopia är försenad" in html
    assert "No copy is overdue" in html


def test_what_is_overdue_stands_first(lab: Lab, tmp_path: Path) -> None:
    lab.audit()
    lab.clock.offset = timedelta(days=400)

    html = page(lab, tmp_path)

    held = sum(one.held for one in lab.auditor.copies.states(lab.clock()))
    assert f"{held} kopior är försenade" in html
    assert 'class="late' in html


def kept(lab: Lab) -> None:
    coverage.keep(lab.tx, TENANT, lab.clock(), lambda _: lab.rules)


def shown_of(told: Period) -> list[tuple]:
    return [(one.name, one.state, one.checked, one.covered, one.rules.interval_days) for one in told.stores]


def test_a_past_period_is_told_as_it_ended_however_late_it_is_asked(lab: Lab, tmp_path: Path) -> None:
    """The same report on its last day and forty days later, when every copy was read again and the promise was changed."""
    lab.audit()
    kept(lab)
    first = today(lab)
    before = shown_of(of(lab, first, first))
    lab.clock.offset = timedelta(days=40)
    lab.rules = Rules(interval_days=30)
    with Archive(lab.folder) as archive:
        package(archive, "nytt", {b"a": b"a"})
    lab.fill().audit()
    kept(lab)

    told = of(lab, first, first)
    audit_html.write(tmp_path / "audit.html", told)
    audit_files.write_json(tmp_path / "audit.json", told)

    assert shown_of(told) == before
    assert all(one.kept for one in told.stores)
    assert shown_of(of(lab, today(lab), today(lab))) != before
    html = (tmp_path / "audit.html").read_text("utf-8")
    assert "löftet hölls" in html
    assert "was not kept" not in html
    assert f'"as_of": "{first}' in (tmp_path / "audit.json").read_text("utf-8")


def test_what_nobody_read_before_a_periods_end_was_overdue_then(lab: Lab) -> None:
    """The auditor stood still for a year: the last state that was kept knows the deadlines."""
    lab.audit()
    kept(lab)
    held = {one.name: one.state.held for one in of(lab).stores}
    start = date.fromisoformat(today(lab))
    lab.clock.offset = timedelta(days=365)
    lab.audit()
    kept(lab)

    for days, late in ((80, False), (100, True), (300, True)):
        end = (start + timedelta(days=days)).isoformat()
        told = {one.name: one.state.overdue for one in of(lab, start.isoformat(), end).stores}
        assert told == (held if late else dict.fromkeys(held, 0)), days


def test_a_period_of_which_nothing_was_kept_says_so_in_both_languages(lab: Lab, tmp_path: Path) -> None:
    lab.audit()
    lab.clock.offset = timedelta(days=40)
    lab.audit()
    kept(lab)  # too late for the period

    told = of(lab, "2026-01-01", (date.fromisoformat(today(lab)) - timedelta(days=10)).isoformat())
    audit_html.write(tmp_path / "audit.html", told)
    audit_files.write_csv(tmp_path, told)

    html = (tmp_path / "audit.html").read_text("utf-8")
    assert "finns inte bevarat" in html
    assert "was not kept" in html
    assert "löftet hölls" not in html
    assert {one["as_of_kept"] for one in rows(tmp_path, "stores.csv")} == {"False"}


def test_readings_after_the_state_that_was_kept_are_told(lab: Lab, tmp_path: Path) -> None:
    kept(lab)
    lab.clock.offset = timedelta(days=5)
    lab.audit()
    end = today(lab)
    lab.clock.offset = timedelta(days=9)

    audit_html.write(tmp_path / "audit.html", of(lab, "2026-01-01", end))

    assert "readings later in the period are not in it" in (tmp_path / "audit.html").read_text("utf-8")


def test_the_command_that_reads_keeps_the_days_state(lab: Lab) -> None:
    assert bevara("audit", "run", "--archive", lab.folder, "--all").code == 0

    one = coverage.standing(lab.tx, TENANT, PRIMARY, today(lab))
    assert one is not None
    assert one.state.held == lab.auditor.copies.states(lab.clock(), TENANT)[-1].held
    assert sum(one.checked.values()) == one.state.held
    assert "" not in one.checked


def test_the_calendar_counts_every_copy_once() -> None:
    """Drawn, too old for the picture, or never read: nothing is left out, and what is late is marked."""
    with seeded("calendar") as chance:
        for _ in range(50):
            days = [f"20{chance.randrange(20, 27)}-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}" for _ in range(40)]
            checked = {day: chance.randrange(1, 1000) for day in days if day <= "2026-11-22"} | {"": chance.randrange(5)}
            interval = chance.choice([1, 7, 30, 90, 365, 1000])
            drawn = calendar(checked, first="2026-09-01", last="2026-11-22", today="2026-11-22", interval_days=interval, overdue=0)
            cells = [cell for block in drawn.blocks for cell in block.cells]

            assert sum(cell.copies for cell in cells) + drawn.earlier + drawn.never == drawn.total == sum(checked.values())
            assert sum(band.copies for band in drawn.bands) == drawn.total - drawn.never
            assert all(cell.copies == checked.get(cell.day, 0) for cell in cells)
            assert len({cell.day for cell in cells}) == len(cells)
            assert all((cell.level > 0) == (cell.copies > 0) for cell in cells)
            assert all(0 <= cell.week < 53 for cell in cells)


@pytest.mark.parametrize(("bad", "read"), [(0, 1), (0, 3000), (1, 300), (7, 7), (3, 100_000)])
def test_what_a_sample_proves_is_never_less_than_the_exact_bound(bad: int, read: int) -> None:
    """Rounded up, not down; and no wider than a tenth."""
    shown = float(re.search(r"below ([\d.]+) %", of_sample(bad, read).en)[1])

    exact = 100 * upper_bound(bad, read)
    assert exact <= shown <= 1.1 * exact
    assert of_sample(0, 0).en.endswith("nothing can be said.")


def test_every_finding_that_the_audit_can_make_has_its_swedish() -> None:
    """Read from the program itself, so that a new one is not forgotten."""
    told = set()
    for name in ("inventories", "object_audit"):
        text = (PROJECT / f"worker/fixity/{name}.py").read_text("utf-8")
        told |= set(re.findall(r'"((?:the|an|no) (?:older )?inventory[^"{]*)"', text))
    assert len(told) > 7
    for english in told:
        assert sentence(english).sv != english, english


def test_every_sentence_of_ours_has_its_swedish() -> None:
    """What the parts write into the book, asked of them; and what is not known is shown as it stands."""
    for english in (
        "is missing",
        "its bytes are not those that were stored (SHA-512)",
        "its bytes differ from byte 67108864 on",
        "is a file that no version of this object knows",
        "waits for approval: 1 more must agree: `bevara audit approve`",
        "written anew from a copy whose digests match, and read back; what was there is in quarantine/2026-11-22/1/x",
    ):
        assert sentence(english).sv != english
        assert sentence(english).en == english
    assert sentence("something new").sv == "something new"


def test_a_sample_is_kept_by_tenant(lab: Lab) -> None:
    sums = SampleSums({copy.id: copy.tenant for copy in lab.auditor.copies.some(copies.c.state == "held")})
    lab.all_due()
    lab.auditor.run(most_copies=5, told=sums.add)
    sums.keep(lab.tx, lab.clock())

    [kept] = of(lab, today(lab), today(lab)).samples
    assert (kept.read, kept.bad, kept.unreadable) == (5, 0, 0)
    assert kept.population == len(lab.auditor.copies.some(copies.c.state == "held"))


def test_the_command_writes_all_of_it(lab: Lab, tmp_path: Path) -> None:
    lab.audit()
    flip(lab.path(next(one for one in lab.files() if one[0] == PRIMARY and "/original/" in one[1])), __import__("random").Random(1))
    lab.audit()

    ran = bevara("audit", "report", TENANT, "--archive", lab.folder, "--out", tmp_path / "ut")
    wrong = bevara("audit", "report", "malmo", "--archive", lab.folder, "--out", tmp_path / "ut")
    days = bevara("audit", "report", "--archive", lab.folder, "--out", tmp_path / "ut", "--from", "i går")

    assert ran.code == 1, ran.said  # a finding is open
    assert {path.name for path in (tmp_path / "ut").iterdir()} == {
        "audit.html",
        "audit.json",
        "stores.csv",
        "readings.csv",
        "findings.csv",
    }
    assert (wrong.code, days.code) == (2, 2)
    assert "Traceback" not in wrong.said + days.said
