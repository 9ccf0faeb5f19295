"""Check that a picture is whole: every frame decodes to its end, and the structure around the pixels is sound.

The kept formats are checked, not rewritten. What a decoder tolerates in silence is walked in ``picture.structure``, which
also says what neither can see.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from PIL import Image

from actions.contract import Fact, Outcome, Verdict
from actions.errors import DamagedError, RefusedError, TooLargeError
from actions.params import Params
from actions.picture import frames, pixels, structure
from actions.picture.depth import declared_bits


def run(source: Path, workdir: Path, params: Params) -> Outcome:
    """VALID: all frames decoded. INVALID: damaged. UNKNOWN: Pillow cannot read this kind of picture.

    Raises:
        TooLargeError: A frame would need more memory than an action may use.
    """
    del workdir, params
    facts: dict[str, Fact] = {}
    try:
        with frames.opened(source) as opened:
            walked = structure.walk(source, opened.image.format)
            _measure(source, opened.image, facts)
    except TooLargeError:
        raise
    except DamagedError as damaged:
        return Outcome(tool=frames.TOOL, verdict=Verdict.INVALID, notes=(f"The picture {damaged.what}.",), facts=facts)
    except RefusedError as unknown:
        return Outcome(tool=frames.TOOL, verdict=Verdict.UNKNOWN, notes=(f"The file {unknown.what}.",), facts=facts)
    notes = (*(f"The picture is damaged: {fault}." for fault in walked.faults), *walked.notes, *opened.warnings)
    return Outcome(tool=frames.TOOL, verdict=Verdict.INVALID if walked.faults else Verdict.VALID, notes=notes, facts=facts)


def _measure(source: Path, image: Image.Image, facts: dict[str, Fact]) -> None:
    """Decode every frame; the digest is over all of them."""
    facts |= {
        "width_px": image.size[0],
        "height_px": image.size[1],
        "mode": image.mode,
        "bits_per_sample": declared_bits(source, image) or frames.sample_bits(image.mode),
        "icc": frames.has_profile(image),
        "alpha": frames.has_alpha(image),
        "exif": "exif" in image.info,
    }
    if layers := frames.layer_count(image):
        facts["layers"] = layers
    digest, count = hashlib.sha256(), 0
    for frame in frames.frames(image, source.name):
        digest.update(pixels.digest(frame).encode())
        count += 1
    facts |= {"frames": count, "pixels_sha256": digest.hexdigest()}
