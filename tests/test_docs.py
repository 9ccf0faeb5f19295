"""What the documents say, the program does: commands, options, codes, words, examples, links.

Reads README.md and its neighbours as a user would; runs nothing that ``preserved`` has not run already.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from actions.catalog import CATALOG
from actions.contract import Level
from tests.conftest import PROJECT, missing
from worker import __version__, toolchain
from worker.cli import main as cli
from worker.policy.inherit import SHIPPED
from worker.policy.load import check
from worker.policy.plan import Verb
from worker.policy.problem import Severity
from worker.record import Status
from worker.settings import Settings

DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docker/README.md")
README = (PROJECT / "README.md").read_text("utf-8")
GUIDE = README + (PROJECT / "docker" / "README.md").read_text("utf-8")  # operators are told in the second
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
STANDARD = frozenset({"-h", "--help"})


def blocks(language: str, text: str = README) -> list[str]:
    """The fenced code blocks of one language."""
    return [body for said, body in FENCE.findall(text) if said == language]


def prose(text: str = README) -> str:
    """Everything that is not a code block."""
    return FENCE.sub("", text)


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Each command as a user types it, with its parser; ``policy`` alone is none, ``policy check`` is."""
    for name, (module, _) in cli.COMMANDS.items():
        parser = argparse.ArgumentParser(prog=f"bevara {name}")
        import_module(module).add(parser)
        yield from leaves(name, parser)


def leaves(name: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield name, parser
    for sub in below:
        for word, inner in sub.choices.items():
            yield from leaves(f"{name} {word}", inner)


COMMANDS = dict(commands())


def options(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings} - STANDARD


def examples() -> list[str]:
    """Every line of a console block that a user would type, without its comment."""
    lines = [line for block in blocks("console") for line in block.splitlines()]
    return [line[2:].partition("  #")[0].strip() for line in lines if line.startswith("$ ")]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_documents_tell_of_every_command_and_option(command) -> None:
    """What a new user is not told of does not exist."""
    assert f"bevara {command}" in GUIDE
    assert set() == {option for option in options(COMMANDS[command]) if option not in GUIDE}


@pytest.mark.parametrize("line", [line for line in examples() if line.startswith("bevara ")])
def test_every_example_is_one_that_the_command_line_takes(line) -> None:
    words = shlex.split(line)[1:]

    args = cli._parser(words).parse_args(words)

    assert args.command == words[0]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_document_names_a_command_or_option_that_is_not_there(name) -> None:
    known = set().union(*map(options, COMMANDS.values()))
    for span in INLINE.findall(prose((PROJECT / name).read_text("utf-8"))):
        words = shlex.split(span)
        if words[:1] == ["bevara"] and len(words) > 1:
            given = [word for word in words[1:] if not word.startswith("-")]
            known_here = any(command.split()[: len(given)] == given[: len(command.split())] for command in COMMANDS)
            assert known_here, span
        if words[:1] == ["bevara"] or span.startswith("--"):
            unknown = {word for word in words if word.startswith("--")} - known
            assert unknown <= {"--privileged"}, span


@pytest.mark.parametrize("name", DOCUMENTS)
def test_make_knows_every_target_that_is_named(name) -> None:
    targets = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text("utf-8"), re.MULTILINE))

    named = re.findall(r"(?:`|\$ |^    )make ([a-z]+)", (PROJECT / name).read_text("utf-8"), re.MULTILINE)

    assert set(named) <= targets


def test_every_target_with_a_help_line_is_told_somewhere() -> None:
    told = "".join((PROJECT / name).read_text("utf-8") for name in DOCUMENTS)
    for target in re.findall(r"^([a-z]+):.*## ", (PROJECT / "Makefile").read_text("utf-8"), re.MULTILINE):
        assert f"make {target}" in told


def test_statuses_levels_verbs_and_exit_codes_are_the_programs_own() -> None:
    assert {str(status) for status in Status} == set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE))
    assert all(f"`{level}`" in README for level in Level)
    assert all(re.search(rf"\b{verb}\b", README) for verb in Verb)
    codes = {cli.OK, cli.NEEDS_A_PERSON, cli.BAD_INPUT, cli.NOT_FIT, cli.INTERRUPTED}
    assert codes == {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}


