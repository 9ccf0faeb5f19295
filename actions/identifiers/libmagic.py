"""Ask libmagic: the third voice. It names MIME types, not PRONOM formats.

A MIME type becomes a PUID only where PRONOM has one entry without versions for it; to guess a version would be a claim
that nobody measured.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import magic

from actions.contract import Voice
from actions.identifiers.heard import Evidence, Heard

# Source: PRONOM via DROID_SignatureFile V125: entries without a version that share the MIME type with no other format.
UNVERSIONED = {
    "application/gzip": "x-fmt/266",
    "application/x-bzip2": "x-fmt/268",
    "application/x-7z-compressed": "fmt/484",
    "application/x-tar": "x-fmt/265",
    "image/vnd.microsoft.icon": "x-fmt/418",
    "message/rfc822": "fmt/278",
    "text/html": "fmt/96",
}
_KNOWS_NOTHING = {"application/octet-stream", "application/x-empty", "inode/x-empty", "text/plain"}


def ask(source: Path) -> Heard:
    """What libmagic says of *source*; "application/octet-stream" and "text/plain" mean that it does not know."""
    mime = str(_magic().from_file(str(source)))
    if mime in _KNOWS_NOTHING:
        return Heard(Voice(_name(), None, None, f"libmagic: {mime}"))
    puid = UNVERSIONED.get(mime)
    basis = f"libmagic: {mime}" + ("" if puid else " (no PRONOM entry without a version)")
    return Heard(Voice(_name(), puid, mime, basis), Evidence.BYTES, mime, candidates=(puid,) if puid else ())


@cache
def _magic() -> magic.Magic:
    return magic.Magic(mime=True)


@cache
def _name() -> str:
    version = int(magic.version())  # type: ignore[no-untyped-call]  # 544 for 5.44
    return f"libmagic {version // 100}.{version % 100:02d}"
