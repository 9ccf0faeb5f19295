"""Check the shape of one policy file, key by key, and gather every complaint with its line.

Each rule is checked by itself, so that one misspelt rule does not hide what is wrong with the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from worker.policy.model import (
    CODE_PATTERN,
    EXTENSION_PATTERN,
    MIME_PATTERN,
    PUID_PATTERN,
    SIZE_PATTERN,
    HeaderFile,
    PolicyFile,
    RuleFile,
)
from worker.policy.problem import Problem, suggest
from worker.policy.source import Source, Where

_Model = TypeVar("_Model", bound=BaseModel)

_FORMS = {
    CODE_PATTERN: "Use lower-case words joined by hyphens, such as 'pdf-scan'.",
    EXTENSION_PATTERN: "Write the extension in lower case without its dot, such as 'pdf'.",
    MIME_PATTERN: "Write a media type in lower case, such as 'image/jpeg' or 'image/*'.",
    PUID_PATTERN: "A PRONOM id looks like 'fmt/412' or 'x-fmt/111'.",
    rf"{PUID_PATTERN}|^\$[a-z0-9_]+$": "A PRONOM id looks like 'fmt/412' or 'x-fmt/111'; '$name' stands for a default.",
    SIZE_PATTERN: "Write bytes, or a number with a unit: '10 MB', '1.5 GiB'.",
}


@dataclass(frozen=True, slots=True)
class Shaped:
    """What of a file has the right shape. ``header`` None: it has not; the rules are still worth checking."""

    source: Source
    header: HeaderFile | None
    rules: tuple[tuple[int, RuleFile], ...]
    """With the position in the file, 0-based."""


def shape(source: Source, problems: list[Problem]) -> Shaped:
    """Check *source*; what is wrong is added to *problems*."""
    data = dict(source.data)
    written = data.pop("rules", [])
    header = _validate(HeaderFile, data, source, (), problems)
    if not isinstance(written, list):
        problems.append(source.problem(("rules",), "'rules' is not a list", "Begin each rule with '- id: …'."))
        written = []
    checked = ((index, _validate(RuleFile, rule, source, ("rules", index), problems)) for index, rule in enumerate(written))
    return Shaped(source, header, tuple((index, rule) for index, rule in checked if rule is not None))


def _validate(model: type[_Model], data: object, source: Source, where: Where, problems: list[Problem]) -> _Model | None:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems += _explained(error, source, where)
        return None


def _explained(error: ValidationError, source: Source, where: Where) -> Iterator[Problem]:
    told: set[Where] = set()
    # Of a union's complaints the most telling is shown: a wrong form says more than a wrong type.
    for found in sorted(error.errors(), key=lambda found: found["type"].endswith("_type")):
        at = _real((*where, *found["loc"]), source, found["type"])
        if at in told:
            continue  # one value that fits no form of a union is told once
        told.add(at)
        what, remedy = _sentence(found, at)
        yield source.problem(at, what, remedy)


def _real(where: Where, source: Source, kind: str) -> Where:
    """*where* without the names that pydantic adds for the members of a union."""
    if kind == "missing":
        return where
    while where and where not in source.lines:
        where = where[:-1]
    return where


def _sentence(found: ErrorDetails, where: Where) -> tuple[str, str]:
    """What is wrong with the value at *where*, and what to do about it."""
    last = where[-1] if where else "the file"
    name = f"'{last}'" if isinstance(last, str) else f"item {last + 1} of '{where[-2]}'"
    match found["type"]:
        case "extra_forbidden":
            return f"there is no key {name} here", suggest(str(last), keys_at(where[:-1]))
        case "missing":
            return f"{name} is missing", f"Add a line '{last}: …'."
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"{name} is not keys and values", f"Write it as keys: {', '.join(sorted(keys_at(where))) or 'your own names'}."
        case "list_type":
            return f"{name} is not a list", "Write it as a list: [a, b], or one '- item' a line."
        case kind:
            return f"{name} cannot be {found['input']!r}", _value_remedy(kind, found)


def _value_remedy(kind: str, found: ErrorDetails) -> str:
    context = found.get("ctx", {})
    if kind in {"literal_error", "enum"}:
        return suggest(str(found["input"]), _choices(str(context.get("expected", ""))))
    return _FORMS.get(str(context.get("pattern")), f"{found['msg']}.")


def _choices(expected: str) -> list[str]:
    return [part.strip("' ") for part in expected.replace(" or ", ", ").split(",") if part.strip()]


@cache
def _schema() -> Mapping[str, Any]:
    return PolicyFile.model_json_schema(by_alias=True)


def keys_at(where: Where) -> list[str]:
    """The keys that a policy file may have at *where*."""
    root = _schema()
    node: Mapping[str, Any] = root
    for step in where:
        node = _resolve(node, root)
        if isinstance(step, int):
            node = node.get("items", {})
        else:
            node = node.get("properties", {}).get(step) or node.get("additionalProperties") or {}
    return list(_resolve(node, root).get("properties", {}))


def _resolve(node: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    for form in (node, *node.get("anyOf", ())):
        if "$ref" in form:
            return root["$defs"][form["$ref"].rsplit("/", 1)[-1]]  # type: ignore[no-any-return]  # JSON data
    return node
