"""The JSON Schema of policy files, for editors and for ``bevara policy schema``.

The committed copy is ``policies/bevara.policy.schema.json``; a test keeps the two equal.
"""

from __future__ import annotations

import json

from worker.policy.model import SCHEMA_ID, PolicyFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, object]:
    """The schema as data."""
    return {"$schema": DIALECT, "$id": f"urn:{SCHEMA_ID.replace('/', ':')}", **PolicyFile.model_json_schema(by_alias=True)}


def schema_json() -> str:
    """The schema as text, as it is committed."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
