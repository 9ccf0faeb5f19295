"""How much of a text is found in another: words, numbers, and what reading a page by another order still finds.

A page shows what a document says, but not always in an order that reads back: a note's mark sticks to its word, a
letter from a stand-in font comes after its line, Arabic ligatures come back turned. So words that the first reading
lacks are looked for in a second one, by place. Both readings are of the same ink: nothing lost is found by this.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice, pairwise

from actions.compare.text import normalise, numbers_kept, similarity

RESCUED_CHARS, RESCUED_MAX = 5, 500  # shorter words are found inside others by chance
_RIGHT_TO_LEFT = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc"  # Hebrew to Arabic Extended, and their presentation forms
_TURNED = re.compile(f"[{_RIGHT_TO_LEFT}]")
_SEAM = re.compile(rf"(?<=[{_RIGHT_TO_LEFT}])(?=\d)|(?<=\d)(?=[{_RIGHT_TO_LEFT}])")

Reread = Callable[[], str]
"""The result's text by place on the page; asked for only when the first reading lacks something."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How much of a text was found; ``missing`` holds every word that was not, in no order."""

    recall: float
    missing: tuple[str, ...]
    folded: bool

    @property
    def has_all_numbers(self) -> bool:
        """One changed digit is a changed record, however long the record."""
        return not any(character.isdigit() for word in self.missing for character in word)


def nothing() -> str:
    """The second reading where there is none."""
    return ""


def tokens(text: str, *, fold_case: bool = False) -> list[str]:
    """Words as ``normalise`` has them; those written right to left by their letters only, without order.

    A PDF draws them from left to right, and MuPDF turns ligatures (lam-alef) back in the wrong order.
    """
    if not _TURNED.search(text):
        return normalise(text, fold_case=fold_case)
    words = normalise(_SEAM.sub(" ", text), fold_case=fold_case)
    return ["".join(sorted(word)) if _TURNED.search(word) else word for word in words]


def measure(source: str, result: str, reread: Reread = nothing) -> Likeness:
    """How much of *source* is in *result*; case is put aside only where it must be (capitals set by a style)."""
    plain = _measure(source, result, reread, folded=False)
    if not plain.missing:
        return plain
    folded = _measure(source, result, reread, folded=True)
    return folded if folded.recall > plain.recall else plain


def _unglue(source: list[str], result: list[str], lost: Counter[str]) -> None:
    """Take from *lost* short words that a narrow tabulator or a raised mark sticks to the next word of the source.

    The result must have the two as one word that the source itself does not have; figures are never joined.
    """
    extra = Counter(result) - Counter(source)
    for left, right in pairwise(source):
        glued = left + right
        if (lost[left] or lost[right]) and extra[glued] and not (left[-1].isdigit() and right[0].isdigit()):
            extra[glued] -= 1
            lost.subtract((left, right))
    for word in [word for word, count in lost.items() if count <= 0]:
        del lost[word]


def _measure(source_text: str, result_text: str, reread: Reread, *, folded: bool) -> Likeness:
    """Words, the better of two measures; a long word that a narrow cell or a raised letter splits counts as found."""
    source, result = tokens(source_text, fold_case=folded), tokens(result_text, fold_case=folded)
    total = Counter(source)
    lost = total - Counter(result)
    stream = "".join(result) if lost else ""
    rescued = [word for word in islice(lost, RESCUED_MAX) if len(word) >= RESCUED_CHARS and stream.count(word) >= total[word]]
    for word in rescued:
        del lost[word]
    if lost:
        _unglue(source, result, lost)
    if lost:
        by_place = Counter(tokens(reread(), fold_case=folded))
        lost = Counter({word: count for word, count in lost.items() if by_place[word] < total[word]})
    if lost and numbers_kept(source, result):
        lost = Counter({word: count for word, count in lost.items() if not any(character.isdigit() for character in word)})
    recall = 1 - lost.total() / len(source) if source else 1.0
    if lost:
        recall = max(recall, similarity(source, result).recall)
    return Likeness(recall, tuple(lost), folded)
