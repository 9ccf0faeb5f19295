"""report.html is shown to supervisors: it must be safe, honest about what it leaves out, and readable by everyone."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from itertools import pairwise
from pathlib import Path

import lxml.html
import pytest
from PIL import Image
from report_samples import header, migrated, record, waiting

from actions.contract import Level
from worker.record import AttemptRecord, Evidence, FileRecord, Status
from worker.report import html_report, present, reasons, selection, words

TEMPLATES = Path(html_report.__file__).parent / "templates"


def page(folder, records, *, evidence=None, room=25_000_000, **changes):
    path = folder / "report.html"
    html_report.write(path, header(**changes), lambda: iter(records), evidence or folder, picture_room_bytes=room)
    return lxml.html.document_fromstring(path.read_bytes().decode("utf-8"))


def told(part, language):
    """Return the text that a reader of *language* sees."""
    part = lxml.html.fromstring(lxml.html.tostring(part))
    other = "en" if language == "sv" else "sv"
    for hidden in part.xpath(f'//*[contains(@class, "t") and @lang="{other}"][@class="t"]'):
        hidden.drop_tree()
    return " ".join(part.text_content().split())


def jpeg(path, colour):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (210, 297), colour).save(path, quality=70)
    return path.name


def with_pictures(folder, name="möte.docx", **changes):
    stem = hashlib.sha256(name.encode()).hexdigest()[:8]
    kinds = {"source": "white", "result": "ivory", "difference": "red"}
    pictures = {kind: jpeg(folder / f"{stem}-{kind}.jpg", colour) for kind, colour in kinds.items()}
    return migrated(name, evidence=[Evidence(page_number=1, **pictures)], **changes)


def test_what_happened_is_said_first_in_both_languages(tmp_path) -> None:
    body = page(tmp_path, [record(), record("b"), waiting()]).body

    assert "2 av 3 filer är klara. 1 behöver åtgärd." in told(body, "sv")
    assert "2 of 3 files are settled. 1 needs a person." in told(body, "en")


def test_the_page_reaches_for_nothing_outside_itself(tmp_path) -> None:
    """It is opened on machines without a network, and must tell nobody that it was."""
    document = page(tmp_path, [with_pictures(tmp_path), waiting()])
    text = (tmp_path / "report.html").read_text("utf-8")

    assert not re.search(r"https?:|@import|url\(", text)
    assert all(uri.startswith(("data:image/jpeg;base64,", "#")) for _, _, uri, _ in document.iterlinks())
    policy = document.xpath('//meta[@http-equiv="Content-Security-Policy"]/@content')[0]
    assert "default-src 'none'" in policy
    script = document.xpath("//script")[0].text
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert('å')</script>.doc",
        '"><img src=x onerror=alert(1)>',
        "{{ header.job }}",
        "rad\nett\x00\x1b[2J.txt",
        "\u202efdp.exe",
        "ملف قديم.doc",
        "å" * 127,
    ],
)
def test_any_name_is_shown_and_none_is_obeyed(tmp_path, name) -> None:
    """A name is written by someone else: markup, control characters and bidi overrides are shown, never carried out."""
    document = page(
        tmp_path,
        [record(name), waiting(name), migrated(name), waiting(name, reason=name, message=name, message_sv=name)],
        package=name,
    )

    assert len(document.xpath("//script")) == 1
    assert not document.xpath("//img")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202a-\u202e]", (tmp_path / "report.html").read_text("utf-8"))
    shown = name.encode("unicode_escape").decode() if not name.isprintable() else name
    assert shown in "".join(document.xpath('(//bdi[@class="name"])[1]')[0].text_content())


def test_a_name_that_is_no_text_does_not_break_the_page(tmp_path) -> None:
    odd = FileRecord.model_construct(**(dict(record()) | {"path": "r\udce4tt.doc"}))

    assert r"r\udce4tt.doc" in page(tmp_path, [odd]).text_content()


def test_files_that_need_a_person_come_first_with_reason_and_remedy(tmp_path) -> None:
    body = page(tmp_path, [record(), migrated(), waiting(), waiting("b.pdf", Status.REVIEW, "signed")]).body
    swedish = told(body, "sv")

    assert swedish.index("Elektroniskt underskriven") < swedish.index("Krypterad") < swedish.index("En kopia godtas")
    assert "Be producenten om en kopia utan lösenord." in swedish
    assert "Ask the producer for a copy without a password." in told(body, "en")


def test_a_reason_that_the_report_does_not_know_is_told_by_the_files_own_message(tmp_path) -> None:
    """A municipality's policy may name reasons of its own."""
    odd = waiting(status=Status.REVIEW, reason="house-rule-7", message="All maps are reviewed.", message_sv="Alla kartor granskas.")
    body = page(tmp_path, [odd]).body

    assert "House rule 7" in told(body, "sv")
    assert "Alla kartor granskas." in told(body, "sv")
    assert "All maps are reviewed." in told(body, "en")


