"""Prove that a picture's copy holds the same pixels: frame by frame, by digest, with depth, alpha and colour profile.

Source and copy are decoded here again, not taken from the conversion. Pillow decodes both, so a fault in its reader for the
source would repeat; where MuPDF also reads the format (BMP, PSD, PNM, GIF, JPEG 2000 …; one frame, grey or RGB without alpha),
it is a second, unrelated decoder, and must agree. TGA, PCX and icons have Pillow's word only; the check says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from PIL import Image

from actions.catalog import PictureCompareParams
from actions.contract import Check, Level, Outcome, Output, Role
from actions.picture import frames, pixels, second_decoder
from actions.picture.depth import declared_bits

THUMBNAIL_PX = 480


@dataclass(frozen=True, slots=True)
class _Frame:
    size: str
    mode: str
    alpha: bool
    digest: str


@dataclass(frozen=True, slots=True)
class _Picture:
    frames: tuple[_Frame, ...]
    bits: int
    icc: str | None
    dpi: str | None
    evidence: Path | None


def run(source: Path, workdir: Path, params: PictureCompareParams) -> Outcome:
    """IDENTICAL when all pixels, and what gives them meaning, agree; DIFFERENT otherwise.

    Raises:
        DamagedError: One of the two cannot be decoded to its end.
        TooLargeError: One of the two needs more memory than an action may use.
    """
    result = workdir / params.result  # an absolute path stays itself
    one = _read(source, workdir / "page-0001-source.jpg")
    other = _read(result, workdir / "page-0001-result.jpg")
    checks = (*_checks(one, other), second_decoder.check(source, result))
    level = Level.DIFFERENT if any(check.ok is False for check in checks) else Level.IDENTICAL
    evidence = tuple(Output(seen.evidence.name, Role.EVIDENCE, "") for seen in (one, other) if seen.evidence)
    return Outcome(tool=frames.TOOL, outputs=evidence, checks=checks, level=level)


def _read(path: Path, evidence: Path) -> _Picture:
    read: list[_Frame] = []
    with frames.opened(path) as opened:
        image = opened.image
        bits = declared_bits(path, image) or frames.sample_bits(image.mode)
        shown = None
        for frame in _canonical(image, path.name):
            if not read:
                shown = _show(frame, evidence)
            read.append(_Frame(f"{frame.size[0]}x{frame.size[1]}", frame.mode, frames.has_alpha(frame), pixels.digest(frame)))
        profile = image.info.get("icc_profile")
        icc = hashlib.sha256(profile).hexdigest() if profile else None
        return _Picture(tuple(read), bits, icc, _dpi(image), shown)


def _canonical(image: Image.Image, name: str) -> Iterator[Image.Image]:
    for frame in frames.frames(image, name):
        yield pixels.canonical(frame)


def _dpi(image: Image.Image) -> str | None:
    dpi = image.info.get("dpi")
    return f"{float(dpi[0]):.0f}x{float(dpi[1]):.0f}" if dpi else None


def _checks(one: _Picture, other: _Picture) -> Iterator[Check]:
    yield Check("frames", len(one.frames), len(other.frames), len(one.frames) == len(other.frames))
    yield _each("size", [frame.size for frame in one.frames], [frame.size for frame in other.frames])
    yield _each("mode", [frame.mode for frame in one.frames], [frame.mode for frame in other.frames], "palettes looked up")
    yield _each("pixels sha256", [frame.digest for frame in one.frames], [frame.digest for frame in other.frames])
    alphas = [frame.alpha for frame in one.frames], [frame.alpha for frame in other.frames]
    yield Check("alpha", any(alphas[0]), any(alphas[1]), alphas[0] == alphas[1])
    yield Check("bits per sample", one.bits, other.bits, other.bits >= one.bits, "as the headers say")
    yield Check("colour profile sha256", one.icc, other.icc, one.icc == other.icc)
    kept = one.dpi is None or one.dpi == other.dpi
    yield Check("resolution", one.dpi, other.dpi, True if kept else None, "pixels per inch; for information")


def _each(name: str, source: list[str], result: list[str], why: str = "") -> Check:
    """One check over all frames; many frames are told as one digest and the number of those that differ."""
    differing = [index + 1 for index, (one, other) in enumerate(zip_longest(source, result)) if one != other]
    told = f"differs in frame {', '.join(map(str, differing[:10]))}" if differing else why
    return Check(name, _short(source), _short(result), not differing, told)


def _short(values: list[str]) -> str:
    if len(set(values)) == 1:
        return values[0]
    return f"{len(values)} frames, sha256 {hashlib.sha256(' '.join(values).encode()).hexdigest()}"


def _show(frame: Image.Image, target: Path) -> Path | None:
    """A thumbnail for the report; None where the mode has no simple way to RGB (Lab needs a colour engine)."""
    try:
        pixels.thumbnail(frame, THUMBNAIL_PX).save(target, "JPEG", quality=80)
    except ValueError:
        return None
    return target
