"""How many bits a sample has in the file itself.

Pillow reduces some deep pictures to eight bits without a word (16-bit colour in PNG, TIFF, PNM), so the depth must
come from the header: a copy made from fewer bits than the source has would pass every comparison made by Pillow.
"""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image

_HEAD_BYTES = 64 * 1024
_PNM_HEADER = re.compile(rb"P([1-7])\s(?:\s*#[^\n]*\n)*\s*(\d+)(?:\s+(?:#[^\n]*\n)?)+(\d+)(?:\s+(?:#[^\n]*\n)?)+(\d+)\s")
_BITS_PER_SAMPLE = 258  # TIFF 6.0, section 8


def declared_bits(source: Path, image: Image.Image) -> int | None:  # noqa: PLR0911 -- one format a line reads best
    """Bits of the deepest sample as the header of *source* says; None: this format's header is not read here."""
    with source.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    match image.format:
        case "PNG":
            return head[24]  # ISO/IEC 15948, 11.2.2: IHDR is the first chunk
        case "TIFF":
            return int(max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,))))  # type: ignore[attr-defined]
        case "PSD":
            return int.from_bytes(head[22:24], "big")
        case "PPM":
            return _pnm_bits(head)
        case "JPEG2000":
            return _jpeg2000_bits(head)
        case "SGI":
            return head[3] * 8
        case "BMP" | "DIB" | "TGA" | "PCX" | "DCX" | "ICO" | "GIF" | "JPEG" | "MPO" | "WEBP":
            return 1 if image.mode == "1" else 8  # no deeper samples exist in these formats as Pillow opens them
        case _:
            return None


def pnm_maximum(source: Path) -> int | None:
    """The largest sample value that a PGM or PPM header names; None for bitmaps, PAM and PFM."""
    with source.open("rb") as stream:
        found = _PNM_HEADER.match(stream.read(_HEAD_BYTES))
    return int(found[4]) if found and found[1] in b"2356" else None


def _pnm_bits(head: bytes) -> int | None:
    if head[:2] in {b"P1", b"P4"}:
        return 1
    if head[:2] in {b"Pf", b"PF"}:
        return 32
    found = _PNM_HEADER.match(head)
    return max(1, int(found[4])).bit_length() if found and found[1] in b"2356" else None


def _jpeg2000_bits(head: bytes) -> int | None:
    """Ssiz of the codestream's SIZ segment (ISO/IEC 15444-1, A.5.1): depth less one, top bit for signed."""
    at = head.find(b"\xff\x4f\xff\x51")
    if at < 0 or len(head) < at + 43:
        return None
    components = int.from_bytes(head[at + 40 : at + 42], "big")
    return max((head[at + 42 + 3 * index] & 0x7F) + 1 for index in range(components) if at + 42 + 3 * index < len(head))
