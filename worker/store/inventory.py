"""Reads and writes OCFL inventories as streams, because a package may hold a million files.

We write one manifest or state line per line of text, so that the next version can be made by copying the
older versions' lines, and memory stays flat. An inventory that another tool wrote is read whole instead.
Source: OCFL 1.1 section 3.5.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, BinaryIO

from worker.store.contract import NotInStoreError, StateEntry, StoreDamagedError, VersionNote
from worker.store.layout import INVENTORY_TYPE

_FIXITY_OPEN = b'"fixity":{"sha256":{\n'
_MANIFEST_OPEN = b'"manifest":{\n'
_VERSIONS_OPEN = b'"versions":{\n'
_STATE_CLOSE = b"}}\n"
_HEX = frozenset(b"0123456789abcdef")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Row:
    """One line of an inventory. ``section`` is fixity, manifest or a version's name; ``values`` are paths."""

    section: str
    digest: str
    values: tuple[str, ...]


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _header(object_id: str, head: int) -> bytes:
    fields = {
        "id": object_id,
        "type": INVENTORY_TYPE,
        "digestAlgorithm": "sha512",
        "head": f"v{head}",
        "contentDirectory": "content",
    }
    return _dump(fields)[:-1] + b",\n"


def _rows(rows: Iterable[tuple[str, str]]) -> Iterator[bytes]:
    """``"digest":[paths]`` lines of (digest, path) pairs in digest order."""
    comma = b""
    for digest, group in groupby(rows, key=lambda row: row[0]):
        yield comma + b'"' + digest.encode() + b'":' + _dump([path for _, path in group])
        comma = b",\n"
    yield b"\n"


def write(
    object_id: str,
    head: int,
    *,
    fixity: Iterable[tuple[str, str]],
    manifest: Iterable[tuple[str, str]],
    state: Iterable[tuple[str, str]],
    note: VersionNote,
    before: BinaryIO | None,
) -> Iterator[bytes]:
    """The pieces of an inventory's text, in order.

    Args:
        fixity: (SHA-256, content path) in digest order; likewise *manifest* with SHA-512.
        state: (SHA-512, logical path) of the new version, in digest order.
        before: The inventory of the version before, whose versions are taken over unchanged.
    """
    yield _header(object_id, head) + _FIXITY_OPEN
    yield from _rows(fixity)
    yield b"}},\n" + _MANIFEST_OPEN
    yield from _rows(manifest)
    yield b"},\n" + _VERSIONS_OPEN
    if before is not None:
        yield from _versions_text(before)
        yield b",\n"
    user = {"name": note.user} | ({"address": note.address} if note.address else {})
    yield _version_open(f"v{head}", note.created, note.message, user)
    yield from _rows(state)
    yield _STATE_CLOSE + b"}}\n"


def _version_open(name: str, created: str, message: str, user: object) -> bytes:
    return b'"' + name.encode() + b'":' + _dump({"created": created, "message": message, "user": user})[:-1] + b',"state":{\n'


def _is_ours(first: bytes, second: bytes) -> bool:
    return first.startswith(b'{"id":') and first.endswith(b'"contentDirectory":"content",\n') and second == _FIXITY_OPEN


def _versions_text(before: BinaryIO) -> Iterator[bytes]:
    """The inside of the ``versions`` block."""
    before.seek(0)
    if not _is_ours(before.readline(), before.readline()):
        yield from _foreign_versions(before)
        return
    for line in before:
        if line == _VERSIONS_OPEN:
            break
    previous = b""
    for line in before:  # all but the last line, which closes the versions and the inventory
        if previous:
            yield previous
        previous = line


def _foreign_versions(before: BinaryIO) -> Iterator[bytes]:
    comma = b""
    for name, version in _load(before)["versions"].items():
        yield comma + _version_open(name, version["created"], version.get("message", ""), version.get("user", {"name": "unknown"}))
        yield from _rows((digest, path) for digest in sorted(version["state"]) for path in version["state"][digest])
        yield _STATE_CLOSE
        comma = b",\n"


