"""Find a policy by name or path, and lay what it says over what it ``extends``.

A child's defaults and groups replace the parent's of the same name, its rules the parent's of the same id; ``remove`` drops rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from worker.policy.model import HeaderFile, RuleFile, Value
from worker.policy.problem import PolicyError, Problem, suggest
from worker.policy.shape import Shaped, shape
from worker.policy.source import Source, Where, read

SHIPPED = Path(__file__).resolve().parents[2] / "policies"
SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Written:
    """A rule and where it stands, whichever file of the chain that is."""

    rule: RuleFile
    source: Source
    where: Where

    @property
    def line(self) -> int:
        """1-based line of the rule's first key."""
        return self.source.lines.get(self.where, 1)


@dataclass(slots=True)
class Document:
    """A policy with what it inherits. ``header`` is the youngest child's."""

    source: Source
    header: HeaderFile | None = None
    defaults: dict[str, tuple[Value, Source]] = field(default_factory=dict)
    groups: dict[str, tuple[list[str], Source]] = field(default_factory=dict)
    rules: dict[str, Written] = field(default_factory=dict)


def shipped() -> list[str]:
    """The names of the policies that come with bevara."""
    return sorted(found.stem for found in SHIPPED.glob("*.yaml"))


def find(ref: str | Path) -> Path:
    """The file that *ref* means: a path, or the name of a shipped policy.

    Raises:
        PolicyError: There is no such policy.
    """
    if isinstance(ref, Path) or ref.endswith(SUFFIXES) or "/" in ref:
        return Path(ref)
    path = SHIPPED / f"{ref}.yaml"
    if not path.is_file():
        names = shipped()
        remedy = suggest(ref, names, f"Shipped: {', '.join(names)}. Or give a file's path.")
        raise PolicyError(ref, [Problem(ref, 0, "there is no shipped policy of this name", remedy)])
    return path


def document(path: Path, problems: list[Problem], children: tuple[Path, ...] = ()) -> Document:
    """Read *path* and everything that it extends.

    Args:
        path: The policy's file.
        problems: Takes what is wrong with any of the files.
        children: The files that led here, to see a circle.

    Raises:
        PolicyError: *path* itself cannot be read at all.
    """
    shaped = shape(read(path), problems)
    whole = _parent(shaped, path, problems, children) or Document(shaped.source)
    whole.source, whole.header = shaped.source, shaped.header
    if shaped.header is not None:
        _lay_header(whole, shaped.header, shaped.source, problems)
    _lay_rules(whole, shaped, problems)
    return whole


def _parent(shaped: Shaped, path: Path, problems: list[Problem], children: tuple[Path, ...]) -> Document | None:
    name = shaped.header.extends if shaped.header else None
    if name is None:
        return None
    trail = (*children, path.resolve())
    try:
        found = path.parent / name if name.endswith(SUFFIXES) else find(name)
        if found.resolve() in trail:
            problems.append(shaped.source.problem(("extends",), f"'{name}' extends this policy in turn", "Break the circle."))
            return None
        return document(found, problems, trail)
    except PolicyError as error:
        problems.append(shaped.source.problem(("extends",), f"'{name}' cannot be loaded", "See what is said about it."))
        problems += error.problems
        return None


def _lay_header(whole: Document, header: HeaderFile, source: Source, problems: list[Problem]) -> None:
    whole.defaults |= {name: (value, source) for name, value in header.defaults.items()}
    whole.groups |= {name: (list(puids), source) for name, puids in header.groups.items()}
    for index, rule_id in enumerate(header.remove):
        if whole.rules.pop(rule_id, None) is None:
            problems.append(source.problem(("remove", index), f"no rule '{rule_id}' is inherited", suggest(rule_id, whole.rules)))


def _lay_rules(whole: Document, shaped: Shaped, problems: list[Problem]) -> None:
    own: dict[str, int] = {}
    for index, rule in shaped.rules:
        where: Where = ("rules", index)
        if rule.id in own:
            first = shaped.source.lines.get(("rules", own[rule.id]), 1)
            what = f"the rule id '{rule.id}' was already given on line {first}"
            problems.append(shaped.source.problem((*where, "id"), what, "Give each rule its own id."))
            continue
        own[rule.id] = index
        whole.rules[rule.id] = Written(rule, shaped.source, where)
