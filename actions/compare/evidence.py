"""Small pictures for a person's eye: the source, the result, and where they differ.

They go to the report only. What counts as a difference was decided in ``pixels``; here it is only painted.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from actions.compare.pixels import Picture
from actions.contract import Output, Role

WIDTH_PX, HEIGHT_PX = 420, 900  # side by side on a screen; a long receipt must not make a page of its own
QUALITY = 70
STRONG = (214, 0, 110)  # a red-violet that neither ink nor paper has
SEEN_LEVELS = 40  # of 255: fainter is anti-aliasing, and would paint every letter


def save(workdir: Path, page_number: int, source: Picture | None, result: Picture | None) -> tuple[Output, ...]:
    """Write ``page-NNNN-{source,result,difference}.jpg`` (1-based); no difference picture for equal pages."""
    same = source is not None and result is not None and np.array_equal(source, result)
    jpegs = {"source": _jpeg(source)}
    jpegs["result"] = jpegs["source"] if same else _jpeg(result)
    if source is not None and result is not None and not same:
        jpegs["difference"] = _jpeg(painted(source, result))
    outputs = []
    for what, jpeg in jpegs.items():
        if jpeg:
            name = f"page-{page_number:04d}-{what}.jpg"
            (workdir / name).write_bytes(jpeg)
            outputs.append(Output(name, Role.EVIDENCE, ""))
    return tuple(outputs)


def painted(source: Picture, result: Picture) -> Picture:
    """The source as a pale page, with all that differs from *result* in one strong colour, a pixel wider than it is."""
    if result.shape != source.shape:
        result = np.asarray(Image.fromarray(result).resize((source.shape[1], source.shape[0])))
    differs = np.abs(source.astype(np.int16) - result.astype(np.int16)).max(axis=2) > SEEN_LEVELS
    wide = differs.copy()
    wide[1:] |= differs[:-1]
    wide[:, 1:] |= differs[:, :-1]
    pale = 190 + source.mean(axis=2, keepdims=True) * (65 / 255)
    page = np.repeat(pale, 3, axis=2).astype(np.uint8)
    page[wide] = STRONG
    return page


def _jpeg(picture: Picture | None) -> bytes:
    """Scaled down to a thumbnail; empty when there is nothing to show."""
    if picture is None:
        return b""
    image = Image.fromarray(picture)
    image.thumbnail((WIDTH_PX, HEIGHT_PX), Image.Resampling.BICUBIC, reducing_gap=1.5)
    target = BytesIO()
    image.save(target, "JPEG", quality=QUALITY)
    return target.getvalue()
