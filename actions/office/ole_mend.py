"""Mends, in a copy, the one fault of binary PowerPoint files that a reader can put right without guessing.

A user edit says how high object ids go (``persistIdSeed``). Some programs (Apache POI of 2005) wrote more objects than
they said, and LibreOffice then refuses the whole file. The directory itself tells the true number; nothing else is
touched, and the original never. What cannot be told from the file itself does not belong here.
Source: [MS-PPT] §2.3.3 (UserEditAtom), §2.3.4 (PersistDirectoryAtom).
"""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import olefile

from actions.office.ole_powerpoint import PERSIST_DIRECTORY, USER_EDIT, directory, edits
from actions.office.records import record_at

STREAM = "PowerPoint Document"
STREAM_BYTES = 400_000_000
SEED_AT = 8 + 20  # of the edit's record: its head, then five numbers
MENDED = "a copy was mended: its last edit said that object ids end at {said}, its directory has {found}"


def mended(source: Path, target: Path) -> str:
    """Write a mended copy of *source* to *target*, and say what was mended; "" (and no copy) when there is nothing of the kind."""
    try:
        with olefile.OleFileIO(str(source)) as container:
            if not container.exists(STREAM) or container.get_size(STREAM) > STREAM_BYTES:
                return ""
            stream, user = (bytearray(container.openstream(name).read()) for name in (STREAM, "Current User"))
        said, found = _raise_seed(stream, bytes(user))
        if said >= found:
            return ""
        shutil.copyfile(source, target)
        with olefile.OleFileIO(str(target), write_mode=True) as container:
            container.write_stream(STREAM, bytes(stream))
    except Exception:  # noqa: BLE001 -- olefile and struct raise a dozen kinds on hostile offsets: nothing to mend there
        target.unlink(missing_ok=True)
        return ""
    return MENDED.format(said=said, found=found)


def _raise_seed(stream: bytearray, user: bytes) -> tuple[int, int]:
    """Set the newest edit's seed in *stream* to the highest id that any directory has: what it was, what it is."""
    seed_at, said, found = -1, 0, 0
    for at in edits(stream, user):
        edit = record_at(stream, at)
        if edit is None or edit.kind != USER_EDIT or len(edit.data) < 24:
            break
        table = record_at(stream, struct.unpack_from("<I", edit.data, 12)[0])
        if table is not None and table.kind == PERSIST_DIRECTORY:
            found = max([found, *(key for key, _ in directory(table.data))])
        if seed_at < 0:
            seed_at, said = at + SEED_AT, struct.unpack_from("<I", edit.data, 20)[0]
    if seed_at >= 0 and said < found:
        struct.pack_into("<I", stream, seed_at, found)
        return said, found
    return found, found
