"""report.json: the whole answer of a job, for programs (design.md §10, schema ``bevara.report/1``).

Files are written one by one, one to a line, so that memory stays flat and ``grep`` works. The counts stand before the
files but are known after them: room is left, and filled in with what was counted.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from worker.record import FileRecord, Status
from worker.report.atomic import replacing
from worker.report.header import SCHEMA, ReportHeader

_ROOM = sum(len(status) + 24 for status in Status)  # 18 digits each; white space is nothing in JSON


def write(path: Path, header: ReportHeader, records: Iterable[FileRecord]) -> dict[Status, int]:
    """Write report.json at *path*, and return the files by status as they were counted on the way.

    Raises:
        OSError: The report could not be written; an older one at *path* still stands.
    """
    with replacing(path) as stream:
        stream.write(b"{")
        for name, value in _before_counts(header).items():
            stream.write(_encoded(name) + b": " + _encoded(value) + b",\n ")
        stream.write(b'"counts": ')
        place = stream.tell()
        stream.write(b" " * _ROOM + b',\n "files": [')
        counts = _write_files(stream, records)
        stream.write(b"\n]}\n")
        stream.seek(place)
        stream.write(_encoded(counts).ljust(_ROOM))
    return counts


def _write_files(stream: BinaryIO, records: Iterable[FileRecord]) -> dict[Status, int]:
    counted: Counter[Status] = Counter()
    separator = b"\n"
    for record in records:
        stream.write(separator + _encoded(record.model_dump()))
        counted[record.status] += 1
        separator = b",\n"
    return {status: counted[status] for status in Status}


def _before_counts(header: ReportHeader) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "job": header.job,
        "tenant": header.tenant,
        "package": header.package,
        "policy": header.policy.model_dump(),
        "started": header.started,
        "finished": header.finished,
        "interrupted": header.interrupted,
        "archive": header.archive,
        "source": header.source,
        "version": header.version,
        "seconds": round(header.seconds, 3),
        "size_bytes": header.size_bytes,
        "tools": header.tools,
        "sandbox": header.sandbox,
    }


def _encoded(value: Any) -> bytes:
    r"""Return *value* as JSON. A lone surrogate (a name that is not UTF-8) leaves as ``\udcXX``: a JSON escape (RFC 8259 §7)."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:  # a measure can be infinite (two equal pictures); JSON has no word for it (RFC 8259 §6)
        text = json.dumps(_without_infinities(value), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace")


def _without_infinities(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_infinities(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_without_infinities(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
