"""Open a picture with Pillow under our own bounds, and walk its frames.

The one place that decides which Pillow readers may see archive bytes (EPS would start Ghostscript) and how large a
decoded picture may be. Formats that Pillow reads only in part (raw camera files, HEIC, EMF) do not belong here.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import PIL

# Imported by name: Pillow registers a reader when its module is imported, and none but these shall be.
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    DcxImagePlugin,
    DdsImagePlugin,
    GifImagePlugin,
    IcnsImagePlugin,
    IcoImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    MspImagePlugin,
    PcxImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    PsdImagePlugin,
    SgiImagePlugin,
    SunImagePlugin,
    TgaImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
    XbmImagePlugin,
    XpmImagePlugin,
)

from actions.errors import DamagedError, RefusedError, TooLargeError

TOOL = f"Pillow {PIL.__version__}"
MAX_DECODED_BYTES = 4 << 30  # half of a host's memory: the other half holds the file and one converted frame
MAX_FRAMES = 10_000  # a page of a register each; more is a crafted file
STRIP_BYTES = 16 << 20  # pixels are copied and hashed in strips of about this size
READERS = tuple(
    reader.format
    for reader in (
        AvifImagePlugin.AvifImageFile, BmpImagePlugin.BmpImageFile, BmpImagePlugin.DibImageFile, DcxImagePlugin.DcxImageFile,
        DdsImagePlugin.DdsImageFile, GifImagePlugin.GifImageFile, IcnsImagePlugin.IcnsImageFile, IcoImagePlugin.IcoImageFile,
        Jpeg2KImagePlugin.Jpeg2KImageFile, JpegImagePlugin.JpegImageFile, MpoImagePlugin.MpoImageFile, MspImagePlugin.MspImageFile,
        PcxImagePlugin.PcxImageFile, PngImagePlugin.PngImageFile, PpmImagePlugin.PpmImageFile, PsdImagePlugin.PsdImageFile,
        SgiImagePlugin.SgiImageFile, SunImagePlugin.SunImageFile, TgaImagePlugin.TgaImageFile, TiffImagePlugin.TiffImageFile,
        WebPImagePlugin.WebPImageFile, XbmImagePlugin.XbmImageFile, XpmImagePlugin.XpmImageFile,
    )
    if reader.format in Image.OPEN
)  # fmt: skip

# Bytes of one pixel in Pillow's memory, and bits of one sample. Source: Pillow, "Concepts: Modes".
# DNGVersion (DNG 1.7, chapter 4), CFAPattern and CFARepeatPatternDim (TIFF/EP).
_RAW_TAGS = frozenset((50706, 33421, 33422))

# Palettes and 16-bit grey are counted as what ``pixels.canonical`` makes of them: four bytes.
_PIXEL_BYTES = {"1": 1, "L": 1}
_SAMPLE_BITS = {"1": 1, "I;16": 16, "I;16B": 16, "I;16L": 16, "I": 32, "F": 32}


@dataclass(frozen=True, slots=True)
class Opened:
    """An open picture. ``warnings`` grows while it is decoded."""

    image: Image.Image
    warnings: list[str]


@contextmanager
def opened(source: Path) -> Iterator[Opened]:
    """Open *source* for the time of the block.

    Raises:
        RefusedError: No reader knows it (``unsupported-picture``).
        DamagedError: A reader knows it and cannot read its header.
        TooLargeError: Decoded, one frame would be larger than ``MAX_DECODED_BYTES``.
    """
    told: list[str] = []
    # Pillow's own limit is a warning at 90 million pixels; ours is in bytes, checked below before anything is decoded.
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with _open(source) as image:
                _refuse_raw(source, image)
                _bounded(image, source.name)
                yield Opened(image, told)
            told += [str(entry.message)[:200] for entry in caught if not issubclass(entry.category, ResourceWarning)]
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _open(source: Path) -> Image.Image:
    try:
        return Image.open(source, formats=READERS)
    except UnidentifiedImageError as unknown:
        raise RefusedError(
            "is no picture that Pillow can read", source.name, "Look at it by hand.", code="unsupported-picture"
        ) from unknown
    except MemoryError:
        raise
    except Exception as broken:  # Pillow's readers raise anything on hostile headers
        raise DamagedError(
            f"has a header that cannot be read ({describe(broken)})", source.name, "Ask the producer for it again."
        ) from broken


def _refuse_raw(source: Path, image: Image.Image) -> None:
    """A raw camera file is TIFF outside; what Pillow would decode is its preview."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    with source.open("rb") as stream:
        canon = stream.read(10)[8:] == b"CR"  # CR2 says so after the TIFF header
    if canon or _RAW_TAGS & set(image.tag_v2):
        what = "is a raw camera file, of which only the preview is TIFF"
        raise RefusedError(what, source.name, "Look at it by hand.", code="unsupported-picture")


