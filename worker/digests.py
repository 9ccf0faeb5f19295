"""SHA-256 and SHA-512 of a stream in one pass, copying it on the way.

The only place that tunes hashing. hashlib and file calls release the GIL, so a large stream is hashed by two
threads while a third reads and writes; a small one by the caller alone, because starting threads costs more.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import BinaryIO, TypeAlias

CHUNK_BYTES = 1024 * 1024  # fits the caches of common CPUs; larger chunks were not faster (measured)
THREADED_FROM_BYTES = 4 * CHUNK_BYTES  # below this two hashes one after another win over two threads
_BUFFERS = 6  # two being hashed, one being read or written, three of slack; bounds memory to 6 MiB per stream

Source: TypeAlias = int | BinaryIO
"""A file descriptor, or a binary stream with ``readinto``. Read from where it stands to its end."""

_ReadInto: TypeAlias = Callable[[memoryview], int]


@dataclass(frozen=True, slots=True)
class Digests:
    """What was measured of one stream; hexadecimal, lower case."""

    sha256: str
    sha512: str
    size_bytes: int


def digest_bytes(data: bytes) -> Digests:
    """Both digests of bytes in memory."""
    return Digests(hashlib.sha256(data).hexdigest(), hashlib.sha512(data).hexdigest(), len(data))


def copy_and_digest(source: Source, fd_out: int | None = None, *, head: bytes = b"") -> Digests:
    """Read *source* to its end, write it to *fd_out* when given, and return what was read.

    Args:
        head: Bytes of the stream that the caller has taken off *source* already.

    Raises:
        OSError: Reading or writing failed. Never swallowed: a digest over a part would be recorded as truth.
    """
    read_into = _reader(source)
    sha256, sha512 = hashlib.sha256(head), hashlib.sha512(head)
    if head and fd_out is not None:
        write_all(fd_out, memoryview(head))
    size = len(head)
    buffer = memoryview(bytearray(CHUNK_BYTES))
    while got := _fill(read_into, buffer):
        chunk = buffer[:got]
        sha256.update(chunk)
        sha512.update(chunk)
        if fd_out is not None:
            write_all(fd_out, chunk)
        size += got
        if size >= THREADED_FROM_BYTES:
            size += _threaded(read_into, fd_out, sha256, sha512)
            break
    return Digests(sha256.hexdigest(), sha512.hexdigest(), size)


def sha256_uncached(fd: int) -> str:
    """SHA-256 of a whole file, asked from the disk: its clean pages are dropped from the page cache first.

    A hint to the kernel, not a command; pages that are dirty stay, so ``fsync`` before.
    """
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    found = hashlib.sha256()
    os.lseek(fd, 0, os.SEEK_SET)
    while chunk := os.read(fd, CHUNK_BYTES):
        found.update(chunk)
    return found.hexdigest()


def sha256_of(source: Source) -> str:
    """SHA-256 of *source* from where it stands to its end, by the caller's thread alone."""
    read_into, found = _reader(source), hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK_BYTES))
    while got := _fill(read_into, buffer):
        found.update(buffer[:got])
    return found.hexdigest()


def write_all(fd: int, data: memoryview) -> None:
    """Write all of *data*; a pipe or a nearly full disk may take less than asked."""
    while data:
        data = data[os.write(fd, data) :]


def _reader(source: Source) -> _ReadInto:
    if isinstance(source, int):
        fd = source
        return lambda buffer: os.readv(fd, [buffer])
    read_into = source.readinto  # type: ignore[attr-defined]  # BinaryIO lacks it in typeshed; every real stream has it
    return lambda buffer: read_into(buffer) or 0


def _fill(read_into: _ReadInto, buffer: memoryview) -> int:
    """Read until *buffer* is full or the stream ends: pipes and zip members give small pieces."""
    got = 0
    while got < len(buffer):
        more = read_into(buffer[got:])
        if not more:
            break
        got += more
    return got


class _Lane:
    """One hash fed by its own thread."""

    def __init__(self, update: Callable[[memoryview], None], free: SimpleQueue[int], left: list[int], lock: threading.Lock) -> None:
        self.queue: SimpleQueue[tuple[int, memoryview] | None] = SimpleQueue()
        self._update, self._free, self._left, self._lock = update, free, left, lock
        self._thread = threading.Thread(target=self._work, name="digest", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (item := self.queue.get()) is not None:
            number, chunk = item
            self._update(chunk)
            with self._lock:
                self._left[number] -= 1
                last = self._left[number] == 0
            if last:
                self._free.put(number)

    def finish(self) -> None:
        self.queue.put(None)
        self._thread.join()


def _threaded(read_into: _ReadInto, fd_out: int | None, sha256: hashlib._Hash, sha512: hashlib._Hash) -> int:
    """The rest of a large stream: this thread reads and writes, two others hash. Returns the bytes read."""
    buffers = [memoryview(mmap.mmap(-1, CHUNK_BYTES)) for _ in range(_BUFFERS)]  # given back at once; the C library keeps its own
    free: SimpleQueue[int] = SimpleQueue()
    for number in range(_BUFFERS):
        free.put(number)
    left, lock = [0] * _BUFFERS, threading.Lock()
    lanes = [_Lane(sha512.update, free, left, lock), _Lane(sha256.update, free, left, lock)]
    size = 0
    try:
        while True:
            number = free.get()
            got = _fill(read_into, buffers[number])
            if not got:
                break
            chunk = buffers[number][:got]
            left[number] = 2
            for lane in lanes:
                lane.queue.put((number, chunk))
            if fd_out is not None:
                write_all(fd_out, chunk)  # lanes only read the buffer; but it must not be refilled before this ends
            size += got
    finally:
        for lane in lanes:
            lane.finish()
    return size
