"""Sends a folder to the service: several files at once, large ones in parts, each compared by digest, continued after a stop.

What was begun is noted (``worker.client_notes``), so that the same command continues it. Nothing of the folder is changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any
from urllib.parse import quote

from actions.errors import PermanentError, TransientError
from worker.client import LONG, Client, RefusedRequestError
from worker.client_notes import Begun, Notes, mark_of
from worker.paths import archival_path
from worker.pipeline.scan import Kind, Seen, scan

PART_BYTES = 64 * 1024**2  # a broken connection costs at most so much
_BLOCK = 1 << 18
_THREADS = 4
_AHEAD = 64  # files that wait for a thread: a million files must not become a million futures


def begin(client: Client, notes: Notes) -> Begun:
    """Continue the upload that was begun, while the service still has it open, or begin a new one."""
    before = notes.begun()
    if before is not None:
        try:
            state = client.ask("GET", f"/v1/uploads/{before.upload}")["state"]
        except RefusedRequestError as refused:
            if refused.status != 404:
                raise
            state = "expired"
        if state != "expired":  # a submitted one too: the job's key then finds the job
            return before
    notes.forget()
    new = Begun(client.ask("POST", "/v1/uploads")["id"], uuid.uuid4().hex)
    notes.keep(new)
    return new


class Sender:
    """Sends every file of a folder into one upload.

    Args:
        notes: Which files an earlier run sent, and as what they were: one that was changed since is sent anew.
        sent: Told of each file that is there now, with its size.
        said: Told in a sentence of what a person should know.
    """

    def __init__(
        self, client: Client, upload: str, root: bytes, notes: Notes, *, sent: Callable[[int], None], said: Callable[[str], None]
    ) -> None:
        self._client, self._root, self._notes = client, root, notes
        self._files = f"/v1/uploads/{upload}/files/"
        self._complete = f"/v1/uploads/{upload}/complete"
        self._sent, self._said = sent, said
        self._stop = threading.Event()
        self._there = {one["path"]: one["size_bytes"] for one in client.pages(f"/v1/uploads/{upload}/files", "files", {})}
        self._before = notes.sent()
        self._named: dict[str, bytes] = {}  # of the names that two files could come to: those with a per cent sign
        self._naming = threading.Lock()
        self.not_sent = 0

    def send(self) -> None:
        """Send all files; returns when the service has every one of them, durable and with the digest that was read here.

        Raises:
            PreservationError: One could not be sent. Those that were stay, and ``send`` goes on with the rest.
        """
        with ThreadPoolExecutor(_THREADS) as pool:
            waiting: set[Future[None]] = set()
            try:
                for seen in self._to_send():
                    waiting.add(pool.submit(self._one, seen))
                    if len(waiting) >= _AHEAD:
                        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                        for one in done:
                            one.result()
                for one in waiting:
                    one.result()
                self._take_back()
            except BaseException:
                self._stop.set()
                for one in waiting:
                    one.cancel()
                raise

    def _take_back(self) -> None:
        """What an earlier run sent and the folder no longer has is no part of the package."""
        for name in sorted(self._there):
            self._said(f"taken back, since it is no longer in the folder: {name}")
            self._client.ask("DELETE", self._files + quote(name))

    def _to_send(self) -> Iterator[Seen]:
        for seen in scan(self._root):
            if seen.kind is Kind.FILE:
                yield seen
            else:
                self.not_sent += 1
                self._said(f"not sent: {archival_path(seen.path or b'.')} is no file but a {seen.kind.value}")

    def _one(self, seen: Seen) -> None:
        if self._stop.is_set():
            return
        name = self._name(seen)
        with self._opened(seen) as stream:
            found = os.fstat(stream.fileno())
            mark = mark_of(seen.path, found)
            if self._there.pop(name, None) != found.st_size or mark not in self._before:
                self._bring(name, _Piece(stream, 0, found.st_size))
                self._notes.keep_sent(mark)
        self._sent(found.st_size)

    def _bring(self, name: str, whole: _Piece) -> None:
        """Send one file. What an earlier run sent under its name is of this very file, as it was then, and goes."""
        send = self._in_parts if whole.size_bytes > PART_BYTES else self._whole
        try:
            try:
                send(name, whole)
            except RefusedRequestError as refused:
                if refused.reason != "upload-name-taken":
                    raise
                self._client.ask("DELETE", self._files + quote(name))
                send(name, whole)
        except RefusedRequestError as refused:
            raise RefusedRequestError(refused.what, name, refused.remedy, code=refused.reason, status=refused.status) from None

    def _name(self, seen: Seen) -> str:
        try:
            name = seen.path.decode("utf-8")
        except UnicodeDecodeError:
            name = ""
        if not name or any(ord(char) < 32 or 127 <= ord(char) < 160 for char in name):
            name = archival_path(seen.path)
            self._said(f"sent under another name, since its own is not text: {name}")
        if "%" in name:
            with self._naming:
                if self._named.setdefault(name, seen.path) != seen.path:
                    raise PermanentError("would be the name of two files of the folder", name, "Give one of them another name.")
        return name

    def _opened(self, seen: Seen) -> Any:
        path = os.path.join(self._root, seen.path) if os.path.isdir(self._root) else self._root  # noqa: PTH112, PTH118 -- bytes
        try:
            return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0)
        except OSError as no:
            raise PermanentError(
                f"cannot be read: {no.strerror}", archival_path(seen.path), "Mend it, and run the command again."
            ) from None

    def _whole(self, name: str, piece: _Piece) -> None:
        self._put(name, piece, {})

    def _in_parts(self, name: str, whole: _Piece) -> None:
        there = {}
        try:
            there = {one["part"]: one["size_bytes"] for one in self._client.ask("GET", self._files + quote(name))["parts"]}
        except RefusedRequestError as refused:
            if refused.status != 404:
                raise
        digest, number = hashlib.sha512(), 0
        for number, piece in enumerate(whole.parts(), start=1):
            if there.get(number) == piece.size_bytes:  # the digest of the whole says whether it is this one
                for block in piece.blocks():
                    digest.update(block)
            else:
                self._put(name, piece, {"part": str(number)})
                for block in piece.blocks():
                    digest.update(block)
        request = json.dumps({"path": name, "parts": number, "sha512": digest.hexdigest()}).encode()
        try:
            self._client.ask(
                "POST", self._complete, body=lambda: request, headers={"Content-Type": "application/json"}, timeout=LONG
            )
        except RefusedRequestError as refused:
            if refused.reason == "digest-mismatch":  # parts of an older content: all of them are sent anew
                self._client.ask("DELETE", self._files + quote(name))
                raise _changed(name) from None
            raise

    def _put(self, name: str, piece: _Piece, query: dict[str, str]) -> None:
        headers = {"Content-Length": str(piece.size_bytes), "Content-Type": "application/octet-stream"}
        try:
            answer = self._client.ask("PUT", self._files + quote(name), query=query, body=piece.blocks, headers=headers)
        except RefusedRequestError as refused:
            if refused.reason == "bad-request":
                raise _changed(name) from None
            raise
        if answer["sha512"] != piece.sha512():
            self._client.ask("DELETE", self._files + quote(name))
            raise _changed(name)


class _Piece:
    """A span of an open file that can be read again for another try."""

    def __init__(self, stream: Any, first_bytes: int, size_bytes: int) -> None:
        self._stream, self._first, self.size_bytes = stream, first_bytes, size_bytes
        self._digest = hashlib.sha512()

    def parts(self) -> Iterator[_Piece]:
        """The span in pieces of ``PART_BYTES``."""
        for first in range(self._first, self._first + self.size_bytes, PART_BYTES):
            yield _Piece(self._stream, first, min(PART_BYTES, self._first + self.size_bytes - first))

    def blocks(self) -> Iterator[bytes]:
        """Its bytes; what was read the last time is what ``sha512`` is of."""
        self._digest = hashlib.sha512()
        at, left = self._first, self.size_bytes
        while left:
            block = os.pread(self._stream.fileno(), min(_BLOCK, left), at)
            if not block:
                raise _changed("a file of the folder")
            self._digest.update(block)
            at, left = at + len(block), left - len(block)
            yield block

    def sha512(self) -> str:
        """Of what was read the last time."""
        return self._digest.hexdigest()


def _changed(name: str) -> TransientError:
    return TransientError("was changed while it was sent, or was damaged on the way", name, "Run the same command again.")
