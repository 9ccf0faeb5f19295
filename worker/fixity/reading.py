"""Reads content of a place and digests it with both algorithms in one pass: the part of an audit that must be fast.

Measured on two cores: threads that each read and hash one file beat a pipeline of threads per file, because a chunk that
was just hashed once is still in the core's cache; small files go to a thread by the batch, because handing over costs as
much as reading one. What is expected, and what a difference means, is not known here.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import mmap
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

from worker.fixity.place import NotThereError, Place, Stream, UnreadableError

CHUNK_BYTES = 1024 * 1024  # larger was not faster, smaller was (measured: 256 KiB, 1, 4 MiB)
_HUGE_PAGE_BYTES = 2 * 1024 * 1024  # on x86-64 and arm64; elsewhere nothing is lost by it
THREADS = 8  # two hash, the others wait for the disk or the server
SMALL_BYTES = 128 * 1024
_BATCH = 64
_BATCH_THREADS = 3  # what is opened ahead need not be waited for: more threads only wait for each other (measured: 2, 3, 4, 8)
_WINDOW = 96  # what may wait for its turn: a large file must not hold up the small ones behind it
RANGE_BYTES = 1024**3
"""Length of the parts that large content is also known by; ``PARTS_FROM_BYTES`` and more has them."""
PARTS_FROM_BYTES = 4 * RANGE_BYTES  # digests of parts cost a third more the first time: only where going on in the middle pays


class StoppedError(Exception):
    """The audit was asked to stop in the middle of a file; ``position`` is where it may go on."""

    def __init__(self, path: str, parts_done: int) -> None:
        super().__init__(path, parts_done)
        self.path, self.parts_done = path, parts_done


@dataclass(frozen=True, slots=True)
class Wanted:
    """Content to read.

    Attributes:
        parts: SHA-256 of each part of RANGE_BYTES, when they are known from an earlier reading that matched.
        skip_parts: How many of them this same audit has read already.
    """

    path: str
    sha512: str | None
    sha256: str | None
    size_bytes: int
    parts: tuple[str, ...] = ()
    skip_parts: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read. ``sha512`` None: only the rest was read, and all its ``parts`` matched; likewise ``sha256``."""

    sha512: str | None
    sha256: str | None
    size_bytes: int
    read_bytes: int
    parts: tuple[str, ...] = ()
    bad_part: int | None = None


Answer = Seen | NotThereError | UnreadableError | StoppedError


class Buffers:
    """One buffer a thread, in one piece of the machine's memory.

    O_DIRECT asks for whole pages, and a disk that need not scatter over 256 of them gave 2.5 GB/s instead of 1.2 (virtio).
    """

    def __init__(self) -> None:
        self._local = threading.local()

    def mine(self) -> memoryview:
        """The calling thread's buffer."""
        buffer: memoryview | None = getattr(self._local, "buffer", None)
        if buffer is None:
            buffer = self._local.buffer = _in_one_piece()
        return buffer


def _in_one_piece() -> memoryview:
    """CHUNK_BYTES within one huge page, where the system gives such; only that page of the room is ever touched."""
    room = mmap.mmap(-1, 2 * _HUGE_PAGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):
        room.madvise(mmap.MADV_HUGEPAGE)
    begin = -ctypes.addressof(ctypes.c_char.from_buffer(room)) % _HUGE_PAGE_BYTES
    return memoryview(room)[begin : begin + CHUNK_BYTES]


