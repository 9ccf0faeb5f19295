"""What the API takes and gives, as its OpenAPI document shows it. Checked at the border; nothing else is let in."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from worker.record import FileRecord, PolicyRef, Status

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff]")
_SHA256, _SHA512 = r"^[0-9a-fA-F]{64}$", r"^[0-9a-fA-F]{128}$"


def _plain(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("has a control character")
    return text


Text = Annotated[str, AfterValidator(_plain)]
MOST_CHECKSUMS = 200_000


class _Word(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Problem(_Word):
    """What went wrong (RFC 9457). ``type`` is stable; ``detail`` and ``remedy`` are for people."""

    type: str = Field(examples=["urn:bevara:problem:not-found"])
    title: str
    status: int
    detail: str
    remedy: str
    errors: list[dict[str, str | int]] = Field(default_factory=list)


class Checksum(_Word):
    """What the bytes of a file must be; at least one."""

    sha256: str | None = Field(default=None, pattern=_SHA256)
    sha512: str | None = Field(default=None, pattern=_SHA512)


class JobRequest(_Word):
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
        description="Prefix in a registered place that gets derivatives, PREMIS and a manifest as well.",
    )


class Links(_Word):
    """Where to go from a job; paths on this server."""

    self: str
    files: str
    events: str
    package: str


class CountsAnswer(_Word):
    """The job's files at one moment. ``done`` is the sum of ``by_status``; before the source was read ``total`` grows."""

    total: int
    waiting: int
    working: int
    done: int
    cancelled: int
    by_status: dict[Status, int]


class JobAnswer(_Word):
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


class JobList(_Word):
    """Some jobs, newest first. ``next`` null: that was all."""

    jobs: list[JobAnswer]
    next: str | None


class FileAnswer(_Word):
    """One file of a job. ``record`` is its entry as in report.json; null until it is done."""

    path: str
    state: str
    size_bytes: int | None
    status: Status | None
    reason: str | None
    record: FileRecord | None


class FileList(_Word):
    """Some files of a job. ``next`` null: that was all."""

    files: list[FileAnswer]
    next: str | None


class Replayed(_Word):
    """How many callbacks will be sent again."""

    callbacks: int


class UploadAnswer(_Word):
    """Files that are being sent before a job takes them."""

    id: str
    state: Literal["open", "submitted", "expired"]
    created: str
    expires: str
    files: int
    size_bytes: int
    source: str = Field(description="What a job names as its source.")


class Sent(_Word):
    """A file as it arrived, measured by the server."""

    path: str
    size_bytes: int
    sha256: str
    sha512: str


class SentPart(_Word):
    """One part of a file as it arrived."""

    part: int
    size_bytes: int
    sha256: str
    sha512: str


class SentFile(_Word):
    """A whole file of an upload."""

    path: str
    size_bytes: int


class UploadedPart(_Word):
    """A part that is there."""

    part: int
    size_bytes: int


class UploadedFile(_Word):
    """How much of a file came. ``complete`` false: only ``parts`` of it."""

    path: str
    complete: bool
    size_bytes: int
    parts: list[UploadedPart]


class CompleteRequest(_Word):
    """Make a file of parts 1 … ``parts``; digests of the whole are checked when they are given."""

    path: str = Field(min_length=1, max_length=1000, examples=["film/intervju.mkv"])
    parts: int = Field(ge=1, le=10_000, strict=True)
    sha256: str | None = Field(default=None, pattern=_SHA256)
    sha512: str | None = Field(default=None, pattern=_SHA512)

    def digests(self) -> dict[str, str]:
        """Digests by their names in RFC 9530."""
        given = {"sha-256": self.sha256, "sha-512": self.sha512}
        return {name: value for name, value in given.items() if value is not None}


class SentList(_Word):
    """Some files of an upload. ``next`` null: that was all."""

    files: list[SentFile]
    next: str | None


class PackageAnswer(_Word):
    """A package. ``version`` null: nothing is committed yet."""

    id: str
    package: str
    version: str | None
    last_event: int
    last_event_hash: str
    links: dict[str, str]


class PackageList(_Word):
    """Some packages. ``next`` null: that was all."""

    packages: list[PackageAnswer]
    next: str | None


class PackageFile(_Word):
    """One file of a package's newest version. ``made_from``: the logical path that it was derived from."""

    path: str
    representation: str
    size_bytes: int
    sha256: str
    sha512: str
    puid: str | None
    mime: str | None
    made_from: str | None


class PackageFileList(_Word):
    """Some files of a package. ``next`` null: that was all."""

    files: list[PackageFile]
    next: str | None


class EventAnswer(_Word):
    """One event of the chain. ``hash``: SHA-256 of the event's canonical JSON, which names the hash before it as ``prev``."""

    seq: int
    hash: str
    event: dict[str, Any]


class EventList(_Word):
    """Events in order; go on with ``after`` = the last one's ``seq``."""

    events: list[EventAnswer]


class PolicyAnswer(_Word):
    """A policy. ``text`` is its YAML; ``origin``: shipped with bevara, or the tenant's own."""

    name: str
    version: str
    sha256: str
    origin: Literal["shipped", "own"]
    created: str | None
    text: str | None = None
    warnings: list[str] = Field(default_factory=list)


class PolicyList(_Word):
    """All policies that a job may name."""

    policies: list[PolicyAnswer]


class TenantAnswer(_Word):
    """The tenant of the key, what the key may do, and what is allowed."""

    id: str
    name: str
    scopes: list[str]
    places: list[PlaceAnswer]
    callbacks: list[str]
    limits: dict[str, int]


class PlaceAnswer(_Word):
    """A registered place; its address is the operator's matter."""

    name: str
    kind: Literal["s3", "file"]
    store: bool
    source: bool
    delivery: bool


TenantAnswer.model_rebuild()
