"""The laws of the tree that evidence stands on: whatever was put in can be proven, and nothing else can."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from worker.evidence.merkle import (
    Frontier,
    consistency_path,
    inclusion_path,
    is_consistent,
    leaf_hash,
    node_hash,
    root_from_inclusion,
    root_of,
)

entries = st.lists(st.binary(max_size=8), min_size=1, max_size=70)


def straight(leaves: list[bytes]) -> bytes:
    """MTH as RFC 9162 section 2.1.1 writes it down, recursively."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return node_hash(straight(leaves[:half]), straight(leaves[half:]))


@given(entries)
def test_the_streamed_root_is_the_one_of_the_definition(data) -> None:
    leaves = [leaf_hash(entry) for entry in data]

    assert root_of(leaves) == straight(leaves)


def test_the_empty_tree_and_known_vectors() -> None:
    """Known values: certificate-transparency's own test vectors for 0, 1, 2 and 8 entries."""
    known = [
        bytes.fromhex(text)
        for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
    ]
    roots = {
        0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    }
    for size, root in roots.items():
        assert root_of(map(leaf_hash, known[:size])).hex() == root


@given(entries, st.data())
def test_every_entry_can_be_proven_and_nothing_else(data, draw) -> None:
    """Any other entry, index, size, step or order of steps leads to another root, or nowhere."""
    leaves = [leaf_hash(entry) for entry in data]
    size, root = len(leaves), root_of(leaves)
    index = draw.draw(st.integers(0, size - 1))
    path = inclusion_path(leaves, index, size)
    assert root_from_inclusion(leaves[index], index, size, path) == root

    assert root_from_inclusion(leaf_hash(data[index] + b"x"), index, size, path) != root
    for other in range(size):
        if leaves[other] != leaves[index]:
            assert root_from_inclusion(leaves[index], other, size, path) != root
    for place in range(len(path)):
        wrong = [*path]
        wrong[place] = bytes([wrong[place][0] ^ 1]) + wrong[place][1:]
        assert root_from_inclusion(leaves[index], index, size, wrong) != root
        assert root_from_inclusion(leaves[index], index, size, path[:place]) != root
    assert root_from_inclusion(leaves[index], index, size, [*path, root]) != root
    if len(set(path)) > 1:
        assert root_from_inclusion(leaves[index], index, size, path[::-1]) != root or path == path[::-1]
    assert root_from_inclusion(leaves[index], size, size, path) is None


@given(entries, st.data())
def test_a_tree_that_only_grew_can_be_proven_and_no_other(data, draw) -> None:
    leaves = [leaf_hash(entry) for entry in data]
    older = draw.draw(st.integers(1, len(leaves)))
    old, new = root_of(leaves[:older]), root_of(leaves)
    path = consistency_path(leaves, older, len(leaves))
    assert is_consistent(older, old, len(leaves), new, path)

    changed = draw.draw(st.integers(0, older - 1))
    forged = [*leaves]
    forged[changed] = leaf_hash(b"forged" + data[changed])
    assert not is_consistent(older, old, len(leaves), root_of(forged), consistency_path(forged, older, len(leaves)))
    assert not is_consistent(older, root_of(forged[:older]), len(leaves), new, path)
    for place in range(len(path)):
        wrong = [*path]
        wrong[place] = hashlib.sha256(wrong[place]).digest()
        assert not is_consistent(older, old, len(leaves), new, wrong)
        assert not is_consistent(older, old, len(leaves), new, path[:place])
    assert not is_consistent(older, old, len(leaves), new, [*path, new])


@given(entries)
def test_a_tree_holds_one_hash_for_each_bit_of_its_size(data) -> None:
    tree = Frontier()
    for number, entry in enumerate(data, 1):
        tree.add(leaf_hash(entry))

        assert len(tree._edge) == number.bit_count()
