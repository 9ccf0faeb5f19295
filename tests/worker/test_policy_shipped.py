"""The policies that are shipped: what they promise for each family, on the real registry."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from actions.catalog import CATALOG
from worker.policy.decide import Identity, Policy
from worker.policy.inherit import SHIPPED
from worker.policy.load import check, load_policy
from worker.policy.plan import Plan, Verb
from worker.policy.schema import schema_json

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
NAMES = sorted(path.stem for path in SHIPPED.glob("*.yaml"))


@pytest.fixture(scope="module")
def actions():
    return CATALOG


@pytest.fixture(scope="module")
def policy(actions) -> Policy:
    return load_policy("skanearkiv", actions)


def plan_for(policy: Policy, puid: str | None, *, mime: str | None = None, extension: str = "", size: int = 1000, **facts) -> Plan:
    return policy.decide(Identity(puid, mime, extension), facts, size)


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_policy_has_no_error_and_no_warning(name, actions) -> None:
    assert check(name, actions) == []


def test_the_committed_schema_is_the_one_that_the_code_means() -> None:
    assert (SHIPPED / "bevara.policy.schema.json").read_text(encoding="utf-8") == schema_json()


def test_the_schema_knows_every_fact_and_family() -> None:
    from worker.policy.vocabulary import FACTS, FAMILIES

    definitions = json.loads(schema_json())["$defs"]
    assert set(definitions["MatchFile"]["properties"]["facts"]["properties"]) == set(FACTS)
    assert set(definitions["RuleFile"]["properties"]["family"]["enum"]) == set(FAMILIES)


@pytest.mark.parametrize(
    ("puid", "facts", "expected"),
    [
        ("fmt/18", {"encrypted": True}, ("encrypted", Verb.RETURN, "encrypted")),
        ("fmt/494", {}, ("encrypted-format", Verb.RETURN, "encrypted")),
        ("fmt/61", {"encrypted": True}, ("encrypted", Verb.RETURN, "encrypted")),
        ("fmt/18", {"restricted": True}, ("pdf-restricted", Verb.REVIEW, "restricted")),
        ("fmt/354", {"signed": True, "pdfa_claim": "1b"}, ("pdf-signed", Verb.REVIEW, "signed")),
        ("fmt/18", {"signed": True, "text_layer": "none", "restricted": True}, ("pdf-signed", Verb.REVIEW, "signed")),
        ("fmt/18", {"damaged": True, "text_layer": "none"}, ("damaged", Verb.RETURN, "damaged")),
        ("fmt/276", {"portfolio": True}, ("pdf-portfolio", Verb.REVIEW, "portfolio")),
        ("fmt/1451", {}, ("pdf-portfolio-format", Verb.REVIEW, "portfolio")),
        ("fmt/276", {"forms": "xfa"}, ("pdf-xfa", Verb.REVIEW, "xfa")),
        ("fmt/40", {"empty": True, "damaged": True}, ("empty", Verb.REVIEW, "empty")),
        ("fmt/40", {"encrypted": True, "damaged": True}, ("encrypted", Verb.RETURN, "encrypted")),
        ("fmt/523", {"macros": True}, ("office-text-macros", Verb.MIGRATE, "macros")),
        ("fmt/412", {"signed": True}, ("office-text-signed", Verb.MIGRATE, "signed-copy")),
        ("fmt/412", {"signed": True, "macros": True}, ("office-text-macros", Verb.MIGRATE, "macros")),
        ("fmt/215", {}, ("presentation", Verb.MIGRATE, "ok")),
        ("fmt/473", {}, ("lock-file", Verb.REVIEW, "lock-file")),
        ("fmt/13", {}, ("picture", Verb.KEEP, "ok")),
        ("fmt/353", {}, ("picture-tiff", Verb.KEEP, "ok")),
        ("fmt/116", {}, ("picture-to-tiff", Verb.MIGRATE, "ok")),
        ("fmt/1101", {}, ("picture-modern", Verb.RETAIN, "unsupported")),
        ("x-fmt/111", {"encoding": "utf-8"}, ("text-utf8", Verb.KEEP, "ok")),
        ("x-fmt/111", {"encoding": "iso-8859-1"}, ("text-other-encoding", Verb.MIGRATE, "ok")),
        ("x-fmt/111", {}, ("text-unknown-encoding", Verb.REVIEW, "encoding-uncertain")),
        ("fmt/101", {"encoding": "iso-8859-1"}, ("text-markup", Verb.KEEP, "ok")),
        ("fmt/214", {}, ("spreadsheet", Verb.RETAIN, "unsupported")),
        ("x-fmt/263", {}, ("archive", Verb.RETAIN, "container")),
        ("fmt/899", {}, ("software", Verb.REVIEW, "executable")),
        ("fmt/9999", {}, ("no-rule", Verb.REVIEW, "unsupported")),
        (None, {}, ("unidentified", Verb.REVIEW, "unidentified")),
    ],
)
def test_each_kind_of_file_gets_its_decision(policy, puid, facts, expected) -> None:
    plan = plan_for(policy, puid, **facts)
    assert (plan.rule, plan.verb, plan.reason) == expected


def test_a_file_that_claims_pdfa_is_checked_first_and_then_decided_by_its_own_facts(policy) -> None:
    for puid, facts in (
        ("fmt/477", {"pdfa_claim": "2b"}),
        ("fmt/477", {}),
        ("fmt/18", {"pdfa_claim": "1a"}),
        ("fmt/1910", {"pdfa_claim": "4"}),
    ):
        for layer, then in (("none", "pdf-scan"), ("full", "pdf")):
            plan = plan_for(policy, puid, text_layer=layer, **facts)
            assert plan.verb is Verb.KEEP
            assert plan.check is not None
            assert plan.check.params["flavour"] == "auto"
            assert plan.otherwise is not None
            assert plan.otherwise.rule == then


def test_scans_are_recognised_in_swedish_and_english_before_they_are_repaired(policy) -> None:
    plan = plan_for(policy, "fmt/18", text_layer="none")
    assert [[step.action for step in rung.steps] for rung in plan.rungs] == [
        ["pdf_ocr", "pdf_surgery"],
        ["pdf_ocr", "pdf_redraw"],
        ["pdf_surgery"],
        ["pdf_redraw"],
    ]
    assert plan.rungs[0].steps[0].params["languages"] == ["swe", "eng"]
    assert plan.compare is not None
    assert plan.compare.params["ocr"] is True
    text = plan_for(policy, "fmt/18", text_layer="full")
    assert text.compare is not None
    assert text.compare.params["ocr"] is False


def test_an_unidentified_pdf_is_treated_as_pdf(policy) -> None:
    assert plan_for(policy, None, mime="application/pdf", text_layer="full").rule == "pdf"
    assert plan_for(policy, None, mime="text/plain", extension="pdf", encoding="cp866").rule == "text-named-otherwise"


def test_text_under_an_office_name_is_kept_as_text_and_never_as_plain_ok(policy) -> None:
    """The name's promise is told; bytes whose encoding cannot be told are for an officer, whatever the name."""
    for extension in ("odt", "docx", "doc", "rtf", "wpd", "pptx"):
        for puid, mime in ((None, "text/plain"), ("x-fmt/3", None)):
            known = plan_for(policy, puid, mime=mime, extension=extension, encoding="utf-8")
            assert (known.verb, known.reason) == (Verb.KEEP, "misnamed")
            older = plan_for(policy, puid, mime=mime, extension=extension, encoding="windows-1252")
            assert (older.verb, older.reason) == (Verb.MIGRATE, "misnamed")
    for extension in ("odt", "docx", "pptx"):
        assert plan_for(policy, None, mime="text/plain", extension=extension).verb is Verb.REVIEW
    assert plan_for(policy, "x-fmt/3", extension="odt").verb is Verb.REVIEW
    for extension in ("dot", "pot"):  # Graphviz and gettext: text by right
        assert plan_for(policy, None, mime="text/plain", extension=extension, encoding="utf-8").reason == "ok"
    for extension in ("jpg", "xlsx", "zip"):
        assert plan_for(policy, None, mime="text/plain", extension=extension, encoding="utf-8").verb is Verb.REVIEW


