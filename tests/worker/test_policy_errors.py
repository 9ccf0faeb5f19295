"""A policy's mistakes: every one is told, with its file and line, and with what to do."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policies_for_tests import ACTIONS, CATCH_ALL, HEAD, KEEP, MIGRATE, line_of, rule, sentences, write

from worker.policy.load import check, load_policy
from worker.policy.problem import PolicyError, Severity

ONE = "{puid: [fmt/18]}"


@pytest.mark.parametrize(
    ("rules", "marker", "what", "remedy"),
    [
        (
            [rule("a", "{puid: [fmt/18], facts: {signd: true}}")],
            "signd",
            "no probe measures a fact 'signd'",
            "Did you mean 'signed'?",
        ),
        ([rule("a", "{puid: [fmt/18], facts: {signed: 3}}")], "signed: 3", "'signed' is true or false, not 3", "It means"),
        (
            [rule("a", "{puid: [fmt/18], facts: {text_layer: nune}}")],
            "nune",
            "'text_layer' is never 'nune'",
            "Did you mean 'none'?",
        ),
        ([rule("a", "{puid: [fmt/18], facts: {pdf_version: 1.4}}")], "1.4", "'pdf_version' is text", "in quotes: '1.4'"),
        ([rule("a", "{puid: [fmt/18], facts: {pages: {min: 9, max: 2}}}")], "min: 9", "min 9 is above max 2", "Exchange"),
        ([rule("a", "{puid: [fmt/18], facts: {signed: {min: 1}}}")], "min: 1", "'signed' cannot be", "{present: true}"),
        ([rule("a", "{puid: [pdf]}")], "[pdf]", "item 1 of 'puid' cannot be 'pdf'", "A PRONOM id looks like 'fmt/412'"),
        ([rule("a", "{puid: [fmt/412, fmt-11]}")], "fmt-11", "item 2 of 'puid'", "A PRONOM id"),
        ([rule("a", "{extension: [.PDF]}")], ".PDF", "item 1 of 'extension'", "without its dot"),
        ([rule("a", "{mime: [pdf]}")], "mime", "item 1 of 'mime'", "image/jpeg"),
        ([rule("a", "{group: [pdfs]}")], "pdfs", "there is no group 'pdfs'", "Known: none"),
        ([rule("a", "{size: {max: 10 megabytes}}")], "megabytes", "'max' cannot be", "10 MB"),
        ([rule("a", "{piud: [fmt/18]}")], "piud", "there is no key 'piud' here", "Did you mean 'puid'?"),
        ([rule("a", ONE, more="familly: pdf")], "familly", "there is no key 'familly' here", "Did you mean 'family'?"),
        ([rule("a", ONE, verb="keeep")], "keeep", "'verb' cannot be 'keeep'", "Did you mean 'keep'?"),
        ([rule("a", ONE, verb="keep")], "verb: keep", "verb 'keep' needs 'check'", "Add 'check'"),
        ([rule("a", ONE, verb="migrate", more="targets: [fmt/477]")], "verb: migrate", "verb 'migrate' needs 'compare'", "P2"),
        ([rule("a", ONE, more=KEEP)], "check:", "'check' has no meaning with verb 'retain'", "Remove it"),
        (
            [rule("a", ONE, verb="keep", more="check: {action: validat}")],
            "validat}",
            "no action 'validat'",
            "Did you mean 'validate'?",
        ),
        (
            [rule("a", ONE, verb="keep", more="check: {action: to_pdfa}")],
            "to_pdfa",
            "an action of kind convert",
            "Fitting: validate",
        ),
        (
            [rule("a", ONE, verb="migrate", more=MIGRATE.replace("{action: to_pdfa}", "{action: to_pdfa, params: {flavor: 1b}}"))],
            "flavor",
            "'to_pdfa' has no parameter 'flavor'",
            "Did you mean 'flavour'?",
        ),
        (
            [rule("a", ONE, verb="migrate", more=MIGRATE.replace("{action: to_pdfa}", "{action: to_pdfa, params: {flavour: 9z}}"))],
            "9z",
            "parameter 'flavour' of 'to_pdfa'",
            "It is '9z' here",
        ),
        (
            [rule("a", ONE, verb="migrate", more=MIGRATE.replace("{action: compare}", "{action: compare, params: {result: x}}"))],
            "result: x",
            "'result' is filled in for each file",
            "Leave it out",
        ),
        ([rule("a", ONE, verb="keep", more=f"{KEEP}\notherwise: nowhere")], "id: a", "'otherwise' names 'nowhere'", "Known"),
        (
            [rule("a", ONE), rule("a", "{puid: [fmt/19]}")],
            "puid: [fmt/19]",
            "the rule id 'a' was already given on line 9",
            "own id",
        ),
        ([rule("a", ONE, more="before: [b]")], "id: a", "'before' names 'b', which is no rule", "Known"),
        ([rule("a", ONE, more="before: [rest]")], "id: a", "'before: rest' has no effect", "Remove it"),
        (
            [rule("a", ONE), rule("b", "{puid: [fmt/19, fmt/18]}")],
            "id: a",
            "equally specific, and both can match fmt/18",
            "before: [b]",
        ),
        (
            [rule("a", "{facts: {signed: true}}", more="gate: true"), rule("b", "{puid: [fmt/18], facts: {signed: true}}")],
            "id: b",
            "is never reached: 'a'",
            "Remove one",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line_and_a_remedy(tmp_path, rules, marker, what, remedy) -> None:
    path = write(tmp_path, *rules)
    problems = [problem for problem in check(path, ACTIONS) if what in problem.what]
    assert problems, sentences(check(path, ACTIONS))
    line = line_of(path, marker)
    assert problems[0].line in {line, line - 2}, (line, problems)  # an id's own line, where the marker stands below it
    assert remedy in problems[0].remedy
    assert str(problems[0]).startswith(f"{path}:{problems[0].line}: ")
    with pytest.raises(PolicyError, match=str(problems[0].line)):
        load_policy(path, ACTIONS)


def test_all_mistakes_are_told_at_once_and_in_the_order_of_the_file(tmp_path) -> None:
    rules = [
        rule("a", "{puid: [fmt/18], facts: {signd: true}}"),
        rule("b", "{puid: [pdf]}", more="gat: true"),
        rule("c", ONE, verb="keep", more="check: {action: valdate}"),
    ]
    path = write(tmp_path, *rules, head=HEAD.replace("owner: Arkivet i Åhus\n", "ownr: x\n") + "defaults: {unused: 1}\n")
    problems = check(path, ACTIONS)
    told = sentences(problems)
    for word in ("'signd'", "'pdf'", "'gat'", "'valdate'", "'ownr'", "'owner' is missing"):
        assert word in told
    assert [problem.line for problem in problems] == sorted(problem.line for problem in problems)


def test_equally_specific_rules_that_cannot_meet_are_no_tie(tmp_path) -> None:
    path = write(
        tmp_path,
        rule("a", "{puid: [fmt/18], facts: {text_layer: none}}"),
        rule("b", "{puid: [fmt/18], facts: {text_layer: [some, full]}}"),
        rule("c", "{puid: [fmt/19], facts: {signed: true}}"),
        rule("d", "{puid: [fmt/19], facts: {signed: false}}"),
        rule("e", "{puid: [fmt/20], facts: {pages: {max: 9}}}"),
        rule("f", "{puid: [fmt/20], facts: {pages: {min: 10}}}"),
    )
    assert check(path, ACTIONS) == []


def test_before_settles_a_tie_also_through_other_rules(tmp_path) -> None:
    chain = [
        rule("a", "{facts: {empty: true}}", more="before: [b]"),
        rule("b", "{facts: {damaged: true}}", more="before: [c]"),
        rule("c", "{facts: {signed: true}}"),
    ]
    assert check(write(tmp_path, *chain), ACTIONS) == []
    told = sentences(check(write(tmp_path, *chain[:2], rule("c", "{facts: {signed: true}}", more="before: [a]")), ACTIONS))
    assert "goes before itself" in told


def test_a_policy_without_a_rule_for_every_file_is_refused(tmp_path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(HEAD + "rules:\n" + rule("a", ONE), encoding="utf-8")
    assert "no rule catches a file that no other rule matches" in sentences(check(path, ACTIONS))


def test_otherwise_must_not_run_in_a_circle(tmp_path) -> None:
    keep = [
        rule(one, f"{{puid: [{puid}]}}", verb="keep", more=f"{KEEP}\notherwise: {other}")
        for one, puid, other in (("a", "fmt/1", "b"), ("b", "fmt/2", "a"))
    ]
    assert "'otherwise' leads back" in sentences(check(write(tmp_path, *keep), ACTIONS))


def test_an_unused_default_is_a_misspelt_one_and_an_unused_group_a_warning(tmp_path) -> None:
    head = HEAD + "defaults: {flavor: 1b, flavour: 2b}\ngroups: {odd: [fmt/1]}\n"
    more = MIGRATE.replace("{action: to_pdfa}", "{action: to_pdfa, params: {flavour: $flavour}}")
    problems = check(write(tmp_path, rule("a", ONE, verb="migrate", more=more), head=head), ACTIONS)
    assert [problem.severity for problem in problems] == [Severity.ERROR, Severity.WARNING]
    assert "Did you mean 'flavour'?" in problems[0].remedy


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "does not hold keys and values"),
        ("- a\n- b\n", "does not hold keys and values"),
        ("name: [\n", "this is not YAML"),
        ("a: &x [*x]\n", "the value refers to itself"),
        ("name: a\nname: b\n", "the key 'name' stands twice"),
        ("rules: 3\n", "'rules' is not a list"),
        ("rules: [3]\n", "not keys and values"),
    ],
)
def test_a_file_that_is_no_policy_is_told_so(tmp_path, text, what) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text, encoding="utf-8")
    assert what in sentences(check(path, ACTIONS))


def test_a_file_that_is_not_there_or_not_utf8_is_told_so(tmp_path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("name: Åhus\n".encode("latin-1"))
    for path in (latin, tmp_path / "nowhere.yaml"):
        assert "the file cannot be read" in sentences(check(path, ACTIONS))


def test_a_misspelt_shipped_policy_is_suggested() -> None:
    with pytest.raises(PolicyError, match="Did you mean 'skanearkiv'"):
        load_policy("skånearkiv", ACTIONS)


# --- extends -----------------------------------------------------------------------------------------------------------

PARENT = HEAD + "defaults: {kind: 2b}\ngroups: {docs: [fmt/18]}\n"
PARENT_RULE = rule(
    "a", "{group: [docs]}", verb="migrate", more=MIGRATE.replace("{action: to_pdfa}", "{action: to_pdfa, params: {flavour: $kind}}")
)


def child(tmp_path, text: str):
    path = tmp_path / "child.yaml"
    path.write_text(HEAD.replace("name: test", "name: child") + "extends: parent.yaml\n" + text, encoding="utf-8")
    return path


def test_a_child_overrides_defaults_groups_and_rules_and_adds_and_removes(tmp_path) -> None:
    from worker.policy.decide import Identity

    write(tmp_path, PARENT_RULE, rule("gone", "{puid: [fmt/9]}"), head=PARENT, name="parent.yaml")
    new = rule("new", "{puid: [fmt/20]}") + CATCH_ALL.replace("unidentified", "okand")
    path = child(tmp_path, "remove: [gone]\ndefaults: {kind: 1b}\ngroups: {docs: [fmt/19]}\nrules:\n" + new)
    policy = load_policy(path, ACTIONS)
    decided = {puid: policy.decide(Identity(puid, None, ""), {}, 1) for puid in ("fmt/18", "fmt/19", "fmt/9", "fmt/20")}
    assert {puid: plan.rule for puid, plan in decided.items()} == {
        "fmt/18": "rest",
        "fmt/19": "a",
        "fmt/9": "rest",
        "fmt/20": "new",
    }
    assert decided["fmt/18"].reason == "okand"
    assert decided["fmt/19"].rungs[0].steps[0].params == {"flavour": "1b"}
    assert policy.ref.name == "child"


def test_a_mistake_is_told_with_the_file_that_holds_it(tmp_path) -> None:
    parent = write(tmp_path, PARENT_RULE, rule("b", "{puid: [fmt/19], facts: {signd: true}}"), head=PARENT, name="parent.yaml")
    path = child(tmp_path, "remove: [aa]\ndefaults: {kimd: 1b}\n")
    told = sentences(check(path, ACTIONS))
    assert f"{parent}:{line_of(parent, 'signd')}: " in told
    assert f"{path}:{line_of(path, 'remove')}: no rule 'aa' is inherited" in told
    assert "no rule uses the default 'kimd'. Did you mean 'kind'?" in told


def test_policies_that_extend_each_other_are_refused(tmp_path) -> None:
    write(tmp_path, head=PARENT + "extends: child.yaml\n", name="parent.yaml")
    assert "extends this policy in turn" in sentences(check(child(tmp_path, ""), ACTIONS))


def test_the_digest_follows_what_is_inherited(tmp_path) -> None:
    write(tmp_path, PARENT_RULE, head=PARENT, name="parent.yaml")
    path = child(tmp_path, "")
    before = load_policy(path, ACTIONS).ref.sha256
    write(tmp_path, PARENT_RULE, head=PARENT.replace("kind: 2b", "kind: 1b"), name="parent.yaml")
    assert load_policy(path, ACTIONS).ref.sha256 != before


# --- hostile files -----------------------------------------------------------------------------------------------------

KEEP_RULE = rule(
    "k",
    "{mime: [image/*], facts: {pages: {min: 1}, text_layer: [some]}, size: {max: 1 MB}}",
    verb="keep",
    more=f"{KEEP}\notherwise: decide-again",
)
WHOLE = f"{PARENT}rules:\n{PARENT_RULE}{KEEP_RULE}{CATCH_ALL}"
JUNK = ("[]", "{}", "3", "true", "null", "-1", "1.5", "[1, {a: b}]", "$x", "{min: x}", "[[a]]", "2026-01-01", "{present: 3}", "*k")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_mutilated_policy_breaks_the_checker(data) -> None:
    """Whatever is in the file, the answer is a list of problems or a sound policy, never a crash."""
    lines = WHOLE.splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        index = data.draw(st.integers(0, len(lines) - 1))
        junk = data.draw(st.sampled_from(("", *JUNK)))
        lines[index] = lines[index].partition(":")[0] + ": " + junk if junk else ""
    with TemporaryDirectory() as folder:
        path = Path(folder, "p.yaml")
        path.write_text("\n".join(lines), encoding="utf-8")
        assert all(problem.line >= 0 and problem.what and problem.remedy for problem in check(path, ACTIONS))
