"""The words of a metafile are read whatever record sets them; hostile bytes cost a count, never an exception."""

from __future__ import annotations

import gzip
import random
import struct

import pytest

from actions.office import blips, emf, metafile, metafiles, wmf
from actions.office.content import Gathering
from actions.office.records import record_at

GLYPHS, CLIPPED = 0x10, 0x4
STEP = 50


def record(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, 8 + len(body)) + body


def letters(
    text: str, x: int = 0, y: int = 0, options: int = 0, box: tuple[int, ...] = (0, 0, 0, 0), *, wide: bool = True
) -> bytes:
    """EMR_EXTTEXTOUTW or A; every letter is 50 units wide."""
    data = text.encode("utf-16-le" if wide else "cp1252")
    data += bytes(-len(data) % 4)
    head = bytes(16) + struct.pack("<Iff", 1, 1, 1)
    where = struct.pack("<iiIII4iI", x, y, len(text), 76, options, *box, 76 + len(data))
    return record(84 if wide else 83, head + where + data + struct.pack(f"<{len(text)}I", *[STEP] * len(text)))


def enhanced(*records: bytes) -> bytes:
    """An EMF of *records* between its header and its end."""
    body = b"".join(records) + record(14, bytes(12))
    head = (
        struct.pack("<8i", 0, 0, 2000, 1000, 0, 0, 20_000, 10_000)
        + b" EMF"
        + struct.pack("<III", 0x10000, 88 + len(body), len(records) + 2)
        + struct.pack("<HHIIIiiii", 2, 0, 0, 0, 0, 1000, 1000, 100, 100)
    )
    return record(1, head[:80]) + body


def plus(*records: tuple[int, int, bytes]) -> bytes:
    """A comment with EMF+ records (kind, flags, data)."""
    made = b"".join(struct.pack("<HHII", kind, flags, 12 + len(data), len(data)) + data for kind, flags, data in records)
    return record(70, struct.pack("<I", 4 + len(made)) + b"EMF+" + made)


def plus_string(text: str) -> tuple[int, int, bytes]:
    data = text.encode("utf-16-le")
    return 0x401C, 0, struct.pack("<III4f", 0, 0, len(text), 0, 0, 0, 0) + data + bytes(-len(data) % 4)