def test_a_name_decides_only_where_the_bytes_say_no_more_than_a_container(policy) -> None:
    assert plan_for(policy, "fmt/111", extension="doc").rule == "office-text-by-name"
    assert plan_for(policy, "fmt/111", extension="PPT").rule == "presentation-by-name"
    assert plan_for(policy, "fmt/111", extension="xls").rule == "spreadsheet-by-name"
    assert plan_for(policy, "fmt/412", extension="pdf").rule == "office-text"
    assert plan_for(policy, "fmt/353", extension="nef").rule == "picture-raw-in-tiff"


def test_one_policy_promises_pdfa_2b_and_the_other_1b(policy, actions) -> None:
    old = load_policy("ra-fs-2009-2", actions)
    for puid in ("fmt/18", "fmt/412", "fmt/215"):
        for chosen, flavour, targets in ((policy, "2b", {"fmt/476", "fmt/477", "fmt/478"}), (old, "1b", {"fmt/354", "fmt/95"})):
            plan = plan_for(chosen, puid)
            assert set(plan.targets) == targets
            assert plan.validate is not None
            flavours = {step.params["flavour"] for rung in plan.rungs for step in rung.steps} | {plan.validate.params["flavour"]}
            assert flavours == {flavour}
    assert old.ref.sha256 != policy.ref.sha256


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_migrated_without_proof_and_every_decision_explains_itself(name, actions) -> None:
    """Promise P2, and design.md §4.4."""
    for rule in load_policy(name, actions).rules:
        assert len(rule.why.sv) > 20
        assert len(rule.why.en) > 20
        if rule.verb is Verb.MIGRATE:
            assert rule.targets
            assert rule.rungs
            assert rule.validate is not None
            assert rule.compare is not None


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the shared corpus is not here")
def test_every_corpus_file_that_was_identified_meets_a_rule_of_its_family(policy) -> None:
    """By PUID alone, as siegfried names it: the probes' facts only make decisions finer."""
    families = {
        "image": {"picture"},
        "pdf": {"pdf"},
        "pdfa-valid": {"pdf"},
        "pdfa-invalid": {"pdf"},
        "office-text": {"office-text"},
    }
    families |= {name: {name} for name in ("presentation", "audio", "video", "cad", "database", "ebook", "email", "archive")}
    families |= {"spreadsheet": {"spreadsheet", "text"}, "text-data": {"text"}, "web": {"web", "text"}}
    with (CORPUS / "MANIFEST.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            path, puid = Path(row["path"]), row["siegfried_puid"]
            family = path.parts[0]
            if (
                puid == "UNKNOWN" or family not in families or path.name == "testODTnotaZipFile.odt"
            ):  # the last is no office document
                continue
            plan = plan_for(
                policy, puid, extension=path.suffix[1:], encoding="utf-8" if family in {"text-data", "web", "spreadsheet"} else None
            )
            assert plan.family in families[family], (path, plan.rule)
            assert plan.rule not in {"no-rule", "unidentified"}, path


def test_a_locked_file_is_counted_with_its_own_kind(policy) -> None:
    """A table that hides forty locked PDFs under "other" misleads the one who plans the work."""
    plan = plan_for(policy, "fmt/276", encrypted=True)

    assert (plan.reason, plan.family) == ("encrypted", "pdf")