class Reader:
    """Several threads over one place. Use as a context manager.

    Args:
        stop: Asked between chunks; when it says so, what is in hand ends with StoppedError.
        enough: Asked where going on later costs nothing: before each content, and between the parts of large content.
        algorithms: ``sha256``, ``sha512`` or both.
        spent: Told of every chunk that was read, in bytes; may wait, which is how a budget per second is kept.
    """

    def __init__(
        self,
        place: Place,
        *,
        threads: int = THREADS,
        algorithms: tuple[str, ...] = ("sha256", "sha512"),
        stop: Callable[[], bool] = lambda: False,
        enough: Callable[[], bool] = lambda: False,
        spent: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._place, self._stop, self._enough, self._spent, self._algorithms = place, stop, enough, spent, algorithms
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="audit")
        self._ahead = ThreadPoolExecutor(min(threads, _BATCH_THREADS), thread_name_prefix="audit-ahead")
        self._buffers = Buffers()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pool in (self._pool, self._ahead):
            pool.shutdown(cancel_futures=True)

    def read(self, folder: str, wanted: Iterable[Wanted]) -> Generator[tuple[Wanted, Answer], None, None]:
        """Answers in the order of *wanted*, of which only a window is held."""
        waiting: deque[Future[list[tuple[Wanted, Answer]]]] = deque()
        for batch in _batches(wanted):
            read, pool = (self._read_ahead, self._ahead) if self._goes_ahead(batch) else (self._read_batch, self._pool)
            waiting.append(pool.submit(read, folder, batch))
            while len(waiting) >= _WINDOW or (waiting and waiting[0].done()):
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()

    def _goes_ahead(self, batch: list[Wanted]) -> bool:
        return len(batch) > 1 and self._place.opens_ahead

    def _read_batch(self, folder: str, batch: list[Wanted]) -> list[tuple[Wanted, Answer]]:
        return [(one, self.read_one(_below(folder, one), one)) for one in batch]

    def _read_ahead(self, folder: str, batch: list[Wanted]) -> list[tuple[Wanted, Answer]]:
        """All are opened before the first is read. What was opened is closed whatever happens."""
        opened: list[Stream | NotThereError | UnreadableError] = []
        try:
            opened.extend(self._open(_below(folder, one)) for one in batch)
            return [(one, self._answer(_below(folder, one), one, stream)) for one, stream in zip(batch, opened, strict=True)]
        finally:
            for stream in opened:
                if not isinstance(stream, Exception):
                    stream.close()

    def read_one(self, path: str, wanted: Wanted) -> Answer:
        """One content, by the calling thread."""
        if self._stop() or self._enough():
            return StoppedError(path, wanted.skip_parts)
        stream = self._open(path, wanted.skip_parts * RANGE_BYTES)
        try:
            return self._answer(path, wanted, stream)
        finally:
            if not isinstance(stream, Exception):
                stream.close()

    def _open(self, path: str, offset_bytes: int = 0) -> Stream | NotThereError | UnreadableError:
        try:
            return self._place.open(path, offset_bytes)
        except (NotThereError, UnreadableError) as answer:
            return answer

    def _answer(self, path: str, wanted: Wanted, stream: Stream | NotThereError | UnreadableError) -> Answer:
        if self._stop() or self._enough():
            return StoppedError(path, wanted.skip_parts)
        if isinstance(stream, NotThereError | UnreadableError):
            return stream
        try:
            if wanted.size_bytes >= PARTS_FROM_BYTES:
                return _Parts(self, path, wanted).read(stream.readinto)
            return self._whole(path, stream.readinto)
        except (UnreadableError, StoppedError) as answer:
            return answer

    def _whole(self, path: str, readinto: Callable[[memoryview], int]) -> Seen:
        hashes = [hashlib.new(name) for name in self._algorithms]
        size = 0
        for chunk in self.chunks(path, readinto):
            for one in hashes:
                one.update(chunk)
            size += len(chunk)
        found = {one.name: one.hexdigest() for one in hashes}
        return Seen(found.get("sha512"), found.get("sha256"), size, size)

    def enough(self) -> bool:
        """Whether this is a good moment to end."""
        return self._enough()

    def chunks(self, path: str, readinto: Callable[[memoryview], int]) -> Iterator[memoryview]:
        """The stream's bytes; each piece is good until the next."""
        buffer = self._buffers.mine()
        while got := readinto(buffer):
            yield buffer[:got]
            self._spent(got)
            if self._stop():
                raise StoppedError(path, 0)


class _Parts:
    """Large content: its parts' digests are learnt the first time, and later checked one by one as they are read."""

    def __init__(self, reader: Reader, path: str, wanted: Wanted) -> None:
        self._reader, self._path, self._wanted = reader, path, wanted
        whole = wanted.skip_parts == 0
        self._sha512 = hashlib.sha512() if whole else None
        self._sha256 = hashlib.sha256() if whole and not wanted.parts else None  # known parts are SHA-256 of every byte already

    def read(self, readinto: Callable[[memoryview], int]) -> Seen:
        number, parts, part, room = self._wanted.skip_parts, list[str](), hashlib.sha256(), RANGE_BYTES
        size, bad = number * RANGE_BYTES, None
        try:
            for chunk in self._reader.chunks(self._path, readinto):
                for one in (self._sha512, self._sha256):
                    if one:
                        one.update(chunk)
                size += len(chunk)
                rest = chunk
                while len(rest) >= room:
                    part.update(rest[:room])
                    parts.append(part.hexdigest())
                    bad = self._differs(number + len(parts) - 1, parts[-1], bad)
                    rest, part, room = rest[room:], hashlib.sha256(), RANGE_BYTES
                    self._maybe_enough()
                part.update(rest)
                room -= len(rest)
        except StoppedError:
            done = number + len(parts) if self._wanted.parts and bad is None else number
            raise StoppedError(self._path, done) from None
        if room < RANGE_BYTES:
            parts.append(part.hexdigest())
            bad = self._differs(number + len(parts) - 1, parts[-1], bad)
        sha512 = self._sha512.hexdigest() if self._sha512 else None
        sha256 = self._sha256.hexdigest() if self._sha256 else None
        return Seen(sha512, sha256, size, size - number * RANGE_BYTES, tuple(parts), bad)

    def _maybe_enough(self) -> None:
        if self._wanted.parts and self._reader.enough():
            raise StoppedError(self._path, 0)

    def _differs(self, number: int, found: str, bad: int | None) -> int | None:
        known = self._wanted.parts
        if bad is None and known and (number >= len(known) or known[number] != found):
            return number
        return bad


def _below(folder: str, one: Wanted) -> str:
    return f"{folder}/{one.path}" if folder else one.path


def _batches(wanted: Iterable[Wanted]) -> Iterator[list[Wanted]]:
    batch: list[Wanted] = []
    for one in wanted:
        if one.size_bytes >= SMALL_BYTES:
            yield [one]
            continue
        batch.append(one)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
