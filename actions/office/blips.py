"""Finds the metafiles that binary Word and PowerPoint keep in their picture store, or behind a character, and unpacks them.

Source: [MS-ODRAW] §2.2.23 (blips), §2.2.24, §2.2.25 (EMF, WMF), §2.2.31 (metafile header), §2.2.32 (store entry);
[MS-DOC] §2.9.192 (PICFAndOfficeArtData).
"""

from __future__ import annotations

import struct

from actions.office.content import Gathering
from actions.office.metafile import inflated
from actions.office.metafiles import note
from actions.office.records import BLIP_ENTRY, Record, children, record_at, walk
from actions.office.word_runs import BLIP_EMF, BLIP_WMF, MFP_METAFILE, MFP_SHAPE_FILE

ENTRY_BYTES, DELAY_AT, NAME_AT = 36, 28, 33
UID_BYTES, HEADER_BYTES, SAVED_AT, PACKING_AT, DEFLATED = 16, 34, 28, 32, 0


def store(root: Record) -> list[Record]:
    """The picture store's entries, in the order of ``records.blip_kinds``."""
    return [record for record in walk(root) if record.kind == BLIP_ENTRY and len(record.data)]


def note_entry(gathering: Gathering, key: str, entry: Record, delayed: bytes) -> None:
    """Note the store's *entry*; its picture lies in it, or in the stream *delayed*, at the place that it names."""
    blip = _blip(entry, delayed)
    if blip is not None:
        note(gathering, key, _unpacked(blip))


def note_inline(gathering: Gathering, key: str, data: bytes, at: int) -> None:
    """Note the picture behind a character of Word, which lies at *at* in the stream *data*."""
    if not 0 <= at <= len(data) - 8:
        return
    size, header, kind = struct.unpack_from("<IHH", data, at)
    body = memoryview(data)[at + header : at + size]
    if kind == MFP_METAFILE:
        note(gathering, key, bytes(body))
        return
    if kind == MFP_SHAPE_FILE and len(body):
        body = body[1 + body[0] :]  # the file's name comes first
    for record in children(body):
        blip = _blip(record, b"") if record.kind == BLIP_ENTRY else record
        if blip is not None and blip.kind in {BLIP_EMF, BLIP_WMF}:
            note(gathering, key, _unpacked(blip))
            return


def _blip(entry: Record, delayed: bytes) -> Record | None:
    if len(entry.data) < ENTRY_BYTES:
        return None
    inside = record_at(entry.data, ENTRY_BYTES + entry.data[NAME_AT])
    blip = inside if inside is not None else record_at(delayed, struct.unpack_from("<I", entry.data, DELAY_AT)[0])
    return blip if blip is not None and blip.kind in {BLIP_EMF, BLIP_WMF} else None


def _unpacked(blip: Record) -> bytes | None:
    """A blip's metafile; an odd instance has a second checksum before its header."""
    start = UID_BYTES * (1 + blip.instance % 2)
    header = blip.data[start : start + HEADER_BYTES]
    if len(header) < HEADER_BYTES:
        return None
    body = blip.data[start + HEADER_BYTES :][: struct.unpack_from("<I", header, SAVED_AT)[0]]
    return inflated(body) if header[PACKING_AT] == DEFLATED else bytes(body)
