"""Walk the containers of the kept picture formats, for faults that a tolerant decoder hides.

Pillow does not check the CRC of PNG image data, OpenJPEG accepts a cut codestream, and a JPEG may end without its end.
What is checked here is the frame around the pixels; the pixels are the decoder's. Not seen by either: a JPEG whose entropy
coded data were changed or cut and closed with a proper end mark, for which libjpeg only warns, and Pillow does not pass it on.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

_CHUNK_BYTES = 1 << 20
_PNG_SIGNATURE_BYTES = 8
_STANDALONE = {0x01, *range(0xD0, 0xD8)}  # JPEG markers without a length: TEM, RST0 to RST7
_SOS, _EOI = 0xDA, 0xD9


@dataclass(slots=True)
class Walked:
    """``faults`` make a picture invalid; ``notes`` a person should know."""

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def walk(source: Path, picture_format: str | None) -> Walked:
    """Check the structure of *source* as *picture_format* (Pillow's name). Formats not known here have nothing to say."""
    seen = Walked()
    if walker := _WALKERS.get(picture_format or ""):
        with source.open("rb") as stream:
            walker(stream, source.stat().st_size, seen)
    return seen


def _png(stream: BinaryIO, size: int, seen: Walked) -> None:
    """Source: ISO/IEC 15948:2004, 5.3: length, type, data, CRC-32 of type and data; IEND is last."""
    stream.seek(_PNG_SIGNATURE_BYTES)
    at = _PNG_SIGNATURE_BYTES
    while len(header := stream.read(8)) == 8:
        length, kind = int.from_bytes(header[:4], "big"), header[4:]
        if at + 12 + length > size:
            seen.faults.append(f"the chunk {_name(kind)} at byte {at} is cut")
            return
        if _crc(stream, kind, length) != int.from_bytes(stream.read(4), "big"):
            seen.faults.append(f"the chunk {_name(kind)} at byte {at} does not match its CRC")
        at += 12 + length
        if kind == b"IEND":
            _after_end(seen, size - at)
            return
    seen.faults.append("the end chunk IEND is missing")


def _crc(stream: BinaryIO, kind: bytes, length: int) -> int:
    crc = zlib.crc32(kind)
    while length and (piece := stream.read(min(length, _CHUNK_BYTES))):
        crc = zlib.crc32(piece, crc)
        length -= len(piece)
    return crc


def _jpeg(stream: BinaryIO, size: int, seen: Walked) -> None:
    """Source: ITU-T T.81, Annex B: segments with a length, entropy-coded data after SOS, EOI at the end."""
    data = stream.read()
    at, scans = 2, 0
    while at < size - 1:
        if data[at] != 0xFF:
            seen.faults.append(f"there is no marker at byte {at}, where one must be")
            return
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte (B.1.1.2)
            at += 1
        elif marker == _EOI:
            if not scans:
                seen.faults.append("the picture has no image data")
            _after_end(seen, size - at - 2)
            return
        elif marker in _STANDALONE:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            if marker == _SOS:
                scans += 1
                at = _end_of_scan(data, at)
    seen.faults.append("the data break off: the end marker is missing")


def _end_of_scan(data: bytes, at: int) -> int:
    """Where entropy-coded data end: a marker that is neither a stuffed zero nor a restart."""
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        if data[at + 1] == 0 or data[at + 1] in _STANDALONE:
            at += 2
        elif data[at + 1] == 0xFF:
            at += 1
        else:
            return at
    return len(data)


def _gif(stream: BinaryIO, size: int, seen: Walked) -> None:
    """Source: GIF89a, section 27: the trailer 0x3B. Its absence alone loses no pixel."""
    stream.seek(max(0, size - 1024))
    if b"\x3b" not in stream.read():
        seen.notes.append("The GIF trailer is missing.")


def _webp(stream: BinaryIO, size: int, seen: Walked) -> None:
    """Source: RFC 9649, 2.4: the RIFF header tells the file's size."""
    stream.seek(4)
    told = int.from_bytes(stream.read(4), "little") + 8
    if told > size:
        seen.faults.append(f"the data break off: {size} bytes of {told}")
    else:
        _after_end(seen, size - told - told % 2)


def _jpeg2000(stream: BinaryIO, size: int, seen: Walked) -> None:
    """Source: ISO/IEC 15444-1, I.4 (boxes) and A.4.4 (EOC ends every codestream)."""
    start, end = 0, size
    if stream.read(4) != b"\xff\x4f\xff\x51":
        found = _codestream_box(stream, size, seen)
        if found is None:
            return
        start, end = found
    stream.seek(max(start, end - 2))
    if stream.read(2) != b"\xff\xd9":
        seen.faults.append("the codestream breaks off: its end marker is missing")


def _codestream_box(stream: BinaryIO, size: int, seen: Walked) -> tuple[int, int] | None:
    at = 0
    while at + 8 <= size:
        stream.seek(at)
        header = stream.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        body = at + (16 if length == 1 else 8)
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        end = size if length == 0 else at + length
        if end > size:
            seen.faults.append(f"the data break off: box {_name(kind)} should end at byte {end} of {size}")
            return None
        if kind == b"jp2c":
            return body, end
        if end <= at:
            break
        at = end
    seen.faults.append("there is no codestream")
    return None


def _after_end(seen: Walked, extra: int) -> None:
    if extra > 0:
        seen.notes.append(f"{extra} bytes follow the end of the picture.")


def _name(kind: bytes) -> str:
    return kind.decode("ascii", errors="replace")


_WALKERS: dict[str, Callable[[BinaryIO, int, Walked], None]] = {
    "PNG": _png,
    "JPEG": _jpeg,
    "MPO": _jpeg,  # several JPEG files one after the other: the first ends, the rest are the bytes after it
    "GIF": _gif,
    "WEBP": _webp,
    "JPEG2000": _jpeg2000,
}
