"""A second opinion on a picture's pixels: MuPDF, which shares no decoder with Pillow for BMP, PSD, PNM and GIF.

Only where both give plain samples: one frame, grey or RGB, eight bits, no alpha (MuPDF premultiplies alpha).
Elsewhere the check is recorded as not measured; it never counts as passed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pymupdf

from actions.contract import Check
from actions.picture import frames, pixels

MAX_PIXELS = 200_000_000  # MuPDF and two copies: 2 GiB
_NAME = "second decoder"
_READABLE = frozenset(("BMP", "PSD", "PPM", "GIF", "JPEG2000", "PNG", "TIFF"))
_MODES = {1: "L", 3: "RGB"}


def check(source: Path, result: Path) -> Check:
    """Compare what MuPDF reads from *source* with what Pillow reads from *result*."""
    with frames.opened(source) as opened:
        if opened.image.format not in _READABLE:
            return _unmeasured(f"MuPDF does not read {opened.image.format}; the source has Pillow's word only")
        if frames.frame_count(opened.image) != 1 or frames.has_alpha(opened.image):
            return _unmeasured("several frames or transparency: not compared by a second decoder")
        if opened.image.size[0] * opened.image.size[1] > MAX_PIXELS:
            return _unmeasured("too large to be decoded a second time")
    decoded = _mupdf(source)
    if isinstance(decoded, str):
        return _unmeasured(decoded)
    mode, size, expected = decoded
    with frames.opened(result) as copy:
        frame = pixels.canonical(next(frames.frames(copy.image, result.name)))
        if frame.size != size or frame.mode not in {"1", "L", "RGB"}:
            return _unmeasured(f"MuPDF gives {mode} {size[0]}x{size[1]}, the copy is {frame.mode} {frame.size[0]}x{frame.size[1]}")
        same_mode = frame if frame.mode == mode else frame.convert(mode)
        digest = hashlib.sha256()
        for strip in frames.strips(same_mode):
            digest.update(strip)
    version = f"MuPDF {pymupdf.mupdf_version}"
    return Check(_NAME, expected, digest.hexdigest(), expected == digest.hexdigest(), f"source by {version}, copy by {frames.TOOL}")


def _mupdf(source: Path) -> tuple[str, tuple[int, int], str] | str:
    """Mode, size and the samples' digest; or, as a sentence, why there are none."""
    try:
        pixmap = pymupdf.Pixmap(str(source))  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as refused:  # pymupdf's own errors derive from these
        return f"MuPDF does not read it: {refused}"[:200]
    if pixmap.alpha:
        if pixmap.samples_mv[pixmap.n - 1 :: pixmap.n].tobytes().count(255) != pixmap.width * pixmap.height:
            return "MuPDF sees transparency: not compared"
        pixmap = pymupdf.Pixmap(pixmap, 0)  # type: ignore[no-untyped-call]  # MuPDF adds an opaque channel to BMP and GIF
    if pixmap.n not in _MODES:
        return f"MuPDF gives {pixmap.n} channels: not compared"
    return _MODES[pixmap.n], (pixmap.width, pixmap.height), hashlib.sha256(pixmap.samples_mv).hexdigest()


def _unmeasured(why: str) -> Check:
    return Check(_NAME, None, None, ok=None, why=why)
