"""Names and fixed bytes of an OCFL 1.1 storage root, as we write them.

Only knowledge of the standard, no input or output: the store writes these bytes, ``verify`` compares with them.
Source: OCFL 1.1 sections 3 and 4; OCFL extension 0003-hash-and-id-n-tuple-storage-layout.
"""

from __future__ import annotations

import hashlib
import json
import os
import re

ROOT_NAMASTE = ("0=ocfl_1.1", b"ocfl_1.1\n")
OBJECT_NAMASTE = ("0=ocfl_object_1.1", b"ocfl_object_1.1\n")
EXTENSION = "0003-hash-and-id-n-tuple-storage-layout"
INVENTORY = "inventory.json"
SIDECAR = "inventory.json.sha512"
INVENTORY_TYPE = "https://ocfl.io/1.1/spec/#inventory"

_MAX_COMPONENT_BYTES = 255  # ext4, XFS, NTFS
_MAX_PATH_CHARS = 200  # leaves room for the root's own path on systems that stop at 260
_MAX_PATH_BYTES = 600  # an S3 key has 1024: leaves room for the place's prefix, the object's path and the version
HIDDEN_PARTS = ("__XLDIR__", ".sgwtmp")
"""Ends of names that MinIO (2026-02) and versitygw (1.8) take for their own: they keep such a key, and never list it."""
_ID_SAFE = re.compile(rb"[A-Za-z0-9_-]")


def _json(data: object) -> bytes:
    return json.dumps(data, indent=2).encode() + b"\n"


ROOT_FILES: dict[str, bytes] = {
    ROOT_NAMASTE[0]: ROOT_NAMASTE[1],
    "ocfl_layout.json": _json(
        {"extension": EXTENSION, "description": "Objects by SHA-256 of their id in three tuples of three, then the encoded id"}
    ),
    f"extensions/{EXTENSION}/config.json": _json(
        {"extensionName": EXTENSION, "digestAlgorithm": "sha256", "tupleSize": 3, "numberOfTuples": 3}
    ),
}
"""Every file of a storage root that belongs to no object, by its path and exact bytes."""


def object_path(object_id: str) -> str:
    """Where an object lives below the root."""
    digest = hashlib.sha256(object_id.encode()).hexdigest()
    name = "".join(chr(byte) if _ID_SAFE.match(bytes([byte])) else f"%{byte:02x}" for byte in object_id.encode())
    if len(name) > 100:  # the extension's own limit
        name = f"{name[:100]}-{digest}"
    return f"{digest[0:3]}/{digest[3:6]}/{digest[6:9]}/{name}"


def sidecar(sha512: str) -> bytes:
    """The exact bytes of an inventory's sidecar."""
    return f"{sha512} {INVENTORY}\n".encode()


def content_name(logical_path: str) -> str:
    """Where content goes below ``vN/content/``: under its logical path, or another name where that is not safe.

    The same path always gives the same name, on every machine.
    """
    parts = logical_path.split("/")
    fits = len(logical_path) <= _MAX_PATH_CHARS and len(logical_path.encode()) <= _MAX_PATH_BYTES
    safe = all(
        part not in ("", ".", "..") and len(part.encode()) <= _MAX_COMPONENT_BYTES and not part.endswith(HIDDEN_PARTS)
        for part in parts
    )
    if fits and safe:
        return logical_path
    name = hashlib.sha256(logical_path.encode()).hexdigest()
    return f"renamed/{name[:2]}/{name}"


def fresh_name() -> str:
    """A content name that collides with nothing else; which file it is, the inventory says."""
    name = os.urandom(16).hex()
    return f"renamed/{name[:2]}/{name}"
