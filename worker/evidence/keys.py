"""The folder of signing keys: made, rotated, revoked, and what was signed with them.

Kept apart from every store: who holds a store must not be able to sign anew what it says. The folder also remembers what
was signed last, so that evidence taken out of all stores, or a clock set back, shows to the signer.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from worker.evidence.documents import EvidenceError, NotADocumentError
from worker.evidence.trust import KeyHistory, PublicKey, Statement
from worker.ledger.events import now
from worker.store import durable

HISTORY, SIGNED = "keys.json", "signed.jsonl"
_PRIVATE = 0o600
_ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
PASSPHRASE_BYTES = 1023
"""The longest that the library takes."""
_HOW = "Put it into a file: name that with --passphrase-file, or in BEVARA_EVIDENCE_PASSPHRASE_FILE."


class KeyFolderError(EvidenceError):
    """The folder of keys cannot be used as it is."""

    code: ClassVar[str] = "evidence-keys"


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was signed last for a tenant. ``sha256`` is of the document's bytes."""

    tenant: str
    day: str
    sha256: str
    made: str


class Signer:
    """One private key. Never shown: ``repr`` names the public part only."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey.of(key.public_key())

    def __repr__(self) -> str:
        return f"Signer({self.public.id[:16]})"

    def sign(self, text: bytes) -> bytes:
        """64 bytes of Ed25519 signature."""
        return self._key.sign(text)


class KeyFolder:
    """A folder that holds ``keys.json``, and for each key ``<id>.private.pem`` and ``<id>.public.pem``.

    Args:
        passphrase: Encrypts private keys from now on, and opens those that are; ones without are read all the same. "": none.

    Raises:
        KeyFolderError: It is open to others than its owner, or its history cannot be read.
    """

    def __init__(self, folder: Path, passphrase: str = "") -> None:
        self.folder, self._passphrase = folder, passphrase.encode()
        if len(self._passphrase) > PASSPHRASE_BYTES:
            raise KeyFolderError(f"is longer than {PASSPHRASE_BYTES} bytes", "the passphrase", "Choose a shorter one.")
        path = folder / HISTORY
        if not path.is_file():
            self.history = KeyHistory()
            return
        try:
            self.history = KeyHistory.parse(path.read_bytes())
        except NotADocumentError as broken:
            raise KeyFolderError(str(broken), str(path), "Restore it: every day's evidence in a store holds a copy.") from broken

    def new(self, *, time: str = "") -> PublicKey:
        """Make the first key.

        Raises:
            KeyFolderError: There is one already.
        """
        if self.history.statements:
            raise KeyFolderError("holds a key already", str(self.folder), "Use `bevara evidence key rotate` to change it.")
        durable.make_folders(self.folder.absolute())
        self.folder.chmod(0o700)
        return self._add(None, time or now()).public

    def rotate(self, *, revoke: str | None = None, time: str = "") -> PublicKey:
        """Make a new key, vouched for by the one in use; with *revoke*, say why the old one must not be believed from now on."""
        old, made = self.signer(), time or now()
        new = self._add(old, made)
        if revoke is not None:
            body = {"kind": "revocation", "key": old.public.id, "since": made, "made": made, "reason": revoke}
            self._state(body, [new])
        return new.public

    def signer(self) -> Signer:
        """The key in use.

        Raises:
            KeyFolderError: There is none, it is lost, others than its owner may read it, or the passphrase does not open it.
        """
        keys = self._ids()
        if not keys:
            raise KeyFolderError("holds no key", str(self.folder), "Make one with `bevara evidence key new`.")
        return Signer(self._opened(keys[-1]))

    def protect(self) -> int:
        """Encrypt every private key here that is not yet; returns how many were. Their old bytes may still be found on the disk.

        Raises:
            KeyFolderError: No passphrase was given, or a key cannot be read.
        """
        if not self._passphrase:
            raise KeyFolderError("no passphrase was given", str(self.folder), _HOW)
        plain = [one for one in self._ids() if self._private(one).is_file() and _ENCRYPTED not in self._private(one).read_bytes()]
        for one in plain:
            durable.write_file(self._private(one), [self._text(self._opened(one))], mode=_PRIVATE)
        return len(plain)

    def _ids(self) -> list[str]:
        return [str(s.body["key"]) for s in self.history.statements if s.body.get("kind") == "key"]

    def _opened(self, key_id: str) -> Ed25519PrivateKey:
        path = self._private(key_id)
        try:
            mode = path.stat().st_mode
            text = path.read_bytes()
        except OSError as broken:
            raise KeyFolderError(f"cannot be read: {broken.strerror}", str(path), "Restore it from its backup.") from None
        if stat.S_IMODE(mode) & 0o077:
            raise KeyFolderError(
                "can be read by others than its owner", str(path), "Run chmod 600 on it, and ask who did: rotate it."
            )
        encrypted = _ENCRYPTED in text
        if encrypted and not self._passphrase:
            raise KeyFolderError("has a passphrase, and none was given", str(path), _HOW)
        try:
            key = load_pem_private_key(text, self._passphrase if encrypted else None)
        except (ValueError, TypeError):
            if encrypted:
                raise KeyFolderError("is not opened by the passphrase that was given", str(path), _HOW) from None
            key = None
        if not isinstance(key, Ed25519PrivateKey) or PublicKey.of(key.public_key()).id != key_id:
            raise KeyFolderError("is not the key that the history names", str(path), "Restore it from its backup.")
        return key

    def _text(self, key: Ed25519PrivateKey) -> bytes:
        lock = BestAvailableEncryption(self._passphrase) if self._passphrase else NoEncryption()
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)

    def remembered(self, tenant: str) -> Remembered | None:
        """The newest day that was signed for *tenant* with these keys."""
        last = None
        with contextlib.suppress(FileNotFoundError), (self.folder / SIGNED).open("rb") as stream:
            for line in stream:
                with contextlib.suppress(ValueError, TypeError):  # a line cut short by a power cut: the store has the day
                    entry = Remembered(**json.loads(line))
                    last = entry if entry.tenant == tenant else last
        return last

    def remember(self, entry: Remembered) -> None:
        """Add to what was signed; durable when it returns."""
        line = json.dumps({"tenant": entry.tenant, "day": entry.day, "sha256": entry.sha256, "made": entry.made}) + "\n"
        fd = os.open(self.folder / SIGNED, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _PRIVATE)
        try:
            os.write(fd, line.encode())
            os.fsync(fd)
        finally:
            os.close(fd)

    def _add(self, old: Signer | None, made: str) -> Signer:
        signer = Signer(Ed25519PrivateKey.generate())
        public = signer.public
        durable.write_file(self._private(public.id), [self._text(signer._key)], mode=_PRIVATE)  # noqa: SLF001 -- its own folder
        durable.write_file(self.folder / f"{public.id[:16]}.public.pem", [public.pem.encode()], mode=0o644)
        body = {"kind": "key", "key": public.id, "public": public.pem, "algorithm": "ed25519", "made": made}
        self._state(body | {"previous": old.public.id if old else None}, [signer, *([old] if old else [])])
        return signer

    def _state(self, body: dict[str, Any], signers: list[Signer]) -> None:
        text = self.history.followed(body)
        signatures = {signer.public.id: signer.sign(text.encode()).hex() for signer in signers}
        self.history = KeyHistory([*self.history.statements, Statement(text, signatures, json.loads(text))])
        durable.write_file(self.folder / HISTORY, [self.history.text()], mode=0o644)

    def _private(self, key_id: str) -> Path:
        return self.folder / f"{key_id[:16]}.private.pem"
