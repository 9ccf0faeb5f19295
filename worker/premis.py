"""Writes a package's PREMIS 3.0 document as a stream, so that a package of a million files needs no memory.

Plain string templates: an XML library would cost more than everything else that is done to a small file. Every value goes
through ``_esc``; the schema check is a test. Only form is decided here: what happened, the ledger knows.
Source: PREMIS 3.0 data dictionary and schema; LoC vocabularies; CITS Preservation Metadata 1.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

from worker.ledger.events import EVENT_TYPE_BASE, carried

_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<premis xmlns="http://www.loc.gov/premis/v3"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" version="3.0">\n'
)
_VOCABULARY = "http://id.loc.gov/vocabulary/preservation/"
_OUTCOME = {"success": "suc", "fail": "fai", "warning": None}
_REPRESENTATIONS = ("original", "preservation", "access", "metadata")


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file of the package's newest state."""

    logical_path: str
    sha256: str
    sha512: str
    size_bytes: int
    content_path: str
    source: str | None
    puid: str | None
    mime: str | None


@dataclass(frozen=True, slots=True)
class EventFacts:
    """One event, as its body in the ledger says it."""

    seq: int
    hash: str
    type: str
    code: str
    time: str
    outcome: str
    detail: str
    agents: tuple[str, ...]
    object_path: str | None
    source_path: str | None


@dataclass(frozen=True, slots=True)
class Whose:
    """The package that a document describes, and its owner."""

    object_id: str
    tenant: str
    package: str


def write(whose: Whose, files: Iterable[FileFacts], events: Iterable[EventFacts]) -> Iterator[str]:
    """The document's pieces in order. *files* and *events* are consumed once, one at a time.

    *files* should come ordered by path; the agents that events name are few and are kept until the end.
    """
    yield _HEAD
    yield _package(whose)
    for name in _REPRESENTATIONS:
        yield _representation(whose, name)
    for one in files:
        yield _file(whose, one)
    agents: dict[str, None] = {}
    for event in events:
        agents.update(dict.fromkeys(event.agents))
        yield _event(whose, event)
    for agent in agents:
        yield _software(agent)
    yield _organisation(whose)
    yield "</premis>\n"


def _esc(text: str) -> str:
    return escape(carried(text))


def _term(element: str, vocabulary: str, code: str | None, word: str) -> str:
    """A word of LoC's vocabularies. *code* None: its URI could not be confirmed, so none is claimed."""
    uri = f' valueURI="{_VOCABULARY}{vocabulary}/{code}"' if code else ""
    return f'<{element} authority="{vocabulary}"{uri}>{word}</{element}>'


def _identifier(prefix: str, kind: str, value: str) -> str:
    name = f"{prefix}Identifier"
    return f"<{name}><{name}Type>{kind}</{name}Type><{name}Value>{_esc(value)}</{name}Value></{name}>"


def _file_id(whose: Whose, path: str) -> str:
    return f"{whose.object_id}/{path}"


def _relation(kind: str, code: str, word: str, related: str) -> str:
    return (
        "<relationship>"
        + _term("relationshipType", "relationshipType", code, kind)
        + _term("relationshipSubType", "relationshipSubType", None, word)
        + "<relatedObjectIdentifier><relatedObjectIdentifierType>bevara</relatedObjectIdentifierType>"
        + f"<relatedObjectIdentifierValue>{_esc(related)}</relatedObjectIdentifierValue></relatedObjectIdentifier></relationship>"
    )


def _package(whose: Whose) -> str:
    return (
        '<object xsi:type="intellectualEntity">'
        + _identifier("object", "OCFL", whose.object_id)
        + f"<originalName>{_esc(whose.package)}</originalName></object>\n"
    )


def _representation(whose: Whose, name: str) -> str:
    return (
        '<object xsi:type="representation">'
        + _identifier("object", "bevara", _file_id(whose, name))
        + f"<originalName>{name}</originalName>"
        + _relation("structural", "str", "represents", whose.object_id)
        + "</object>\n"
    )


def _format(one: FileFacts) -> str:
    name = one.mime or one.puid or "unknown"
    registry = ""
    if one.puid:
        registry = (
            "<formatRegistry><formatRegistryName>PRONOM</formatRegistryName>"
            f"<formatRegistryKey>{_esc(one.puid)}</formatRegistryKey><formatRegistryRole>specification</formatRegistryRole></formatRegistry>"
        )
    return f"<format><formatDesignation><formatName>{_esc(name)}</formatName></formatDesignation>{registry}</format>"


