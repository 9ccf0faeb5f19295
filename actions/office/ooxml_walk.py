"""Where a walk through a Word document stands: open fields, deletions, and the stream that text goes to.

Which element means what belongs to ``ooxml_word``.
Source: ECMA-376-1:2016 §17.16 (fields), §17.13.5 (tracked changes).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from actions.office.content import Gathering, is_computed
from actions.office.package import Package


@dataclass(slots=True)
class Field:
    """One open field: its instruction so far, and whether its result has begun."""

    instruction: str = ""
    in_result: bool = False


@dataclass(slots=True)
class Walk:
    """State of one walk over one part; ``notes`` holds ids of notes that were referred to, and text boxes' text."""

    package: Package
    gathering: Gathering
    stream: list[str]
    relations: dict[str, tuple[str, str]]
    hidden_styles: frozenset[str]
    fields: list[Field] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=lambda: {"footnote": [], "endnote": []})
    header_ids: list[str] = field(default_factory=list)
    deleted: int = 0
    is_apart: bool = False  # inside an object whose picture is not compared
    hidden_paragraph: bool = False

    def write(self, text: str, *, hidden: bool = False) -> None:
        """Put *text* into the stream that a page would show it in."""
        if any(not one.in_result for one in self.fields):
            return
        if self.deleted:
            self.gathering.strike(self.stream, text)
        elif hidden:
            self.gathering.aside(self.gathering.hidden, text)
        elif any(is_computed(one.instruction) for one in self.fields):
            self.gathering.field_result(self.stream, text)
        else:
            self.gathering.part_asides()
            self.stream.append(text)

    def side(self, stream: list[str], relations: dict[str, tuple[str, str]] | None = None) -> Walk:
        """A fresh walk for text that stands apart: a note, a header, a comment."""
        return Walk(self.package, self.gathering, stream, self.relations if relations is None else relations, self.hidden_styles)
