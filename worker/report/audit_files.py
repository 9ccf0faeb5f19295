"""The audit report for programs: audit.json, and three CSV tables for spreadsheets. All findings are in them, one by one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from worker.fixity.book import Entry
from worker.fixity.period import Period, Read, StorePeriod
from worker.report.atomic import replacing
from worker.report.audit_sums import bound, of_sample

SCHEMA = "bevara.audit-report/1"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a cell that begins so is run by a spreadsheet: names come from strangers

_FINDING = ("id", "store", "object", "path", "verdict", "about", "detail", "expected", "found", "state", "times")
_FINDING_END = ("first_seen", "last_seen", "ended", "remedy", "approved_by")
_READ = ("copies", "bad", "unreadable", "files", "size_bytes", "seconds")
_STORE = (
    "store",
    "interval_days",
    "repair",
    "copies",
    "wanted",
    "size_bytes",
    "overdue",
    "never_read",
    "oldest",
    "covered",
    "as_of",
    "as_of_kept",
)


def write_json(path: Path, period: Period) -> None:
    """Write audit.json: findings one to a line, so that memory stays flat and ``grep`` works.

    Raises:
        OSError: It could not be written; an older one still stands.
    """
    head: dict[str, Any] = {
        "schema": SCHEMA,
        "tenant": period.tenant,
        "name": period.name,
        "first": period.first,
        "last": period.last,
    }
    head |= {"made": period.made, "stores": [_store(one) for one in period.stores]}
    head |= {"samples": [asdict(one) | {"proves": of_sample(one.bad, one.read).en} for one in period.samples]}
    with replacing(path) as stream:
        stream.write(b"{" + ",\n ".join(f"{json.dumps(name)}: {_json(value)}" for name, value in head.items()).encode())
        stream.write(b',\n "findings": [')
        separator = b"\n"
        for entry, agreed in period.findings():
            facts = _finding(entry) | {"approvals": [{"who": who, "at": at} for who, at in agreed]}
            stream.write(separator + _json(facts).encode("utf-8", "backslashreplace"))
            separator = b",\n"
        stream.write(b"\n]}\n")


def write_csv(folder: Path, period: Period) -> list[Path]:
    """Write stores.csv, readings.csv and findings.csv (RFC 4180, UTF-8 with a mark, which spreadsheets need); returns them."""
    stores = [_store(one) for one in period.stores]
    readings = (
        [store.name, day, *(getattr(read, name) for name in _READ)]
        for store in period.stores
        for day, read in sorted(store.days.items())
    )
    found = ([*_finding(entry).values(), "; ".join(f"{who} {at}" for who, at in agreed)] for entry, agreed in period.findings())
    tables: tuple[tuple[str, Sequence[str], Iterable[Sequence[Any]]], ...] = (
        (
            "stores.csv",
            (*_STORE, "proves", "retired"),
            ([*(one[name] for name in _STORE), one["proves"], _spans(one["retired"])] for one in stores),
        ),
        ("readings.csv", ("store", "day", *_READ), readings),
        ("findings.csv", (*_FINDING, *_FINDING_END), found),
    )
    for name, heading, rows in tables:
        _table(folder / name, heading, rows)
    return [folder / name for name, _, _ in tables]


def _table(path: Path, heading: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with replacing(path) as stream:
        stream.write(b"\xef\xbb\xbf" + _line(heading))
        for row in rows:
            stream.write(_line(row))


def _line(row: Sequence[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow([_cell(value) for value in row])
    return text.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: Any) -> Any:
    """A text that a spreadsheet would run gets a mark before it, which spreadsheets show as text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _store(one: StorePeriod) -> dict[str, Any]:
    state, rules = one.state, one.rules
    facts = (one.name, rules.interval_days, rules.repair.value, state.held, state.wanted, state.size_bytes, state.overdue)
    named = dict(zip(_STORE, (*facts, state.never, state.oldest, one.covered, one.as_of, one.kept), strict=True))
    stopped = [{"since": each.since, "why": each.why} for each in one.tripped]
    gone = [{"since": since, "until": until} for since, until in one.retired]
    days = {day: _read(read) for day, read in sorted(one.days.items())}
    return (
        named
        | {"proves": bound(one).en, "bad_objects": one.bad_objects, "repair_stopped": stopped, "retired": gone}
        | {
            "read": _read(one.read),
            "days": days,
            "last_checked": dict(sorted(one.checked.items())),
        }
    )


def _spans(gone: list[dict[str, str | None]]) -> str:
    return "; ".join(f"{one['since']} - {one['until'] or ''}".rstrip() for one in gone)


def _read(read: Read) -> dict[str, int]:
    return {name: getattr(read, name) for name in _READ}


def _finding(entry: Entry) -> dict[str, Any]:
    facts = asdict(entry) | {"store": entry.place, "object": entry.object_id}
    return {name: facts[name] for name in (*_FINDING, *_FINDING_END[:-1])}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
