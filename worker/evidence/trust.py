"""The history of signing keys, and which of them a given public key vouches for.

Pure. The history is a list of statements, each naming the one before: a key, signed by itself and by the key that it
follows; or a revocation, signed by a key that is still trusted. Private keys are ``worker.evidence.keys``' part.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from worker.evidence.documents import NotADocumentError
from worker.ledger.events import canonical

SCHEMA = "bevara.keys/1"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signs. ``id`` is the SHA-256 of its DER, as ``openssl pkey -pubin -outform DER | sha256sum`` shows it."""

    id: str
    pem: str

    @classmethod
    def of(cls, key: Ed25519PublicKey) -> PublicKey:
        """From a key object."""
        der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return cls(hashlib.sha256(der).hexdigest(), pem.decode("ascii"))

    @classmethod
    def parse(cls, pem: bytes) -> PublicKey:
        """From PEM.

        Raises:
            NotADocumentError: It is no Ed25519 public key.
        """
        try:
            key = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm) as broken:
            raise NotADocumentError("is no public key in PEM") from broken
        if not isinstance(key, Ed25519PublicKey):
            raise NotADocumentError("is no Ed25519 public key")
        return cls.of(key)

    def signed(self, signature: bytes, text: bytes) -> bool:
        """Whether *signature* is this key's over *text*."""
        key = load_pem_public_key(self.pem.encode())
        if not isinstance(key, Ed25519PublicKey):
            return False
        try:
            key.verify(signature, text)
        except InvalidSignature:
            return False
        return True

    def groups(self) -> str:
        """The fingerprint as people compare it: groups of four, eight to a line."""
        return grouped(self.id)


def grouped(digest: str) -> str:
    """A digest as people compare it: groups of four hexadecimal digits, eight groups to a line."""
    groups = [digest[at : at + 4] for at in range(0, len(digest), 4)]
    return "\n".join(" ".join(groups[at : at + 8]) for at in range(0, len(groups), 8))


@dataclass(frozen=True, slots=True)
class Statement:
    """One line of the history: its exact text, and signatures in hexadecimal by key id."""

    text: str
    signatures: Mapping[str, str]
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Trusted:
    """A key that the verifier's own key vouches for. ``revoked`` is since when it is not to be believed any more."""

    key: PublicKey
    revoked: str | None


class KeyHistory:
    """A key history as it stands in a store."""

    def __init__(self, statements: Sequence[Statement] = ()) -> None:
        self.statements = tuple(statements)

    @classmethod
    def parse(cls, text: bytes) -> KeyHistory:
        """Read a history.

        Raises:
            NotADocumentError: It is none, or its statements do not follow each other.
        """
        try:
            value = json.loads(text)
            found = [Statement(s["text"], dict(s["signatures"]), json.loads(s["text"])) for s in value["statements"]]
        except (ValueError, KeyError, TypeError, RecursionError) as broken:
            raise NotADocumentError("is no key history") from broken
        after = None
        for statement in found:
            if not isinstance(statement.body, dict) or statement.body.get("after") != after:
                raise NotADocumentError("has a statement that does not follow the one before")
            after = hashlib.sha256(statement.text.encode()).hexdigest()
        history = cls(found)
        if value.get("schema") != SCHEMA or history.text() != text:
            raise NotADocumentError("is no key history in the form that we write")
        return history

    def text(self) -> bytes:
        """The bytes that go into stores."""
        statements = [{"signatures": dict(s.signatures), "text": s.text} for s in self.statements]
        return (json.dumps({"schema": SCHEMA, "statements": statements}, indent=1, sort_keys=True) + "\n").encode()

    def followed(self, body: dict[str, Any]) -> str:
        """The text of a new statement that follows the newest."""
        after = hashlib.sha256(self.statements[-1].text.encode()).hexdigest() if self.statements else None
        return canonical(body | {"after": after})

    def begins(self, other: KeyHistory) -> bool:
        """Whether *other* only adds to this history."""
        return other.statements[: len(self.statements)] == self.statements

    def trusted(self, anchors: Collection[str]) -> dict[str, Trusted]:
        """Every key that the keys with ids *anchors* vouch for, by id; along rotations, forwards and backwards."""
        keys = {key.id: (key, before) for key, before in self._keys()}
        known, grown = {name for name in anchors if name in keys}, True
        while grown:
            grown = False
            for name, (_, before) in keys.items():
                if before in keys and (name in known) != (before in known):
                    known |= {name, before}
                    grown = True
        revoked = self._revoked({name: keys[name][0] for name in known})
        return {name: Trusted(keys[name][0], revoked.get(name)) for name in known}

    def _keys(self) -> Iterable[tuple[PublicKey, str | None]]:
        """Keys whose statement bears every signature that it must bear, each with the id of the key that it follows.

        Only the newest key is followed: whoever stole an older one cannot name another successor, also where it was never
        revoked, because each statement is bound to the one before it.
        """
        newest: PublicKey | None = None
        for statement in self.statements:
            body = statement.body
            if body.get("kind") != "key":
                continue
            try:
                key = PublicKey.parse(str(body["public"]).encode())
            except (NotADocumentError, KeyError):
                continue
            if body.get("key") != key.id or not _signed(statement, key):
                continue
            follows = newest is not None and body.get("previous") == newest.id and _signed(statement, newest)
            yield key, newest.id if newest and follows else None
            newest = key if follows or newest is None else newest

    def _revoked(self, trusted: Mapping[str, PublicKey]) -> dict[str, str]:
        since: dict[str, str] = {}
        for statement in self.statements:
            body = statement.body
            if body.get("kind") != "revocation":
                continue
            name = str(body.get("key"))
            # A key that was revoked may not revoke another, or a thief could answer with the same.
            judges = [key for key in trusted.values() if key.id == name or key.id not in since]
            if any(_signed(statement, key) for key in judges):
                since.setdefault(name, str(body.get("since")))
        return since


def _signed(statement: Statement, key: PublicKey) -> bool:
    try:
        signature = bytes.fromhex(str(statement.signatures.get(key.id, "")))
    except ValueError:
        return False
    return key.signed(signature, statement.text.encode())
