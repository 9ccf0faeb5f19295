"""Pixels in a form that two decoders, or two file formats, can be compared in.

A palette, a one-bit raster and the byte order of 16-bit samples are ways to store the same samples; ``canonical`` takes
them away and nothing else: no colour is converted, no depth reduced.
"""

from __future__ import annotations

import hashlib

from PIL import Image

from actions.picture.frames import has_alpha, strips

_DEEP_GREY = frozenset(("I;16", "I;16B", "I;16L", "I"))


def canonical(frame: Image.Image) -> Image.Image:
    """*frame* with its palette looked up and its 16-bit samples widened; the same object where nothing is to do."""
    if frame.mode in {"P", "PA"} or (frame.mode in {"L", "RGB", "1"} and "transparency" in frame.info):
        return frame.convert("RGBA" if has_alpha(frame) else "RGB")
    if frame.mode in _DEEP_GREY:
        return frame if frame.mode == "I" else frame.convert("I")
    return frame


def digest(frame: Image.Image) -> str:
    """SHA-256 over mode, size and samples, as 64 hexadecimal digits."""
    sha = hashlib.sha256(f"{frame.mode} {frame.size[0]} {frame.size[1]}\n".encode())
    for strip in strips(frame):
        sha.update(strip)
    return sha.hexdigest()


def thumbnail(frame: Image.Image, side_px: int) -> Image.Image:
    """A small RGB picture for people: transparency on white, deep grey scaled to eight bits."""
    small = canonical(frame)
    if small.mode == "I":
        lowest, highest = small.getextrema()
        span = max(1, int(highest) - int(lowest)) if isinstance(highest, (int, float)) and isinstance(lowest, (int, float)) else 1
        small = small.point(lambda value: (value - lowest) * (255.0 / span)).convert("L")
    if has_alpha(small):
        layer = small.convert("RGBA")
        layer.thumbnail((side_px, side_px))
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    if small is frame:
        small = frame.copy()
    small.thumbnail((side_px, side_px))
    return small.convert("RGB")
