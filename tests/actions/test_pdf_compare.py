"""Laws of the page-by-page proof: what must be refused, what must be let through, what must not be claimed."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pikepdf
import pymupdf
import pytest

from actions import pdf_compare
from actions.catalog import PdfCompareParams
from actions.compare import evidence, pixels
from actions.compare.text import normalise, numbers_kept, similarity
from actions.contract import Level, Role

FONTS = Path("/usr/share/fonts/truetype/liberation")
CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "pdf"
LINES = [
    "Protokoll fört vid sammanträde med kommunstyrelsen i Lund den 14 mars 2019.",
    "Närvarande: Åsa Öberg, Pär Ängström, Kerstin Sjögren och Håkan Bäck.",
    "Beslut: Att bevilja 12 345,60 kr för arkivförvaltningens flytt.",
    "Ärendet återremitteras inte. Diarienummer KS 2019/0478. Skånes övriga kommuner följer frågan.",
] * 2


def picture() -> bytes:
    gradient = np.linspace(0, 255, 120, dtype=np.uint8)
    field = np.dstack([np.tile(gradient, (80, 1)), np.full((80, 120), 90, np.uint8), np.tile(gradient[::-1], (80, 1))])
    return pymupdf.Pixmap(pymupdf.csRGB, 120, 80, field.tobytes(), False).tobytes("png")


def write(path: Path, pages: int = 2, **look) -> Path:
    """A letter of some pages; *look* says how the one page that is not like the others differs."""
    document = pymupdf.open()
    for number in range(pages):
        page = document.new_page()
        changed = look if number == pages - 1 else {}
        x, y = 50 + changed.get("shift", 0), 70
        font = {"fontname": "F0", "fontfile": str(look["font"])} if "font" in look else {"fontname": look.get("builtin", "helv")}
        for line in [f"Sida {number + 1}", *changed.get("lines", LINES)]:
            page.insert_text((x, y), line, fontsize=look.get("size", 11), color=changed.get("color", (0, 0, 0)), **font)
            y += max(18, 1.25 * look.get("size", 11))
        if changed.get("picture", True):
            page.insert_image((50, 600, 170, 680), stream=picture())
        if "rotate" in changed:
            page.set_rotation(changed["rotate"])
        if changed.get("mark"):
            page.draw_rect(changed["mark"], color=(0, 0, 0), fill=(0, 0, 0))
    document.save(path)
    document.close()
    return path


def compare(tmp_path: Path, source: Path, result: Path, **params):
    workdir = tmp_path / "work"
    workdir.mkdir(exist_ok=True)
    return pdf_compare.run(source, workdir, PdfCompareParams(result=str(result), **params))


def failed(outcome) -> set[str]:
    return {check.name for check in outcome.checks if check.ok is False}


def liberation(name: str) -> Path:
    font = FONTS / f"Liberation{name}.ttf"
    if not font.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{font} is missing")
        pytest.skip(f"{font} is missing")
    return font


def same_words_other_glyphs(path: Path) -> Path:
    """A copy whose font draws other letters than its text layer says: encoding shifted, words kept by ToUnicode."""
    write(path.with_suffix(".plain.pdf"), font=liberation("Sans-Regular"))
    source = pymupdf.open(path.with_suffix(".plain.pdf"))
    font = next(entry for entry in source[0].get_fonts() if entry[1] != "n/a")[0]
    descendant = int(source.xref_get_key(font, "DescendantFonts")[1].strip("[]").split()[0])
    glyphs = list(range(3000))
    shifted = bytes(byte for glyph in glyphs for byte in ((glyph + 3) if 36 <= glyph < 90 else glyph).to_bytes(2, "big"))
    stream = source.get_new_xref()
    source.update_object(stream, "<<>>")
    source.update_stream(stream, shifted)
    source.xref_set_key(descendant, "CIDToGIDMap", f"{stream} 0 R")
    source.save(path)
    return path


def test_the_same_drawing_saved_another_way_is_identical(tmp_path) -> None:
    """Objects, compression and order of bytes are no part of what a reader sees."""
    source = write(tmp_path / "a.pdf")
    with pikepdf.open(source) as pdf:
        pdf.save(tmp_path / "b.pdf", object_stream_mode=pikepdf.ObjectStreamMode.generate, linearize=True)

    outcome = compare(tmp_path, source, tmp_path / "b.pdf")

    assert outcome.level is Level.IDENTICAL
    assert {check.name for check in outcome.checks} == {
        "pages", "page_sizes", "rotation", "blank_pages", "text", "pixels",
        "links", "bookmarks", "annotations", "form_fields", "attachments",
    }  # fmt: skip
    assert all(check.ok for check in outcome.checks)


@pytest.mark.parametrize(
    ("builtin", "name", "size"),
    [
        ("helv", "Sans-Regular", 8),
        ("helv", "Sans-Regular", 11),
        ("helv", "Sans-Regular", 20),
        ("tiro", "Serif-Regular", 8),
        ("tiro", "Serif-Regular", 12),
        ("hebo", "Sans-Bold", 11),
        ("tiit", "Serif-Italic", 11),
        ("cour", "Mono-Regular", 10),
    ],
)
def test_embedding_a_metric_compatible_font_is_equivalent(tmp_path, builtin, name, size) -> None:
    """A font that was never embedded has no shape of its own: PDF/A needs one, and it is the same text."""
    source = write(tmp_path / "a.pdf", pages=1, builtin=builtin, size=size)
    result = write(tmp_path / "b.pdf", pages=1, font=liberation(name), size=size)

    outcome = compare(tmp_path, source, result)

    assert outcome.level is Level.EQUIVALENT, [check for check in outcome.checks if not check.ok]


BAD = {
    "word missing": {"lines": [LINES[0], LINES[1], LINES[2].replace("bevilja", "       "), *LINES[3:]]},
    "digit changed": {"lines": [*LINES[:2], LINES[2].replace("345", "845"), *LINES[3:]]},
    "line missing": {"lines": LINES[:-1]},
    "rings and dots lost": {"lines": [line.translate(str.maketrans("åäöÅÄÖ", "aaoAAO")) for line in LINES]},
    "picture missing": {"picture": False},
    "turned": {"rotate": 90},
    "upside down": {"rotate": 180},
    "colour changed": {"color": (0.8, 0, 0)},
    "grey instead of black": {"color": (0.6, 0.6, 0.6)},
    "shifted by 3 mm": {"shift": 8.5},
    "blank": {"lines": [], "picture": False},
    "blackened": {"mark": (50, 90, 250, 110)},
}


@pytest.mark.parametrize("embedded", [False, True], ids=["borrowed font", "embedded font"])
@pytest.mark.parametrize("what", BAD)
def test_what_a_person_would_call_another_page_is_different(tmp_path, what, embedded) -> None:
    """One word, one digit, one picture, one turn: each alone refuses the derivative, and page 2 is named."""
    font = {"font": liberation("Sans-Regular")}
    source = write(tmp_path / "a.pdf", **(font if embedded else {}))
    result = write(tmp_path / "b.pdf", **font, **BAD[what])

    outcome = compare(tmp_path, source, result)

    assert outcome.level is Level.DIFFERENT
    assert any("page 2" in check.why for check in outcome.checks if check.ok is False)


def test_other_glyphs_behind_the_same_text_layer_are_different(tmp_path) -> None:
    """Searchable does not mean legible: a font drawn with a shifted encoding keeps its words and loses its meaning."""
    source, result = write(tmp_path / "a.pdf"), same_words_other_glyphs(tmp_path / "b.pdf")

    outcome = compare(tmp_path, source, result)

    assert failed(outcome) == {"pixels"}


def test_swapped_lost_and_added_pages_are_different(tmp_path) -> None:
    """Order is content."""
    source = write(tmp_path / "a.pdf", pages=3)
    for name, order in {"swapped": [1, 0, 2], "lost": [0, 1], "added": [0, 1, 2, 2]}.items():
        with pymupdf.open(source) as document:
            document.select(order)
            document.save(tmp_path / f"{name}.pdf")
        outcome = compare(tmp_path, source, tmp_path / f"{name}.pdf")
        assert outcome.level is Level.DIFFERENT, name
        assert failed(outcome) & ({"text", "pixels"} if name == "swapped" else {"pages"})


def test_a_blank_page_in_place_of_ink_is_always_different(tmp_path) -> None:
    """However loose a policy is, an empty page is no copy of a written one."""
    source, result = write(tmp_path / "a.pdf"), write(tmp_path / "b.pdf", lines=[], picture=False)
    with pymupdf.open() as blank:
        blank.new_page(), blank.new_page()
        blank.save(result, incremental=False)

    outcome = compare(tmp_path, source, result, max_changed_share=1.0, text_recall=0.0)

    assert outcome.level is Level.DIFFERENT
    assert "blank_pages" in failed(outcome)


def dressed(path: Path, *, link=True, note=True, bookmark=True, field=True, attachment=True) -> Path:
    document = pymupdf.open()
    page = document.new_page()
    page.insert_text((50, 50), "Bilaga följer")
    if link:
        page.insert_link({"kind": pymupdf.LINK_URI, "from": pymupdf.Rect(50, 100, 150, 120), "uri": "https://lund.se/"})
    if note:
        page.add_highlight_annot(pymupdf.Rect(50, 40, 90, 52))
    if bookmark:
        document.set_toc([[1, "Inledning", 1]])
    if field:
        widget = pymupdf.Widget()
        widget.rect, widget.field_type, widget.field_name = pymupdf.Rect(50, 200, 150, 220), pymupdf.PDF_WIDGET_TYPE_TEXT, "namn"
        page.add_widget(widget)
    if attachment:
        document.embfile_add("bilaga.txt", "åäö".encode(), filename="bilaga.txt")
    document.save(path)
    return path


@pytest.mark.parametrize(
    ("part", "check"),
    [
        ("link", "links"),
        ("note", "annotations"),
        ("bookmark", "bookmarks"),
        ("field", "form_fields"),
        ("attachment", "attachments"),
    ],
)
def test_what_hangs_on_a_page_must_not_get_lost(tmp_path, part, check) -> None:
    """Links, notes, bookmarks, fields and attachments are counted on both sides."""
    source, result = dressed(tmp_path / "a.pdf"), dressed(tmp_path / "b.pdf", **{part: False})

    assert check in failed(compare(tmp_path, source, result))


def test_an_attachment_may_go_when_it_was_extracted(tmp_path) -> None:
    """PDF/A-2 forbids most attachments: they are stored beside, and that must be declared."""
    source, result = dressed(tmp_path / "a.pdf"), dressed(tmp_path / "b.pdf", attachment=False)

    assert compare(tmp_path, source, result, extracted_attachments=1).level is Level.EQUIVALENT
    assert compare(tmp_path, source, result).level is Level.DIFFERENT


def test_added_text_is_accepted_only_as_declared_ocr(tmp_path) -> None:
    """A text layer over a scan is welcome when somebody asked for it; otherwise it is a forgery."""
    source = tmp_path / "scan.pdf"
    with pymupdf.open(write(tmp_path / "a.pdf", pages=1)) as written, pymupdf.open() as scan:
        page = scan.new_page()
        page.insert_image(page.rect, stream=written[0].get_pixmap(dpi=100).tobytes("jpeg"))
        scan.save(source)
        page.insert_text((50, 70), " ".join(LINES[:2]), render_mode=3)
        scan.save(tmp_path / "ocr.pdf")

    assert compare(tmp_path, source, tmp_path / "ocr.pdf").level is Level.DIFFERENT
    assert compare(tmp_path, source, tmp_path / "ocr.pdf", ocr=True).level is Level.EQUIVALENT
    assert compare(tmp_path, tmp_path / "ocr.pdf", source, ocr=True).level is Level.DIFFERENT


def test_what_cannot_be_measured_is_not_claimed(tmp_path) -> None:
    """A source that needs a password or cannot be read proves nothing; a result that cannot be read is wrong."""
    good = write(tmp_path / "a.pdf", pages=1)
    with pikepdf.open(good) as pdf:
        pdf.save(tmp_path / "locked.pdf", encryption=pikepdf.Encryption(user="hemligt", owner="ägare"))
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4\nnothing else\n%%EOF")

    assert compare(tmp_path, tmp_path / "locked.pdf", good).level is Level.UNPROVEN
    assert compare(tmp_path, tmp_path / "broken.pdf", good).level in {Level.UNPROVEN, Level.DIFFERENT}
    assert compare(tmp_path, good, tmp_path / "locked.pdf").level is Level.DIFFERENT
    assert compare(tmp_path, good, tmp_path / "broken.pdf").level is Level.DIFFERENT
    assert compare(tmp_path, good, tmp_path / "absent.pdf").level is Level.DIFFERENT


def test_evidence_is_of_page_one_and_of_what_differs(tmp_path) -> None:
    """An officer sees the first page always, and the page that changed with its difference."""
    source, result = write(tmp_path / "a.pdf", pages=3), write(tmp_path / "b.pdf", pages=3, picture=False)

    outcome = compare(tmp_path, source, result)

    assert {output.path for output in outcome.outputs} == {
        "page-0001-source.jpg", "page-0001-result.jpg",
        "page-0003-source.jpg", "page-0003-result.jpg", "page-0003-difference.jpg",
    }  # fmt: skip
    assert all(output.role is Role.EVIDENCE for output in outcome.outputs)
    for output in outcome.outputs:
        assert pymupdf.Pixmap(str(tmp_path / "work" / output.path)).width <= evidence.WIDTH_PX


def test_a_long_document_is_drawn_coarsely_and_still_caught(tmp_path) -> None:
    """Above ``fine_pages`` only pages that differ are drawn finely; the claim is then no more than equivalent."""
    source, result = write(tmp_path / "a.pdf", pages=8), write(tmp_path / "b.pdf", pages=8, **BAD["picture missing"])

    same = compare(tmp_path, source, source, fine_pages=3)
    other = compare(tmp_path, source, result, fine_pages=3)

    assert (same.level, same.facts["pages_drawn_fine"]) == (Level.EQUIVALENT, 0)
    assert (other.level, other.facts["pages_drawn_fine"]) == (Level.DIFFERENT, 1)


def test_words_are_found_again_in_any_order_and_glued() -> None:
    """Extractors disagree on spaces, line ends and order; not on letters."""
    source = normalise("Ärendet om ﬁnansiering återremit-\nteras till Malmö-\nLund den 3\u00a0mars")
    result = normalise("till Malmö-Lund den 3 mars Ärendet omfinansiering återremitteras")

    assert source == ["Ärendet", "om", "finansiering", "återremitteras", "till", "Malmö", "Lund", "den", "3", "mars"]
    assert similarity(source, result).recall > 0.9
    assert similarity(source, normalise("något helt annat")).recall < 0.3
    assert similarity([], []).ratio == 1


def test_one_digit_or_a_sign_is_another_number() -> None:
    """In a ledger of ten thousand words, 98 % recall would hide a changed sum."""
    assert numbers_kept(normalise("Summa 1234,50 kr 7"), normalise("7 Summa 1234,50 kr"))
    assert numbers_kept(normalise("12 34"), normalise("1234"))
    assert not numbers_kept(normalise("Summa 1234,50"), normalise("Summa 1284,50"))
    assert not numbers_kept(normalise("Saldo -15"), normalise("Saldo 15"))


def test_anti_aliasing_is_no_difference_and_a_dot_is() -> None:
    """The measure stands between a renderer's rounding and a full stop."""
    page = np.full((200, 200, 3), 255, np.uint8)
    page[50:52, 20:180] = 0
    soft, dotted = page.copy(), page.copy()
    soft[52, 20:180] = 120
    dotted[100:104, 100:104] = 0

    assert pixels.difference(page, soft).changed_share == 0
    assert pixels.difference(page, dotted).changed_share > 0
    assert pixels.difference(page, page.copy()).equal


def test_every_real_pdf_is_identical_to_itself_or_unproven(tmp_path) -> None:
    """Whatever a file contains, comparing it with itself never ends in an exception or a false alarm."""
    if not CORPUS.is_dir():
        pytest.skip("no corpus beside this clone")
    for path in sorted(CORPUS.glob("*.pdf")):
        if path.stat().st_size < 100_000:
            assert compare(tmp_path, path, path).level in {Level.IDENTICAL, Level.UNPROVEN}, path.name
