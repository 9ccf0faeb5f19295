"""``bevara copies``: where the copies of an archive or of the service's packages are, and bringing them there."""

from __future__ import annotations

import argparse
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from worker.archive_copies import PRIMARY, ArchiveCopies, Beside, Configured, CopiesError, opened
from worker.fixity import promise, retired
from worker.fixity.auditor import Auditor
from worker.fixity.copies import Copies
from worker.fixity.external import register as register_external
from worker.fixity.replicate import Replicator
from worker.fixity.sweep import Sweep
from worker.ledger.events import now
from worker.ledger.transactions import Transactions
from worker.service_copies import ServiceCopies
from worker.service_settings import ServiceSettings

WHERE = "an archive's folder; left out: the service, as the settings say"


def add(parser: argparse.ArgumentParser) -> None:
    """Sub-commands of ``copies``."""
    commands = parser.add_subparsers(dest="what", required=True, metavar="status|add|retire|replicate|external")
    status = commands.add_parser("status", help="show every place: copies held and wanted, overdue, oldest reading")
    status.add_argument("archive", nargs="?", help=WHERE)
    adding = commands.add_parser("add", help="name a second or third place beside an archive; it fills with `replicate`")
    adding.add_argument("archive")
    adding.add_argument("name", metavar="NAME")
    adding.add_argument("url", metavar="FOLDER|URL", help="a folder, file:///folder or s3://bucket/prefix")
    adding.add_argument("--endpoint", metavar="NAME", help="of the S3 server: BEVARA_S3_<NAME>_ENDPOINT and so on")
    adding.add_argument(
        "--read-only", action="store_true", help="others keep objects there: audit what is registered, write nothing"
    )
    retiring = commands.add_parser("retire", help="use a place beside an archive no more: it owes no audits; what lies there stays")
    retiring.add_argument("archive")
    retiring.add_argument("name", metavar="NAME")
    replicate = commands.add_parser("replicate", help="copy what a place lacks, and read it back")
    replicate.add_argument("archive", nargs="?", help=WHERE)
    external = commands.add_parser("external", help="register an object that others keep; it is audited, never written to")
    external.add_argument("archive")
    external.add_argument("tenant")
    external.add_argument("place", metavar="NAME", help="a place that was added with --read-only")
    external.add_argument("key", metavar="PATH", help="below the place")
    external.add_argument("--sha256")
    external.add_argument("--sha512")


def run(args: argparse.Namespace) -> int:
    """Carry out a sub-command; 1 when a copy could not be brought, or one is overdue."""
    if args.what in ("add", "retire"):
        return _add(args) if args.what == "add" else _retire(args)
    with opened_copies(args.archive) as at:
        auditor = Auditor(at.ledger.transactions, at.places, at.rules)
        refresh(at, auditor)
        if args.what == "external":
            return _external(args, at, auditor)
        if args.what == "replicate":
            return _replicate(at, auditor)
        return 1 if show_places(at.ledger.transactions, auditor) else 0


def opened_copies(archive: str | None) -> ArchiveCopies | ServiceCopies:
    """The archive's copies, or the service's when none is named."""
    return ArchiveCopies(Path(archive)) if archive else ServiceCopies(ServiceSettings.load())


def refresh(at: ArchiveCopies | ServiceCopies, auditor: Auditor) -> None:
    """Register what was committed since, find what fell behind, see to retired places, hold deadlines to the promise of today.

    News are the service's auditor's.
    """
    stores, sweep = at.stores(), Sweep(at.ledger.transactions)
    retired.settle(at.ledger.transactions, at.used, auditor.clock.now())
    registrar = Auditor(at.ledger.transactions, stores, at.rules, clock=auditor.clock)
    for tenant in at.tenants():
        primary = at.primary.get(tenant)
        if primary:
            sweep.whole(registrar, tenant, primary, at.rules(tenant, primary))
    for tenant, place in at.places:
        promise.keep(at.ledger.transactions, tenant, place, at.rules(tenant, place), auditor.clock.now())


def _add(args: argparse.Namespace) -> int:
    archive = Path(args.archive)
    url = args.url if urlsplit(args.url).scheme in ("file", "s3") else Path(args.url).absolute().as_uri()
    one = Beside(args.name, url, args.endpoint, is_store=not args.read_only)
    with ArchiveCopies(archive) as at:
        _apart(one, [Beside(PRIMARY, at.folder.as_uri()), *at.configured.places])
    opened(one).close()
    Configured.read(archive).with_place(one).write(archive)
    print(f"{args.name}: {url}\nNow run: bevara copies replicate {args.archive}")
    return 0


