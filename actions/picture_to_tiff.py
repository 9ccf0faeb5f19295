"""Rewrite a picture as TIFF with lossless Deflate: every frame, sample for sample.

For formats that an archive does not keep (BMP, PSD, TGA, PCX, icons, PNM …). What TIFF cannot hold, and what Pillow would
quietly reduce, is refused or named; the proof is ``picture_compare``'s.
Source: TIFF 6.0; Adobe TIFF Technical Note (Deflate, compression 8); XMP Specification Part 3 (tag 700).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from actions.contract import Fact, Outcome, Output, Role
from actions.errors import RefusedError, TooLargeError, ToolFailedError
from actions.params import Params
from actions.picture import frames
from actions.picture.depth import declared_bits, pnm_maximum

_RESULT = "picture.tif"
_XMP_TAG = 700
_PSD_RESOLUTION, _PSD_EXIF, _PSD_XMP = 1005, 1058, 1060  # image resource ids (Adobe Photoshop File Formats Specification)
_TIFF_MODES = frozenset(("1", "L", "LA", "P", "I;16", "I", "F", "RGB", "RGBA", "CMYK", "LAB"))


def run(source: Path, workdir: Path, params: Params) -> Outcome:
    """Write the TIFF.

    Raises:
        RefusedError: Not readable by Pillow, or with deeper samples than Pillow keeps (``depth-unsupported``).
        DamagedError: A frame cannot be decoded to its end.
        TooLargeError: Decoded, the picture is larger than an action may hold.
    """
    del params
    notes: list[str] = []
    with frames.opened(source) as opened:
        _refuse_lost_depth(source, opened.image)
        settings = _settings(opened.image, notes)
        pages = list(_pages(source, opened.image, notes))
        _save(pages, workdir / _RESULT, settings, source.name)
        facts: dict[str, Fact] = {"frames": len(pages), "layers": frames.layer_count(opened.image), "mode": pages[0].mode}
    if facts["layers"]:
        notes.append(f"The composite picture was converted; its {facts['layers']} layers stay in the original only.")
    return Outcome(
        tool=frames.TOOL,
        outputs=(Output(_RESULT, Role.PRESERVATION, ".tif"),),
        notes=(*dict.fromkeys(notes), *opened.warnings),
        facts=facts,
    )


def _refuse_lost_depth(source: Path, image: Image.Image) -> None:
    declared, kept = declared_bits(source, image), frames.sample_bits(image.mode)
    if declared is not None and declared > kept:
        what = f"has {declared} bits per sample where Pillow would keep {kept}"
        raise RefusedError(what, source.name, "Convert it by hand.", code="depth-unsupported")


def _pages(source: Path, image: Image.Image, notes: list[str]) -> Iterator[Image.Image]:
    total = 0
    for frame in frames.frames(image, source.name):
        total += frame.size[0] * frame.size[1] * 4
        if total > frames.MAX_DECODED_BYTES:
            raise TooLargeError("has frames that together need too much memory", source.name, "Convert it by hand.")
        page = _for_tiff(frame, notes)
        if frame.mode == "I" and image.format == "PPM":
            page = _deep_grey(source, frame, notes)
        yield page.copy() if page is image else page


def _for_tiff(frame: Image.Image, notes: list[str]) -> Image.Image:
    """*frame* in a mode that TIFF holds with the same samples."""
    transparent_colour = "transparency" in frame.info
    if frame.mode in {"P", "PA"} and (transparent_colour or frame.mode == "PA" or _palette_has_alpha(frame)):
        notes.append("The palette was looked up: TIFF has no transparent palette entries. Every pixel keeps its colour.")
        return frame.convert("RGBA")
    if transparent_colour:
        notes.append("The transparent colour became an alpha channel.")
        return frame.convert("RGBA")
    if frame.mode in {"I;16B", "I;16L"}:
        return frame.convert("I;16")
    if frame.mode in _TIFF_MODES:
        if frame.mode == "P":
            notes.append("The palette was kept.")
        return frame
    raise RefusedError(
        f"has the pixel mode {frame.mode}, which is not converted", "picture", "Convert it by hand.", code="unsupported-picture"
    )


def _palette_has_alpha(frame: Image.Image) -> bool:
    return frame.palette is not None and frame.palette.mode == "RGBA"


def _deep_grey(source: Path, frame: Image.Image, notes: list[str]) -> Image.Image:
    """A 16-bit PGM: Pillow hands out 32-bit integers that fit in 16."""
    maximum = pnm_maximum(source)
    if maximum not in {None, 65535}:
        notes.append(f"Samples of 0 to {maximum} were scaled to 0 to 65535.")
    return frame.convert("I;16")


def _settings(image: Image.Image, notes: list[str]) -> dict[str, Any]:
    """What travels with the pixels: colour profile, resolution, EXIF, XMP."""
    settings: dict[str, Any] = {"compression": "tiff_adobe_deflate"}
    resources = {entry[0]: entry[2] for entry in getattr(image, "resources", ())} if image.format == "PSD" else {}
    if profile := image.info.get("icc_profile"):
        settings["icc_profile"] = profile
    if dpi := image.info.get("dpi") or _psd_dpi(resources.get(_PSD_RESOLUTION)):
        settings["dpi"] = dpi
    xmp = image.info.get("xmp") or resources.get(_PSD_XMP)
    if isinstance(xmp, bytes):
        settings["tiffinfo"] = {_XMP_TAG: xmp}
    if resources.get(_PSD_EXIF) or "exif" in image.info:
        notes.append("EXIF data stay in the original only.")
    return settings


def _psd_dpi(resolution: bytes | None) -> tuple[float, float] | None:
    """ResolutionInfo: 16.16 fixed point, in pixels per inch whatever unit is displayed."""
    if resolution is None or len(resolution) < 12:
        return None
    across, down = int.from_bytes(resolution[:4], "big") / 65536, int.from_bytes(resolution[8:12], "big") / 65536
    return (across, down) if across > 0 and down > 0 else None


def _save(pages: list[Image.Image], target: Path, settings: dict[str, Any], name: str) -> None:
    try:
        pages[0].save(target, "TIFF", save_all=len(pages) > 1, append_images=pages[1:], **settings)
    except (OSError, ValueError, RuntimeError) as failed:
        target.unlink(missing_ok=True)
        raise ToolFailedError(f"could not be written as TIFF ({frames.describe(failed)})", name, "Convert it by hand.") from failed
