"""``bevara doctor``: is this machine fit, and if not, what to do."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

from worker import service_settings, toolchain
from worker.settings import Settings


def add(parser: argparse.ArgumentParser) -> None:
    """It looks and tells; the list of settings is the only other thing that it knows."""
    parser.add_argument("--settings", action="store_true", help="list the service's settings, their defaults and what they mean")


def run(args: argparse.Namespace) -> int:
    """Print each tool; 3 when one is missing that bevara cannot work without."""
    if args.settings:
        print(service_settings.table(), end="")
        return 0
    found = toolchain.tools(Settings.from_environment())
    console = Console(soft_wrap=False)
    table = Table("tool", "version", "what it is for", box=None, header_style="bold", pad_edge=False)
    for tool in found:
        version = tool.version or ("[red]missing[/red]" if tool.needed else "[yellow]missing[/yellow]")
        table.add_row(tool.name, version, tool.purpose)
    console.print(table)
    missing = [tool for tool in found if tool.version is None]
    for tool in found:
        if tool.note:
            console.print(f"[yellow]note[/yellow]  {tool.name} {tool.version or ''}: {tool.note}", highlight=False)
    for tool in missing:
        console.print(f"[red]get[/red]   {tool.name}: {tool.remedy}", highlight=False)
    service_fit = not service_settings.configured() or _service(console)
    if any(tool.needed for tool in missing) or not service_fit:
        return 3
    console.print("This machine is fit." if not missing else "bevara runs on this machine, with the limits above.")
    return 0


def _service(console: Console) -> bool:
    """What the service's settings name, and whether it answers."""
    from worker.cli import doctor_service  # noqa: PLC0415 -- loads what the embedded use does not need

    return doctor_service.show(console)
