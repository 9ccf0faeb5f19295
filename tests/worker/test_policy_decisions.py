"""The laws of deciding: specificity, gates, conditions, otherwise, digests."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policies_for_tests import ACTIONS, CATCH_ALL, HEAD, KEEP, MIGRATE, rule, write

from worker.policy.decide import Identity, Policy
from worker.policy.explanation import render_explanation
from worker.policy.load import load_policy
from worker.policy.plan import Verb

PDF = Identity("fmt/18", "application/pdf", "pdf")


def load(tmp_path: Path, *rules: str, head: str = HEAD) -> Policy:
    return load_policy(write(tmp_path, *rules, head=head), ACTIONS)


def test_a_puid_outranks_a_media_type_and_that_an_extension(tmp_path) -> None:
    rules = {
        "by-puid": rule("by-puid", "{puid: [fmt/18]}"),
        "by-mime": rule("by-mime", "{mime: [application/pdf]}"),
        "by-type": rule("by-type", "{mime: ['application/*']}"),
        "by-extension": rule("by-extension", "{extension: [pdf]}"),
        "any-known": rule("any-known", "{identified: true}"),
    }
    expected = [*rules, "rest"]
    for position, winner in enumerate(expected):
        policy = load(tmp_path, *list(rules.values())[position:])
        assert policy.decide(PDF, {}, 1).rule == winner


def test_one_more_condition_outranks_a_puid(tmp_path) -> None:
    policy = load(tmp_path, rule("puid", "{puid: [fmt/18]}"), rule("scan", "{mime: [application/pdf], facts: {text_layer: none}}"))
    assert policy.decide(PDF, {"text_layer": "none"}, 1).rule == "scan"
    assert policy.decide(PDF, {"text_layer": "full"}, 1).rule == "puid"


def test_a_gate_is_never_outrun_by_a_more_specific_rule(tmp_path) -> None:
    """Encrypted is encrypted, however well a rule knows the format."""
    gate = rule("locked", "{facts: {encrypted: true}}", verb="return", more="gate: true")
    many = rule("scan", "{puid: [fmt/18], facts: {text_layer: none, javascript: true, pages: {min: 1}}, size: {max: 10 MB}}")
    policy = load(tmp_path, gate, many)
    facts = {"encrypted": True, "text_layer": "none", "javascript": True, "pages": 3}
    assert policy.decide(PDF, facts, 1).rule == "locked"
    assert policy.decide(PDF, {**facts, "encrypted": False}, 1).rule == "scan"


@pytest.mark.parametrize(
    ("condition", "value", "meets"),
    [
        ("signed: true", True, True),
        ("signed: true", None, False),
        ("signed: false", False, True),
        ("signed: false", None, True),  # what no probe saw is not there
        ("signed: false", True, False),
        ("pages: 3", 3, True),
        ("pages: {min: 3, max: 5}", 5, True),
        ("pages: {min: 3, max: 5}", 6, False),
        ("pages: {min: 3}", None, False),
        ("pages: [1, 2]", 2, True),
        ("text_layer: [some, full]", "none", False),
        ("encoding: windows-1252", "windows-1252", True),
        ("pdfa_claim: {present: true}", "2b", True),
        ("pdfa_claim: {present: true}", None, False),
        ("pdfa_claim: {present: false}", None, True),
        ("pdfa_claim: {present: false}", "2b", False),
        ("extension: [pdf]", None, True),  # known from the file's name, not from a probe
    ],
)
def test_conditions(tmp_path, condition, value, meets) -> None:
    policy = load(tmp_path, rule("match", f"{{facts: {{{condition}}}}}"))
    name = condition.partition(":")[0]
    facts = {} if value is None else {name: value}
    assert (policy.decide(PDF, facts, 1).rule == "match") is meets


def test_sizes_have_units_and_both_ends_count(tmp_path) -> None:
    policy = load(tmp_path, rule("match", "{size: {min: 1 kB, max: 1.5 MiB}}"))
    decided = [policy.decide(PDF, {}, size).rule for size in (999, 1000, 1_572_864, 1_572_865)]
    assert decided == ["rest", "match", "match", "rest"]


def test_decide_again_leaves_the_failed_rule_out_and_looks_at_the_facts(tmp_path) -> None:
    keep = rule(
        "claims",
        "{puid: [fmt/18], facts: {pdfa_claim: {present: true}}}",
        verb="keep",
        more=f"{KEEP}\notherwise: decide-again\nbefore: [scan]",
    )
    scan = rule("scan", "{puid: [fmt/18], facts: {text_layer: none}}", verb="migrate", more=MIGRATE)
    policy = load(tmp_path, keep, scan, rule("plain", "{puid: [fmt/18]}", verb="migrate", more=MIGRATE))
    for layer, then in (("none", "scan"), ("full", "plain")):
        plan = policy.decide(PDF, {"pdfa_claim": "2b", "text_layer": layer}, 1)
        assert plan.rule == "claims"
        assert plan.otherwise is not None
        assert plan.otherwise.rule == then


def test_otherwise_may_name_a_rule_that_would_not_match(tmp_path) -> None:
    keep = rule("keep", "{puid: [fmt/18]}", verb="keep", more=f"{KEEP}\notherwise: other")
    plan = load(tmp_path, keep, rule("other", "{puid: [fmt/1]}")).decide(PDF, {}, 1)
    assert plan.otherwise is not None
    assert (plan.otherwise.rule, plan.otherwise.verb) == ("other", Verb.RETAIN)


def test_names_in_capitals_and_media_type_parameters_do_not_matter(tmp_path) -> None:
    policy = load(tmp_path, rule("text", "{mime: [text/plain]}"), rule("name", "{extension: [pdf]}"))
    assert policy.decide(Identity(None, "Text/Plain; charset=utf-8", ""), {}, 1).rule == "text"
    assert policy.decide(Identity(None, None, ".PDF"), {}, 1).rule == "name"


def test_defaults_are_filled_in_and_actions_bring_theirs(tmp_path) -> None:
    head = HEAD + "defaults: {langs: [swe, fin], goals: [fmt/354, fmt/95], kind: 1b}\n"
    more = """\