def test_a_message_without_swedish_is_shown_in_english_to_both(tmp_path) -> None:
    body = page(tmp_path, [waiting(message="Only English.", message_sv="")]).body

    assert "Only English." in told(body, "sv")
    assert "Only English." in told(body, "en")


def test_a_migrated_file_shows_pictures_proof_verdict_and_repairs(tmp_path) -> None:
    card = page(tmp_path, [with_pictures(tmp_path)]).xpath("//article")[0]
    english = told(card, "en")

    assert [picture.get("src")[:23] for picture in card.xpath(".//img")] == ["data:image/jpeg;base64,"] * 3
    assert all(picture.get("alt") and picture.get("data-alt-en") for picture in card.xpath(".//img"))
    for part in (
        "fmt/412 → fmt/477",
        "PDF/A-2b: valid veraPDF 1.30.2",
        "Comparison: equivalent",
        "0.9983",
        "repaired fonts: 3 embedded",
        "accepted",
    ):
        assert part in english
    assert "0,9983" in told(card, "sv")


def test_a_migrated_file_that_carries_a_warning_says_so_and_comes_early(tmp_path) -> None:
    """Macros and signatures stay in the original only: nobody may overlook that among accepted files."""
    cards = page(tmp_path, [migrated("a.docx"), migrated("ö.docm", reason="macros")]).xpath("//article")

    assert "ö.docm" in told(cards[0], "sv")
    assert "Makron" in told(cards[0], "sv")
    assert "Makron" not in told(cards[1], "sv")


@pytest.mark.parametrize(
    ("value", "sv", "en"),
    [
        (None, "\u2013", "\u2013"),
        (True, "ja", "yes"),
        (12345, "12\u00a0345", "12,345"),
        (0.99831, "0,9983", "0.9983"),
        (1.0, "1,0", "1.0"),
        (float("inf"), "inf", "inf"),
        ([], "inga", "none"),
        (["Arial", "Å"], "Arial, Å", "Arial, Å"),
        ("ab" * 64, "abababababab…", "abababababab…"),
        ("<b>", "<b>", "<b>"),
    ],
)
def test_a_measured_value_is_written_as_each_language_writes_it(value, sv, en) -> None:
    part = lxml.html.fragment_fromstring(f"<p>{present.fact(value)}</p>")

    assert told(part, "sv") == " ".join(sv.split())
    assert told(part, "en") == en


def test_every_attempt_of_a_refused_file_is_told(tmp_path) -> None:
    """The officer who decides must see what was tried and why it fell short."""
    attempts = [
        AttemptRecord(action="pdf_surgery", tool="pikepdf 10", outcome="refused", why="6.2.11.4.1 font not embedded", seconds=0.2),
        AttemptRecord(
            action="pdf_redraw", tool="Ghostscript 10.0.0", outcome="timeout", why="after 60 s", seconds=60, sandbox="none"
        ),
    ]
    english = told(
        page(tmp_path, [waiting(status=Status.REVIEW, reason="not-valid", attempts=attempts)]).xpath("//article")[0], "en"
    )

    for part in ("PDF surgery", "6.2.11.4.1 font not embedded", "Ghostscript 10.0.0", "timed out", "no sandbox"):
        assert part in english


def test_the_most_doubtful_migrations_get_the_pictures(tmp_path) -> None:
    """Two hundred cards of what is identical by digest would hide the one page that differs."""
    sure = (migrated(f"a{number:05}.bmp", Level.IDENTICAL) for number in range(selection.CARDS + 50))
    chosen = selection.select([*sure, migrated("ö sist.docx", Level.UNPROVEN)])

    assert chosen.migrated_cards[0].path == "ö sist.docx"
    assert len(chosen.migrated_cards) == selection.CARDS
    assert len(chosen.migrated_rows) == 51


def test_a_large_package_gives_a_page_of_bounded_size_that_adds_up(tmp_path) -> None:
    """What is not shown is counted: nobody may take the page for the whole."""
    total = 2400
    records = [
        *(record(f"k/{number}") for number in range(total)),
        *(record(f"r/{number}", Status.RETAINED) for number in range(total)),
        *(migrated(f"m/{number}") for number in range(total)),
        *(waiting(f"w/{number}") for number in range(total)),
        *(with_pictures(tmp_path, f"p/{number}", status=Status.REVIEW, reason="not-proven") for number in range(100)),
    ]
    document = page(tmp_path, records)
    shown = document.xpath("//article") + document.xpath('//table[@class="rows"]/tbody/tr')
    left = sum(int(re.sub(r"\D", "", told(part, "sv").split(":")[0])) for part in document.xpath('//*[@class="left-out"]'))

    assert len(document.xpath("//article")) <= selection.CARDS
    assert len(shown) <= selection.CARDS + 2000
    assert len(shown) + left == len(records)


