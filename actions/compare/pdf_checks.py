"""From what was measured of each page to a document's checks and the level of its proof.

Pure: numbers in, checks out. A check names its worst page, so that a person looks there first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actions.compare.inventory import Inventory
from actions.compare.pdf_page import Limits, PageProof
from actions.contract import Check, Level

NAMED_SIZES = 4  # distinct page sizes listed in a check
COUNTED = {"links": "links", "bookmarks": "bookmarks", "annotations": "annotations", "form_fields": "form fields"}


def checks_of(
    totals: tuple[int, int],
    pages_by_qpdf: int | None,
    proofs: Sequence[PageProof],
    counts: tuple[Inventory, Inventory],
    limits: Limits,
) -> tuple[Check, ...]:
    """All checks of a document, in the order that a person reads them."""
    return (
        _pages(totals, pages_by_qpdf),
        _sizes(proofs),
        _rotation(proofs, limits),
        _blanks(proofs),
        _text(proofs, limits),
        _pixels(proofs, limits),
        *(_counted(name, getattr(counts[0], name), getattr(counts[1], name)) for name in COUNTED),
        _attachments(counts[0].attachments, counts[1].attachments, limits.extracted_attachments),
    )


def level_of(checks: Iterable[Check], proofs: Sequence[PageProof], limits: Limits) -> Level:
    """The weakest word that the checks allow: one failure is ``different``, one gap is ``unproven``."""
    answers = [check.ok for check in checks]
    if False in answers:
        return Level.DIFFERENT
    if None in answers or not proofs:
        return Level.UNPROVEN
    same = all(
        proof.fine and proof.pixels is not None and proof.pixels.equal and proof.text is not None and proof.text.equal
        for proof in proofs
    )
    moved = any(check.source != check.result for check in checks)
    return Level.IDENTICAL if same and not moved and not limits.ocr else Level.EQUIVALENT


def _pages(totals: tuple[int, int], pages_by_qpdf: int | None) -> Check:
    source, result = totals
    if not source:
        return Check("pages", source, result, None, "no page of the source can be read")
    if pages_by_qpdf is not None and pages_by_qpdf != source:
        return Check("pages", source, result, None, f"two readers disagree on the source: {source} and {pages_by_qpdf} pages")
    return Check(
        "pages", source, result, source == result, "" if source == result else f"{abs(source - result)} pages lost or added"
    )


def _sizes(proofs: Sequence[PageProof]) -> Check:
    off = [proof for proof in proofs if proof.same_size is False]
    why = f"page {off[0].number} has another size; {len(off)} in all" if off else ""
    listed = [sorted({_size_name(proof.sizes_pt[side]) for proof in proofs if proof.sizes_pt})[:NAMED_SIZES] for side in (0, 1)]
    if not off:
        listed[1] = listed[0]  # equal within the tolerance: half a point must not look like a change
    return Check("page_sizes", listed[0], listed[1], _all_of(proof.same_size for proof in proofs), why)


def _size_name(size_pt: tuple[float, float]) -> str:
    return f"{size_pt[0]:.0f} x {size_pt[1]:.0f} pt"


def _rotation(proofs: Sequence[PageProof], limits: Limits) -> Check:
    """As seen: another ``Rotate`` with turned content is no change, and then size and pixels agree."""
    turned = [proof for proof in proofs if proof.rotations[0] != proof.rotations[1] and not proof.pixels_ok(limits)]
    source, result = (sum(proof.rotations[side] != 0 for proof in proofs) for side in (0, 1))
    why = f"page {turned[0].number} is turned from {turned[0].rotations[0]}° to {turned[0].rotations[1]}°" if turned else ""
    return Check("rotation", source, result, not turned, why)


def _blanks(proofs: Sequence[PageProof]) -> Check:
    seen = [proof for proof in proofs if proof.ink is not None]
    source, result = (sum(not proof.ink[side] for proof in seen if proof.ink) for side in (0, 1))
    off = [proof for proof in seen if proof.ink and proof.ink[0] != proof.ink[1]]
    why = ""
    if off and off[0].ink:
        why = f"page {off[0].number} is {'blank in the result' if off[0].ink[0] else 'blank in the source only'}"
    return Check("blank_pages", source, result, False if off else (True if len(seen) == len(proofs) else None), why)


def _text(proofs: Sequence[PageProof], limits: Limits) -> Check:
    read = [proof.text for proof in proofs if proof.text is not None]
    faults = [
        (text.similarity.recall, proof.number, fault) for proof in proofs if (text := proof.text) and (fault := text.faults(limits))
    ]
    why = ""
    if faults:
        _, number, fault = min(faults)
        why = f"page {number} {fault}; {len(faults)} of {len(proofs)} pages"
    ok = False if faults else (True if len(read) == len(proofs) else None)
    return Check("text", sum(text.source_words for text in read), sum(text.result_words for text in read), ok, why)


def _pixels(proofs: Sequence[PageProof], limits: Limits) -> Check:
    """Source: pages that were drawn on both sides; result: those that look the same."""
    drawn = [proof for proof in proofs if proof.pixels is not None]
    alike = [proof for proof in proofs if proof.pixels_ok(limits)]
    off = [proof for proof in proofs if proof.pixels_ok(limits) is False]
    undrawn = [proof for proof in proofs if proof.pixels_ok(limits) is None]
    worst = max(off, key=_badness, default=undrawn[0] if undrawn else None)
    why = f"page {worst.number} {worst.pixel_fault()}; {len(off) or len(undrawn)} of {len(proofs)} pages" if worst else ""
    return Check("pixels", len(drawn), len(alike), _all_of(proof.pixels_ok(limits) for proof in proofs), why)


def _badness(proof: PageProof) -> tuple[bool, float, float]:
    if proof.pixels is None:
        return True, 0.0, 0.0
    return False, proof.pixels.changed_share, proof.pixels.spot


def _counted(name: str, source: int | None, result: int | None) -> Check:
    if source is None or result is None:
        return Check(name, source, result, None, f"{COUNTED[name]} could not be counted")
    return Check(name, source, result, result >= source, "" if result >= source else f"{source - result} {COUNTED[name]} lost")


def _attachments(source: int | None, result: int | None, extracted: int) -> Check:
    if source is None or result is None:
        return Check("attachments", source, result, None, "attachments could not be counted")
    lost = source - result - extracted
    why = f"{lost} attachments lost" if lost > 0 else (f"{extracted} extracted beside the result" if extracted else "")
    return Check("attachments", source, result, lost <= 0, why)


def _all_of(answers: Iterable[bool | None]) -> bool | None:
    """False if any is; else None if any is, or if there was none to ask."""
    listed: list[bool | None] = list(answers)
    if False in listed:
        return False
    return None if not listed or None in listed else True
