"""PREMIS events and the chain that makes a change of history visible (promise P4).

Pure: drafts in, canonical lines out. ``Ledger`` keeps them, ``worker.commit`` writes them into the store, ``worker.fixity``
checks them. Each event's body holds the hash of the one before; its own hash is SHA-256 over the body's canonical JSON.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

EVENT_TYPE_BASE = "http://id.loc.gov/vocabulary/preservation/eventType/"

EVENT_CODES = {
    "creation": "cre",
    "deletion": "del",
    "digital signature validation": "dig",
    "extraction": "ext",
    "fixity check": "fix",
    "format identification": "for",
    "ingestion": "ing",
    "message digest calculation": "mes",
    "metadata extraction": "mee",
    "metadata modification": "mem",
    "migration": "mig",
    "normalization": "nor",
    "policy assignment": "poa",
    "recovery": "rec",
    "unpacking": "unp",
    "validation": "val",
    "virus check": "vir",
}
"""LoC's words and codes. Source: id.loc.gov/vocabulary/preservation/eventType."""

AUDIT_JOB = "audit"
"""``events.job_id`` of what an audit tells: no job."""
_UNCARRIED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


class Success(StrEnum):
    """How an event ended, in LoC's words (eventOutcome)."""

    SUCCESS = "success"
    FAIL = "fail"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class EventDraft:
    """One event as the pipeline tells it; the ledger adds its number and its place in the chain.

    Attributes:
        type: LoC's word, a key of ``EVENT_CODES``.
        outcome: success, fail or warning.
        detail: A sentence, or JSON, about what was done and found.
        agents: Name and version of each tool, e.g. ``("qpdf 11.9.1",)``.
        object_path: Logical path of the file it is about; None: the package.
        source_path: Logical path of the file it was made from.
        time: UTC ISO 8601 with milliseconds; "" for now.
        digest: SHA-512 of what ``object_path`` held, where it matters which bytes were meant.
        policy: SHA-256 of the resolved policy.
    """

    type: str
    outcome: Success = Success.SUCCESS
    detail: str = ""
    agents: tuple[str, ...] = ()
    object_path: str | None = None
    source_path: str | None = None
    time: str = ""
    digest: str | None = None
    policy: str | None = None


@dataclass(frozen=True, slots=True)
class ChainedEvent:
    """An event in its place. ``body`` is canonical JSON, and ``hash`` is over exactly its bytes."""

    seq: int
    prev_hash: str
    hash: str
    body: str

    def line(self) -> str:
        """The event's line in ``metadata/events/vNNNN.jsonl``."""
        return f'{{"body":{self.body},"hash":"{self.hash}"}}\n'


def now() -> str:
    """The time as the ledger writes it: UTC, milliseconds, sortable as text."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] + "Z"


def first_prev(object_id: str) -> str:
    """What the first event of a package follows: so that a chain cannot be moved to another package."""
    return hashlib.sha256(f"bevara.events/1\n{object_id}".encode()).hexdigest()


def carried(text: str) -> str:
    """*text* without what XML 1.0 and JSON in UTF-8 cannot carry (a tool's raw output may hold anything)."""
    return _UNCARRIED.sub("\ufffd", text) if _UNCARRIED.search(text) else text


def canonical(body: dict[str, object]) -> str:
    """Canonical JSON: keys sorted, no blanks, UTF-8 not escaped, no floats (RFC 8785 for what we use)."""
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def hash_of(body: str) -> str:
    """An event's hash, from its canonical body."""
    return hashlib.sha256(body.encode()).hexdigest()


def chain(draft: EventDraft, *, seq: int, prev_hash: str, job: str) -> ChainedEvent:
    """Put *draft* in its place.

    Raises:
        KeyError: ``draft.type`` is not one of LoC's words: a fault in our code, not in a file.
    """
    body = canonical(
        {
            "agents": [carried(agent) for agent in draft.agents],
            "code": EVENT_CODES[draft.type],
            "detail": carried(draft.detail),
            "digest": draft.digest,
            "job": job,
            "object": draft.object_path,
            "outcome": draft.outcome.value,
            "policy": draft.policy,
            "prev": prev_hash,
            "seq": seq,
            "source": draft.source_path,
            "time": draft.time or now(),
            "type": draft.type,
        }
    )
    return ChainedEvent(seq, prev_hash, hash_of(body), body)
