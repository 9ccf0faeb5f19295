"""The storage root's own files and folders: every one is expected, or is named.

Objects are found here and checked in ``worker.fixity.objects``.
Source: OCFL 1.1 section 4.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from worker.fixity.findings import RESTORE, STRANGE, Finding
from worker.store.layout import OBJECT_NAMASTE, ROOT_FILES


def check_root(root: Path) -> Iterator[Finding]:
    """Compare the root's own files with the exact bytes that we write."""
    for name, wanted in ROOT_FILES.items():
        yield from check_bytes(root / name, wanted, f"store/{name}")
    known = {folder for name in ROOT_FILES for folder in _parents(name)}
    for folder in sorted(known):
        for entry in _entries(root / folder):
            path = f"{folder}/{entry.name}"
            if path not in ROOT_FILES and path not in known:
                yield Finding("unexpected", f"store/{path}", "nothing of ours belongs here", STRANGE)


def check_bytes(path: Path, wanted: bytes, where: str) -> Iterator[Finding]:
    """A file whose every byte is known beforehand."""
    try:
        if path.is_symlink():
            yield Finding("not-a-file", where, "is a symbolic link; a store holds regular files only", RESTORE)
        elif path.read_bytes() != wanted:
            yield Finding("changed", where, "does not hold the bytes that it must hold", RESTORE)
    except FileNotFoundError:
        yield Finding("missing", where, "is missing", RESTORE)
    except OSError as broken:
        yield Finding("unreadable", where, f"could not be read: {broken.strerror}", RESTORE)


def find_objects(root: Path, findings: list[Finding]) -> Iterator[Path]:
    """Folders of objects; what is neither an object nor on the way to one goes into *findings*."""
    top = {name.split("/")[0] for name in ROOT_FILES}
    yield from _walk(root, root, findings, top, depth=0)


def _walk(root: Path, folder: Path, findings: list[Finding], skip: set[str], depth: int) -> Iterator[Path]:
    children = [entry for entry in _entries(folder) if entry.name not in skip]
    if depth and not children:
        findings.append(Finding("empty-folder", _where(root, folder), "is an empty folder", STRANGE))
    for entry in children:
        path = Path(entry.path)
        if not entry.is_dir(follow_symlinks=False):
            findings.append(Finding("unexpected", _where(root, path), "nothing of ours belongs here", STRANGE))
        elif depth == 3:  # three tuples deep stand the objects (layout 0003)
            yield path
        elif (path / OBJECT_NAMASTE[0]).exists():
            findings.append(Finding("misplaced", _where(root, path), "is an object at a place where none belongs", STRANGE))
        else:
            yield from _walk(root, path, findings, set(), depth + 1)


def _where(root: Path, path: Path) -> str:
    return f"store/{path.relative_to(root).as_posix()}"


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:
        return []


def _parents(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: index + 1]) for index in range(len(parts))]
