"""Facts of a picture from its header: dimensions, frames, depth, colour profile, alpha, layers.

Nothing is decoded: whether the pixels are whole is ``picture_check``'s measurement.
"""

from __future__ import annotations

from pathlib import Path

from actions.contract import Fact
from actions.errors import RefusedError, TooLargeError
from actions.picture import frames
from actions.picture.depth import declared_bits


def probe(source: Path) -> dict[str, Fact]:
    """``damaged`` when the header cannot be read; nothing at all for a picture that Pillow does not know."""
    try:
        with frames.opened(source) as opened:
            image = opened.image
            facts: dict[str, Fact] = {
                "width_px": image.size[0],
                "height_px": image.size[1],
                "frames": frames.frame_count(image),
                "bits_per_sample": declared_bits(source, image) or frames.sample_bits(image.mode),
                "icc": frames.has_profile(image),
                "alpha": frames.has_alpha(image),
            }
            if layers := frames.layer_count(image):
                facts["layers"] = layers
            return facts
    except TooLargeError as large:
        return {"too_large": True, "size_note": large.what}
    except RefusedError as refused:
        return {"damaged": True, "damage": refused.what} if refused.reason == "damaged" else {}
    except MemoryError:
        raise
    except Exception as broken:  # noqa: BLE001 -- Pillow's lazy headers (frame counts, tags) raise anything on hostile bytes
        return {"damaged": True, "damage": f"the picture's directory cannot be read ({frames.describe(broken)})"}
