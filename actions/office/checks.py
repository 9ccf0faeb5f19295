"""Judges a document against its PDF, property by property: each check says what was measured on both sides.

Reading either side belongs to ``extract`` and ``pages_side``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from actions.compare.text import normalise
from actions.contract import Check, Fact, Level
from actions.office import drawn_checks as drawn
from actions.office import passages
from actions.office.content import CUT, OfficeContent
from actions.office.likeness import Likeness, measure
from actions.office.sides import Limits, Sides, first

PAGES_WITH_EVERY_HEADER = 3  # first, left and right have each had their page by then


def checks_of(sides: Sides, limits: Limits) -> tuple[Check, ...]:
    """Every property that can be measured, and those recorded for information."""
    found: list[Check | None] = [_pages(sides, limits), _blank_pages(sides)]
    if sides.content is not None:
        found[:0] = _text(sides, sides.content, limits)
        found += [_headers(sides, sides.content, limits), _notes(sides, sides.content, limits)]
        if sides.independent:
            found += drawn.checks_of(sides, sides.content)
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
    return Level.EQUIVALENT if _rests_on_something(sides, content, checks) else Level.UNPROVEN


def _rests_on_something(sides: Sides, content: OfficeContent, checks: tuple[Check, ...]) -> bool:
    """Whether what the source holds was compared: its words, else its pictures, charts or drawings."""
    compared = {check.name for check in checks if check.ok}
    doubtful = {check.name for check in checks if check.ok is None}
    has_words = bool(normalise(content.text) or any(content.notes))
    if not has_words and normalise(content.headers_footers) and "headers_footers" in compared:
        return True  # a slide with nothing but its master's text
    if (has_words and "text" in compared) or (content.pictures and "pictures" in compared):
        return True
    if compared & {"chart_text", "chart_labels"} and "chart_text" not in doubtful:
        return True  # a page with nothing but charts
    return bool(compared & {"drawings", "signs"}) or _both_empty(sides)


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
    words = (
        content.drawn.strip(),
        content.charts,
        content.chart_labels,
        content.hidden,
        content.beyond,
        content.headers_footers.strip(),
    )
    holds = (
        content.shapes,
        any(content.boxes),
        None in content.boxes,
        content.pictures,
        content.vector_pictures,
        content.embedded,
        content.comments,
        shown.pictures,
    )
    return not any((*words, *holds)) and len(shown.blank_pages) == shown.pages > 0


def _text(sides: Sides, content: OfficeContent, limits: Limits) -> list[Check]:
    """The body's words, its numbers, each longer paragraph; and what the result has beyond the source."""
    if not normalise(content.text):
        words = Check("text", 0, len(normalise(sides.shown.text)), None, sides.why or "the source's body has no words")
        return [words, *_signs(sides, content)]
    alike, gone, marked = _found(sides, content)
    capitals = "capitals set by a style put aside" if alike.folded else ""
    said = (first("missing", alike.missing), capitals, "read with its deletions in place" if marked else "", sides.why)
    numbers = first("not in the result", [word for word in alike.missing if any(character.isdigit() for character in word)])
    return [
        Check("text", 1.0, round(alike.recall, 4), alike.recall >= limits.text_recall, "; ".join(part for part in said if part)),
        Check("passages", 0, len(gone), len(gone) <= limits.lost_passages, first("not found", gone)),
        Check("numbers", True, alike.has_all_numbers, alike.has_all_numbers, numbers),
        *_added(sides, content),
    ]


def _found(sides: Sides, content: OfficeContent) -> tuple[Likeness, list[str], bool]:
    """What the result has of the body, the paragraphs that it lacks, and whether the body with its deletions was the one found.

    A program that marks deletions shows them grown together with the words around them.
    """
    alike = measure(content.text, sides.shown.text, sides.reread)
    gone = passages.lost(content.text, sides.shown.text, sides.reread)
    if not content.marked or not (alike.missing or gone):
        return alike, gone, False
    marked = measure(content.marked, sides.shown.text, sides.reread)
    still_gone = passages.lost(content.marked, sides.shown.text, sides.reread)
    if len(marked.missing) > len(alike.missing) or len(still_gone) > len(gone):
        return alike, gone, False
    times = len(normalise(content.marked)) / len(normalise(content.text))  # what was struck out must not hide what is lost
    return replace(marked, recall=1 - (1 - marked.recall) * times), still_gone, True


def _signs(sides: Sides, content: OfficeContent) -> list[Check]:
    """A body of dots, dashes and symbols has no words; its signs can be counted all the same."""
    signs = Counter("".join(content.text.replace(CUT, "").split()))
    if not signs:
        return []
    lost = signs - Counter(sides.shown.text)
    return [Check("signs", signs.total(), signs.total() - lost.total(), None if lost else True, first("missing", list(lost)))]


def _added(sides: Sides, content: OfficeContent) -> list[Check]:
    """For information: what the result has beyond the source, and how much of formulas' text it has."""
    labels = (content.drawn, content.charts, content.chart_labels)
    parts = (content.text, content.headers_footers, content.computed, *labels, content.deleted, *content.notes)
    extra = measure(sides.shown.text, "\n".join(parts))
    found = [Check("added_text", 1.0, round(extra.recall, 4), None, first("only in the result", extra.missing))]
    if normalise(content.drawn):
        drawn = measure(content.drawn, sides.shown.text)
        found.append(Check("drawn_text", 1.0, round(drawn.recall, 4), None, "formulas, word art and forms: drawn anew"))
    return found


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
    alike = measure(words, sides.shown.text, sides.reread)
    if alike.recall >= limits.text_recall:
        return Check("headers_footers", 1.0, round(alike.recall, 4), ok=True)
    is_gone = alike.recall == 0 and sides.shown.pages >= PAGES_WITH_EVERY_HEADER
    why = first("not found, perhaps for pages that the document does not have", alike.missing)
    return Check("headers_footers", 1.0, round(alike.recall, 4), False if is_gone else None, why)


def _notes(sides: Sides, content: OfficeContent, limits: Limits) -> Check | None:
    return _kept("notes", len(content.notes), "\n".join(content.notes), sides, limits) if content.notes else None


def _kept(name: str, count: int, text: str, sides: Sides, limits: Limits) -> Check:
    """Whether *text* is in the PDF or in the text kept beside it."""
    alike = measure(text, sides.shown.text + "\n" + sides.beside, sides.reread)
    ok = alike.recall >= limits.text_recall
    return Check(name, count, round(alike.recall, 4), ok, "" if ok else first("neither in the PDF nor beside it", alike.missing))


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
    if normalise(content.beyond):
        found.append(_kept("text_beyond_the_edge", len(normalise(content.beyond)), content.beyond, sides, limits))
    if normalise(content.hidden):
        found.append(_kept("hidden_text", len(normalise(content.hidden)), content.hidden, sides, limits))
    return found
