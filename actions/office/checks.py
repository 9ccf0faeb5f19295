"""Judges a document against its PDF, property by property: each check says what was measured on both sides.

Reading either side belongs to ``extract`` and ``pages_side``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from actions.compare.text import normalise, numbers_kept, similarity
from actions.contract import Check, Fact, Level
from actions.office import passages
from actions.office.content import OfficeContent
from actions.office.pages_side import Shown

PAGES_WITH_EVERY_HEADER = 3  # first, left and right have each had their page by then
SHOWN = 8
RESCUED_CHARS, RESCUED_MAX = 5, 500  # shorter words are found inside others by chance


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be missing, and what the conversion said of itself (0: it did not say)."""

    text_recall: float
    lost_passages: int
    expected_pages: int
    notes_pages: int
    fonts_missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides. ``beside``: text kept beside the PDF; ``why``: who speaks for the source when not our own reader."""

    content: OfficeContent | None
    shown: Shown
    beside: str
    independent: bool
    why: str


def checks_of(sides: Sides, limits: Limits) -> tuple[Check, ...]:
    """Every property that can be measured, and those recorded for information."""
    found: list[Check | None] = [_pages(sides, limits), _blank_pages(sides)]
    if sides.content is not None:
        found[:0] = _text(sides, sides.content, limits)
        found += [_headers(sides, sides.content, limits), _notes(sides, sides.content, limits)]
        if sides.independent:
            found += [_pictures(sides, sides.content), *_remarks(sides, sides.content, limits)]
    fonts: list[str] = list(sides.shown.fonts)
    replaced = list(limits.fonts_missing)
    found.append(Check("fonts", replaced, fonts, None, f"replaced: {', '.join(replaced)}" if replaced else ""))
    return tuple(check for check in found if check is not None)


def level_of(sides: Sides, checks: tuple[Check, ...], *, refused: bool) -> Level:
    """``different`` when any check fails; ``equivalent`` only when words or pictures were compared, or both sides are empty."""
    if any(check.ok is False for check in checks):
        return Level.DIFFERENT
    content = sides.content
    if content is None or refused or content.damage:  # what was not read was not compared
        return Level.UNPROVEN
    compared = {check.name for check in checks if check.ok}
    has_words = bool(normalise(content.text) or any(content.notes))
    if not has_words and normalise(content.headers_footers) and "headers_footers" in compared:
        return Level.EQUIVALENT  # a slide with nothing but its master's text
    if (has_words and "text" in compared) or (content.pictures and "pictures" in compared):
        return Level.EQUIVALENT
    return Level.EQUIVALENT if _both_empty(sides) else Level.UNPROVEN


def facts_of(sides: Sides) -> dict[str, Fact]:
    """Counts for the record."""
    facts: dict[str, Fact] = {"result_pages": sides.shown.pages, "result_words": len(normalise(sides.shown.text))}
    content = sides.content
    if content is not None:
        facts |= {"reader": content.reader, "source_words": len(normalise(content.text))}
    if content is not None and sides.independent:
        facts |= {"embedded_objects": content.embedded, "vector_pictures": content.vector_pictures}
    return facts


def _both_empty(sides: Sides) -> bool:
    content, shown = sides.content, sides.shown
    if content is None or not sides.independent:
        return False
    holds = (content.drawn.strip(), content.hidden, content.headers_footers.strip(), content.pictures, content.vector_pictures)
    return not any((*holds, content.embedded, content.comments, shown.pictures)) and len(shown.blank_pages) == shown.pages > 0


@dataclass(frozen=True, slots=True)
class _Likeness:
    """How much of a text was found; ``missing`` holds every word that was not, in no order."""

    recall: float
    missing: tuple[str, ...]
    folded: bool

    @property
    def has_all_numbers(self) -> bool:
        """One changed digit is a changed record, however long the record."""
        return not any(character.isdigit() for word in self.missing for character in word)


def _likeness(source: str, result: str) -> _Likeness:
    """How much of *source* is in *result*; case is put aside only where it must be (capitals set by a style)."""
    plain = _measure(normalise(source), normalise(result), folded=False)
    if not plain.missing:
        return plain
    folded = _measure(normalise(source, fold_case=True), normalise(result, fold_case=True), folded=True)
    return folded if folded.recall > plain.recall else plain


def _measure(source: list[str], result: list[str], *, folded: bool) -> _Likeness:
    """Words, the better of two measures; a long word that a narrow cell or a raised letter splits counts as found."""
    lost = Counter(source) - Counter(result)
    stream = "".join(result) if lost else ""
    total = Counter(source)
    rescued = [word for word in islice(lost, RESCUED_MAX) if len(word) >= RESCUED_CHARS and stream.count(word) >= total[word]]
    for word in rescued:
        del lost[word]
    if numbers_kept(source, result):
        lost = Counter({word: count for word, count in lost.items() if not any(character.isdigit() for character in word)})
    recall = 1 - lost.total() / len(source) if source else 1.0
    if lost:
        recall = max(recall, similarity(source, result).recall)
    return _Likeness(recall, tuple(lost), folded)


def _text(sides: Sides, content: OfficeContent, limits: Limits) -> list[Check]:
    """The body's words, its numbers, each longer paragraph; and what the result has beyond the source."""
    if not normalise(content.text):
        return [Check("text", 0, len(normalise(sides.shown.text)), None, sides.why or "the source's body has no words")]
    alike = _likeness(content.text, sides.shown.text)
    said = (_first("missing", alike.missing), "capitals set by a style put aside" if alike.folded else "", sides.why)
    gone = passages.lost(content.text, sides.shown.text)
    numbers = _first("not in the result", [word for word in alike.missing if any(character.isdigit() for character in word)])
    return [
        Check("text", 1.0, round(alike.recall, 4), alike.recall >= limits.text_recall, "; ".join(part for part in said if part)),
        Check("passages", 0, len(gone), len(gone) <= limits.lost_passages, _first("not found", gone)),
        Check("numbers", True, alike.has_all_numbers, alike.has_all_numbers, numbers),
        *_added(sides, content),
    ]


