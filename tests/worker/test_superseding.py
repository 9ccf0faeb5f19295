"""What was made of an older text, or under an older decision, does not stand for the new one; and nothing of it is lost."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
import sqlalchemy as sa
from lxml import etree
from store_samples import FILES, POLICY, begin, build, keep, object_home, run_job
from test_ledger_rebuild import rows

from tests.conftest import bevara, files_of
from worker.archive import LEDGER, Archive
from worker.ledger.events import EventDraft
from worker.ledger.facts import Entry, Found, Held
from worker.ledger.ledger import Ledger
from worker.ledger.schema import entries, events
from worker.record import FileRecord, PolicyRef, Status
from worker.store.contract import VersionNote
from worker.verify import verify

ODF = PolicyRef(name="odf", version="1", sha256="b" * 64)
RETAIN = PolicyRef(name="retain", version="1", sha256="c" * 64)
OBJECT = "urn:bevara:Lund:paket%201%2F%C3%A5"
LETTER = {b"brev \xc3\xa5.txt": b"Hej!"}
LOCKED = {b"brev \xc3\xa5.txt": b"locked"}
ORIGINAL, PDF, ODT = "original/brev å.txt", "preservation/brev å.txt.pdf", "preservation/brev å.txt.odt"


def state(folder: Path, version: int | None = None) -> dict[str, str]:
    """Logical path to digest, read from the inventory as any OCFL tool would; our own metadata left out."""
    inventory = json.loads((object_home(folder) / "inventory.json").read_bytes())
    found = inventory["versions"][f"v{version}" if version else inventory["head"]]["state"]
    own = ("metadata/jobs/", "metadata/events/", "metadata/records/", "metadata/premis.xml")
    return {path: digest for digest, paths in found.items() for path in paths if not path.startswith(own)}


def work(archive: Archive, files: dict[bytes, bytes], policy: PolicyRef = POLICY) -> None:
    """A job that is interrupted after its last file, before its commit."""
    job = begin(archive, files, policy)
    draft = archive.store.open_draft(job.object_id)
    for task in archive.ledger.claim(job, "w", 100, 60):
        keep(archive, draft, task, files[task.raw_path])
    draft.close()


def rebuilt_the_same(folder: Path) -> None:
    """The law of every end: whole, and the ledger that the store alone yields is the ledger that there was."""
    assert list(verify(folder)) == []
    with Archive(folder) as archive:
        before = rows(archive)
    for path in folder.glob(f"{LEDGER}*"):
        path.unlink()
    with Archive(folder) as archive:
        after = rows(archive)
    for name in ("packages", "contents", "entries", "events"):
        assert after[name] == before[name], name
    assert list(verify(folder)) == []


def test_a_derivative_of_an_older_text_leaves_the_head_and_stays_in_its_version(tmp_path: Path) -> None:
    folder = build(tmp_path / "a", LETTER, LOCKED)

    assert set(state(folder)) == {ORIGINAL}
    assert set(state(folder, 1)) == {ORIGINAL, PDF}
    with Archive(folder) as archive, archive.store.read(OBJECT, PDF, 1) as stream:
        assert stream.read() == b"%PDF Hej!"
    rebuilt_the_same(folder)


def test_a_new_policy_s_derivative_takes_the_old_one_s_place(tmp_path: Path) -> None:
    folder = build(tmp_path / "a", LETTER)
    with Archive(folder) as archive:
        run_job(archive, LETTER, ODF)
    assert set(state(folder)) == {ORIGINAL, ODT}
    with Archive(folder) as archive:
        run_job(archive, LETTER, RETAIN)
    assert set(state(folder)) == {ORIGINAL}
    rebuilt_the_same(folder)


def test_only_what_was_made_of_that_file_leaves(tmp_path: Path) -> None:
    """Other files, unchanged ones, and one that was not delivered again keep what they have."""
    folder = build(tmp_path / "a", FILES)
    before = state(folder)
    with Archive(folder) as archive:
        run_job(archive, {b"brev.txt": b"locked", b"tom.bin": FILES[b"tom.bin"]})
    after = state(folder)

    assert before.keys() - after.keys() == {"preservation/brev.txt.pdf"}
    assert {path for path in after if before.get(path) != after[path]} == {"original/brev.txt"}
    rebuilt_the_same(folder)


def test_running_again_after_it_adds_nothing(tmp_path: Path) -> None:
    folder = build(tmp_path / "a", LETTER, LOCKED, LOCKED)
    with Archive(folder, rebuild=True) as archive:
        assert run_job(archive, LOCKED) is None
        assert archive.store.head(OBJECT) == 2


def test_the_older_text_brought_back_brings_its_derivative_back(tmp_path: Path) -> None:
    """And no bytes are stored twice for it."""
    folder = build(tmp_path / "a", LETTER, LOCKED, LETTER)

    assert state(folder, 3) == state(folder, 1)
    assert not (object_home(folder) / "v3" / "content" / "preservation").exists()
    rebuilt_the_same(folder)


def test_the_history_tells_of_it(tmp_path: Path) -> None:
    """Promise P4: one event more, of the very bytes; PREMIS tells it, and describes only what is current."""
    folder = build(tmp_path / "a", LETTER, LOCKED)
    with Archive(folder) as archive, archive.ledger.engine.connect() as db:
        told = [json.loads(text) for (text,) in db.execute(sa.select(events.c.body).order_by(events.c.seq))]
    (left,) = [body for body in told if body["type"] == "metadata modification"]
    names = {"p": "http://www.loc.gov/premis/v3"}
    document = etree.parse(object_home(folder) / "v2" / "content" / "metadata" / "premis.xml")

    assert told[-1] == left
    assert (left["object"], left["digest"], left["code"]) == (PDF, state(folder, 1)[PDF], "mem")
    assert ORIGINAL in left["detail"]
    described = document.xpath("//p:object/p:originalName/text()", namespaces=names)
    assert ORIGINAL in described
    assert PDF not in described
    assert document.xpath("//p:eventType/text()", namespaces=names)[-1] == "metadata modification"


def test_until_the_commit_the_head_is_as_it_was(tmp_path: Path) -> None:
    """A process that ends between the file and the commit: nothing has happened yet, and then all of it does."""
    folder = build(tmp_path / "a", LETTER)
    with Archive(folder) as archive:
        work(archive, LOCKED)

    assert set(state(folder)) == {ORIGINAL, PDF}
    assert [finding.code for finding in verify(folder)] == ["draft"]
    with Archive(folder) as archive:
        assert run_job(archive, LOCKED) == 2
    assert set(state(folder)) == {ORIGINAL}
    rebuilt_the_same(folder)


def test_a_rebuild_forgets_what_was_not_committed_and_its_job_does_it_again(tmp_path: Path) -> None:
    folder = build(tmp_path / "a", LETTER)
    with Archive(folder) as archive:
        work(archive, LOCKED)
    with Archive(folder, rebuild=True) as archive:
        assert run_job(archive, LETTER) is None  # the file was put right meanwhile
    assert set(state(folder)) == {ORIGINAL, PDF}
    with Archive(folder) as archive:
        assert run_job(archive, LOCKED) == 2
    assert set(state(folder)) == {ORIGINAL}
    rebuilt_the_same(folder)


@pytest.mark.parametrize("last", [POLICY, ODF, RETAIN], ids=lambda policy: policy.name)
@pytest.mark.parametrize("committed", [[], [LETTER]], ids=["new package", "next version"])
def test_the_last_of_several_policies_decides_what_stands(tmp_path: Path, committed: Iterable, last: PolicyRef) -> None:
    """Open jobs that took one another's package over, committed as one version by the last."""
    folder = build(tmp_path / "a", *committed)
    with Archive(folder) as archive:
        for policy in (ODF, RETAIN, POLICY, ODF, RETAIN):
            if policy != last:
                work(archive, LETTER, policy)
        run_job(archive, LETTER, last)

    assert set(state(folder)) == {ORIGINAL, *({"default": [PDF], "odf": [ODT], "retain": []}[last.name])}
    rebuilt_the_same(folder)


