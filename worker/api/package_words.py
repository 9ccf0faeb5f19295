"""What the API gives about packages, policies and the tenant; see ``words``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from worker.api.words import Word


class PackageAnswer(Word):
    """A package. ``version`` null: nothing is committed yet."""

    id: str
    package: str
    version: str | None
    last_event: int
    last_event_hash: str
    links: dict[str, str]


class PackageList(Word):
    """Some packages. ``next`` null: that was all."""

    packages: list[PackageAnswer]
    next: str | None


class PackageFile(Word):
    """One file of a package's newest version. ``made_from``: the logical path that it was derived from."""

    path: str
    representation: str
    size_bytes: int
    sha256: str
    sha512: str
    puid: str | None
    mime: str | None
    made_from: str | None


class PackageFileList(Word):
    """Some files of a package. ``next`` null: that was all."""

    files: list[PackageFile]
    next: str | None


class EventAnswer(Word):
    """One event of the chain. ``hash``: SHA-256 of the event's canonical JSON, which names the hash before it as ``prev``."""

    seq: int
    hash: str
    event: dict[str, Any]


class EventList(Word):
    """Events in order; go on with ``after`` = the last one's ``seq``."""

    events: list[EventAnswer]


class PolicyAnswer(Word):
    """A policy. ``text`` is its YAML; ``origin``: shipped with bevara, or the tenant's own."""

    name: str
    version: str
    sha256: str
    origin: Literal["shipped", "own"]
    created: str | None
    text: str | None = None
    warnings: list[str] = Field(default_factory=list)


class PolicyList(Word):
    """All policies that a job may name."""

    policies: list[PolicyAnswer]


class TenantAnswer(Word):
    """The tenant of the key, what the key may do, and what is allowed."""

    id: str
    name: str
    scopes: list[str]
    places: list[PlaceAnswer]
    callbacks: list[str]
    limits: dict[str, int]


class PlaceAnswer(Word):
    """A registered place; its address is the operator's matter."""

    name: str
    kind: Literal["s3", "file"]
    store: bool
    source: bool
    delivery: bool


TenantAnswer.model_rebuild()
