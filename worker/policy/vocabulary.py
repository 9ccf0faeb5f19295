"""The words that a policy's conditions may use: facts with their types, and families.

A fact that no probe ever measures would make a rule that never matches, and nobody would see it;
so names and values are checked against this list when a policy is loaded. A new probe fact is a line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class FactType(StrEnum):
    """What values a fact can have."""

    FLAG = "true or false"
    COUNT = "a whole number"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class FactWord:
    """A fact that probes or identification measure. ``choices``: the only values of a text, if closed."""

    type: FactType
    meaning: str
    choices: tuple[str, ...] = ()


def _flag(meaning: str) -> FactWord:
    return FactWord(FactType.FLAG, meaning)


def _count(meaning: str) -> FactWord:
    return FactWord(FactType.COUNT, meaning)


def _text(meaning: str, *choices: str) -> FactWord:
    return FactWord(FactType.TEXT, meaning, choices)


FACTS: Mapping[str, FactWord] = MappingProxyType(
    {
        "encrypted": _flag("needs a password to open"),
        "restricted": _flag("opens, but the owner's permissions restrict it"),
        "signed": _flag("carries a digital signature"),
        "macros": _flag("carries program code that the format can run"),
        "javascript": _flag("carries JavaScript"),
        "forms": _text("kind of fill-in form", "none", "acroform", "xfa"),
        "embedded_files": _count("files inside the file"),
        "portfolio": _flag("is a PDF portfolio: a cover with files"),
        "tracked_changes": _count("tracked changes that are neither accepted nor rejected"),
        "comments": _count("comments"),
        "notes": _count("speaker notes"),
        "text_layer": _text("pages that carry text", "none", "some", "full"),
        "pages": _count("pages or slides"),
        "pdfa_claim": _text(
            "PDF/A part and level that the file claims for itself",
            *("1a", "1b", "2a", "2b", "2u", "3a", "3b", "3u", "4", "4e", "4f"),
        ),
        "pdf_version": _text("PDF version of the header or catalogue, such as '1.7'"),
        "width_px": _count("width of the first picture, pixels"),
        "height_px": _count("height of the first picture, pixels"),
        "frames": _count("pictures in the file"),
        "bits_per_sample": _count("bits of one colour sample"),
        "icc": _flag("carries a colour profile"),
        "alpha": _flag("carries transparency"),
        "layers": _count("layers of a picture"),
        "encoding": _text("character encoding, such as 'utf-8' or 'windows-1252'"),
        "bom": _flag("begins with a byte order mark"),
        "damaged": _flag("the format's own reader cannot read it"),
        "damage": _text("why it is called damaged"),
        "external_links": _count("links to content outside the file"),
        "members": _count("files in a container"),
        "hidden": _count("hidden slides, sheets or passages"),
        "empty": _flag("has no bytes"),
        "disagreement": _flag("identifiers read the bytes as different formats"),
        "by_extension_only": _flag("identified by its name alone"),
        "extension": _text("the file name's extension, lower case without the dot; known for every file that has one"),
    }
)

FAMILIES = (
    *("office-text", "presentation", "spreadsheet", "pdf", "picture", "text", "email", "audio", "video", "cad", "gis"),
    *("archive", "database", "web", "ebook", "software", "other"),
)
"""What a rule's ``family`` may be: the lines of the report's summary table."""
