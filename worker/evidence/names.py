"""What evidence is called in a store: one OCFL object for each tenant and day, beside the packages and never inside one.

No package can have such a name: in a package's id every colon of its own is escaped. Knows nothing of what the objects hold.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

DOCUMENT, SIGNATURE, LEAVES, KEYS, PAGE, TIMESTAMP = (
    "evidence.json",
    "evidence.json.sig",
    "leaves.jsonl",
    "keys.json",
    "page.txt",
    "evidence.json.tsr",
)
"""Logical paths in a day's object. The signature is raw: ``openssl pkeyutl -verify -rawin`` reads it."""

_EVIDENCE = re.compile(r"urn:bevara:([^:]+):evidence:(\d{4}-\d\d-\d\d|renewal-\d{4,})")


def evidence_id(tenant: str, day: str) -> str:
    """The OCFL id of a tenant's evidence of a day (``YYYY-MM-DD``), or of a renewal (``renewal-0001``)."""
    return f"urn:bevara:{quote(tenant, safe='')}:evidence:{day}"


def package_prefix(tenant: str) -> str:
    """What the ids of all the tenant's packages begin with."""
    return f"urn:bevara:{quote(tenant, safe='')}:"


def read_evidence_id(object_id: str) -> tuple[str, str] | None:
    """Tenant and day (or renewal) of an evidence object's id; None: it is something else."""
    found = _EVIDENCE.fullmatch(object_id)
    return (unquote(found[1]), found[2]) if found else None


def is_evidence(object_id: str) -> bool:
    """Whether an object holds evidence and not a package."""
    return read_evidence_id(object_id) is not None


def read_package_id(object_id: str) -> str | None:
    """The tenant of a package's id; None: it is evidence, or another program's object."""
    parts = object_id.split(":")
    return unquote(parts[2]) if len(parts) == 4 and parts[:2] == ["urn", "bevara"] else None