def windows(*records: tuple[int, bytes], placeable: bool = True) -> bytes:
    body = b"".join(struct.pack("<IH", 3 + len(data) // 2, kind) + data for kind, data in (*records, (0, b"")))
    head = struct.pack("<HHHIHIH", 1, 9, 0x300, 9 + len(body) // 2, 4, 100, 0)
    return (b"\xd7\xcd\xc6\x9a" + bytes(18) if placeable else b"") + head + body


def windows_font(charset: int) -> tuple[int, bytes]:
    return 0x02FB, struct.pack("<5h", -20, 0, 0, 0, 400) + bytes([0, 0, 0, charset]) + bytes(12)


def windows_text(data: bytes, x: int = 0, options: int = 0) -> tuple[int, bytes]:
    return 0x0A32, struct.pack("<2h2H", 0, x, len(data), options) + data + bytes(len(data) % 2)


def enhanced_font(handle: int, charset: int) -> bytes:
    return record(82, struct.pack("<Ii", handle, -40) + bytes(19) + bytes([charset]) + bytes(68))


def test_every_plain_record_of_text_is_read():
    small = record(108, struct.pack("<iiIIIff", 0, 900, 4, 0x300, 1, 1, 1) + "Åhus".encode("cp1252"))
    wide = "Lund".encode("utf-16-le")
    poly = bytes(16) + struct.pack("<IffI", 1, 1, 1, 1) + struct.pack("<iiIII4iI", 0, 0, 4, 80, 0, 0, 0, 0, 0, 0) + wide
    made = enhanced(letters("Höör"), letters("Malmö", wide=False), small, record(97, poly))
    assert emf.read(made).text.split("\n") == ["Höör", "Malmö", "Åhus", "Lund"]


def test_a_string_of_glyph_numbers_is_counted_and_not_read():
    found = emf.read(enhanced(letters("abc", options=GLYPHS), letters("Höör", y=300)))
    assert (found.text, found.unread) == ("Höör", 1)
    found = wmf.read(windows(windows_text(b"ab", options=GLYPHS)))
    assert (found.text, found.unread) == ("", 1)


def test_letters_of_a_symbol_font_are_no_words():
    select = [record(37, struct.pack("<I", handle)) for handle in (1, 2)]
    made = enhanced(enhanced_font(1, 2), enhanced_font(2, 204), select[0], letters("abc"), select[1], letters("Höör", y=300))
    assert emf.read(made).text == "Höör"


def test_a_shadow_is_not_a_second_word():
    found = emf.read(
        enhanced(enhanced_font(1, 0), record(37, struct.pack("<I", 1)), letters("Höör", 10, 10), letters("Höör", 13, 13))
    )
    assert found.text == "Höör"
    assert emf.read(enhanced(letters("1", 0), letters("1", 500))).text == "1\n1"


def test_what_the_picture_itself_cuts_off_is_not_asked_for():
    made = enhanced(letters("Embedded Spreadsheet", 0, 0, CLIPPED, (0, -10, 700, 60)))
    assert emf.read(made) == metafile.Metafile("Embedded", 0, 1)
    clip = record(30, struct.pack("<4i", 0, 0, 700, 100))
    assert emf.read(enhanced(record(33, b""), clip, letters("Embedded Spreadsheet"), record(34, struct.pack("<i", -1)))).cut == 1
    assert emf.read(enhanced(record(33, b""), clip, record(34, struct.pack("<i", -1)), letters("Embedded Spreadsheet"))).cut == 0


@pytest.mark.parametrize(
    ("flags", "expected"),
    [(1, "Höör Åhus"), (0, "Höör Åhus")],  # both forms, one of which is shown; or EMF+ alone, with leavings for old programs
)
def test_a_drawing_in_both_forms_is_read_once(flags, expected):
    made = enhanced(plus((0x4001, flags, bytes(16)), plus_string("Höör Åhus")), letters("Åhus"))
    assert emf.read(made).text == expected


def test_emf_plus_hands_over_to_plain_records():
    made = enhanced(plus((0x4001, 0, bytes(16))), letters("dold"), plus((0x4004, 0, b"")), letters("synlig", y=300))
    assert emf.read(made).text == "synlig"


@pytest.mark.parametrize(("options", "expected"), [(1, ("Höör", 0)), (0, ("", 1))])
def test_a_driver_string_is_read_where_it_holds_characters(options, expected):
    data = struct.pack("<4I", 0, options, 0, 4) + "Höör".encode("utf-16-le") + bytes(32)
    found = emf.read(enhanced(plus((0x4001, 0, bytes(16)), (0x4036, 0, data))))
    assert (found.text, found.unread) == expected


@pytest.mark.parametrize("placeable", [True, False])
def test_a_windows_metafile_is_decoded_by_its_fonts_character_set(placeable):
    select = (0x012D, struct.pack("<H", 1))
    plain = "Åhus".encode("cp1252")
    text_out = (0x0521, struct.pack("<H", len(plain)) + plain + struct.pack("<2h", 500, 0))
    made = windows(
        (0x02FA, bytes(10)), text_out, windows_font(204), select, windows_text("Лунд".encode("cp1251")), placeable=placeable
    )
    assert wmf.is_wmf(made)
    assert wmf.read(made).text == "Åhus\nЛунд"


def test_packed_metafiles_are_read_and_bombs_are_not(monkeypatch):
    made = enhanced(letters("Höör"))
    gathering = Gathering("text", "test")
    metafiles.note(gathering, "a", gzip.compress(made))
    metafiles.note(gathering, "b", b"\x89PNG no metafile")
    monkeypatch.setattr(metafile, "METAFILE_BYTES", 1000)
    metafiles.note(gathering, "c", gzip.compress(bytes(100_000)))
    assert [one.text for one in gathering.metafiles.values()] == ["Höör", ""]
    assert gathering.metafiles["c"].unread == 1


@pytest.mark.parametrize("instance", [0x3D4, 0x3D5])
def test_a_picture_stores_metafile_is_unpacked(instance):
    packed = gzip.zlib.compress(enhanced(letters("Höör")))
    body = bytes(16 * (1 + instance % 2)) + bytes(28) + struct.pack("<IBB", len(packed), 0, 254) + packed
    blip = struct.pack("<HHI", instance << 4, 0xF01A, len(body)) + body
    for inside, delayed in ((blip, b""), (b"", bytes(8) + blip)):
        entry = bytes(28) + struct.pack("<I", 0 if inside else 8) + bytes(4) + inside
        stored = record_at(struct.pack("<HHI", 2, 0xF007, len(entry)) + entry, 0)
        gathering = Gathering("text", "test")
        blips.note_entry(gathering, "1", stored, delayed)
        assert gathering.metafiles["1"].text == "Höör"


def test_hostile_bytes_are_counted_and_never_raise():
    samples = [
        enhanced(
            enhanced_font(1, 0),
            record(37, struct.pack("<I", 1)),
            letters("Höör"),
            plus((0x4001, 1, bytes(16)), plus_string("Åhus")),
        ),
        windows(windows_font(0), (0x012D, bytes(2)), windows_text(b"Lund"), (0x001E, b""), (0x0127, b"\xff\xff")),
    ]
    chance = random.Random(1)
    for sample in samples:
        for _ in range(1500):
            bad = bytearray(sample)
            for _ in range(chance.randrange(1, 6)):
                bad[chance.randrange(len(bad))] = chance.choice((0, 1, 0x7F, 0xFF, chance.randrange(256)))
            metafiles.read(bytes(bad[: chance.randrange(len(bad))]) if chance.random() < 0.3 else bytes(bad))


def test_what_lies_behind_a_broken_record_is_said_to_be_unread():
    made = enhanced(letters("Höör"), letters("Åhus", y=300))
    cut = emf.read(made[:-40])
    assert (cut.text, cut.unread) == ("Höör", 1)
