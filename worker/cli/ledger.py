"""``bevara ledger rebuild``: the ledger made again from the stores alone (design.md §8); an archive's, or the service's."""

from __future__ import annotations

import argparse
from pathlib import Path

from actions.errors import PermanentError, PreservationError
from worker.archive import Archive
from worker.archive_copies import ArchiveCopies
from worker.cli.copies import refresh
from worker.fixity.auditor import Auditor
from worker.fixity.retold import reopen
from worker.fixity.set_aside import remembered
from worker.fixity.walk import told, walk
from worker.ledger.events import now
from worker.ledger.rebuild import rebuild_all
from worker.service_copies import ServiceCopies
from worker.service_settings import ServiceSettings
from worker.store.contract import Store

_LOST = (
    "Not in any store, and so not back: approvals, breakers, what was read on which day, samples, and coverage of past days"
    " (reports of periods before today)"
)


def add(parser: argparse.ArgumentParser) -> None:
    """Sub-commands of ``ledger``."""
    commands = parser.add_subparsers(dest="what", required=True, metavar="rebuild")
    rebuilding = commands.add_parser("rebuild", help="make the ledger again from what the stores prove")
    rebuilding.add_argument("archive", metavar="ARCHIVE", nargs="?", help="an archive's folder")
    rebuilding.add_argument(
        "--service", action="store_true", help="the service's, from all tenants' stores; stop its processes first"
    )


def run(args: argparse.Namespace) -> int:
    """Rebuild, and say what came back and what did not; 1 when something needs a person."""
    if bool(args.archive) == args.service:
        raise PermanentError("name an archive, or say --service", "ledger rebuild", "One of the two.", code="usage")
    return _service() if args.service else _archive(Path(args.archive))


def _archive(folder: Path) -> int:
    """The old ledger is set aside: it may be what is wrong. What it knew of findings is told, and believed by nobody."""
    with Archive(folder, rebuild=True) as archive:
        aside = archive.aside
    print(f"{folder}: the ledger was made again from the store")
    with ArchiveCopies(folder) as at:
        code = _copies(at)
        print(f"{_LOST}.")
        for sentence in remembered(aside, folder, at.ledger.transactions) if aside else ():
            code = 1
            print(sentence)
    return code


def _service() -> int:
    """Tenants, keys, places and policies are not in the store, and are left as they are: they come from the database's backup."""
    from worker.cli.service import connected  # noqa: PLC0415 -- loads what an archive does not need

    settings, left_out = ServiceSettings.load(), list[PreservationError]()
    with connected(settings) as service:
        tenants = [one.id for one in service.ledger.tenants.list() if service.ledger.tenants.primary(one.id)]
        stores: dict[str, Store] = {tenant: service.store_of(tenant) for tenant in tenants}
        for store in stores.values():
            store.recover()
        for sentence in rebuild_all(service.ledger, stores):
            print(sentence)
        with ServiceCopies(settings, ledger=service.ledger, wrong=left_out.append) as at:
            code = _copies(at)
    for wrong in left_out:
        print(f"left out: {wrong}")
    print(f"The service's ledger was made again from the stores of {len(tenants)} tenants.")
    print(f"{_LOST}, nor external objects, if the database is a new one.")
    return 1 if left_out else code


def _copies(at: ArchiveCopies | ServiceCopies) -> int:
    """Register what the places hold, what they lack, and the findings that histories tell of."""
    done = walk(at.ledger.transactions, at.stores(), now())
    refresh(at, Auditor(at.ledger.transactions, at.stores(), at.rules))
    told(done, print)
    is_open, repaired = reopen(at.ledger.transactions, at.stores().keys())
    if is_open or repaired:
        print(f"Findings that histories tell of: {is_open:,} open again, {repaired:,} repaired")
    return 1 if done.said or is_open else 0
