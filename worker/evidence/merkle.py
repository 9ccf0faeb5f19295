"""Merkle trees as in Certificate Transparency: a root for a growing list, proofs that an entry is in it, and that it only grew.

Pure. A tree is never held: its right edge is (a hash for each set bit of its size), and proofs are gathered in one pass.
Source: RFC 9162 (Certificate Transparency 2.0) sections 2.1.1 to 2.1.4.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

ALGORITHM = "sha256"
"""What new trees use. Every document names its own; see ``worker.evidence.renew`` for the day when this one weakens."""

ALGORITHMS = frozenset({"sha256", "sha512", "sha3_256", "sha3_512"})
"""Names as ``hashlib`` knows them, which documents may use."""

_HASHERS: dict[str, Callable[[bytes], hashlib._Hash]] = {name: getattr(hashlib, name) for name in ALGORITHMS}

Range = tuple[int, int]
"""Entries from the first, up to but without the second; 0-based."""


def _hasher(algorithm: str) -> Callable[[bytes], hashlib._Hash]:
    return _HASHERS[algorithm]  # hashlib.new would look it up anew for each hash, and there are millions


def leaf_hash(data: bytes, algorithm: str = ALGORITHM) -> bytes:
    """The hash of an entry. The prefix keeps an entry from being taken for two hashes."""
    return _hasher(algorithm)(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes, algorithm: str = ALGORITHM) -> bytes:
    """The hash over two subtrees."""
    return _hasher(algorithm)(b"\x01" + left + right).digest()


class Frontier:
    """A tree that entries are added to; holds one hash for each set bit of its size."""

    def __init__(self, algorithm: str = ALGORITHM) -> None:
        self.size, self.algorithm = 0, algorithm
        self._edge: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Add an entry by its ``leaf_hash``."""
        size, edge = self.size, self._edge
        while size & 1:
            leaf = node_hash(edge.pop(), leaf, self.algorithm)
            size >>= 1
        edge.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The root over all entries so far."""
        if not self._edge:
            return hashlib.new(self.algorithm).digest()
        root = self._edge[-1]
        for left in reversed(self._edge[:-1]):
            root = node_hash(left, root, self.algorithm)
        return root


def root_of(leaves: Iterable[bytes], algorithm: str = ALGORITHM) -> bytes:
    """The root over entries given as ``leaf_hash``es, in one pass."""
    tree = Frontier(algorithm)
    for leaf in leaves:
        tree.add(leaf)
    return tree.root()


def inclusion_path(leaves: Iterable[bytes], index: int, size: int, algorithm: str = ALGORITHM) -> list[bytes]:
    """What proves that entry *index* (0-based) is in the tree of the first *size* entries.

    Raises:
        ValueError: There is no such entry, or *leaves* has fewer than *size*.
    """
    if not 0 <= index < size:
        raise ValueError(f"no entry {index} in a tree of {size}")
    return _roots(leaves, _inclusion_ranges(index, 0, size), algorithm)


def consistency_path(leaves: Iterable[bytes], older: int, newer: int, algorithm: str = ALGORITHM) -> list[bytes]:
    """What proves that the tree of the first *older* entries is the beginning of that of the first *newer*.

    Raises:
        ValueError: The sizes are not 0 < *older* <= *newer*, or *leaves* has fewer than *newer*.
    """
    if not 0 < older <= newer:
        raise ValueError(f"a tree of {older} is not the beginning of one of {newer}")
    return _roots(leaves, _consistency_ranges(older, 0, newer, whole=True), algorithm)


def root_from_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], *, algorithm: str = ALGORITHM) -> bytes | None:
    """The root that *path* leads to from *leaf*; None: it leads nowhere. Source: RFC 9162 section 2.1.3.2."""
    if not 0 <= index < size:
        return None
    node, last, root = index, size - 1, leaf
    for step in path:
        if last == 0:
            return None
        if node & 1 or node == last:
            root = node_hash(step, root, algorithm)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            root = node_hash(root, step, algorithm)
        node, last = node >> 1, last >> 1
    return root if last == 0 else None


def is_consistent(
    older: int, older_root: bytes, newer: int, newer_root: bytes, path: Sequence[bytes], *, algorithm: str = ALGORITHM
) -> bool:
    """Whether *path* proves that the older tree is the beginning of the newer. Source: RFC 9162 section 2.1.4.2."""
    if not 0 < older <= newer:
        return False
    if older == newer:
        return not path and older_root == newer_root
    steps = [older_root, *path] if older & (older - 1) == 0 else list(path)
    if not steps:
        return False
    node, last = older - 1, newer - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old, new = node_hash(step, old, algorithm), node_hash(step, new, algorithm)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, step, algorithm)
        node, last = node >> 1, last >> 1
    return last == 0 and (old, new) == (older_root, newer_root)


def _split(size: int) -> int:
    """The largest power of two below *size*."""
    return 1 << ((size - 1).bit_length() - 1)


def _inclusion_ranges(index: int, low: int, high: int) -> list[Range]:
    if high - low == 1:
        return []
    middle = low + _split(high - low)
    if index < middle:
        return [*_inclusion_ranges(index, low, middle), (middle, high)]
    return [*_inclusion_ranges(index, middle, high), (low, middle)]


def _consistency_ranges(older: int, low: int, high: int, *, whole: bool) -> list[Range]:
    """*older* is counted from 0; *whole* while the range still begins as the older tree does."""
    if older == high:
        return [] if whole else [(low, high)]
    middle = low + _split(high - low)
    if older <= middle:
        return [*_consistency_ranges(older, low, middle, whole=whole), (middle, high)]
    return [*_consistency_ranges(older, middle, high, whole=False), (low, middle)]


def _roots(leaves: Iterable[bytes], ranges: Sequence[Range], algorithm: str) -> list[bytes]:
    """The roots of disjoint ranges, in the order asked, from one pass over the entries."""
    found: dict[Range, bytes] = {}
    todo, tree = sorted(ranges), Frontier(algorithm)
    for index, leaf in enumerate(leaves):
        if not todo:
            break
        if index >= todo[0][0]:
            tree.add(leaf)
        if index + 1 == todo[0][1]:
            found[todo.pop(0)] = tree.root()
            tree = Frontier(algorithm)
    if todo:
        raise ValueError("there are fewer entries than the tree is said to have")
    return [found[wanted] for wanted in ranges]