def test_a_path_that_leaves_without_a_word_is_named(tmp_path: Path) -> None:
    """Somebody takes a derivative out of the state with another OCFL tool: verify needs no ledger to see it."""
    folder = build(tmp_path / "a", LETTER)
    with Archive(folder) as archive:
        draft = archive.store.open_draft(OBJECT)
        archive.store.commit(draft, [], VersionNote("2026-11-22T12:00:00Z", "by hand", "someone"), dropped=[PDF])
    (folder / LEDGER).unlink()

    assert any("does not say why" in finding.what and PDF in finding.what for finding in verify(folder))


def test_a_record_that_tells_of_a_leaving_that_was_not_is_named(tmp_path: Path) -> None:
    """The state keeps what the records say has left: one of the two is wrong."""
    folder = build(tmp_path / "a", LETTER)
    with Archive(folder) as archive:
        work(archive, LOCKED)
        with archive.ledger.engine.begin() as db:
            db.execute(sa.update(entries).where(entries.c.logical_path == PDF).values(dropped=False))
        run_job(archive, LOCKED)
    (folder / LEDGER).unlink()

    assert any("tells of the leaving of" in finding.what and PDF in finding.what for finding in verify(folder))


# The ledger alone


@pytest.fixture
def ledger(ledger_url: str):
    """On both databases."""
    one = Ledger.connect(ledger_url)
    yield one
    one.close()


def finish(
    ledger: Ledger, number: int, put: dict[str, tuple[str, str | None]], status: Status = Status.MIGRATED, **more: object
) -> None:
    """A new job's only file ends with *put*: logical path to (bytes, source)."""
    policy = PolicyRef(name="default", version=str(number), sha256=f"{number:064d}")
    job = ledger.open_job("lund", "p", b"/in", policy, "tools")
    ledger.add_tasks(job, [Found(b"a", "a", 1, 1)])
    (task,) = ledger.claim(job, "w", 1, 60)
    record = FileRecord(path="a", size_bytes=1, status=status, reason="ok", message="", **more)
    held = [Held(digest * 128, digest * 64, 1, f"v1/content/{digest}") for digest, _ in put.values()]
    entry = [Entry(path, digest * 128, source) for path, (digest, source) in put.items()]
    ledger.finish(task, record, held=held, put=entry, told=[EventDraft("ingestion", object_path="original/a")])


