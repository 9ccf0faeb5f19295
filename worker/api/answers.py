"""The problem answers of a route for the OpenAPI document, from the one table of ``problems``."""

from __future__ import annotations

from typing import Any

from worker.api.problems import MEDIA_TYPE, PROBLEMS, TYPE_PREFIX
from worker.api.words import Problem

_ALWAYS = ("bad-request", "invalid", "unauthorized", "scope", "too-large", "rate", "headers-too-large", "unavailable")


def answers(*codes: str) -> dict[int | str, dict[str, Any]]:
    """What a route may answer besides success: *codes* and what every route may, by status."""
    found: dict[int | str, dict[str, Any]] = {}
    for code in sorted({*_ALWAYS, *codes}):
        kind = PROBLEMS[code]
        shown = {
            "type": TYPE_PREFIX + code,
            "title": kind.title,
            "status": kind.status,
            "detail": f"{kind.title}.",
            "remedy": kind.remedy,
        }
        one = found.setdefault(
            kind.status, {"description": "", "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema(), "examples": {}}}}
        )
        one["description"] = " ".join(filter(None, [one["description"], f"`{code}`: {kind.title}."]))
        one["content"][MEDIA_TYPE]["examples"][code] = {"value": shown}
        if kind.status in {429, 503}:
            one["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}}
    return found
