"""Whether the words of one record are found again in another, whatever order an extractor reads them in.

Two extractors never agree on spaces, line ends, ligatures or reading order, so the measure is a multiset of
words, and beside it one of letter triples that no glued or split word disturbs. Reading a format's text out of
its bytes does not belong here, nor does deciding what is good enough.
Source: Unicode Standard Annex #15 (NFKC); Annex #14 on soft hyphens.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

SHOWN = 8  # tokens named in a report: enough to find the place, not enough to leak a page
GRAM_CHARS = 3  # shorter hides swapped letters, longer punishes one wrong letter too often

# Invisible by definition: zero-width (joiners, direction marks, BOM) and noncharacters that broken fonts map to.
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufffe\uffff\x00-\x08\x0e-\x1f]")
# A word broken over two lines; a capital or digit after the break means a real hyphen ("Malmö-\nLund", "2020-\n2024").
_BROKEN_WORD = re.compile(r"(?<=[^\W\d_])(?:-[ \t]*\r?\n\s*|\u00ad\s*)(?=[^\W\d_])")
_DASHES = str.maketrans({"\u2010": "-", "\u2011": "-", "\u2212": "-", "\u00ad": None})
# Numbers keep sign and separators (-1 ≠ 1; 1,5 ≠ 15); then words; then the signs that change an amount's meaning.
_TOKEN = re.compile(r"(?<![\w)\]-])-?\d+(?:[.,]\d+)+(?!\w)|(?<![\w)\]-])-\d+(?!\w)|\w+|[%‰§$€£¥¢]")
_DIGITS = re.compile(r"\d")
_NUMERIC = re.compile(r"[\d.,-]")


@dataclass(frozen=True, slots=True)
class TextSimilarity:
    """How much of one text is in another, 0 to 1.

    Attributes:
        recall: Share of the source's text that the result has.
        precision: Share of the result's text that the source has.
        ratio: Harmonic mean of both.
        missing: The first few source tokens that the result lacks, in reading order.
        extra: The first few result tokens that the source lacks.
    """

    recall: float
    precision: float
    ratio: float
    missing: list[str]
    extra: list[str]


def normalise(text: str, *, fold_case: bool = False) -> list[str]:
    """Return *text* as comparable tokens: words, numbers and signs of amount, in reading order.

    NFKC resolves ligatures, wide and composed forms; invisible characters go; words broken over a line end are
    joined. Case is kept unless *fold_case* (for formats that draw small letters as capitals).
    """
    plain = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text))
    plain = _BROKEN_WORD.sub(_join, plain).translate(_DASHES)
    return _TOKEN.findall(plain.casefold() if fold_case else plain)


def _join(found: re.Match[str]) -> str:
    """Drop a line-end hyphen before a small letter, keep it before a capital; a soft hyphen always goes."""
    following = found.string[found.end() : found.end() + 1]
    return "-" if following.isupper() and "-" in found.group() else ""


def similarity(source_tokens: Sequence[str], result_tokens: Sequence[str]) -> TextSimilarity:
    """Measure how much of the source's text is in the result, and the other way, without regard to order.

    Recall and precision are each the better of two measures: whole tokens, and letter triples over the text
    without spaces, which stays high where one extractor glued or split words. An empty side is wholly contained.
    """
    source, result = Counter(source_tokens), Counter(result_tokens)
    if source == result:
        return TextSimilarity(1.0, 1.0, 1.0, [], [])
    common = (source & result).total()
    recall = common / len(source_tokens) if source_tokens else 1.0
    precision = common / len(result_tokens) if result_tokens else 1.0
    gram_recall, gram_precision = _gram_shares("".join(source_tokens), "".join(result_tokens))
    missing = _lacking(source_tokens, source - result, result_tokens, glued=gram_recall > recall)
    extra = _lacking(result_tokens, result - source, source_tokens, glued=gram_precision > precision)
    recall, precision = max(recall, gram_recall), max(precision, gram_precision)
    ratio = 2 * recall * precision / (recall + precision) if recall + precision else 0.0
    return TextSimilarity(recall, precision, ratio, missing if recall < 1 else [], extra if precision < 1 else [])


def numbers_kept(source_tokens: Sequence[str], result_tokens: Sequence[str]) -> bool:
    """Tell whether every number of the source is in the result: one changed digit is a changed record.

    Holds when each token with a digit is found again, or when both sides have the same digits in the same
    order (words were glued or split differently).
    """
    source, result = (Counter(token for token in side if _DIGITS.search(token)) for side in (source_tokens, result_tokens))
    if source <= result:
        return True
    return _number_stream(source_tokens) == _number_stream(result_tokens)


def _number_stream(tokens: Sequence[str]) -> str:
    """Digits with their signs and separators, without what stands between numbers."""
    return "".join(_NUMERIC.findall(" ".join(tokens)))


def _lacking(tokens: Sequence[str], lost: Counter[str], other: Sequence[str], *, glued: bool) -> list[str]:
    """The first tokens of *lost*, in reading order; when words are *glued*, without those that *other* has inside one."""
    stream = "".join(other) if glued else ""
    candidates = islice(_first_seen(tokens, lost), SHOWN * 8 if glued else SHOWN)
    return [token for token in candidates if not stream or token not in stream][:SHOWN]


def _first_seen(tokens: Sequence[str], wanted: Counter[str]) -> Iterator[str]:
    seen: set[str] = set()
    for token in tokens:
        if wanted[token] and token not in seen:
            seen.add(token)
            yield token


def _gram_shares(source: str, result: str) -> tuple[float, float]:
    """Share of *source*'s letter triples in *result*, and the other way; texts under three letters count as one gram."""
    if not source or not result:
        return float(not source), float(not result)
    (left, left_counts), (right, right_counts) = (np.unique(_grams(side), return_counts=True) for side in (source, result))
    _, at_left, at_right = np.intersect1d(left, right, assume_unique=True, return_indices=True)
    common = int(np.minimum(left_counts[at_left], right_counts[at_right]).sum())
    return common / int(left_counts.sum()), common / int(right_counts.sum())


def _grams(text: str) -> NDArray[np.uint64]:
    """Return each run of three characters as one number: a code point needs 21 bits, so three fit exactly in 64."""
    codes = np.frombuffer(text.encode("utf-32-le", "replace"), dtype="<u4").astype(np.uint64)
    if len(codes) < GRAM_CHARS:
        return np.array([hash(tuple(codes.tolist())) & (2**63 - 1)], dtype=np.uint64)
    shift = np.uint64(21)
    grams: NDArray[np.uint64] = (codes[:-2] << (shift + shift)) | (codes[1:-1] << shift) | codes[2:]
    return grams