def _added(sides: Sides, content: OfficeContent) -> list[Check]:
    """For information: what the result has beyond the source, and how much of charts' and formulas' text it has."""
    parts = (content.text, content.headers_footers, content.computed, content.drawn, content.deleted, *content.notes)
    extra = _likeness(sides.shown.text, "\n".join(parts))
    found = [Check("added_text", 1.0, round(extra.recall, 4), None, _first("only in the result", extra.missing))]
    if normalise(content.drawn):
        drawn = _likeness(content.drawn, sides.shown.text)
        found.append(Check("drawn_text", 1.0, round(drawn.recall, 4), None, "labels of charts, formulas and forms: drawn anew"))
    return found


def _first(label: str, items: Sequence[str]) -> str:
    return f"{label}: {', '.join(items[:SHOWN])}" if items else ""


def _pages(sides: Sides, limits: Limits) -> Check:
    """Slides by our own count, and notes pages; pages of a text by the layout's own count."""
    shown = sides.shown.pages
    slides = sides.content.slides if sides.content is not None else None
    if slides is not None:
        expected = slides + limits.notes_pages
        why = f"{limits.notes_pages} of the pages are notes pages" if limits.notes_pages else ""
        return Check("slides", expected, shown, shown == expected and not sides.shown.unreadable_pages, why)
    if not limits.expected_pages:
        return Check("pages", None, shown, None if shown else False, "the conversion did not say how many pages it laid out")
    return Check("pages", limits.expected_pages, shown, shown == limits.expected_pages and not sides.shown.unreadable_pages)


def _blank_pages(sides: Sides) -> Check:
    """A result without any ink is wrong as soon as the source has anything to show."""
    shown, content = sides.shown, sides.content
    all_blank = len(shown.blank_pages) == shown.pages
    has_content = content is not None and bool(content.text.strip() or content.pictures or content.vector_pictures)
    blank: list[str] = [str(number) for number in shown.blank_pages[:20]]
    return Check("blank_pages", None, blank, False if all_blank and has_content else None if blank else True)


def _headers(sides: Sides, content: OfficeContent, limits: Limits) -> Check | None:
    """Headers, footers and master text come back on pages: each word must be there once.

    A document may define them for pages that it does not have, so a shortfall only fails when nothing is there at all.
    """
    if not normalise(content.headers_footers):
        return None
    words = " ".join(dict.fromkeys(normalise(content.headers_footers)))
    alike = _likeness(words, sides.shown.text)
    if alike.recall >= limits.text_recall:
        return Check("headers_footers", 1.0, round(alike.recall, 4), ok=True)
    is_gone = alike.recall == 0 and sides.shown.pages >= PAGES_WITH_EVERY_HEADER
    why = _first("not found, perhaps for pages that the document does not have", alike.missing)
    return Check("headers_footers", 1.0, round(alike.recall, 4), False if is_gone else None, why)


def _notes(sides: Sides, content: OfficeContent, limits: Limits) -> Check | None:
    return _kept("notes", len(content.notes), "\n".join(content.notes), sides, limits) if content.notes else None


def _kept(name: str, count: int, text: str, sides: Sides, limits: Limits) -> Check:
    """Whether *text* is in the PDF or in the text kept beside it."""
    alike = _likeness(text, sides.shown.text + "\n" + sides.beside)
    ok = alike.recall >= limits.text_recall
    return Check(name, count, round(alike.recall, 4), ok, "" if ok else _first("neither in the PDF nor beside it", alike.missing))


def _pictures(sides: Sides, content: OfficeContent) -> Check:
    """Raster pictures must be in the PDF as pictures; metafiles and SVG become lines there."""
    shown, wanted = sides.shown.pictures, content.pictures
    why = f"{content.vector_pictures} vector pictures more, which become lines" if content.vector_pictures else ""
    if not wanted:
        return Check("pictures", 0, shown, None, why)
    return Check("pictures", wanted, shown, shown >= wanted, why)


def _remarks(sides: Sides, content: OfficeContent, limits: Limits) -> list[Check]:
    """Comments, tracked changes and hidden text: in the PDF, or in the text beside it."""
    found = []
    if content.comments:
        found.append(_kept("comments", len(content.comments), "\n".join(one.text for one in content.comments), sides, limits))
    if changes := content.deletions + content.insertions:
        found.append(_kept("tracked_changes", changes, content.deleted, sides, limits))
    if normalise(content.hidden):
        found.append(_kept("hidden_text", len(normalise(content.hidden)), content.hidden, sides, limits))
    return found
