"""Evidence pictures as ``data:`` URIs, so that report.html is one file; bounded, and every omission is counted.

The pictures come out of the sandbox: nothing here decodes them (promise P6). Only their first bytes are looked at.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

PAGE_BYTES = 25_000_000  # of base64 in one page: a browser opens it, and it can be sent by mail to few
PICTURE_BYTES = 600_000  # one thumbnail is 10-40 kB; what is far larger is not a thumbnail
_MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}

Evidence: TypeAlias = Path | Callable[[str], bytes]
"""Where pictures lie: a folder; or what gives the bytes of one by its name, and none where it is not or is far too large."""


class Pictures:
    """Reads pictures below one folder, or from a store, until the page has had enough.

    Attributes:
        cut: Pictures left out because the page was full.
        missing: Pictures that were named but are not there, are not pictures, or lie outside the folder.
    """

    def __init__(self, evidence: Evidence, room_bytes: int = PAGE_BYTES) -> None:
        self._read = _Folder(evidence.resolve()).read if isinstance(evidence, Path) else evidence
        self._room_bytes = room_bytes
        self.cut = 0
        self.missing = 0

    def uri(self, name: str | None) -> str | None:
        """Return the picture *name*, relative to the folder, as a ``data:`` URI. None: not named, missing, or no room."""
        if name is None:
            return None
        content = self._read(name)
        mime = next((mime for magic, mime in _MAGIC.items() if content.startswith(magic)), None)
        if mime is None:
            self.missing += 1
            return None
        size_bytes = (len(content) + 2) // 3 * 4
        if size_bytes > self._room_bytes:
            self.cut += 1
            return None
        self._room_bytes -= size_bytes
        return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"


class _Folder:
    """Pictures in a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> bytes:
        """Return the bytes of *name*, or nothing where it is no regular file below the folder (a link out of it leads nowhere)."""
        try:
            path = (self._folder / name).resolve()
            inside = path.is_relative_to(self._folder) and path.is_file()
            return path.read_bytes() if inside and path.stat().st_size <= PICTURE_BYTES else b""
        except (OSError, ValueError):  # ValueError: a NUL in the name
            return b""
