"""Digests are those of hashlib, whatever the size and the kind of the stream."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import pytest

from worker.digests import CHUNK_BYTES, THREADED_FROM_BYTES, copy_and_digest, digest_bytes, sha256_uncached


@pytest.mark.parametrize(
    "size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, THREADED_FROM_BYTES, THREADED_FROM_BYTES + 1, 23 * CHUNK_BYTES + 7]
)
def test_a_copy_is_the_stream_and_its_digests_are_hashlibs(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(data)
    with source.open("rb") as fin, target.open("wb") as fout:
        found = copy_and_digest(fin.fileno(), fout.fileno())

    assert target.read_bytes() == data
    assert (found.sha256, found.sha512, found.size_bytes) == (
        hashlib.sha256(data).hexdigest(),
        hashlib.sha512(data).hexdigest(),
        size,
    )
    assert digest_bytes(data) == found
    assert copy_and_digest(io.BytesIO(data)) == found
    with source.open("rb") as stream:
        assert sha256_uncached(stream.fileno()) == found.sha256


def test_a_stream_in_small_pieces_is_read_to_its_end() -> None:
    """A pipe gives what it has; the end is where it gives nothing."""
    data = os.urandom(300_000)
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        for start in range(0, len(data), 7000):
            os.write(writer, data[start : start + 7000])
        os._exit(0)
    os.close(writer)
    found = copy_and_digest(reader)
    os.close(reader)
    os.wait()

    assert found.sha512 == hashlib.sha512(data).hexdigest()


def test_a_write_that_fails_is_not_swallowed(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full, pytest.raises(OSError, match="No space"):
        copy_and_digest(io.BytesIO(os.urandom(8 * CHUNK_BYTES)), full.fileno())