def _file(whose: Whose, one: FileFacts) -> str:
    representation = one.logical_path.split("/", 1)[0]
    related = ""
    if representation in _REPRESENTATIONS:
        related = _relation("structural", "str", "is included in", _file_id(whose, representation))
    if one.source:
        related += _relation("derivation", "der", "has source", _file_id(whose, one.source))
    return (
        '<object xsi:type="file">'
        + _identifier("object", "bevara", _file_id(whose, one.logical_path))
        + "<objectCharacteristics>"
        + f"<fixity><messageDigestAlgorithm>SHA-256</messageDigestAlgorithm><messageDigest>{one.sha256}</messageDigest></fixity>"
        + f"<fixity><messageDigestAlgorithm>SHA-512</messageDigestAlgorithm><messageDigest>{one.sha512}</messageDigest></fixity>"
        + f"<size>{one.size_bytes}</size>{_format(one)}</objectCharacteristics>"
        + f"<originalName>{_esc(one.logical_path)}</originalName>"
        + "<storage><contentLocation><contentLocationType>OCFL content path</contentLocationType>"
        + f"<contentLocationValue>{_esc(one.content_path)}</contentLocationValue></contentLocation></storage>"
        + f"{related}</object>\n"
    )


def _linked(whose: Whose, path: str | None, role: str) -> str:
    kind, value = ("OCFL", whose.object_id) if path is None else ("bevara", _file_id(whose, path))
    return (
        f"<linkingObjectIdentifier><linkingObjectIdentifierType>{kind}</linkingObjectIdentifierType>"
        f"<linkingObjectIdentifierValue>{_esc(value)}</linkingObjectIdentifierValue>"
        + _term("linkingObjectRole", "eventRelatedObjectRole", role[:3], role)
        + "</linkingObjectIdentifier>"
    )


def _event(whose: Whose, event: EventFacts) -> str:
    agents = "".join(
        "<linkingAgentIdentifier><linkingAgentIdentifierType>software</linkingAgentIdentifierType>"
        f"<linkingAgentIdentifierValue>{_esc(agent)}</linkingAgentIdentifierValue>"
        + _term("linkingAgentRole", "eventRelatedAgentRole", "exe", "executing program")
        + "</linkingAgentIdentifier>"
        for agent in event.agents
    )
    detail = (
        f"<eventDetailInformation><eventDetail>{_esc(event.detail)}</eventDetail></eventDetailInformation>" if event.detail else ""
    )
    source = _linked(whose, event.source_path, "source") if event.source_path else ""
    return (
        "<event>"
        + _identifier("event", "bevara sequence", f"{whose.object_id}#{event.seq}")
        + f'<eventType authority="eventType" valueURI="{EVENT_TYPE_BASE}{event.code}">{_esc(event.type)}</eventType>'
        + f"<eventDateTime>{event.time}</eventDateTime>{detail}<eventOutcomeInformation>"
        + _term("eventOutcome", "eventOutcome", _OUTCOME[event.outcome], event.outcome)
        + f"<eventOutcomeDetail><eventOutcomeDetailNote>chain {event.hash}</eventOutcomeDetailNote></eventOutcomeDetail>"
        + f"</eventOutcomeInformation>{agents}{source}"
        + _linked(whose, event.object_path, "outcome" if event.source_path else "source")
        + "</event>\n"
    )


def _software(agent: str) -> str:
    name, _, version = agent.rpartition(" ")
    if not name:
        name, version = agent, ""
    return (
        "<agent>"
        + _identifier("agent", "software", agent)
        + f"<agentName>{_esc(name)}</agentName>"
        + _term("agentType", "agentType", "sof", "software")
        + (f"<agentVersion>{_esc(version)}</agentVersion>" if version else "")
        + "</agent>\n"
    )


def _organisation(whose: Whose) -> str:
    return (
        "<agent>"
        + _identifier("agent", "tenant", whose.tenant)
        + f"<agentName>{_esc(whose.tenant)}</agentName>"
        + _term("agentType", "agentType", "org", "organization")
        + "</agent>\n"
    )
