"""``bevara audit report``: one tenant's audits in a period, as a page to print and as tables for programs."""

from __future__ import annotations

import argparse
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from worker.archive_copies import ArchiveCopies, CopiesError
from worker.fixity.period import Period, period
from worker.report import audit_files, audit_html
from worker.service_copies import ServiceCopies

DAYS = 90  # of a period that nobody named: the promise's default
_MOST_DAYS = 3660  # more is a mistake


def add(parser: argparse.ArgumentParser) -> None:
    """Options of ``audit report``."""
    parser.add_argument("tenant", nargs="?", help="whose (default: the only one)")
    parser.add_argument("--from", dest="first", metavar="YYYY-MM-DD", help=f"first day, UTC (default: {DAYS} days before the last)")
    parser.add_argument("--to", dest="last", metavar="YYYY-MM-DD", help="last day, UTC (default: today)")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for audit.html, audit.json and three CSV tables")


def run(args: argparse.Namespace, at: ArchiveCopies | ServiceCopies) -> int:
    """Write the report; 1 when a copy is overdue or a finding of the period is open."""
    tenant, (first, last) = _tenant(args.tenant, at), _days(args)
    found = asked(at, tenant, first, last)
    out = Path(args.out)
    try:
        audit_html.write(out / "audit.html", found)
        audit_files.write_json(out / "audit.json", found)
        tables = audit_files.write_csv(out, found)
    except OSError as broken:
        raise CopiesError(f"cannot be written: {broken.strerror}", args.out, "Name a folder with room that is yours.") from None
    print(f"{tenant}, {first} to {last}: {out / 'audit.html'}, audit.json, {', '.join(path.name for path in tables)}")
    is_open = any(entry.state == "open" for entry, _ in found.findings())
    return 1 if is_open or any(store.state.overdue for store in found.stores) else 0


def asked(at: ArchiveCopies | ServiceCopies, tenant: str, first: str, last: str) -> Period:
    """What the ledger tells of the period."""
    named = at.ledger.tenants.get(tenant)
    stores = [name for owner, name in at.stores() if owner == tenant]
    primary = at.primary.get(tenant)
    stores.sort(key=lambda name: (name != primary, name))
    return period(
        at.ledger.transactions,
        tenant,
        first,
        last,
        rules=lambda place: at.rules(tenant, place),
        stores=stores,
        name=named.name if named else "",
    )


def _tenant(wanted: str | None, at: ArchiveCopies | ServiceCopies) -> str:
    known = at.tenants()
    if wanted in known:
        return str(wanted)
    if wanted is None and len(known) == 1:
        return known[0]
    what = "is no tenant here" if wanted else f"has {len(known)} tenants"
    raise CopiesError(what, wanted or "the archive", f"Name one of: {', '.join(known[:20])}.")


def _days(args: argparse.Namespace) -> tuple[str, str]:
    try:
        last = date.fromisoformat(args.last) if args.last else datetime.now(UTC).date()
        first = date.fromisoformat(args.first) if args.first else last - timedelta(days=DAYS - 1)
    except ValueError:
        raise CopiesError("is no day", f"--from {args.first} --to {args.last}", "Write days as YYYY-MM-DD.") from None
    if not 0 <= (last - first).days < _MOST_DAYS:
        raise CopiesError("is no period of at most ten years", f"{first} to {last}", "Let --from be the earlier day.")
    return first.isoformat(), last.isoformat()
