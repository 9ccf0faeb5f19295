"""Decode a text strictly, chunk by chunk, so that a text of two gigabytes needs a megabyte of memory."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from actions.text.encoding import BOM_BYTES, chunks


class NotThisEncodingError(Exception):
    """The bytes are not text in the encoding; ``offset_bytes`` counts from the file's start."""

    def __init__(self, offset_bytes: int, encoding: str, why: str) -> None:
        super().__init__(f"byte {offset_bytes} is not {encoding}: {why}")
        self.offset_bytes = offset_bytes


def decoded(source: Path, encoding: str) -> Iterator[str]:
    """The characters of *source*, without a byte order mark at its start.

    Raises:
        NotThisEncodingError: At the first byte that *encoding* does not allow, or when the last character is cut.
    """
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    skip = len(mark(source, encoding))
    offset = 0
    for chunk in chunks(source):
        piece = chunk[skip:] if not offset else chunk
        yield _decode(decoder, piece, offset + (skip if not offset else 0), encoding)
        offset += len(chunk)
    _decode(decoder, b"", offset, encoding, final=True)


def mark(source: Path, encoding: str) -> bytes:
    """The byte order mark that *source* begins with, in *encoding*; empty: none."""
    expected = BOM_BYTES.get(encoding, b"")
    with source.open("rb") as stream:
        return expected if expected and stream.read(len(expected)) == expected else b""


def _decode(decoder: codecs.IncrementalDecoder, piece: bytes, offset: int, encoding: str, *, final: bool = False) -> str:
    held = len(decoder.getstate()[0])  # bytes of a character that the chunk before began
    try:
        return decoder.decode(piece, final)
    except UnicodeDecodeError as wrong:
        raise NotThisEncodingError(offset - held + wrong.start, encoding, wrong.reason) from wrong
