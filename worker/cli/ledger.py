"""``bevara ledger rebuild``: the ledger made again from the store alone (design.md §8)."""

from __future__ import annotations

import argparse
from pathlib import Path

from worker.archive import Archive


def add(parser: argparse.ArgumentParser) -> None:
    """Sub-commands of ``ledger``."""
    commands = parser.add_subparsers(dest="what", required=True, metavar="rebuild")
    rebuilding = commands.add_parser("rebuild", help="make the ledger again from what the store proves")
    rebuilding.add_argument("archive", metavar="ARCHIVE")


def run(args: argparse.Namespace) -> int:
    """Rebuild, and say so."""
    with Archive(Path(args.archive), rebuild=True):
        pass
    print(f"{args.archive}: the ledger was made again from the store")
    return 0
