"""Notes what a document's metafiles say while a reader walks it; the last, readable form of each is a metafile's bytes.

Which pictures a document shows belongs to the readers, what a metafile's records mean to ``emf`` and ``wmf``.
"""

from __future__ import annotations

from actions.office import emf, wmf
from actions.office.content import Gathering
from actions.office.metafile import Metafile, unzipped

TOTAL_BYTES = 200_000_000  # of one document, unpacked: ten seconds of reading
APART = ("Equation.", "Package")  # LibreOffice sets equations itself; a package's picture is an icon
UNREAD = Metafile(unread=1)


def note(gathering: Gathering, key: str, data: bytes | None) -> None:
    """Note the words of the picture *data*, once for each *key*; one that is no metafile of a kind we read says nothing.

    Args:
        data: Packed or not; None: it is there, but cannot be unpacked.
    """
    if key in gathering.metafiles:
        return
    whole = None if data is None else unzipped(data)
    if whole is None or gathering.metafile_bytes + len(whole) > TOTAL_BYTES:
        gathering.metafiles[key] = UNREAD
    elif (found := read(whole)) is not None:
        gathering.metafile_bytes += len(whole)
        gathering.metafiles[key] = found


def is_apart(program: str, *, as_icon: bool = False) -> bool:
    """Tell whether the picture of an embedded object of the class *program* is not compared.

    An icon says the object's name and nothing of its content, and becomes a bitmap; equations are set anew.
    """
    return as_icon or program.startswith(APART)


def read(data: bytes) -> Metafile | None:
    """The words of an unpacked metafile; None where it is none, or of a kind that we do not read (PICT, StarView)."""
    if emf.is_emf(data):
        return emf.read(data)
    return wmf.read(data) if wmf.is_wmf(data) else None