def frames(image: Image.Image, name: str) -> Iterator[Image.Image]:
    """Every frame, decoded in full; one object, which the next frame may overwrite.

    A PSD gives its composite (Pillow counts its layers as frames), an icon each of its sizes.

    Raises:
        DamagedError: A frame cannot be decoded to its end.
        TooLargeError: A frame is too large, or there are too many.
    """
    for index in range(_counted(image, name)):
        if index >= MAX_FRAMES:
            raise TooLargeError(f"has more than {MAX_FRAMES} frames", name, "Look at it by hand.")
        frame = _frame(image, index, name)
        _bounded(frame, name)
        try:
            frame.load()
        except MemoryError:
            raise
        except Exception as broken:  # Pillow's decoders raise anything on hostile data
            raise DamagedError(
                f"cannot be decoded in frame {index + 1} ({describe(broken)})", name, "Ask the producer for it again."
            ) from broken
        yield frame


def frame_count(image: Image.Image) -> int:
    """Pages, animation frames or icon sizes; 1 for a PSD, whose layers are not pages."""
    if image.format == "PSD":
        return 1
    if image.format == "ICO":
        return len(image.ico.entry)  # type: ignore[attr-defined]
    return int(getattr(image, "n_frames", 1))


def _counted(image: Image.Image, name: str) -> int:
    try:
        return frame_count(image)
    except MemoryError:
        raise
    except Exception as broken:  # counting walks the whole chain of directories, and raises anything on the way
        what = f"has a directory that cannot be read ({describe(broken)})"
        raise DamagedError(what, name, "Ask the producer for it again.") from broken


def layer_count(image: Image.Image) -> int:
    """Layers of a PSD; 0 for everything else."""
    return len(image.layers) if image.format == "PSD" else 0  # type: ignore[attr-defined]


def _frame(image: Image.Image, index: int, name: str) -> Image.Image:
    try:
        if image.format == "ICO":
            icon: Image.Image = image.ico.frame(index)  # type: ignore[attr-defined]
            return icon
        if image.format != "PSD" and index:
            image.seek(index)
    except MemoryError:
        raise
    except Exception as broken:  # Pillow's readers raise anything on hostile directories
        raise DamagedError(
            f"breaks off before frame {index + 1} ({describe(broken)})", name, "Ask the producer for it again."
        ) from broken
    return image


def _bounded(image: Image.Image, name: str) -> None:
    width, height = image.size
    size_bytes = width * height * _PIXEL_BYTES.get(image.mode, 4)
    if size_bytes > MAX_DECODED_BYTES:
        need = f"{size_bytes / (1 << 30):.1f} GiB"
        what = f"would need {need} decoded ({width} x {height} pixels; at most {MAX_DECODED_BYTES >> 30} GiB)"
        raise TooLargeError(what, name, "Convert it by hand.")


def sample_bits(mode: str) -> int:
    """Bits per sample that Pillow keeps in *mode*."""
    return _SAMPLE_BITS.get(mode, 8)


def strips(image: Image.Image) -> Iterator[bytes]:
    """The pixels from top to bottom, in pieces: one copy of a large picture would double its memory."""
    width, height = image.size
    rows = max(1, STRIP_BYTES // max(1, width * _PIXEL_BYTES.get(image.mode, 4)))
    if rows >= height:
        yield image.tobytes()
        return
    for top in range(0, height, rows):
        yield image.crop((0, top, width, min(height, top + rows))).tobytes()


def has_alpha(image: Image.Image) -> bool:
    """A channel, or a palette entry, that makes pixels transparent."""
    return image.mode in {"LA", "La", "PA", "RGBA", "RGBa"} or "transparency" in image.info


def has_profile(image: Image.Image) -> bool | None:
    """Whether a colour profile is embedded; None: Pillow does not read it from this format."""
    return None if image.format == "JPEG2000" else bool(image.info.get("icc_profile"))


def describe(error: Exception) -> str:
    """An exception as a few words for a sentence."""
    return f"{type(error).__name__}: {error}"[:160].rstrip(": ")