def _load(stream: BinaryIO) -> dict[str, Any]:
    stream.seek(0)
    try:
        data = json.load(stream)
    except ValueError as broken:
        raise StoreDamagedError(f"is not JSON: {broken}", "inventory.json", "Run `bevara verify` on the archive.") from broken
    if not isinstance(data, dict) or not isinstance(data.get("versions"), dict) or not isinstance(data.get("manifest"), dict):
        raise StoreDamagedError("lacks what OCFL asks for", "inventory.json", "Run `bevara verify` on the archive.")
    return data


def head(stream: BinaryIO) -> tuple[str, int]:
    """Object id and number of the newest version; reads one line of an inventory of ours."""
    first, second = stream.readline(), stream.readline()
    try:
        data = json.loads(first.rstrip(b",\n") + b"}") if _is_ours(first, second) else _load(stream)
        return str(data["id"]), int(str(data["head"]).removeprefix("v"))
    except (ValueError, KeyError) as broken:
        raise StoreDamagedError(
            f"has no readable head: {broken!r}", "inventory.json", "Run `bevara verify` on the archive."
        ) from broken


def rows(stream: BinaryIO, only: str | None = None) -> Iterator[Row]:
    """Every line of an inventory, in its order; with *only*, those of one section.

    Raises:
        StoreDamagedError: The text is no inventory.
    """
    stream.seek(0)
    if not _is_ours(stream.readline(), stream.readline()):
        yield from (row for row in _foreign_rows(_load(stream)) if only in (None, row.section))
        return
    section = "fixity"
    try:
        for line in stream:
            if line[0] == ord('"') and line[1] in _HEX:  # "<digest>":[…]
                if only not in (None, section):  # reading past is ten times faster than parsing
                    continue
                digest, values = _line(line.decode())
                yield Row(section, digest, values)
            elif line == _MANIFEST_OPEN:
                section = "manifest"
            elif line.startswith(b'"v') and line != _VERSIONS_OPEN:
                section = line[1 : line.index(b'"', 1)].decode()
    except ValueError as broken:
        raise StoreDamagedError(f"has a broken line: {broken}", "inventory.json", "Run `bevara verify` on the archive.") from broken


def _line(text: str) -> tuple[str, tuple[str, ...]]:
    """Digest and paths of ``"<digest>":["<path>",…],``; a third of the time that parsing it as an object takes.

    Raises:
        ValueError: It is not such a line.
    """
    digest, found, rest = text[1:].partition('":')
    values, end = _DECODER.raw_decode(rest)
    if not found or not isinstance(values, list) or rest[end:].rstrip(",\n"):
        raise ValueError(f"what follows {digest[:16]}… is no list of paths")
    return digest, tuple(values)


def _foreign_rows(data: dict[str, Any]) -> Iterator[Row]:
    for digest, paths in data.get("fixity", {}).get("sha256", {}).items():
        yield Row("fixity", digest, tuple(paths))
    for digest in sorted(data["manifest"]):
        yield Row("manifest", digest, tuple(data["manifest"][digest]))
    for name, version in data["versions"].items():
        for digest in sorted(version["state"]):
            yield Row(name, digest, tuple(version["state"][digest]))


def state(stream: BinaryIO, version: int) -> Iterator[StateEntry]:
    """One version's state, streamed."""
    for row in rows(stream, f"v{version}"):
        for path in row.values:
            yield StateEntry(path, row.digest)


def state_of(stream: BinaryIO, object_id: str, version: int | None) -> Iterator[StateEntry]:
    """``state`` of a version that is asked for by people; None: the newest.

    Raises:
        NotInStoreError: No such version.
    """
    newest = head(stream)[1]
    wanted = newest if version is None else version
    if not 1 <= wanted <= newest:
        raise NotInStoreError(f"has no version {wanted}; its newest is {newest}", object_id, "Ask for a version that exists.")
    yield from state(stream, wanted)
