"""Laws of the probe: it sees passwords without opening anything, measures a bomb without unpacking it, and never raises."""

from __future__ import annotations

import io
import lzma
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from actions import probe
from actions.probes import container

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the shared corpus is not on this machine")


def ask(path, puid=None, mime=None):
    return probe.run(path, path.parent, probe.ProbeParams(puid=puid, mime=mime, extension=path.suffix)).facts


def zipped(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_an_empty_file_says_only_that(tmp_path):
    path = tmp_path / "tom.pdf"
    path.touch()

    assert ask(path) == {"empty": True}


def test_a_zip_bomb_is_measured_not_opened(tmp_path):
    path = zipped(tmp_path / "bomb.zip", {"nollor": bytes(30_000_000)})
    facts = ask(path)

    assert facts["unpacked_bytes"] == 30_000_000
    assert facts["ratio"] > 900
    assert facts["encrypted"] is False


def test_one_encrypted_member_makes_a_zip_encrypted(tmp_path):
    """General purpose bit 0, in any member's entry."""
    path = zipped(tmp_path / "a.zip", {"öppen.txt": "å", "låst.txt": "ä"})
    content = bytearray(path.read_bytes())
    last = content.rindex(b"PK\x01\x02")
    content[last + 8] |= 1
    path.write_bytes(content)

    assert ask(path)["encrypted"] is True
    assert ask(path)["members"] == 2


def test_bytes_before_a_zip_do_not_hide_its_directory(tmp_path):
    path = zipped(tmp_path / "a.zip", {"a.txt": "å"})
    inner = path.read_bytes()
    with path.open("wb") as stream:
        stream.write(b"#!/bin/sh\n" + inner)

    with path.open("rb") as stream:
        assert container.zip64.facts(stream, path.stat().st_size)["members"] == 1


def test_a_spoiled_directory_is_damage_not_a_password(tmp_path):
    path = zipped(tmp_path / "a.zip", {"a.txt": "å"})
    path.write_bytes(path.read_bytes().replace(b"PK\x01\x02", b"XX\x01\x02"))

    assert ask(path)["damaged"] is True
    assert "encrypted" not in ask(path)


def test_a_zip_of_many_members_reads_its_large_count(tmp_path):
    """More than 65,535 members need the 64-bit end record."""
    path = zipped(tmp_path / "många.zip", {f"{number}": b"" for number in range(66_000)}, zipfile.ZIP_STORED)

    assert ask(path)["members"] == 66_000


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.png", "a.tif", "a.docx"])
def test_a_cut_file_is_damaged_and_nothing_is_raised(tmp_path, name):
    path = tmp_path / name
    if name.endswith((".png", ".tif")):
        Image.effect_noise((60, 60), 9).save(path)
    elif name.endswith(".tar"):
        with tarfile.open(path, "w") as archive:
            for number in range(3):
                member = tarfile.TarInfo(f"fil {number}")
                member.size = 5000
                archive.addfile(member, io.BytesIO(bytes(5000)))
    else:
        zipped(path, {"a.txt": "å" * 5000, "b.txt": "ä"})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    before = path.read_bytes()

    facts = ask(path)

    assert facts["empty"] is False
    assert path.read_bytes() == before


def seven_zip(header: bytes, packed: bytes = b"") -> bytes:
    start = struct.pack("<QQI", len(packed), len(header), 0)
    return b"7z\xbc\xaf\x27\x1c\0\4" + bytes(4) + start + packed + header


FOLDER_LZMA = b"\x01\x23\x03\x01\x01\x05\x5d\0\0\x10\0"
FOLDER_AES = b"\x01\x24\x06\xf1\x07\x01\x01\x00"


def streams(folder: bytes, size: int) -> bytes:
    return b"\x06\x00\x01\x09" + bytes([size]) + b"\x00\x07\x0b\x01\x00" + folder + b"\x0c\x64\x00"


@pytest.mark.parametrize(("folder", "encrypted"), [(FOLDER_LZMA, False), (FOLDER_AES, True)])
def test_seven_zip_tells_its_coders(tmp_path, folder, encrypted):
    path = tmp_path / "a.7z"
    path.write_bytes(seven_zip(b"\x01\x04" + streams(folder, 9) + b"\x00\x00", bytes(9)))

    assert ask(path) == {"empty": False, "encrypted": encrypted, "unpacked_bytes": 100, "ratio": pytest.approx(1.2, abs=0.5)}


@pytest.mark.parametrize(("folder", "encrypted"), [(FOLDER_LZMA, False), (FOLDER_AES, True)])
def test_seven_zip_is_read_through_a_packed_header(tmp_path, folder, encrypted):
    """7-Zip packs its header with LZMA: the password shows only inside."""
    inner = b"\x01\x04" + streams(folder, 9) + b"\x00\x00"
    packed = lzma.compress(
        inner, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 20, "lc": 3, "lp": 0, "pb": 2}]
    )
    outer = (
        b"\x17\x06\x00\x01\x09"
        + bytes([len(packed)])
        + b"\x00\x07\x0b\x01\x00"
        + FOLDER_LZMA
        + b"\x0c"
        + bytes([len(inner)])
        + b"\x00\x00"
    )
    path = tmp_path / "a.7z"
    path.write_bytes(seven_zip(outer, packed))

    assert ask(path)["encrypted"] is encrypted


