"""``bevara queue status|rebuild``: what waits, by tenant; and the queue filled again from the ledger after Redis was emptied."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

from worker.cli.service import connected
from worker.service_settings import ServiceSettings


def add(parser: argparse.ArgumentParser) -> None:
    """Sub-commands of ``queue``."""
    commands = parser.add_subparsers(dest="what", required=True, metavar="status|rebuild")
    commands.add_parser("status", help="show what waits, is queued and is being worked on, by tenant")
    commands.add_parser("rebuild", help="let everything that the queue held be sent again; safe at any time")


def run(args: argparse.Namespace) -> int:
    """Show, or rebuild."""
    with connected(ServiceSettings.load()) as service:
        queue = service.ledger.queue
        if args.what == "rebuild":
            back = queue.requeue()
            print(f"{back} files are sent again from the ledger by the scheduler. What the queue still held counts once.")
            return 0
        table = Table("tenant", "waiting", "queued", "in hand", "oldest job waits", box=None, header_style="bold", pad_edge=False)
        for tenant, depth in sorted(queue.depth().items()):
            age = f"{depth.oldest_pending_s:.0f} s" if depth.pending else "-"
            table.add_row(tenant, *(f"{number:,}" for number in (depth.pending, depth.queued, depth.leased)), age)
        console = Console()
        console.print(table if table.row_count else "Nothing waits.")
        if service.settings.redis_url and not service.broker_alive():
            console.print("[red]The queue's server (Redis) does not answer.[/red] Nothing is lost: work goes on when it is back.")
            return 3
    return 0
