"""The exported history is PREMIS 3.0 by its schema, and says what the ledger says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lxml import etree
from store_samples import FILES, build, object_home

from worker import premis
from worker.ledger.events import EVENT_CODES

SCHEMA = Path(__file__).resolve().parents[3] / "shared" / "schemas" / "premis-v3-0.xsd"
NS = {"p": "http://www.loc.gov/premis/v3"}


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    if not SCHEMA.exists():
        if os.environ.get("CI"):
            pytest.fail("the PREMIS schema is not here")
        pytest.skip("the PREMIS schema is not here")
    return etree.XMLSchema(etree.parse(SCHEMA))


def text_of(folder: Path, version: int = 1) -> bytes:
    return (object_home(folder) / f"v{version}" / "content" / "metadata" / "premis.xml").read_bytes()


def test_the_document_is_valid_for_awkward_names_and_two_versions(tmp_path: Path, schema: etree.XMLSchema) -> None:
    awkward = {b"a & b <c> ]]>.txt": b"1", b"r\xe4v\n'\".txt": b"2", "Ö\u0308/ä.txt".encode(): b"3", b"x" * 240: b""}
    folder = build(tmp_path / "a", FILES, {**FILES, **awkward})

    schema.assertValid(etree.fromstring(text_of(folder, 2)))


def test_every_word_and_hostile_text_is_valid(schema: etree.XMLSchema) -> None:
    """Each event type and outcome; text that XML cannot carry; tools with and without a version."""
    whose = premis.Whose("urn:bevara:x:y", "Åhus & Co", "p\x00\x1b<")
    nasty = "\x00\x0c\ud800\uffff</premis>&"
    files = [
        premis.FileFacts("original/" + nasty, "0" * 64, "0" * 128, 0, "v1/content/x", source, puid, None)
        for source in (None, "original/q")
        for puid in (None, "fmt/1")
    ]
    told = [
        premis.EventFacts(
            seq, "0" * 64, word, code, "2026-11-22T12:00:00.000Z", outcome, nasty, ("tool", "tool 1 " + nasty), target, source
        )
        for seq, (word, code) in enumerate(EVENT_CODES.items(), 1)
        for outcome, target, source in (
            ("success", None, None),
            ("fail", "original/a", None),
            ("warning", "preservation/a", "original/a"),
        )
    ]

    schema.assertValid(etree.fromstring("".join(premis.write(whose, files, told)).encode()))


def test_it_tells_digests_formats_and_what_is_derived_from_what(tmp_path: Path) -> None:
    folder = build(tmp_path / "a", {b"brev.txt": b"Hej!\n"})
    root = etree.fromstring(text_of(folder))
    derived = root.xpath("//p:object[p:originalName='preservation/brev.txt.pdf']", namespaces=NS)[0]

    assert derived.xpath("string(.//p:formatRegistryKey)", namespaces=NS) == "fmt/477"
    assert derived.xpath(
        ".//p:relationship[p:relationshipSubType='has source']//p:relatedObjectIdentifierValue/text()", namespaces=NS
    ) == ["urn:bevara:Lund:paket%201%2F%C3%A5/original/brev.txt"]
    assert sorted(derived.xpath(".//p:messageDigestAlgorithm/text()", namespaces=NS)) == ["SHA-256", "SHA-512"]
    assert root.xpath("//p:eventType/text()", namespaces=NS) == ["ingestion", "format identification", "normalization"]
    assert "Å-verktyg" in root.xpath("//p:agentName/text()", namespaces=NS)
