"""``bevara ledger rebuild``: the ledger made again from the store alone (design.md §8); an archive's, or the service's."""

from __future__ import annotations

import argparse
from pathlib import Path

from actions.errors import PermanentError
from worker.archive import Archive
from worker.ledger.rebuild import rebuild_all
from worker.service_settings import ServiceSettings
from worker.store.contract import Store


def add(parser: argparse.ArgumentParser) -> None:
    """Sub-commands of ``ledger``."""
    commands = parser.add_subparsers(dest="what", required=True, metavar="rebuild")
    rebuilding = commands.add_parser("rebuild", help="make the ledger again from what the store proves")
    rebuilding.add_argument("archive", metavar="ARCHIVE", nargs="?", help="an archive's folder")
    rebuilding.add_argument(
        "--service", action="store_true", help="the service's, from all tenants' stores; stop its processes first"
    )


def run(args: argparse.Namespace) -> int:
    """Rebuild, and say so."""
    if bool(args.archive) == args.service:
        raise PermanentError("name an archive, or say --service", "ledger rebuild", "One of the two.", code="usage")
    if args.service:
        return _service()
    with Archive(Path(args.archive), rebuild=True):
        pass
    print(f"{args.archive}: the ledger was made again from the store")
    return 0


def _service() -> int:
    """Tenants, keys, places and policies are not in the store, and are left as they are: they come from the database's backup."""
    from worker.cli.service import connected  # noqa: PLC0415 -- loads what an archive does not need

    with connected(ServiceSettings.load()) as service:
        tenants = [one.id for one in service.ledger.tenants.list() if service.ledger.tenants.primary(one.id)]
        stores: dict[str, Store] = {tenant: service.store_of(tenant) for tenant in tenants}
        for store in stores.values():
            store.recover()
        for sentence in rebuild_all(service.ledger, stores):
            print(sentence)
    print(f"The service's ledger was made again from the stores of {len(tenants)} tenants.")
    return 0
