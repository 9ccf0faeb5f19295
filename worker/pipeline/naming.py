"""Where a file and its derivatives stand in the package: logical paths of the OCFL object (design.md §7).

No two files of a package can be given one path, and none a path that is another's folder; the rules below see to it
without asking what else the package holds, as long as no original has a name that is another's folder (``names``).
"""

from __future__ import annotations

import re

from actions.contract import Role

ORIGINAL = "original"
_LIKE_A_DERIVATIVE = re.compile(r"\.[a-z0-9]{1,8}~*$")  # a folder whose name could also be a derivative's


def original_path(path: str) -> str:
    """Where the delivered file stands."""
    return f"{ORIGINAL}/{path}"


def extension(path: str) -> str:
    """The extension as a tool may see it: lower case, with its dot, at most 8 ASCII letters and digits; else empty."""
    name = path.rsplit("/", 1)[-1]
    stem, dot, tail = name.rpartition(".")
    fits = bool(stem) and tail.isascii() and tail.isalnum() and len(tail) <= 8
    return (dot + tail).lower() if fits else ""


def derived_path(path: str, suffix: str, representation: str) -> str:
    """Where something made from *path* stands: the whole original name, then *suffix*.

    ``a.docx`` becomes ``a.docx.pdf``. A derivative with its source's own extension keeps the name (``a.pdf``) where that
    name has no other dot; a source without any dot gets ``~`` first, so that ``README`` and ``README.pdf`` stay two.
    """
    *folders, name = path.split("/")
    top = "metadata/files" if representation == Role.METADATA else representation
    above = "/".join([top, *(f"{part}~" if _LIKE_A_DERIVATIVE.search(part) else part for part in folders)])
    stem, dot, tail = name.rpartition(".")
    if dot and dot + tail == suffix and "." not in stem and not stem.endswith("~"):
        return f"{above}/{name}"
    return f"{above}/{name}{suffix}" if dot else f"{above}/{name}~{suffix}"
