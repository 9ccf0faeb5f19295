"""Laws of pictures: damage shows, and a copy has every pixel."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from actions import picture_check, picture_compare, picture_to_tiff
from actions.contract import Level, Role, Verdict
from actions.errors import DamagedError, RefusedError, TooLargeError
from actions.params import NoParams
from actions.picture import frames


def drawing(mode="RGB", size=(120, 80)):
    image = Image.effect_noise(size, 60).convert("RGB")
    ImageDraw.Draw(image).ellipse((10, 10, 90, 70), fill=(200, 30, 60))
    return image.convert(mode)


def saved(folder, name, image, **settings):
    path = folder / name
    image.save(path, **settings)
    return path


def checked(path):
    return picture_check.run(path, path.parent, NoParams())


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.gif", "a.webp", "a.jp2", "a.bmp"])
def test_a_whole_picture_is_valid_and_a_cut_one_is_not(tmp_path, name):
    path = saved(tmp_path, name, drawing())
    assert checked(path).verdict is Verdict.VALID, checked(path).notes

    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])
    outcome = checked(path)
    assert outcome.verdict is Verdict.INVALID
    assert outcome.notes


def test_a_jpeg_that_only_lacks_its_end_is_invalid(tmp_path):
    path = saved(tmp_path, "a.jpg", drawing())
    path.write_bytes(path.read_bytes()[:-2])

    assert checked(path).verdict is Verdict.INVALID


def test_bytes_after_the_end_are_noted_only(tmp_path):
    for name in ("a.jpg", "a.png"):
        path = saved(tmp_path, name, drawing())
        path.write_bytes(path.read_bytes() + b"svans")
        outcome = checked(path)

        assert outcome.verdict is Verdict.VALID
        assert outcome.notes == ("5 bytes follow the end of the picture.",)


def test_a_png_chunk_with_a_wrong_crc_is_invalid(tmp_path):
    """Pillow does not check the CRC of image data; a changed CRC alone must be found."""
    path = saved(tmp_path, "a.png", drawing())
    content = bytearray(path.read_bytes())
    at = content.index(b"IDAT")
    length = struct.unpack(">I", content[at - 4 : at])[0]
    content[at + 4 + length] ^= 1
    path.write_bytes(content)

    assert any("CRC" in note for note in checked(path).notes)
    assert checked(path).verdict is Verdict.INVALID


def test_every_page_of_a_tiff_is_decoded(tmp_path):
    pages = [drawing(), drawing("L"), drawing("1")]
    path = saved(tmp_path, "a.tif", pages[0], save_all=True, append_images=pages[1:], compression="tiff_adobe_deflate")
    assert checked(path).facts["frames"] == 3

    with Image.open(path) as image:
        image.seek(1)
        offset = image.tag_v2[273][0]
    content = bytearray(path.read_bytes())
    content[offset : offset + 400] = b"\xff" * 400
    path.write_bytes(content)
    assert checked(path).verdict is Verdict.INVALID


def test_a_huge_picture_gets_a_clear_answer(tmp_path):
    """Told from the header, before a pixel is decoded."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))  # noqa: E731
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )

    with pytest.raises(TooLargeError, match="60000 x 60000"):
        checked(path)


def test_pillows_own_limit_is_left_as_it_was(tmp_path):
    before = Image.MAX_IMAGE_PIXELS
    checked(saved(tmp_path, "a.png", drawing()))

    assert before == Image.MAX_IMAGE_PIXELS


def test_what_pillow_does_not_know_is_unknown_not_damaged(tmp_path):
    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(200))

    assert checked(path).verdict is Verdict.UNKNOWN


def test_postscript_never_reaches_a_reader(tmp_path):
    """Pillow would start Ghostscript for EPS."""
    path = tmp_path / "a.eps"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")

    assert "EPS" not in frames.READERS
    assert checked(path).verdict is Verdict.UNKNOWN


def converted(path):
    outcome = picture_to_tiff.run(path, path.parent, NoParams())
    proof = picture_compare.run(path, path.parent, picture_compare.PictureCompareParams(result=outcome.outputs[0].path))
    return outcome, proof


def failing(proof):
    return [check for check in proof.checks if check.ok is False]


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("a.bmp", "RGB"), ("b.bmp", "P"), ("c.bmp", "1"), ("d.bmp", "L"), ("a.tga", "RGB"), ("b.tga", "RGBA"), ("a.pcx", "RGB"),
        ("b.pcx", "P"),
        ("a.ppm", "RGB"), ("a.pgm", "L"), ("a.pbm", "1"), ("a.sgi", "RGB"), ("a.dib", "RGB"),
    ],
)  # fmt: skip
def test_a_tiff_copy_has_the_same_pixels(tmp_path, name, mode):
    path = saved(tmp_path, name, drawing(mode))
    outcome, proof = converted(path)

    assert proof.level is Level.IDENTICAL, failing(proof)
    assert (outcome.outputs[0].role, outcome.outputs[0].suffix) == (Role.PRESERVATION, ".tif")
    with Image.open(tmp_path / outcome.outputs[0].path) as copy:
        assert copy.info["compression"] == "tiff_adobe_deflate"
        assert copy.convert("RGBA").tobytes() == drawing_bytes(path)
    assert {output.path for output in proof.outputs} == {"page-0001-source.jpg", "page-0001-result.jpg"}


