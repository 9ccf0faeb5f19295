"""Evidence lies in the stores beside the packages, and is kept like them: read by a deadline, repaired, replicated."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from audit_samples import Lab, build, flip

from tests.conftest import bevara
from worker.archive_copies import PRIMARY, Beside, Configured
from worker.evidence.keys import KeyFolder
from worker.evidence.names import evidence_id
from worker.fixity.auditor import folder_of


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    """An archive with one place beside it, whose day was signed."""
    folder = build(tmp_path / "a", 1)
    Configured((Beside("b", (tmp_path / "b").as_uri()),)).write(folder)
    KeyFolder(tmp_path / "keys").new()
    assert bevara("copies", "replicate", folder).code == 0
    assert bevara("evidence", "make", folder, "--keys", tmp_path / "keys").code == 0
    return folder


def standing(folder: Path, day: str) -> dict[str, tuple[str, str | None]]:
    with Lab(folder) as lab:
        return {one.place: (one.state, one.last_verdict) for one in lab.auditor.copies.of_object(evidence_id("lund", day))}


def today() -> str:
    from worker.ledger.events import now

    return now()[:10]


def test_a_signed_day_is_read_and_repaired_like_a_package(signed: Path) -> None:
    assert standing(signed, today()) == {PRIMARY: ("held", None), "b": ("held", None)}
    paper = next((signed / folder_of(evidence_id("lund", today()))).rglob("page.txt"))
    whole = paper.read_bytes()
    flip(paper, random.Random(3))

    ran = bevara("audit", "run", "--archive", signed, "--all")

    assert ran.code == 1, ran.said
    assert standing(signed, today()) == {PRIMARY: ("held", "mismatch"), "b": ("held", "ok")}
    assert bevara("audit", "approve", "1", "--archive", signed, "--as", "Anna").code == 0
    assert bevara("audit", "repair", "--archive", signed).code == 0
    assert paper.read_bytes() == whole


def test_a_place_that_is_not_mounted_is_given_no_evidence_on_the_disk_below_it(signed: Path) -> None:
    keys, place = signed.parent / "keys", signed.parent / "b"
    place.rename(signed.parent / "away")
    place.mkdir()

    made = bevara("evidence", "make", signed, "--keys", keys)

    assert (made.code, "not mounted" in made.said) == (1, True), made.said
    assert list(place.iterdir()) == []
    assert standing(signed, today())["b"][0] == "held"


def test_a_store_that_lacks_evidence_gets_it_and_so_does_one_of_an_older_archive(signed: Path) -> None:
    """A renewal is written to the first store; and what was signed before a place was named is brought there, too."""
    keys = signed.parent / "keys"
    for home in (signed.parent / "b/store").glob("???/*/*/*"):
        shutil.rmtree(home)
    assert bevara("evidence", "renew", signed, "--keys", keys).code == 0
    Configured((*Configured.read(signed).places, Beside("c", (signed.parent / "c").as_uri()))).write(signed)
    assert bevara("evidence", "make", signed, "--keys", keys).code == 0
    assert standing(signed, "renewal-0001")["b"][0] == "wanted"

    replicated = bevara("copies", "replicate", signed)

    assert standing(signed, "renewal-0001")["b"] == ("held", "ok"), replicated.said
    assert standing(signed, today())["c"][0] == "held"
    assert bevara("audit", "run", "--archive", signed, "--all").code == 1  # the rest of b is gone, and is said so
