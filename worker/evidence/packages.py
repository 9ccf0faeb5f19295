"""Reads from a store what one package says of itself: its inventory's digest, its files, its chain of events.

Through the store's contract only, streamed, trusting nothing: the same reading serves the signer and the verifier, who
compare it with what was signed. What does not hold is data (``Problem``), not an error.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import IO, BinaryIO, cast

from worker.evidence.merkle import Frontier, leaf_hash
from worker.ledger.events import canonical, first_prev, hash_of
from worker.store import inventory
from worker.store.contract import Store
from worker.store.layout import INVENTORY

_SPOOL_BYTES = 8 << 20  # an inventory larger than this waits on disk, so memory stays flat
_CREATED = re.compile(rb'"v(\d+)":\{"created":"([^"]+)"')
_EVENTS = re.compile(r"metadata/events/v(\d{4,})\.jsonl")
_LINE = re.compile(rb'\{"body":(\{.*\}),"hash":"([0-9a-f]{64})"\}\n')
_PLACE = re.compile(rb',"prev":"([0-9a-f]{64})","seq":(\d+),"source":')  # a quote inside a string is escaped: no other match


@dataclass(frozen=True, slots=True)
class Problem:
    """What does not hold in a package's history. ``code`` is a finding's; ``seq`` the event, 0 where none can be named."""

    code: str
    seq: int
    what: str


@dataclass(frozen=True, slots=True)
class EventFile:
    """One version's part of the chain, as the inventory names it."""

    version: int
    sha512: str
    content_path: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """What an inventory says, in short. ``created`` gives the day (``YYYY-MM-DD``) of each version."""

    object_id: str
    version: int
    sha512: str
    created: dict[int, str]
    events: tuple[EventFile, ...]
    files: int
    files_root: str


@dataclass(slots=True)
class Chain:
    """Where a chain stands after the lines read so far."""

    object_id: str
    seq: int = 0
    hash: str = ""
    tree: Frontier = field(default_factory=Frontier)
    problems: list[Problem] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hash = first_prev(self.object_id)


def file_entry(path: str, sha512: str) -> bytes:
    """The entry of one logical path in the tree over a version's files."""
    return canonical({"path": path, "sha512": sha512}).encode()


def open_inventory(store: Store, object_id: str, version: int) -> BinaryIO:
    """The inventory that came with a version.

    Raises:
        StoreError, OSError: It is not there, or cannot be read.
    """
    return store.open_content(object_id, f"v{version}/{INVENTORY}")


@contextmanager
def digested(stream: BinaryIO) -> Iterator[tuple[BinaryIO, str]]:
    """*stream* read to its end and closed: a copy that can be read again and again, and its SHA-512."""
    digest = hashlib.sha512()
    with stream, SpooledTemporaryFile(max_size=_SPOOL_BYTES) as copy:
        while piece := stream.read(1 << 20):
            digest.update(piece)
            copy.write(piece)
        copy.seek(0)
        yield cast("BinaryIO", copy), digest.hexdigest()


def read_inventory(stream: BinaryIO, each: Callable[[str, str], object] | None = None) -> Inventory:
    """Read an inventory, and close it.

    Args:
        each: Told of every (logical path, SHA-512) of the newest version, in the order of the tree over the files.

    Raises:
        StoreDamagedError: It is no inventory.
    """
    with digested(stream) as (copy, sha512):
        object_id, version = inventory.head(copy)
        created = _created(copy)
        tree, wanted = Frontier(), dict[str, int]()
        for row in inventory.rows(copy, f"v{version}"):
            for path in row.values:
                tree.add(leaf_hash(file_entry(path, row.digest)))
                if found := _EVENTS.fullmatch(path):
                    wanted[row.digest] = int(found[1])
                if each:
                    each(path, row.digest)
        events = tuple(sorted(_places(copy, wanted), key=lambda part: part.version))
    return Inventory(object_id, version, sha512, created, events, tree.size, tree.root().hex())


def _created(copy: BinaryIO) -> dict[int, str]:
    copy.seek(0)
    found = {int(m[1]): m[2].decode() for line in copy if line.startswith(b'"v') and (m := _CREATED.match(line))}
    if not found:  # another program wrote it, otherwise laid out
        copy.seek(0)
        found = {int(name.removeprefix("v")): str(version["created"]) for name, version in json.load(copy)["versions"].items()}
    return {version: time[:10] for version, time in found.items()}


def _places(copy: BinaryIO, wanted: dict[str, int]) -> Iterator[EventFile]:
    for row in inventory.rows(copy, "manifest") if wanted else ():
        if row.digest in wanted:
            yield EventFile(wanted[row.digest], row.digest, row.values[0])


def follow(chain: Chain, lines: IO[bytes], each: Callable[[int, str, str], object] | None = None) -> str:
    """Let *chain* follow the events of one file of them; returns the SHA-512 of the file's bytes.

    Args:
        each: Told of every event's (number, hash, body) as it stands, once it was judged.
    """
    digest = hashlib.sha512()
    for line in lines:
        digest.update(line)
        found = _LINE.fullmatch(line)
        place = _PLACE.search(found[1]) if found else None
        if found is None or place is None:
            chain.problems.append(Problem("event-broken", chain.seq + 1, f"after event {chain.seq} stands a line that is no event"))
            continue
        body, told, prev, seq = found[1].decode("utf-8", "replace"), found[2].decode(), place[1].decode(), int(place[2])
        if seq != chain.seq + 1:
            chain.problems.append(Problem("event-order", seq, f"event {seq} stands where event {chain.seq + 1} belongs"))
        if prev != chain.hash:
            chain.problems.append(Problem("event-chain", seq, f"event {seq} does not follow the event before it"))
        if hash_of(body) != told:
            chain.problems.append(Problem("event-changed", seq, f"event {seq} was changed after it was written"))
        chain.seq, chain.hash = seq, told
        chain.tree.add(leaf_hash(bytes.fromhex(told)))
        if each:
            each(seq, told, body)
    return digest.hexdigest()


def read_chain(
    store: Store, found: Inventory, each: Callable[[int, str, str], object] | None = None, chain: Chain | None = None
) -> Chain:
    """The whole chain of events that an inventory names; *chain*, when given, is the one to fill.

    Raises:
        StoreError, OSError: A part of it cannot be read.
    """
    chain = chain or Chain(found.object_id)
    for part in found.events:
        with store.open_content(found.object_id, part.content_path) as stream:
            if follow(chain, stream, each) != part.sha512:
                what = f"the events of version {part.version} are not the bytes that the inventory names"
                chain.problems.append(Problem("events-changed", 0, what))
    if [part.version for part in found.events] != list(range(1, found.version + 1)):
        chain.problems.append(Problem("events-missing", 0, "a version has no events"))
    return chain