def rar5_block(kind: int, rest: bytes, *, extra: bytes = b"") -> bytes:
    body = bytes([kind, 1 if extra else 0]) + (bytes([len(extra)]) if extra else b"") + rest + extra
    return bytes(4) + bytes([len(body)]) + body


def test_rar_headers_tell_members_and_passwords(tmp_path):
    path = tmp_path / "a.rar"
    main, end = rar5_block(1, b"\x00"), rar5_block(5, b"\x00")
    entry = b"\x00\x0a\x00\x00\x01\x03\x61\x2e\x74"
    path.write_bytes(b"Rar!\x1a\x07\x01\0" + main + rar5_block(2, entry) + end)
    assert (ask(path)["members"], ask(path)["encrypted"], ask(path)["unpacked_bytes"]) == (1, False, 10)

    path.write_bytes(b"Rar!\x1a\x07\x01\0" + main + rar5_block(2, entry, extra=b"\x02\x01\x00") + end)
    assert ask(path)["encrypted"] is True

    path.write_bytes(b"Rar!\x1a\x07\x01\0" + rar5_block(4, b"\x00\x00"))
    assert ask(path)["encrypted"] is True

    path.write_bytes(b"Rar!\x1a\x07\0" + b"\0\0\x73\x80\x00\x0d\0" + bytes(6))
    assert ask(path)["encrypted"] is True


def test_an_old_tar_without_a_magic_is_known_by_its_checksum(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        member = tarfile.TarInfo("å.txt")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"abc"))
    content = bytearray(path.read_bytes())
    content[257:265] = bytes(8)
    checksum = sum(content[:148]) + 256 + sum(content[156:512])
    content[148:156] = b"%06o\0 " % checksum
    path.write_bytes(content)

    assert ask(path, mime="application/x-tar")["members"] == 1


def test_a_picture_tells_its_header(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGBA", (31, 17)).save(path)

    facts = ask(path)

    assert (facts["width_px"], facts["height_px"], facts["alpha"], facts["bits_per_sample"], facts["frames"]) == (
        31,
        17,
        True,
        8,
        1,
    )


def test_a_text_tells_its_encoding(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("Ärendet återremitteras på nytt".encode("cp1252") * 9)

    assert ask(path, "x-fmt/111", "text/plain")["encoding"] == "iso-8859-1"


MAGICS = [
    b"",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"7z\xbc\xaf\x27\x1c\0\4",
    b"Rar!\x1a\x07\x01\0",
    b"Rar!\x1a\x07\0",
    b"\x1f\x8b",
    b"BZh9",
]
PICTURE_MAGICS = [
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"\xff\xd8\xff\xe0",
    b"GIF89a",
    b"BM",
    b"8BPS\0\1",
    b"II*\0\x08\0\0\0",
    b"\0\0\1\0\1\0",
    b"P5 3 3 9 ",
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(magic=st.sampled_from(MAGICS + PICTURE_MAGICS), data=st.binary(max_size=600), zipped_end=st.booleans())
def test_hostile_bytes_get_an_answer(tmp_path, magic, data, zipped_end):
    """Whatever follows a known beginning: facts, never an exception, and no family's reader gives up unforeseen."""
    path = tmp_path / "fientlig"
    end = b"PK\x05\x06" + data[:18].ljust(18, b"\0") if zipped_end else b""
    path.write_bytes(magic + data + end)

    outcome = probe.run(path, tmp_path, probe.ProbeParams())

    assert outcome.facts["empty"] is (path.stat().st_size == 0)
    assert outcome.notes == ()


@needs_corpus
@pytest.mark.parametrize("name", ["testZipEncrypted.zip", "full_encrypted.7z"])
def test_encrypted_containers_of_the_corpus(name):
    assert ask(CORPUS / "encrypted" / name)["encrypted"] is True


@needs_corpus
def test_containers_of_the_corpus_are_read_whole():
    """Ordinary archives are not called damaged."""
    for name in ("test-documents.rar", "test-documents.tar", "htmlfiles_historicaldates.zip", "cc.warc.gz"):
        facts = ask(CORPUS / "archive" / name)
        assert "damaged" not in facts, name
        assert facts["encrypted"] is False, name