def standing(ledger: Ledger) -> set[str]:
    with ledger.engine.connect() as db:
        return set(db.scalars(sa.select(entries.c.logical_path).where(entries.c.dropped.is_(False))))


FIRST = {"original/a": ("1", None), "preservation/a": ("2", "original/a")}


def test_what_was_made_over_several_steps_leaves_as_a_whole(ledger: Ledger) -> None:
    finish(ledger, 1, FIRST | {"access/a": ("3", "preservation/a"), "access/a.small": ("4", "access/a")})
    finish(ledger, 2, {"original/a": ("5", None)})

    assert standing(ledger) == {"original/a"}


def test_what_was_made_of_a_replaced_derivative_leaves_with_its_older_bytes(ledger: Ledger) -> None:
    finish(ledger, 1, FIRST | {"access/a": ("3", "preservation/a")})
    finish(ledger, 2, FIRST | {"preservation/a": ("6", "original/a")})

    assert standing(ledger) == {"original/a", "preservation/a"}


@pytest.mark.parametrize(("digest", "stays"), [("1", True), ("5", False)], ids=["same bytes", "other bytes"])
def test_a_failure_decides_nothing_of_the_same_bytes(ledger: Ledger, digest: str, *, stays: bool) -> None:
    """A tool that timed out takes nothing back that was proven; of other bytes nothing was proven."""
    finish(ledger, 1, FIRST)
    finish(ledger, 2, {"original/a": (digest, None)}, Status.FAILED)

    assert ("preservation/a" in standing(ledger)) == stays


def test_a_file_that_could_not_be_taken_leaves_all_as_it_was(ledger: Ledger) -> None:
    finish(ledger, 1, FIRST)
    finish(ledger, 2, {}, Status.REVIEW)

    assert standing(ledger) == set(FIRST)


def test_a_second_account_of_a_task_supersedes_nothing(ledger: Ledger) -> None:
    """Promise P5: the message came twice, and the second time the file would have ended otherwise."""
    job = ledger.open_job("lund", "p", b"/in", POLICY, "tools")
    ledger.add_tasks(job, [Found(b"a", "a", 1, 1)])
    (task,) = ledger.claim(job, "w", 1, 60)
    record = FileRecord(path="a", size_bytes=1, status=Status.MIGRATED, reason="ok", message="")
    held = [Held(digest * 128, digest * 64, 1, f"v1/content/{digest}") for digest, _ in FIRST.values()]
    ledger.finish(task, record, held=held, put=[Entry(path, d * 128, source) for path, (d, source) in FIRST.items()])
    ledger.finish(task, record, held=held, put=[Entry("original/a", "1" * 128)])

    assert standing(ledger) == set(FIRST)
    with ledger.engine.connect() as db:
        assert not db.scalar(sa.select(sa.func.count()).select_from(events))


def test_content_is_where_the_draft_put_it_last(tmp_path: Path) -> None:
    """A draft that was lost with the scratch folder is made again, and may keep the same bytes under another name."""
    with Archive(tmp_path / "a") as archive:
        work(archive, {b"a.txt": b"same"})
        archive.store.discard(archive.store.open_draft(OBJECT))
        run_job(archive, {b"b.txt": b"same"}, ODF)

    rebuilt_the_same(tmp_path / "a")


# The command line


def test_by_the_command_line(tmp_path: Path) -> None:
    """A letter in an old encoding, delivered again in UTF-8, and then as it was: version by version, with a lost ledger between."""
    folder, archive = tmp_path / "Nämnd", tmp_path / "archive"
    folder.mkdir()
    letter, original = folder / "Hälsning.txt", "original/Hälsning.txt"
    texts = [text.encode(encoding) for text, encoding in (("Åäö på räkmacka\n", "windows-1252"), ("Åäö på tårta\n", "utf-8"))]
    letter.write_bytes(texts[0])
    assert bevara("preserve", folder, "--archive", archive).code == 0
    first = state(archive)
    assert (files_of(archive)["Hälsning.txt"]["status"], len(first)) == ("migrated", 2)

    letter.write_bytes(texts[1])
    assert bevara("preserve", folder, "--archive", archive).code == 0
    assert files_of(archive)["Hälsning.txt"]["status"] == "kept"
    assert set(state(archive)) == {original}
    assert state(archive, 1) == first
    assert bevara("verify", archive).code == 0

    assert bevara("ledger", "rebuild", archive).code == 0
    assert bevara("preserve", folder, "--archive", archive).code == 0
    assert files_of(archive)["Hälsning.txt"]["unchanged"]
    assert set(state(archive)) == {original}

    letter.write_bytes(texts[0])
    assert bevara("preserve", folder, "--archive", archive).code == 0
    assert state(archive, 3) == first
    assert bevara("verify", archive).code == 0
