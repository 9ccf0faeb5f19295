"""Read a policy's YAML into plain data that remembers the line of every key and item.

Only structure is read here; what it means is ``model`` and ``load``. YAML 1.2 through ruamel.yaml:
``yes`` and ``no`` are words, and a date stays text for pydantic to read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from ruamel.yaml import YAML, MappingNode, Node, SequenceNode
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from worker.policy.problem import PolicyError, Problem

Where: TypeAlias = tuple[str | int, ...]
"""Path to a value: keys and 0-based positions, as in a pydantic error's ``loc``."""


@dataclass(frozen=True, slots=True)
class Source:
    """A policy file as data. ``lines`` holds the 1-based line of each key or item."""

    path: Path
    data: dict[str, object]
    lines: Mapping[Where, int] = field(default_factory=dict)

    def problem(self, where: Where, what: str, remedy: str) -> Problem:
        """An error at *where*, or at the nearest enclosing key that the file has."""
        while where and where not in self.lines:
            where = where[:-1]
        return Problem(str(self.path), self.lines.get(where, 1), what, remedy)


def read(path: Path) -> Source:
    """Read *path*.

    Raises:
        PolicyError: The file cannot be read, is not YAML, or repeats a key.
    """
    try:
        root = YAML(typ="safe", pure=True).compose(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        problem = Problem(str(path), 0, f"the file cannot be read: {error}", "Check its name, and that it is UTF-8.")
        raise PolicyError(str(path), [problem]) from error
    except YAMLError as error:
        raise PolicyError(str(path), [_syntax(path, error)]) from error
    reader = _Reader(path)
    data = reader.plain(root, ()) if root is not None else None
    if not isinstance(data, dict):
        reader.problems.append(
            Problem(str(path), 1, "the file does not hold keys and values", "Begin with 'schema: bevara.policy/1'.")
        )
    if reader.problems or not isinstance(data, dict):
        raise PolicyError(str(path), reader.problems)
    return Source(path, data, reader.lines)


def _syntax(path: Path, error: YAMLError) -> Problem:
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    what = (error.problem if isinstance(error, MarkedYAMLError) else None) or str(error)
    return Problem(str(path), mark.line + 1 if mark else 1, f"this is not YAML: {what}", "Check indentation, colons and quotes.")


class _Reader:
    """Turns composed nodes into plain data, and writes down lines on the way."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Where, int] = {}
        self.problems: list[Problem] = []
        self._open: list[Node] = []

    def plain(self, node: Node, where: Where) -> object:
        """Plain data of *node*, which stands at *where*."""
        line = self.lines.setdefault(where, node.start_mark.line + 1)
        if any(node is outer for outer in self._open):  # an alias inside its own anchor
            self.problems.append(Problem(str(self.path), line, "the value refers to itself", "Remove the alias ('*name')."))
            return None
        self._open.append(node)
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, where)
            if isinstance(node, SequenceNode):
                return [self.plain(item, (*where, index)) for index, item in enumerate(node.value)]
            return _scalar(str(node.tag), str(node.value))
        finally:
            self._open.pop()

    def _mapping(self, node: MappingNode, where: Where) -> dict[str, object]:
        result: dict[str, object] = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in result:
                self.problems.append(Problem(str(self.path), line, f"the key '{name}' stands twice here", "Keep one of them."))
            self.lines[*where, name] = line
            result[name] = self.plain(value, (*where, name))
        return result


def _scalar(tag: str, text: str) -> object:
    try:
        match tag.rsplit(":", 1)[-1]:
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return int(text.replace("_", ""), 0)
            case "float":
                return float(text.replace("_", ""))
    except ValueError:  # a number that Python writes differently (0123, .inf): the text is what the officer sees
        return text
    return text
