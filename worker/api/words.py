"""What the API takes and gives, as its OpenAPI document shows it. Checked at the border; nothing else is let in."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from worker.record import FileRecord, PolicyRef, Status

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff]")
SHA256, SHA512 = r"^[0-9a-fA-F]{64}$", r"^[0-9a-fA-F]{128}$"


def _plain(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("has a control character")
    return text


Text = Annotated[str, AfterValidator(_plain)]
MOST_CHECKSUMS = 200_000


class Word(BaseModel):
    """Closed and frozen: an unknown name is a mistake that is told."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Problem(Word):
    """What went wrong (RFC 9457). ``type`` is stable; ``detail`` and ``remedy`` are for people."""

    type: str = Field(examples=["urn:bevara:problem:not-found"])
    title: str
    status: int
    detail: str
    remedy: str
    errors: list[dict[str, str | int]] = Field(default_factory=list)


class Checksum(Word):
    """What the bytes of a file must be; at least one."""

    sha256: str | None = Field(default=None, pattern=SHA256)
    sha512: str | None = Field(default=None, pattern=SHA512)


class JobRequest(Word):
    """A package to preserve."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "source": "s3://inleverans/2026/diarium-17",
                    "package": "diarium-17",
                    "policy": "skanearkiv",
                    "priority": 0,
                    "expected": "manifest-sha512.txt",
                    "callback": "https://ingest.example.se/bevara",
                    "delivery": "s3://utleverans/diarium-17",
                }
            ]
        },
    )

    source: Text = Field(
        min_length=1,
        max_length=900,
        description="Where the files are: `s3://PLACE/prefix` or `file://PLACE/folder` of a registered place, or `upload://ID`.",
    )
    package: Text = Field(min_length=1, max_length=300, description="The package's name. The same name adds a version to it.")
    policy: Text = Field(
        default="skanearkiv", min_length=1, max_length=64, description="Name of a shipped policy or of the tenant's own."
    )
    priority: int = Field(default=0, ge=-10, le=10, strict=True, description="Higher goes first among the tenant's own jobs.")
    expected: Annotated[dict[Text, Checksum], Field(max_length=MOST_CHECKSUMS)] | Text | None = Field(
        default=None,
        description="Checksums that came along: by path, or the name of a manifest in the source (`manifest-sha512.txt`). "
        "A file with other bytes is `returned`.",
    )
    callback: str | None = Field(default=None, max_length=900, description="Told when the job ends. Below a registered address.")
    delivery: Text | None = Field(
        default=None,
        max_length=900,
        description="Prefix in a registered place that gets derivatives, PREMIS and a manifest as well. One package's alone: a"
        " newer delivery takes the older one's place, and while `manifest-sha512.txt` stands, exactly what it names is there.",
    )


class Links(Word):
    """Where to go from a job; paths on this server."""

    self: str
    files: str
    events: str
    package: str


class CountsAnswer(Word):
    """The job's files at one moment. ``done`` is the sum of ``by_status``; before the source was read ``total`` grows."""

    total: int
    waiting: int
    working: int
    done: int
    cancelled: int
    by_status: dict[Status, int]


class JobAnswer(Word):
    """A job as it stands."""

    id: str
    package: str
    package_id: str
    source: str
    policy: PolicyRef
    priority: int
    state: str = Field(
        description="accepted, scanning, open, committing, delivering; ended: finished, cancelled, failed, superseded"
    )
    ended: bool
    cancel_asked: bool
    created: str
    started: str | None
    finished: str | None
    version: str | None = Field(description="The OCFL version that it ended in; null: nothing was new, or it has not ended.")
    counts: CountsAnswer
    delivery: str | None
    callback: str | None
    retry_of: str | None
    error_code: str | None
    error: str | None
    links: Links


class JobList(Word):
    """Some jobs, newest first. ``next`` null: that was all."""

    jobs: list[JobAnswer]
    next: str | None


class FileAnswer(Word):
    """One file of a job. ``record`` is its entry as in report.json; null until it is done."""

    path: str
    state: str
    size_bytes: int | None
    status: Status | None
    reason: str | None
    record: FileRecord | None


class FileList(Word):
    """Some files of a job. ``next`` null: that was all."""

    files: list[FileAnswer]
    next: str | None


class Replayed(Word):
    """How many callbacks will be sent again."""

    callbacks: int
