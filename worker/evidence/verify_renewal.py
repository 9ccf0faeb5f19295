"""A renewal against what it digested anew: its signature, its root, and every byte stream that it names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping

from actions.errors import PreservationError
from worker.evidence.documents import NotADocumentError
from worker.evidence.merkle import Frontier, leaf_hash
from worker.evidence.names import KEYS, evidence_id, is_evidence
from worker.evidence.renew import DIGESTS, RENEWAL, RENEWAL_SIGNATURE, Renewal, digest
from worker.evidence.shelf import Shelf, find
from worker.evidence.trust import KeyHistory, Trusted
from worker.fixity.findings import RESTORE, Finding
from worker.store.contract import Store

_REPLACED = "Compare this store with another copy; find out who could write here."


def check_renewal(
    store: Store, tenant: str, name: str, trusted: Callable[[KeyHistory | None], Mapping[str, Trusted]], *, content: bool
) -> Iterator[Finding]:
    """Every finding about one renewal (``renewal-0001``); with *content* the packages' bytes are read anew too."""
    where = f"evidence {name}"
    try:
        shelf = find(store, evidence_id(tenant, name))
        texts = [shelf.read(part) or b"" for part in (RENEWAL, RENEWAL_SIGNATURE, KEYS)] if shelf else []
        if shelf is None:
            return
        renewal = Renewal.parse(texts[0])
    except (PreservationError, OSError, NotADocumentError) as broken:
        yield Finding("evidence-unreadable", where, f"cannot be read: {broken}", RESTORE)
        return
    yield from _signed(where, renewal, texts, trusted)
    tree = Frontier(renewal.algorithm)
    try:
        for line in _lines(shelf):
            tree.add(leaf_hash(line, renewal.algorithm))
            yield from _held(store, where, line, renewal.algorithm, content=content)
    except (PreservationError, OSError, ValueError, KeyError, TypeError) as broken:
        yield Finding("evidence-unreadable", where, f"its list of digests cannot be read: {broken}", RESTORE)
        return
    if (tree.size, tree.root().hex()) != (renewal.count, renewal.root):
        yield Finding("root-differs", where, "its list of digests is not the one that was signed", _REPLACED)


def _signed(
    where: str, renewal: Renewal, texts: list[bytes], trusted: Callable[[KeyHistory | None], Mapping[str, Trusted]]
) -> Iterator[Finding]:
    text, signature, keys = texts
    try:
        history = KeyHistory.parse(keys) if hashlib.sha512(keys).hexdigest() == renewal.keys_sha512 else None
    except NotADocumentError:
        history = None
    key = trusted(history).get(renewal.key)
    if key is None:
        yield Finding("key-unknown", where, f"was signed with key {renewal.key[:16]}, which your key does not vouch for", _REPLACED)
    elif not key.key.signed(signature, text):
        yield Finding("signature-bad", where, "the signature is not of this document", _REPLACED)
    elif key.revoked and renewal.made >= key.revoked:
        yield Finding("key-revoked", where, f"was signed with a key that was revoked at {key.revoked}", _REPLACED)


def _lines(shelf: Shelf) -> Iterator[bytes]:
    with shelf.open(DIGESTS) as stream:
        for line in stream:
            yield line.removesuffix(b"\n")


def _held(store: Store, where: str, line: bytes, algorithm: str, *, content: bool) -> Iterator[Finding]:
    told = json.loads(line)
    name, path = str(told["object"]), str(told["path"])
    if not content and not is_evidence(name):
        return
    try:
        found = digest(store, name, path, algorithm)
    except (PreservationError, OSError) as broken:
        yield Finding("missing", f"{name} {path}", f"cannot be read, and {where} knows it: {broken}", RESTORE)
        return
    if found != told["digest"]:
        yield Finding("renewal-differs", f"{name} {path}", f"its bytes are not those that {where} digested", RESTORE)