def drawing_bytes(path):
    with Image.open(path) as image:
        return image.convert("RGBA").tobytes()


@pytest.mark.parametrize(("name", "mode"), [("a.bmp", "RGB"), ("a.pgm", "L"), ("a.ppm", "RGB")])
def test_a_second_decoder_confirms_where_it_can(tmp_path, name, mode):
    _, proof = converted(saved(tmp_path, name, drawing(mode)))

    assert {check.name: check.ok for check in proof.checks}["second decoder"] is True


def test_where_no_second_decoder_reads_the_format_the_check_says_so(tmp_path):
    _, proof = converted(saved(tmp_path, "a.tga", drawing()))
    check = next(check for check in proof.checks if check.name == "second decoder")

    assert check.ok is None
    assert "TGA" in check.why


def test_sixteen_bit_grey_stays_sixteen_bit(tmp_path):
    path = tmp_path / "djup.pgm"
    samples = struct.pack(">12H", *range(0, 60000, 5000))
    path.write_bytes(b"P5 4 3 65535\n" + samples)

    outcome, proof = converted(path)

    assert proof.level is Level.IDENTICAL, failing(proof)
    with Image.open(tmp_path / outcome.outputs[0].path) as copy:
        assert copy.mode == "I;16"
        assert [copy.getpixel((x, y)) for y in range(3) for x in range(4)] == list(range(0, 60000, 5000))


def test_deep_colour_that_pillow_would_reduce_is_refused(tmp_path):
    """Pillow reads 16-bit RGB as 8-bit without a word: both sides of a comparison would agree on the loss."""
    path = tmp_path / "djup.ppm"
    path.write_bytes(b"P6 2 1 65535\n" + struct.pack(">6H", 1, 2, 3, 40000, 50000, 60000))

    with pytest.raises(RefusedError) as refused:
        picture_to_tiff.run(path, tmp_path, NoParams())
    assert refused.value.reason == "depth-unsupported"


def test_every_size_of_an_icon_becomes_a_page(tmp_path):
    path = saved(tmp_path, "a.ico", drawing("RGBA", (64, 64)), sizes=[(16, 16), (32, 32), (64, 64)])
    outcome, proof = converted(path)

    assert outcome.facts["frames"] == 3
    assert proof.level is Level.IDENTICAL, failing(proof)


def test_colour_profile_and_resolution_travel_along(tmp_path):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = saved(tmp_path, "a.png", drawing(), icc_profile=profile, dpi=(300, 300))
    outcome, proof = converted(path)

    assert proof.level is Level.IDENTICAL
    with Image.open(tmp_path / outcome.outputs[0].path) as copy:
        assert copy.info["icc_profile"] == profile
        assert round(copy.info["dpi"][0]) == 300


def test_one_changed_pixel_or_a_lost_profile_is_different(tmp_path):
    image = drawing()
    path = saved(tmp_path, "a.bmp", image)
    changed = image.copy()
    changed.putpixel((5, 5), (1, 2, 3))
    for name, copy in (("pixel.tif", changed), ("mindre.tif", image.crop((0, 0, 119, 80)))):
        saved(tmp_path, name, copy)
        proof = picture_compare.run(path, tmp_path, picture_compare.PictureCompareParams(result=name))
        assert proof.level is Level.DIFFERENT


def test_a_transparent_palette_keeps_every_colour_and_its_transparency(tmp_path):
    path = saved(tmp_path, "a.gif", drawing("P"), transparency=7)
    outcome, proof = converted(path)

    assert proof.level is Level.IDENTICAL, failing(proof)
    assert any("palette" in note.lower() for note in outcome.notes)


def test_a_damaged_source_makes_no_copy(tmp_path):
    path = saved(tmp_path, "a.bmp", drawing())
    path.write_bytes(path.read_bytes()[:4000])

    with pytest.raises(DamagedError):
        picture_to_tiff.run(path, tmp_path, NoParams())
    assert not (tmp_path / "picture.tif").exists()


def test_no_handle_and_no_file_is_left_behind(tmp_path):
    """A host goes on for thousands of files."""
    path = saved(tmp_path, "a.png", drawing())
    broken = tmp_path / "b.png"
    broken.write_bytes(path.read_bytes()[:300])
    checked(path), checked(broken)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        checked(path), checked(broken)

    assert len(list(Path("/proc/self/fd").iterdir())) <= before
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.png", "b.png"}


def test_the_thumbnail_of_deep_grey_is_not_black():
    image = Image.frombytes("I;16", (2, 1), struct.pack("<2H", 100, 40000))
    from actions.picture import pixels

    assert pixels.thumbnail(image, 10).getextrema()[0] == (0, 255)