targets: [$goals]
rungs: [{name: a, do: [{action: ocr, params: {languages: $langs}}, {action: to_pdfa, params: {flavour: $kind}}]}]
validate: {action: validate}
compare: {action: compare}"""
    plan = load(tmp_path, rule("scan", "{puid: [fmt/18]}", verb="migrate", more=more), head=head).decide(PDF, {}, 1)
    assert plan.targets == ("fmt/354", "fmt/95")
    assert [step.params for step in plan.rungs[0].steps] == [{"languages": ["swe", "fin"]}, {"flavour": "1b"}]
    assert plan.compare is not None
    assert plan.compare.params == {"text_recall": 0.98}  # 'result' is the pipeline's


def test_a_plan_s_digest_follows_what_is_done_and_not_what_it_is_called(tmp_path) -> None:
    plain = load(tmp_path, rule("a", "{puid: [fmt/18]}", verb="migrate", more=MIGRATE)).decide(PDF, {}, 1)
    renamed = load(tmp_path, rule("b", "{puid: [fmt/18]}", verb="migrate", more=MIGRATE)).decide(PDF, {}, 1)
    other = MIGRATE.replace("{action: to_pdfa}", "{action: to_pdfa, params: {flavour: 1b}}")
    changed = load(tmp_path, rule("a", "{puid: [fmt/18]}", verb="migrate", more=other)).decide(PDF, {}, 1)
    assert plain.digest == renamed.digest
    assert len(plain.digest) == 64
    assert plain.digest != changed.digest


FACT_TEXTS = ("", "signed: true", "signed: false", "text_layer: none", "text_layer: [some, full]", "pages: {min: 10}")
IDENTITIES = ("puid: [fmt/18]", "puid: [fmt/18, fmt/19]", "mime: [application/pdf]", "mime: ['application/*']", "extension: [pdf]")


@st.composite
def rule_sets(draw: st.DrawFn) -> list[str]:
    """Rules that overlap in many ways; about one set in three holds a tie, which must be refused in any order."""
    pairs = draw(st.lists(st.tuples(st.sampled_from(IDENTITIES), st.sampled_from(FACT_TEXTS)), min_size=1, max_size=6, unique=True))
    parts = [f"{{{who}, facts: {{{facts}}}}}" for who, facts in pairs]
    return [rule(f"rule-{index}", part) for index, part in enumerate(parts)]


@settings(max_examples=40, deadline=None)
@given(rules=rule_sets(), data=st.data())
def test_the_order_of_rules_never_matters(rules, data) -> None:
    """Officers reorder files for reading; that must not change what happens, nor the policy's digest."""
    shuffled = data.draw(st.permutations([*rules, CATCH_ALL]))
    facts = data.draw(
        st.fixed_dictionaries(
            {},
            optional={
                "signed": st.booleans(),
                "text_layer": st.sampled_from(["none", "some", "full"]),
                "pages": st.integers(1, 20),
            },
        )
    )
    identity = data.draw(st.sampled_from([PDF, Identity("fmt/19", None, "pdf"), Identity(None, "application/pdf", "")]))
    outcomes = []
    with TemporaryDirectory() as folder:
        for order in ([*rules, CATCH_ALL], shuffled):
            path = Path(folder, "p.yaml")
            path.write_text(HEAD + "rules:\n" + "".join(order), encoding="utf-8")
            outcomes.append(_outcome(path, identity, facts))
    assert outcomes[0] == outcomes[1]


def _outcome(path: Path, identity: Identity, facts: dict[str, bool | int | str]) -> object:
    from worker.policy.problem import PolicyError

    try:
        policy = load_policy(path, ACTIONS)
    except PolicyError:  # a tie: refused in any order
        return "refused"
    return policy.ref.sha256, policy.decide(identity, facts, 1)


def test_an_explanation_names_near_misses_in_both_languages(tmp_path) -> None:
    policy = load(
        tmp_path,
        rule("plain", "{puid: [fmt/18]}", verb="migrate", more=MIGRATE),
        rule("scan", "{puid: [fmt/18], facts: {text_layer: none}}"),
        rule("other", "{puid: [fmt/1]}"),
        rule("loose", "{extension: [pdf]}"),
    )
    plan = policy.explain(PDF, {"text_layer": "full"}, 1)
    ruled_out = dict(plan.ruled_out)
    assert ruled_out["scan"] == "needs text_layer to be none, and it is full"
    assert ruled_out["other"] == "is for other formats than fmt/18"
    assert ruled_out["loose"] == "matches too, but 'plain' goes first"
    swedish = render_explanation(policy.explain(PDF, {}, 1, "sv"), "sv")
    assert "Regel: plain" in swedish
    assert "kräver att text_layer är none, men det är inte uppmätt" in swedish
    assert "Därför att plain" in swedish
    assert plan == policy.explain(PDF, {"text_layer": "full"}, 1)
    assert policy.decide(PDF, {"text_layer": "full"}, 1).ruled_out == ()