def test_the_readme_tells_of_every_setting() -> None:
    """Of a machine's; the service's are in docker/README.md, and none is named that does not exist."""
    own = set(re.findall(r"BEVARA_[A-Z_]+[A-Z]", (PROJECT / "worker" / "settings.py").read_text("utf-8")))
    named = set(re.findall(r"BEVARA_[A-Z_]+[A-Z]", README))
    told = set(re.findall(r"BEVARA_[A-Z_]+[A-Z]", GUIDE.removeprefix(README)))

    assert own <= named
    assert named - own - {"BEVARA_API_KEY"} <= told


def test_the_readme_names_every_shipped_policy() -> None:
    assert all(f"`{path.stem}`" in README for path in SHIPPED.glob("*.yaml"))


def test_the_example_policy_can_be_used(tmp_path) -> None:
    (example,) = blocks("yaml")
    path = tmp_path / "hoor.yaml"
    path.write_text(example, "utf-8")

    assert check(path, CATALOG) == []


def test_the_example_of_a_mistake_is_what_the_checker_says(tmp_path) -> None:
    (example,) = blocks("yaml")
    path = tmp_path / "hoor.yaml"
    path.write_text(example.replace("text_layer: none", "text_layer: non").replace("pages:", "page:"), "utf-8")

    problems = check(path, CATALOG)

    said = "".join(f"{problem}\n" for problem in problems).replace(f"{tmp_path}/", "")
    assert said in blocks("text")
    assert any(problem.severity is Severity.ERROR for problem in problems)


def test_the_transcript_is_of_a_real_run(preserved) -> None:
    """The samples' own summary, line by line; only the choice of names for folder, archive and tenant is the reader's."""
    _, ran = preserved
    for tool in toolchain.tools(Settings.from_environment()):
        if tool.version is None:
            missing(tool.name)
    (shown,) = [block for block in blocks("console") if block.startswith("$ bevara preserve")]

    lines = [line.rstrip() for line in shown.splitlines()[1:] if line.strip()]

    real = [line.rstrip() for line in ran.out.splitlines()]
    assert [line for line in lines if line not in real] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_inside_the_repository_lead_somewhere(name) -> None:
    document = PROJECT / name
    text = document.read_text("utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", prose(text)):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        led = (document.parent / path).resolve() if path else document
        assert led.exists(), target
        if heading:
            assert heading in anchors(led.read_text("utf-8")), target


def anchors(text: str) -> set[str]:
    """The names that a Markdown reader gives to headings."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_test_and_file_that_is_named_is_there(name) -> None:
    """A promise that points to its test must not outlive the test."""
    for span in INLINE.findall(prose((PROJECT / name).read_text("utf-8"))):
        named = re.fullmatch(r"((?:actions|worker|tests|policies|docker)/[\w/.-]+\.\w+)(?:::(\w+))?", span)
        if named is None:
            continue
        path = PROJECT / named[1]
        assert path.is_file(), span
        assert named[2] is None or re.search(rf"^def {named[2]}\(", path.read_text("utf-8"), re.MULTILINE), span


def test_every_promise_has_its_row() -> None:
    assert re.findall(r"^\| (P\d) \|", README, re.MULTILINE) == [f"P{number}" for number in range(1, 9)]


def test_the_changelog_knows_this_version() -> None:
    changelog = (PROJECT / "CHANGELOG.md").read_text("utf-8")

    assert f"\n## [{__version__}]" in changelog
    assert "\n## [Unreleased]\n" in changelog


def test_the_licence_is_the_one_that_the_project_declares() -> None:
    declared = re.search(r'^license = "([^"]+)"', (PROJECT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)

    assert declared is not None
    assert declared[1] == "AGPL-3.0-or-later"
    assert "GNU AFFERO GENERAL PUBLIC LICENSE\n                       Version 3" in Path(PROJECT, "LICENSE").read_text("utf-8")


def test_the_readme_stays_short_enough_to_be_read() -> None:
    assert len(README.splitlines()) <= 480
