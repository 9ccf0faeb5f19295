"""Whether each paragraph of a document is found again: a share over the whole would let a short one vanish unseen.

One lost paragraph in a book is far below two per cent of its words. So each paragraph is looked for by itself: by
its runs of three words, then by its letters without spaces, at last in a few stretches, because a page break or a
note's mark may stand in between. Paragraphs under ``JUDGED_WORDS`` are too common to be looked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from actions.office.content import CUT
from actions.office.likeness import Reread, nothing, tokens

JUDGED_WORDS = 5
LOOKED_FOR = 100  # doubtful paragraphs that are searched in stretches; the rest must be found whole
WORDS_PER_BREAK = 6
SHOWN_CHARS = 80
LOST = 0.5  # of one paragraph's runs of words


def lost(source: str, result: str, reread: Reread = nothing) -> list[str]:
    """The beginnings of *source*'s paragraphs (one a line) that neither reading of the result has, case aside."""
    lines = [(tuple(tokens(line, fold_case=True)), line.count(CUT)) for line in source.splitlines()]
    paragraphs = Counter(words for words, _ in lines)
    cuts = dict(lines)
    judged = {words: count for words, count in paragraphs.items() if len(words) >= JUDGED_WORDS}
    found = tokens(result, fold_case=True)
    wanted: Counter[tuple[str, ...]] = Counter()
    for words, count in judged.items():
        for run in _runs(words):
            wanted[run] += count
    present = Counter(run for run in _runs(found) if run in wanted)
    doubtful = [(words, count) for words, count in judged.items() if _missing(words, count, wanted, present) > LOST]
    stream = "".join(found)
    gone = [
        (words, count)
        for place, (words, count) in enumerate(doubtful)
        if not _is_in(words, count, stream, cuts[words] if place < LOOKED_FOR else None)
    ]
    by_place = "".join(tokens(reread(), fold_case=True)) if gone else ""
    return [" ".join(words)[:SHOWN_CHARS] for words, count in gone if by_place.count("".join(words)) < count]


def _runs(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return zip(words, words[1:], words[2:], strict=False)


def _missing(words: Sequence[str], count: int, wanted: Counter[tuple[str, ...]], present: Counter[tuple[str, ...]]) -> float:
    """How many of the *count* equal paragraphs are missing, by their runs of three words."""
    runs = list(_runs(words))
    found = sum(min(1.0, present[run] / wanted[run]) for run in runs)
    return count * (1 - found / len(runs))


def _is_in(words: Sequence[str], count: int, stream: str, cuts: int | None) -> bool:
    """Tell whether the letters stand in *stream* as often as they should, or once, in a few stretches.

    Args:
        cuts: Computed fields that stand in between; None: only the whole will do.
    """
    if stream.count("".join(words)) >= count:
        return True
    if count > 1 or cuts is None:
        return False
    return _stretches(words, stream) <= 1 + cuts + len(words) // WORDS_PER_BREAK


def _stretches(words: Sequence[str], stream: str) -> int:
    """In how many pieces, each as long as can be, *words* are found; a word that is nowhere is a piece of its own."""
    pieces, held = 1, ""
    for word in words:
        if held + word in stream:
            held += word
        else:
            pieces += 1 + (word not in stream)
            held = word
    return pieces