def _retire(args: argparse.Namespace) -> int:
    """A place that is in ``copies.json`` no more may be retired as well: it was taken out by hand, or this was broken off."""
    archive = Path(args.archive)
    with ArchiveCopies(archive) as at:
        transactions = at.ledger.transactions
        known = {one.name for one in at.configured.places} | {place for _, place in Copies(transactions).places()}
        if args.name not in known - {PRIMARY}:
            raise CopiesError("is no place beside this archive", args.name, "`bevara copies status` shows them.")
        at.configured.without(args.name).write(archive)
        retired.retire(transactions, at.tenants(), args.name, now())
        moved = retired.settle(transactions, at.used, now())
    print(f"{args.name}: used no more. Its {sum(moved.values()):,} copies are owed no audits; what lies there stays.")
    return 0


def _apart(new: Beside, others: Sequence[Beside]) -> None:
    """Two copies in one place are one copy, whatever the place is called.

    Raises:
        CopiesError: *new* is, or lies in, a place that is there already.
    """
    mine = _where(new)
    for other in others:
        where = _where(other)
        if new.is_store and other.is_store and (mine == where or (other.name == PRIMARY and mine.startswith(f"{where}/"))):
            what = "is the archive itself" if other.name == PRIMARY else f"is the place {other.name}"
            raise CopiesError(what, new.url, "Two copies in one place are one: name another disk, machine or bucket.")


def _where(one: Beside) -> str:
    """What a place's address means, links followed."""
    parts = urlsplit(one.url)
    if parts.scheme == "file":
        return str(Path(unquote(parts.path)).resolve())
    return f"{one.endpoint} {one.url.rstrip('/')}"


def _external(args: argparse.Namespace, at: ArchiveCopies | ServiceCopies, auditor: Auditor) -> int:
    if (args.tenant, args.place) not in at.places:
        raise CopiesError("is no place of this tenant", args.place, "Add it with `bevara copies add … --read-only`.")
    digests = {"sha256": args.sha256 and args.sha256.lower(), "sha512": args.sha512 and args.sha512.lower()}
    if not any(digests.values()):
        raise CopiesError("has no digest to be compared with", args.key, "Give --sha256 or --sha512.")
    for algorithm, digest in digests.items():
        digits = 2 * hashlib.new(algorithm).digest_size
        if digest and not re.fullmatch(f"[0-9a-f]{{{digits}}}", digest):
            raise CopiesError("is no such digest", f"--{algorithm}", f"It has {digits} hexadecimal digits.")
    if any(part in ("", ".", "..") for part in args.key.split("/")):
        raise CopiesError("is no path below the place", args.key, "Write it as in folder/file, without dots.")
    rules = at.rules(args.tenant, args.place)
    new = register_external(
        at.ledger.transactions, args.tenant, args.place, args.key, rules=rules, now=auditor.clock.now(), **digests
    )
    print("registered" if new else "was registered already")
    return 0


def _replicate(at: ArchiveCopies | ServiceCopies, auditor: Auditor) -> int:
    held = failed = size = 0
    stores = Auditor(at.ledger.transactions, at.stores(), at.rules, clock=auditor.clock)
    for done in Replicator(at.ledger.transactions, stores).run(at.primary):
        if done.why:
            failed += 1
            print(f"{done.place}: {done.object_id}: not copied: {done.why}")
        else:
            held += 1
            size += done.size_bytes
    print(f"{held} copies made and read back, {size:,} bytes; {failed} not")
    return 1 if failed else 0


def show_places(transactions: Transactions, auditor: Auditor) -> int:
    """Print how every place stands; returns how many copies are overdue."""
    print(f"{'tenant':20} {'place':16} {'held':>9} {'wanted':>8} {'overdue':>8} {'never read':>10}  oldest reading")
    overdue, gone = 0, retired.retired(transactions)
    for one in auditor.copies.states(auditor.clock.now()):
        overdue += one.overdue
        numbers = f"{one.held:9,} {one.wanted:8,} {one.overdue:8,} {one.never:10,}"
        since = gone.get((one.tenant, one.place))
        oldest = one.oldest or ("some never" if one.never else "-")
        print(f"{one.tenant:20} {one.place:16} {numbers}  {f'retired since {since}' if since else oldest}")
    return overdue
