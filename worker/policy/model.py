"""A policy file as officers write it: the shape of its YAML, and the JSON Schema made from it.

Shape only: which keys exist and what kind of value they take. What a rule means, and whether its words exist, is ``build``.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from worker.policy.plan import Verb
from worker.policy.vocabulary import FACTS, FAMILIES, FactType, FactWord

SCHEMA_ID = "bevara.policy/1"
PUID_PATTERN = r"^(x-)?fmt/[1-9][0-9]*$"
CODE_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
MIME_PATTERN = r"^[a-z0-9][a-z0-9.+-]*/([a-z0-9][a-z0-9.+-]*|\*)$"
EXTENSION_PATTERN = r"^[a-z0-9_~-]+$"
SIZE_PATTERN = r"^[0-9]+(\.[0-9]+)? ?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$"

Puid = Annotated[str, Field(pattern=PUID_PATTERN, description="A PRONOM id, such as fmt/412 or x-fmt/111.")]
PuidOrReference = Annotated[str, Field(pattern=rf"{PUID_PATTERN}|^\$[a-z0-9_]+$")]
Code = Annotated[str, Field(pattern=CODE_PATTERN)]
Size = Annotated[int, Field(ge=0, strict=True)] | Annotated[str, Field(pattern=SIZE_PATTERN)]
Value = bool | int | float | str | list[str]
"""What a default can be."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)


class TextFile(_Strict):
    """A sentence for people, in both languages."""

    sv: Annotated[str, Field(min_length=1)]
    en: Annotated[str, Field(min_length=1)]


class StepFile(_Strict):
    """One action and its parameters. A value ``$name`` stands for the default of that name."""

    action: str
    params: dict[str, JsonValue] = {}


class RungFile(_Strict):
    """One attempt: actions in order, each working on the result of the one before."""

    name: str
    do: Annotated[list[StepFile], Field(min_length=1)]


class SizeFile(_Strict):
    """The size of the file, both ends included; bytes, or with a unit: ``10 MB``."""

    min: Size | None = None
    max: Size | None = None


def _fact_schema(word: FactWord) -> dict[str, Any]:
    presence = {
        "type": "object",
        "properties": {"present": {"type": "boolean"}},
        "required": ["present"],
        "additionalProperties": False,
    }
    one: dict[str, Any] = {
        FactType.FLAG: {"type": "boolean"},
        FactType.COUNT: {"type": "integer"},
        FactType.TEXT: {"type": "string"},
    }[word.type]
    if word.choices:
        one = {**one, "enum": list(word.choices)}
    forms = [one, presence]
    if word.type is not FactType.FLAG:
        forms.append({"type": "array", "items": one, "minItems": 1})
    if word.type is FactType.COUNT:
        bounds = {"min": {"type": "integer"}, "max": {"type": "integer"}}
        forms.append({"type": "object", "properties": bounds, "minProperties": 1, "additionalProperties": False})
    return {"anyOf": forms, "description": word.meaning}


_FACTS_SCHEMA: dict[str, Any] = {
    "properties": {name: _fact_schema(word) for name, word in FACTS.items()},
    "additionalProperties": False,
}


class MatchFile(_Strict):
    """Which files. Any one of the identities, and all of the conditions. ``{}``: every file."""

    group: list[str] = Field(default=[], description="Names of groups: their PUIDs are added to 'puid'.")
    puid: list[Puid] = []
    mime: list[Annotated[str, Field(pattern=MIME_PATTERN)]] = Field(default=[], description="Media types; type/* is allowed.")
    extension: list[Annotated[str, Field(pattern=EXTENSION_PATTERN)]] = []
    identified: Literal[True] | None = Field(
        default=None, description="Every file that has a PUID: for formats that no other rule names."
    )
    facts: dict[str, JsonValue] = Field(default={}, json_schema_extra=lambda schema: schema.update(_FACTS_SCHEMA))
    size: SizeFile | None = None


_ONLY_BY_VERB: list[Any] = [
    {"if": {"properties": {"verb": {"const": "keep"}}}, "then": {"required": ["check"]}},
    {"if": {"properties": {"verb": {"const": "migrate"}}}, "then": {"required": ["targets", "rungs", "validate", "compare"]}},
    {"if": {"properties": {"verb": {"enum": ["retain", "review", "return"]}}}, "then": {"required": ["reason"]}},
]


class RuleFile(_Strict):
    """What is done with the files that match."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"allOf": _ONLY_BY_VERB})

    id: Code
    family: Literal[FAMILIES]  # type: ignore[valid-type]  # mypy wants the words here; they live in vocabulary
    gate: bool = Field(default=False, strict=True, description="Decided before every rule that is no gate.")
    before: list[Code] = Field(
        default=[], description="Rules that are equally specific and can match the same file: this one goes first."
    )
    match: MatchFile
    verb: Verb
    reason: Code = Field(default="ok", description="Stable code for reports; needed for retain, review and return.")
    why: TextFile
    check: StepFile | None = Field(default=None, description="keep: validates the original.")
    otherwise: Code | None = Field(
        default=None,
        description="keep: what to do when the check does not answer valid: 'decide-again' without this rule, or a rule's id.",
    )
    targets: list[PuidOrReference] = Field(default=[], description="migrate: formats that the result may be identified as.")
    rungs: list[RungFile] = Field(default=[], description="migrate: attempts, the least destructive first.")
    validated_by: StepFile | None = Field(default=None, alias="validate", description="migrate: validates the result.")
    compare: StepFile | None = Field(default=None, description="migrate: compares the result with the original.")
    on_refusal: Literal["review", "retained", "returned"] = "review"


class HeaderFile(_Strict):
    """All of a policy but its rules."""

    schema_id: Literal["bevara.policy/1"] = Field(alias="schema")
    name: Code
    version: Annotated[str, Field(min_length=1)]
    valid_from: date
    owner: Annotated[str, Field(min_length=1)]
    legal_basis: Annotated[str, Field(min_length=1)]
    description: TextFile
    extends: str | None = Field(
        default=None, description="A shipped policy's name, or a path from this file; its rules are inherited."
    )
    remove: list[Code] = Field(default=[], description="Ids of inherited rules that do not apply.")
    defaults: dict[str, Value] = Field(default={}, description="Values that steps and targets use as $name.")
    groups: dict[str, Annotated[list[Puid], Field(min_length=1)]] = Field(
        default={}, description="PUID lists that rules use by name."
    )


class PolicyFile(HeaderFile):
    """A policy of bevara: which files are kept, migrated, retained, reviewed or returned, and why."""

    rules: list[RuleFile] = []