def test_pictures_are_bounded_and_the_cut_is_said(tmp_path) -> None:
    records = [with_pictures(tmp_path, f"{number}.docx") for number in range(6)]
    size_bytes = len(base64.b64encode((tmp_path / records[0].evidence[0].source).read_bytes()))
    document = page(tmp_path, records, room=size_bytes * 4)

    assert 0 < len(document.xpath("//img")) < 18
    assert f"{18 - len(document.xpath('//img'))} bilder fick inte plats" in told(document.body, "sv")


@pytest.mark.parametrize(
    "name", ["../secret.jpg", "/etc/hostname", "link.jpg", "not-a-picture.jpg", "folder.jpg", "nul\x00.jpg", "gone.jpg"]
)
def test_only_pictures_below_the_evidence_folder_are_shown(tmp_path, name) -> None:
    """Evidence is named by what came out of the sandbox; it must not make the worker publish other files."""
    folder = tmp_path / "evidence"
    jpeg(tmp_path / "secret.jpg", "black")
    (folder / "folder.jpg").mkdir(parents=True)
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "not-a-picture.jpg").write_text("root:x:0:0")
    document = page(tmp_path, [migrated(evidence=[Evidence(page_number=1, source=name)])], evidence=folder)

    assert not document.xpath("//img")
    assert "Bilden är inte med" in told(document.body, "sv")


def test_a_png_is_a_picture_too(tmp_path) -> None:
    content = io.BytesIO()
    Image.new("L", (3, 3)).save(content, "PNG")
    (tmp_path / "a.png").write_bytes(content.getvalue())
    document = page(tmp_path, [migrated(evidence=[Evidence(page_number=1, result="a.png")])])

    assert document.xpath("//img/@src")[0].startswith("data:image/png;base64,")


def test_the_page_can_be_used_without_eyes_mouse_or_script(tmp_path) -> None:
    """WCAG 2.1: language, landmarks, one h1, headings in order, table headers, alternative texts, unique ids."""
    document = page(
        tmp_path,
        [record(), record("r", Status.RETAINED), with_pictures(tmp_path), waiting(), waiting("f", Status.FAILED, "tool-crashed")],
    )
    levels = [int(heading.tag[1]) for heading in document.xpath("//h1|//h2|//h3|//h4")]
    ids = document.xpath("//@id")

    assert document.get("lang") == "sv"
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(document.xpath(f"//{landmark}") for landmark in ("header", "main", "nav", "footer"))
    assert all(cell.get("scope") for cell in document.xpath("//th"))
    assert all(picture.get("alt") for picture in document.xpath("//img"))
    assert len(ids) == len(set(ids))
    assert set(document.xpath("//a/@href")) <= {f"#{name}" for name in ids}
    assert set(document.xpath("//label/@for")) <= set(ids)
    assert document.xpath('//input[@id="lang-sv"]/@checked')


def test_every_word_is_in_both_languages() -> None:
    """A reader of one language must not meet a blank."""
    texts = [
        text
        for table in (words.FAMILIES, words.CHECKS, words.ACTIONS, words.OUTCOMES, words.VERDICTS, words.REPRESENTATIONS)
        for text in table.values()
    ]
    texts += [text for table in (words.STATUSES, words.LEVELS) for entry in table.values() for text in (entry.word, entry.meaning)]
    texts += [text for entry in reasons.REASONS.values() for text in (entry.title, entry.meaning, entry.remedy)]

    assert all(text.sv.strip() and text.en.strip() for text in texts)
    assert set(words.STATUSES) == set(Status)
    assert set(words.LEVELS) == set(Level)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_colour_has_contrast_aa(scheme) -> None:
    """WCAG 2.1, 1.4.3: at least 4.5 to 1, on paper and on panel."""
    block = re.findall(r":root \{(.*?)\}", (TEMPLATES / "report.css").read_text(), re.DOTALL)[scheme]
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))

    for name, colour in colours.items():
        if name not in {"paper", "panel", "line"}:
            assert min(contrast(colour, colours["paper"]), contrast(colour, colours["panel"])) >= 4.5, name


def contrast(one, other):
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour):
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_an_interrupted_job_and_an_absent_sandbox_are_said_plainly(tmp_path) -> None:
    swedish = told(page(tmp_path, [record()], interrupted=True, version=None, sandbox="none").body, "sv")

    assert "Körningen avbröts." in swedish
    assert "Ingenting nytt skrevs till arkivet." in swedish
    assert "Verktygen kördes utan sandlåda." in swedish


def test_an_empty_package_gives_a_page(tmp_path) -> None:
    assert "Paketet innehöll inga filer." in told(page(tmp_path, []).body, "sv")


def test_a_page_is_there_whole_or_not_at_all(tmp_path) -> None:
    page(tmp_path, [record()])
    before = (tmp_path / "report.html").read_bytes()

    def dying():
        yield record("b")
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        html_report.write(tmp_path / "report.html", header(), dying, tmp_path)

    assert (tmp_path / "report.html").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
