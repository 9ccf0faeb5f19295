"""An archival path can be carried by XML, JSON and OCFL, and gives the raw name back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from worker.paths import archival_path, raw_path

names = st.one_of(
    st.binary(min_size=1, max_size=40),
    st.text(alphabet="aå/.%25fF\n\x7f\ufffe", min_size=1, max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(
        st.sampled_from([b"/", b".", b"..", b"%", b"2", b"f", b"\xff", b"\xc3\xa5", b"\xed\xa0\x80"]), min_size=1, max_size=12
    ).map(b"".join),
)


@given(names)
def test_a_name_survives_the_way_there_and_back(raw: bytes) -> None:
    assert raw_path(archival_path(raw)) == raw


@given(names)
def test_every_name_can_be_carried(raw: bytes) -> None:
    path = archival_path(raw)
    node = etree.Element("n")
    node.text = path

    assert etree.fromstring(etree.tostring(node)).text == path
    assert json.loads(json.dumps(path, ensure_ascii=False).encode()) == path
    assert not any(part in ("", ".", "..") for part in path.split("/"))


def test_swedish_names_stay_as_they_are() -> None:
    """No transliteration and no normalisation: both spellings of ö are different names."""
    for name in ("Årsmöte 2024/ärende.docx", "o\u0308vrigt.txt", "100 % klart.txt", "~$lås.docx"):
        assert archival_path(name.encode()) == name


def test_what_cannot_be_carried_is_escaped_per_byte() -> None:
    assert archival_path(b"r\xe4v.txt") == "r%E4v.txt"
    assert archival_path(b"a\nb%41\x7f") == "a%0Ab%2541%7F"
    assert archival_path(b"../a//b") == "%2E%2E/a%2F%2Fb"


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        archival_path(b"")
