"""Finds and reads what each version of a package says of itself in the store: its job, its events, its file records.

The other side of ``worker.commit``, which writes them. Nothing here judges them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from worker.store.contract import Store


@dataclass(frozen=True, slots=True)
class Texts:
    """Content paths of one version's own metadata."""

    version: int
    job: str
    events: str
    records: str


def texts(store: Store, name: str) -> list[Texts]:
    """The metadata of each version that we committed, in order."""
    wanted: dict[str, str] = {}
    for entry in store.state(name):
        if entry.logical_path.startswith(("metadata/jobs/v", "metadata/events/v", "metadata/records/v")):
            wanted[entry.logical_path] = entry.sha512
    digests = set(wanted.values())
    places = {content.sha512: content.content_path for content in store.contents(name) if content.sha512 in digests}
    found = []
    for path in sorted(wanted):
        if path.startswith("metadata/jobs/"):
            number = path.removeprefix("metadata/jobs/v").removesuffix(".json")
            trio = (path, f"metadata/events/v{number}.jsonl", f"metadata/records/v{number}.jsonl")
            if all(part in wanted for part in trio):
                found.append(Texts(int(number), *(places[wanted[part]] for part in trio)))
    return sorted(found, key=lambda text: text.version)


def lines(store: Store, name: str, content_path: str) -> Iterator[dict[str, Any]]:
    """The lines of a JSON Lines file."""
    with store.open_content(name, content_path) as stream:
        for line in stream:
            yield json.loads(line)


def document(store: Store, name: str, content_path: str) -> dict[str, Any]:
    """A JSON document."""
    with store.open_content(name, content_path) as stream:
        document: dict[str, Any] = json.load(stream)
        return document
