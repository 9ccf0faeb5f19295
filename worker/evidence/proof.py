"""Proofs to give out: that one file, and what was done to it, existed by a day and stands unchanged in the signed history.

A proof shows one file and its events, and of everything else only hashes, so that no other record is given away with it.
Whoever gets it needs ``standalone_verifier.py`` only. Making proofs writes nothing to the store.
"""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from worker.evidence import standalone_verifier
from worker.evidence.documents import EvidenceError
from worker.evidence.journal import Journal, Sheet
from worker.evidence.merkle import consistency_path, inclusion_path, leaf_hash
from worker.evidence.names import TIMESTAMP
from worker.evidence.packages import file_entry, open_inventory, read_chain, read_inventory
from worker.evidence.register import Entry
from worker.evidence.shelf import days
from worker.store.contract import Store

SCHEMA = "bevara.proof/1"
VERIFIER = Path(standalone_verifier.__file__)
_NEWEST = "Run `bevara evidence make` first: a day's evidence covers what was stored by then."


class NotProvenError(EvidenceError):
    """No signed day tells of the file."""

    code: ClassVar[str] = "not-proven"


@dataclass(frozen=True, slots=True)
class _Held:
    """A version's file: its SHA-512, its place in the tree over the files, and that tree's entries."""

    sha512: str
    index: int
    hashes: list[bytes]


def prove(store: Store, tenant: str, object_id: str, path: str, *, hint: str = "") -> dict[str, Any]:
    """The proof of one file, as a document to be written as JSON.

    It holds the oldest signed day that tells of these bytes at this path, and the newest that does.

    Args:
        path: Logical path in the package, e.g. ``original/brev.txt``.
        hint: A day that is known to be signed.

    Raises:
        NotProvenError: No signed day tells of it.
        EvidenceError: The evidence does not hold.
    """
    journal, sheets = Journal(store, tenant), dict[str, Sheet]()
    try:
        for sheet in journal.sheets(days(store, tenant, hint)):
            if sheet.problems or not sheet.document:
                what = sheet.problems[0].what if sheet.problems else "cannot be read"
                raise EvidenceError(f"the evidence of {sheet.day}: {what}", tenant, "Run `bevara evidence verify`.")
            sheets[sheet.day] = sheet
        chosen = _chosen(store, journal.register.of(object_id), path)
        if not chosen:
            raise NotProvenError("no signed day tells of this file", f"{object_id} {path}", _NEWEST)
        witnesses = [_witness(journal, sheets, entry, held, path) for entry, held in chosen]
        sizes = [_size(sheets, entry.day) for entry, _ in chosen]
        steps = consistency_path(journal.register.hashes(), sizes[0], sizes[-1])
    finally:
        journal.register.close()
    return {
        "schema": SCHEMA,
        "tenant": tenant,
        "object": object_id,
        "file": {"path": path, "sha512": chosen[0][1].sha512},
        "witnesses": witnesses,
        "consistency": [step.hex() for step in steps],
    }


def _size(sheets: dict[str, Sheet], day: str) -> int:
    document = sheets[day].document
    return document.size if document else 0


def _chosen(store: Store, entries: list[Entry], path: str) -> list[tuple[Entry, _Held]]:
    """The newest entry whose version has *path*, and the oldest that has the same bytes there; one, when they are the same."""
    newest: tuple[Entry, _Held] | None = None
    oldest: tuple[Entry, _Held] | None = None
    for entry in reversed(entries):
        held = _held(store, entry, path)
        if held is None:
            if newest:
                break
            continue
        if newest and held.sha512 != newest[1].sha512:
            break
        newest, oldest = newest or (entry, held), (entry, held)
    if newest is None or oldest is None:
        return []
    return [newest] if oldest[0] is newest[0] else [oldest, newest]


def _held(store: Store, entry: Entry, path: str) -> _Held | None:
    hashes, place = list[bytes](), list[tuple[int, str]]()

    def each(name: str, sha512: str) -> None:
        if name == path:
            place.append((len(hashes), sha512))
        hashes.append(leaf_hash(file_entry(name, sha512)))

    found = read_inventory(open_inventory(store, entry.leaf.object, entry.leaf.version), each)
    if found.sha512 != entry.leaf.inventory_sha512:
        what = f"version {found.version} has not the inventory that was signed on {entry.day}"
        raise EvidenceError(what, entry.leaf.object, "Run `bevara evidence verify`.")
    return _Held(place[0][1], place[0][0], hashes) if place else None


def _witness(journal: Journal, sheets: dict[str, Sheet], entry: Entry, held: _Held, path: str) -> dict[str, Any]:
    sheet, leaf = sheets[entry.day], entry.leaf
    steps = inclusion_path(journal.register.hashes(), entry.index, _size(sheets, entry.day))
    stamp = sheet.shelf.read(TIMESTAMP) if sheet.shelf else None
    around = sorted(sheets)
    place = around.index(entry.day)
    return _document(sheet) | {
        "leaf": leaf.line().decode(),
        "index": entry.index,
        "path": [step.hex() for step in steps],
        "file_index": held.index,
        "file_path": [step.hex() for step in inclusion_path(held.hashes, held.index, len(held.hashes))],
        "events": _events(journal.store, entry, path),
        "neighbours": [_document(sheets[day]) for day in around[max(place - 1, 0) : place + 2]],
        "timestamp": b64encode(stamp).decode() if stamp else None,
    }


def _document(sheet: Sheet) -> dict[str, Any]:
    """A signed document with all that is needed to check its signature."""
    document, history = sheet.document, sheet.keys
    keys = history.trusted([document.key]) if history and document else {}
    if document is None or document.key not in keys or not keys[document.key].key.signed(sheet.signature, sheet.text):
        raise EvidenceError(f"the evidence of {sheet.day} has no good signature", sheet.day, "Run `bevara evidence verify`.")
    return {"document": sheet.text.decode(), "signature": sheet.signature.hex(), "public": keys[document.key].key.pem}


def _events(store: Store, entry: Entry, path: str) -> list[dict[str, Any]]:
    """The events about the file, each with the path that proves it, up to what the entry tells of."""
    leaf, hashes, bodies = entry.leaf, list[bytes](), list[tuple[int, str]]()

    def each(seq: int, told: str, text: str) -> None:
        hashes.append(leaf_hash(bytes.fromhex(told)))
        body = json.loads(text)
        if seq <= leaf.seq and path in (body["object"], body["source"]):
            bodies.append((seq, text))

    found = read_inventory(open_inventory(store, leaf.object, leaf.version))
    chain = read_chain(store, found, each)
    if chain.problems or (chain.seq, chain.hash) != (leaf.seq, leaf.hash):
        raise EvidenceError(
            f"the history is not the one that was signed on {entry.day}", leaf.object, "Run `bevara evidence verify`."
        )
    return [{"body": text, "path": [step.hex() for step in inclusion_path(hashes, seq - 1, leaf.seq)]} for seq, text in bodies]
