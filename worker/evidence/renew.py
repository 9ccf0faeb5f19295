"""Renewal: before an algorithm weakens, everything is digested anew with a stronger one, and that is signed.

Nothing older is replaced or touched. A renewal commits to the very bytes of every evidence document and older renewal, and
to every byte stream of every package, so the old signatures go on proving what they proved while they were strong.
Source: the idea of hash-tree renewal in RFC 4998 section 5.3; the form is ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from worker.evidence.documents import EvidenceError, NotADocumentError, read_document
from worker.evidence.keys import KeyFolder
from worker.evidence.merkle import ALGORITHMS, Frontier, leaf_hash
from worker.evidence.names import KEYS, evidence_id, package_prefix, read_evidence_id
from worker.evidence.shelf import find, object_ids, put
from worker.ledger.events import canonical, now
from worker.store.contract import Store
from worker.store.layout import INVENTORY

SCHEMA = "bevara.renewal/1"
RENEWAL, RENEWAL_SIGNATURE, DIGESTS = "renewal.json", "renewal.json.sig", "digests.jsonl"
STRONGER = "sha3_512"
_MEND = "Run `bevara audit run` and repair it first. Nothing was signed."
"""What a renewal uses when nobody says otherwise: another construction than SHA-2, so they will hardly fall together."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """A signed renewal.

    Attributes:
        number: From 1.
        algorithm: Of every digest in it, as ``hashlib`` names it; of ``root`` too, over the lines of ``digests.jsonl``.
        count: How many lines those are.
        packages: Whether the packages' own bytes were digested, or the evidence only.
        previous: Digest of the renewal before, with this one's algorithm.
    """

    tenant: str
    number: int
    made: str
    algorithm: str
    count: int
    root: str
    packages: int
    previous: str | None
    key: str
    keys_sha512: str
    signature: str = "ed25519"
    schema: str = SCHEMA

    def text(self) -> bytes:
        """The bytes that are signed."""
        return canonical({name: getattr(self, name) for name in self.__slots__}).encode() + b"\n"

    @classmethod
    def parse(cls, text: bytes) -> Renewal:
        """Read a renewal.

        Raises:
            NotADocumentError: It is none, or not written as we write it.
        """
        found = read_document(cls, text)
        if found.schema != SCHEMA or found.algorithm not in ALGORITHMS or found.text() != text:
            raise NotADocumentError("is no renewal in the form that we write")
        return found


def renew(
    stores: Sequence[Store],
    tenant: str,
    keys: KeyFolder,
    *,
    algorithm: str = STRONGER,
    content: bool = True,
    clock: Callable[[], str] = now,
) -> Renewal:
    """Digest everything anew, sign that, and put it into every store.

    Args:
        content: Every byte stream of every package too; without, the evidence documents only, which then lean on the old
            algorithm for what the packages held.

    Raises:
        EvidenceError: There is no such algorithm, or a byte stream is not what its inventory tells: nothing is signed then. A
            new digest of wrong bytes would vouch for them.
    """
    if algorithm not in ALGORITHMS:
        raise EvidenceError(
            f"is no digest algorithm that evidence uses ({', '.join(sorted(ALGORITHMS))})", algorithm, "Choose one of them."
        )
    store, signer, history = stores[0], keys.signer(), keys.history.text()
    names = sorted(object_ids(store))
    older = sorted(
        part[1] for part in map(read_evidence_id, names) if part and part[0] == tenant and part[1].startswith("renewal-")
    )
    before = find(store, evidence_id(tenant, older[-1])) if older else None
    tree = Frontier(algorithm)
    with SpooledTemporaryFile(max_size=32 << 20) as lines:
        for line in digest_lines(store, tenant, names, algorithm, content=content):
            tree.add(leaf_hash(line, algorithm))
            lines.write(line + b"\n")
        renewal = Renewal(
            tenant=tenant,
            number=len(older) + 1,
            made=clock(),
            algorithm=algorithm,
            count=tree.size,
            root=tree.root().hex(),
            packages=int(content),
            previous=hashlib.new(algorithm, before.read(RENEWAL) or b"").hexdigest() if before else None,
            key=signer.public.id,
            keys_sha512=hashlib.sha512(history).hexdigest(),
        )
        text = renewal.text()
        for one in stores:
            lines.seek(0)
            files: dict[str, bytes | BinaryIO] = {
                RENEWAL: text,
                RENEWAL_SIGNATURE: signer.sign(text),
                KEYS: history,
                DIGESTS: cast("BinaryIO", lines),
            }
            put(one, evidence_id(tenant, f"renewal-{renewal.number:04d}"), files, f"renewal with {algorithm}", renewal.made)
    return renewal


def digest_lines(store: Store, tenant: str, names: Iterable[str], algorithm: str, *, content: bool) -> Iterator[bytes]:
    """One line for each byte stream of the tenant's objects: canonical JSON of object, path and digest."""
    for name in names:
        part = read_evidence_id(name)
        if (part and part[0] == tenant) or (content and not part and name.startswith(package_prefix(tenant))):
            for path, sha512 in _paths(store, name):
                found = _digests(store, name, path, algorithm, "sha512")
                if sha512 not in (None, found["sha512"]):
                    raise EvidenceError("its bytes are not those that were stored", f"{name} {path}", _MEND)
                yield canonical({"digest": found[algorithm], "object": name, "path": path}).encode()


def digest(store: Store, name: str, path: str, algorithm: str) -> str:
    """A byte stream's digest, read now.

    Raises:
        PreservationError, OSError: It cannot be read.
    """
    return _digests(store, name, path, algorithm)[algorithm]


def _digests(store: Store, name: str, path: str, *algorithms: str) -> dict[str, str]:
    found = {algorithm: hashlib.new(algorithm) for algorithm in algorithms}
    with store.open_content(name, path) as stream:
        while piece := stream.read(1 << 20):
            for one in found.values():
                one.update(piece)
    return {algorithm: one.hexdigest() for algorithm, one in found.items()}


def _paths(store: Store, name: str) -> Iterator[tuple[str, str | None]]:
    """Every version's inventory, and every content of every version with its SHA-512."""
    for version in range(1, store.head(name) + 1):
        yield f"v{version}/{INVENTORY}", None
    for item in store.contents(name):
        yield item.content_path, item.sha512
