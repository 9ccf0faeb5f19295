"""What the API takes and gives about uploads; see ``words``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from worker.api.words import SHA256, SHA512, Word


class UploadAnswer(Word):
    """Files that are being sent before a job takes them."""

    id: str
    state: Literal["open", "submitted", "expired"]
    created: str
    expires: str
    files: int
    size_bytes: int
    source: str = Field(description="What a job names as its source.")


class Sent(Word):
    """A file as it arrived, measured by the server."""

    path: str
    size_bytes: int
    sha256: str
    sha512: str


class SentPart(Word):
    """One part of a file as it arrived."""

    part: int
    size_bytes: int
    sha256: str
    sha512: str


class SentFile(Word):
    """A whole file of an upload."""

    path: str
    size_bytes: int


class UploadedPart(Word):
    """A part that is there."""

    part: int
    size_bytes: int


class UploadedFile(Word):
    """How much of a file came. ``complete`` false: only ``parts`` of it."""

    path: str
    complete: bool
    size_bytes: int
    parts: list[UploadedPart]


class CompleteRequest(Word):
    """Make a file of parts 1 … ``parts``; digests of the whole are checked when they are given."""

    path: str = Field(min_length=1, max_length=1000, examples=["film/intervju.mkv"])
    parts: int = Field(ge=1, le=10_000, strict=True)
    sha256: str | None = Field(default=None, pattern=SHA256)
    sha512: str | None = Field(default=None, pattern=SHA512)

    def digests(self) -> dict[str, str]:
        """Digests by their names in RFC 9530."""
        given = {"sha-256": self.sha256, "sha-512": self.sha512}
        return {name: value for name, value in given.items() if value is not None}


class SentList(Word):
    """Some files of an upload. ``next`` null: that was all."""

    files: list[SentFile]
    next: str | None
