"""One OCFL object: every file is expected, every byte is digested, every version's inventory agrees with the newest.

Written against the standard and not with the store's own reader, so that a fault there cannot hide itself here.
Source: OCFL 1.1 section 3.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from worker.digests import Digests, copy_and_digest
from worker.fixity.findings import REOPEN, RESTORE, STRANGE, Finding, Severity
from worker.fixity.structure import check_bytes
from worker.store.layout import INVENTORY, INVENTORY_TYPE, OBJECT_NAMASTE, SIDECAR, object_path, sidecar

_THREADS = 2  # hashing and reading release the GIL; more than two only help where disks are many
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Inventory:
    """An inventory's parts that others ask for. Paths to SHA-512, by logical path or content path."""

    object_id: str
    head: int
    manifest: dict[str, str]
    fixity: dict[str, str]
    states: dict[int, dict[str, str]]
    versions: dict[str, Any]

    def place(self, sha512: str) -> str | None:
        """Where content with this digest lies."""
        return next((path for path, digest in self.manifest.items() if digest == sha512), None)


class ObjectCheck:
    """Checks one object's folder. After ``run``, ``inventory`` holds the newest inventory that could be read."""

    def __init__(self, root: Path, home: Path) -> None:
        self.home, self.where = home, f"store/{home.relative_to(root).as_posix()}"
        self._place = home.relative_to(root).as_posix()
        self.inventory: Inventory | None = None
        self.sizes: dict[str, int] = {}

    def run(self) -> Iterator[Finding]:
        """Every finding of this object, in no special order."""
        yield from check_bytes(self.home / OBJECT_NAMASTE[0], OBJECT_NAMASTE[1], f"{self.where}/{OBJECT_NAMASTE[0]}")
        found, self.inventory = self._read(self.home, self.where)
        unfinished = self._unfinished()
        if unfinished:
            yield Finding("unfinished-commit", self.where, unfinished, REOPEN, Severity.WARNING)
        else:
            yield from found
        if self.inventory is None:
            self.inventory = self._newest_version()
        if self.inventory is None:
            yield Finding(
                "no-inventory", self.where, "no inventory can be read, so nothing in this object could be checked", RESTORE
            )
            return
        if object_path(self.inventory.object_id) != self._place:
            yield Finding("misplaced", self.where, f"holds {self.inventory.object_id}, which belongs elsewhere", STRANGE)
        yield from self._versions(self.inventory)
        yield from self._files(self.inventory, unfinished=bool(unfinished))
        yield from self._contents(self.inventory)

    def _read(self, folder: Path, where: str) -> tuple[list[Finding], Inventory | None]:
        """An inventory with its sidecar."""
        path = folder / INVENTORY
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return [Finding("missing", f"{where}/{INVENTORY}", "is missing", RESTORE)], None
        except OSError as broken:
            return [Finding("unreadable", f"{where}/{INVENTORY}", f"could not be read: {broken.strerror}", RESTORE)], None
        digest = hashlib.sha512(data).hexdigest()
        found = list(check_bytes(folder / SIDECAR, sidecar(digest), f"{where}/{SIDECAR}"))
        if found and found[0].code == "changed":
            found = [Finding("inventory-changed", f"{where}/{INVENTORY}", "the inventory and its sidecar do not agree", RESTORE)]
        try:
            return found, _parse(data)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as broken:
            what = f"is not an OCFL 1.1 inventory ({type(broken).__name__})"
            return [*found, Finding("inventory-broken", f"{where}/{INVENTORY}", what, RESTORE)], None

    def _unfinished(self) -> str:
        """Whether the object is in a state that only an interrupted commit leaves."""
        if self.inventory is None:
            return ""
        head = self.inventory.head
        if (self.home / f"v{head + 1}" / INVENTORY).is_file():
            return f"version {head + 1} is in place, but the object does not name it yet: a commit was interrupted"
        try:
            same = (self.home / INVENTORY).read_bytes() == (self.home / f"v{head}" / INVENTORY).read_bytes()
            own = (self.home / SIDECAR).read_bytes() if (self.home / SIDECAR).is_file() else b""
            older = (self.home / f"v{head - 1}" / SIDECAR).read_bytes() if head > 1 else None
        except OSError:
            return ""
        if same and own == older:
            return (
                f"the inventory is that of version {head}, its sidecar still that of version {head - 1}: a commit was interrupted"
            )
        return ""

    def _newest_version(self) -> Inventory | None:
        numbers = sorted((int(p.name[1:]) for p in self.home.glob("v[0-9]*") if p.name[1:].isdigit()), reverse=True)
        for number in numbers:
            _, inventory = self._read(self.home / f"v{number}", "")
            if inventory is not None:
                return inventory
        return None

    def _versions(self, newest: Inventory) -> Iterator[Finding]:
        for number in range(1, newest.head + 1):
            where = f"{self.where}/v{number}"
            found, one = self._read(self.home / f"v{number}", where)
            yield from found
            if one is None:
                continue
            if number == newest.head:
                if one != newest:
                    yield Finding("inventory-differs", f"{where}/{INVENTORY}", "differs from the object's own inventory", RESTORE)
                continue
            kept = {path: digest for path, digest in newest.manifest.items() if _version_of(path) <= number}
            if (one.object_id, one.head, one.manifest) != (newest.object_id, number, kept):
                yield Finding(
                    "inventory-differs", f"{where}/{INVENTORY}", "says other things of its content than the newest version", RESTORE
                )
            for name, version in one.versions.items():
                if newest.versions.get(name) != version:
                    yield Finding(
                        "history-differs",
                        f"{where}/{INVENTORY}",
                        f"tells version {name} otherwise than the newest version",
                        RESTORE,
                    )

    def _files(self, newest: Inventory, *, unfinished: bool) -> Iterator[Finding]:
        expected = {OBJECT_NAMASTE[0], INVENTORY, SIDECAR} | set(newest.manifest)
        for number in range(1, newest.head + 1):
            expected |= {f"v{number}/{INVENTORY}", f"v{number}/{SIDECAR}"}
        for folder, names, files in os.walk(self.home):
            relative = Path(folder).relative_to(self.home).as_posix()
            prefix = "" if relative == "." else f"{relative}/"
            if unfinished and not prefix:
                names[:] = [name for name in names if name != f"v{newest.head + 1}"]
            if not names and not files:
                yield Finding("empty-folder", f"{self.where}/{relative}", "is an empty folder", STRANGE)
            for name in [*files, *(name for name in names if Path(folder, name).is_symlink())]:
                if prefix + name not in expected:
                    yield Finding(
                        "unexpected", f"{self.where}/{prefix}{_shown(name)}", "no version of this object knows it", STRANGE
                    )

    def _contents(self, newest: Inventory) -> Iterator[Finding]:
        paths = iter(newest.manifest)
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="verify") as pool:
            while batch := list(islice(paths, _BATCH)):
                for path, found in zip(batch, pool.map(self._digest, batch), strict=True):
                    yield from self._judge(newest, path, found)

    def _digest(self, path: str) -> Digests | OSError:
        try:
            fd = os.open(self.home / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as broken:
            return broken
        try:
            return copy_and_digest(fd)
        except OSError as broken:
            return broken
        finally:
            os.close(fd)

    def _judge(self, newest: Inventory, path: str, found: Digests | OSError) -> Iterator[Finding]:
        where = f"{self.where}/{path}"
        if isinstance(found, FileNotFoundError | NotADirectoryError):
            yield Finding("missing", where, "is missing", RESTORE)
        elif isinstance(found, OSError):
            # Not the same as corrupt: a disk or a right that fails today may work tomorrow.
            yield Finding(
                "unreadable", where, f"could not be read: {found.strerror}", "Check the disk and the rights, then verify again."
            )
        else:
            self.sizes[path] = found.size_bytes
            if found.sha512 != newest.manifest[path]:
                yield Finding("corrupt", where, f"its bytes are not those that were stored (SHA-512 {found.sha512[:16]}…)", RESTORE)
            elif newest.fixity.get(path) != found.sha256:
                yield Finding("fixity-differs", where, "its SHA-256 is not the one in the fixity block", RESTORE)


def _parse(data: bytes) -> Inventory:
    """Read an inventory.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: It is none.
    """
    text = json.loads(data)
    if text["type"] != INVENTORY_TYPE or text["digestAlgorithm"] != "sha512":
        raise ValueError(text["type"])
    manifest = {path: digest for digest, paths in text["manifest"].items() for path in paths}
    fixity = {path: digest for digest, paths in text["fixity"]["sha256"].items() for path in paths}
    states = {
        int(name.removeprefix("v")): {path: digest for digest, paths in version["state"].items() for path in paths}
        for name, version in text["versions"].items()
    }
    head = int(text["head"].removeprefix("v"))
    if sorted(states) != list(range(1, head + 1)) or any(set(state.values()) - set(manifest.values()) for state in states.values()):
        raise ValueError(text["head"])
    for path in manifest:
        _version_of(path)
    return Inventory(str(text["id"]), head, manifest, fixity, states, text["versions"])


def _version_of(path: str) -> int:
    return int(path.split("/", 1)[0].removeprefix("v"))


def _shown(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()
