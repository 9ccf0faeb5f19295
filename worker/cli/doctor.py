"""``bevara doctor``: is this machine fit, and if not, what to do."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

from worker import toolchain
from worker.settings import Settings


def add(parser: argparse.ArgumentParser) -> None:
    """No options: it looks and tells."""
    del parser


def run(args: argparse.Namespace) -> int:
    """Print each tool; 3 when one is missing that bevara cannot work without."""
    del args
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
    if any(tool.needed for tool in missing):
        return 3
    console.print("This machine is fit." if not missing else "bevara runs on this machine, with the limits above.")
    return 0
