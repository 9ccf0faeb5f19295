"""A presentation that LibreOffice refuses for one fault that can be told is mended in a copy; nothing else is touched."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import olefile
import pytest

from actions import office_compare, office_to_pdfa
from actions.catalog import OfficeCompareParams, OfficeToPdfaParams
from actions.contract import Level
from actions.errors import RefusedError
from actions.office import ole_mend
from tests.actions import office_samples as samples

STREAM, USER = "PowerPoint Document", "Current User"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("ppt")
    (folder / "a.fodp").write_text(samples.flat_slides(), encoding="utf-8")
    samples.convert(folder / "made", "ppt", folder / "a.fodp")
    return folder / "made" / "a.ppt"


@pytest.fixture
def faulty(whole, tmp_path) -> Path:
    """The same file with a last edit that denies its highest object ids, as POI of 2005 wrote them."""
    path = tmp_path / "b.ppt"
    path.write_bytes(whole.read_bytes())
    with olefile.OleFileIO(str(path), write_mode=True) as container:
        stream = bytearray(container.openstream(STREAM).read())
        edit = struct.unpack_from("<I", container.openstream(USER).read(), 16)[0]
        struct.pack_into("<I", stream, edit + ole_mend.SEED_AT, 1)
        container.write_stream(STREAM, bytes(stream))
    return path


def test_a_file_that_denies_its_own_objects_is_mended_converted_and_proven(faulty, tmp_path):
    before = faulty.read_bytes()
    (work := tmp_path / "work").mkdir()
    made = office_to_pdfa.run(faulty, work, OfficeToPdfaParams())

    assert any("mended" in note for note in made.notes)
    assert faulty.read_bytes() == before
    assert not list(work.glob("mended*"))
    params = {name: made.facts[name] for name in ("slides", "notes_pages")}
    proof = office_compare.run(faulty, work, OfficeCompareParams(result="result.pdf", **params))
    assert proof.level is Level.EQUIVALENT


def test_a_whole_file_is_left_alone(whole, tmp_path):
    assert ole_mend.mended(whole, tmp_path / "copy.ppt") == ""
    assert not (tmp_path / "copy.ppt").exists()


def test_only_the_one_number_differs_in_the_copy(whole, faulty, tmp_path):
    assert ole_mend.mended(faulty, tmp_path / "copy.ppt")
    with olefile.OleFileIO(str(tmp_path / "copy.ppt")) as copy, olefile.OleFileIO(str(faulty)) as source:
        assert sorted(copy.listdir()) == sorted(source.listdir())
        streams = [(copy.openstream(path).read(), source.openstream(path).read()) for path in copy.listdir()]
    assert sum(one != other for pair in streams for one, other in zip(*pair, strict=True)) <= 4


def test_a_whole_file_that_libreoffice_cannot_load_is_not_called_damaged(faulty, tmp_path, monkeypatch):
    monkeypatch.setattr(ole_mend, "mended", lambda _source, _target: "")
    with pytest.raises(RefusedError) as refused:
        office_to_pdfa.run(faulty, tmp_path, OfficeToPdfaParams())
    assert refused.value.reason == "refused"


def test_hostile_numbers_are_never_a_bug(faulty, tmp_path):
    chance = random.Random(7)
    whole = faulty.read_bytes()
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(40):
            content[chance.randrange(512, len(content))] = chance.randrange(256)
        (tmp_path / "c.ppt").write_bytes(content[: chance.randrange(600, len(content) + 1)])
        assert isinstance(ole_mend.mended(tmp_path / "c.ppt", tmp_path / "copy.ppt"), str)
