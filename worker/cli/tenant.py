"""``bevara tenant …``: what an operator sets up for each archive authority: itself, its keys, its places, its policies.

Keys and places have their options in ``tenant_options``. A key's secret is printed once, when it is made, and kept nowhere.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from actions.catalog import CATALOG
from actions.errors import PermanentError
from worker.app import Service
from worker.cli import tenant_options
from worker.cli.service import connected
from worker.fixity import retired
from worker.ledger.events import now
from worker.ledger.service_facts import NewKey, Place
from worker.policy.text import load_text
from worker.service_settings import ServiceSettings

PIPE_WIDTH = 240
Command = Callable[[Service, argparse.Namespace], int]


def add(parser: argparse.ArgumentParser) -> None:
    """Sub-commands of ``tenant``."""
    tenant_options.add(parser)


def run(args: argparse.Namespace) -> int:
    """Carry out one of them."""
    with connected(ServiceSettings.load()) as service:
        return COMMANDS[" ".join(filter(None, (args.what, getattr(args, "do", ""))))](service, args)


def _add(service: Service, args: argparse.Namespace) -> int:
    made = service.ledger.tenants.add(args.tenant, args.name or args.tenant, weight=args.weight)
    print(
        f"{made.id}: made. Next: `bevara tenant place add {made.id} NAME URL --store`, then `bevara tenant key add {made.id} NAME`."
    )
    return 0


def _list(service: Service, args: argparse.Namespace) -> int:
    del args
    table = _table("tenant", "name", "state", "weight", "store")
    for one in service.ledger.tenants.list():
        primary = service.ledger.tenants.primary(one.id)
        table.add_row(one.id, one.name, one.state, str(one.weight), primary.url if primary else "[red]none[/red]")
    _show(table, "There is no tenant. Make one with `bevara tenant add ID`.")
    return 0


def _set(service: Service, args: argparse.Namespace) -> int:
    changed = service.ledger.tenants.change(args.tenant, name=args.name, weight=args.weight, settings=args.settings)
    print(f"{changed.id}: {changed.name}, weight {changed.weight}, settings {changed.settings}")
    return 0


def _suspend(service: Service, args: argparse.Namespace) -> int:
    service.ledger.tenants.suspend(args.tenant, active=args.resume)
    print(f"{args.tenant}: {'goes on' if args.resume else 'suspended: its keys and its jobs rest, nothing is lost'}.")
    return 0


def _key_add(service: Service, args: argparse.Namespace) -> int:
    expires = None
    if args.days is not None:
        expires = (datetime.now(UTC) + timedelta(days=args.days)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    _shown_once(service.ledger.tenants.add_key(args.tenant, args.name, args.scopes.split(","), expires))
    return 0


def _key_list(service: Service, args: argparse.Namespace) -> int:
    table = _table("key", "name", "scopes", "created", "expires", "last used", "state")
    for key in service.ledger.tenants.keys(args.tenant):
        state = f"revoked {key.revoked[:16]}" if key.revoked else "good"
        times = ((moment or "-")[:16] for moment in (key.created, key.expires, key.last_used))
        table.add_row(key.id, key.name, " ".join(sorted(key.scopes)), *times, state)
    _show(table, "It has no key.")
    return 0


def _key_revoke(service: Service, args: argparse.Namespace) -> int:
    if not service.ledger.tenants.revoke_key(args.key):
        raise PermanentError(
            "is no key, or is revoked already", args.key, "`bevara tenant key list TENANT` shows them.", code="usage"
        )
    print(f"{args.key}: revoked. It opens nothing from now on.")
    return 0


def _key_rotate(service: Service, args: argparse.Namespace) -> int:
    _shown_once(service.ledger.tenants.rotate_key(args.key, args.overlap_hours * 3600.0))
    print(f"The old key {args.key} is good for {args.overlap_hours:g} more hours.")
    return 0


def _place_add(service: Service, args: argparse.Namespace) -> int:
    """Register a place, after it has answered: a typing error shows now, not in the night."""
    if not (args.store or args.source or args.delivery):
        raise PermanentError("is for nothing", args.name, "Say --store, --source or --delivery, or several.", code="usage")
    roles = {"is_store": args.store, "is_source": args.source, "is_delivery": args.delivery}
    wanted = Place("", args.tenant, args.name, args.url, args.endpoint, **roles, position=0, state="active")
    next(iter(service.places.bucket(wanted).list("store/")), None)
    made = service.ledger.tenants.add_place(
        args.tenant, args.name, args.url, endpoint=args.endpoint, **roles, position=args.position
    )
    print(f"{made.name}: {_roles(made)} of {made.tenant}, {made.url}")
    return 0


def _place_list(service: Service, args: argparse.Namespace) -> int:
    table = _table("place", "for", "where", "endpoint", "state")
    for place in service.ledger.tenants.places(args.tenant, retired=True):
        table.add_row(place.name, _roles(place), place.url, place.endpoint or "-", place.state)
    _show(table, "It has no place.")
    return 0


def _place_retire(service: Service, args: argparse.Namespace) -> int:
    if not service.ledger.tenants.retire_place(args.tenant, args.name, lost=args.lost):
        raise PermanentError(
            "is no active place of this tenant", args.name, "`bevara tenant place list TENANT` shows them.", code="usage"
        )
    tenants = service.ledger.tenants
    moved = retired.settle(service.ledger.transactions, tenants.used, now()).get((args.tenant, args.name), 0)
    print(f"{args.name}: used no more. Its {moved:,} copies are owed no audits; what lies there stays.")
    return 0


def _policy_put(service: Service, args: argparse.Namespace) -> int:
    try:
        text = Path(args.file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as no:
        raise PermanentError("cannot be read", args.file, "Name a policy file (YAML, UTF-8).", code="usage") from no
    name = args.name or Path(args.file).stem
    policy, warnings = load_text(name, text, CATALOG)
    service.ledger.tenants.put_policy(args.tenant, name, policy.ref.version, policy.ref.sha256, text)
    for warning in warnings:
        print(warning)
    print(f"{name} {policy.ref.version} ({policy.ref.sha256[:12]}…): kept for {args.tenant}; jobs may name it from now on.")
    return 0


def _policy_list(service: Service, args: argparse.Namespace) -> int:
    table = _table("policy", "version", "digest", "since")
    for policy in service.ledger.tenants.policies(args.tenant):
        table.add_row(policy.name, policy.version, f"{policy.sha256[:12]}…", policy.created[:16])
    _show(table, "It has none of its own; those that come with bevara can be used.")
    return 0


def _shown_once(key: NewKey) -> None:
    print(f"{key.text}\nThis key is shown once and kept nowhere: store it now where its user can read it, and nobody else.")


def _roles(place: Place) -> str:
    store = f"store {place.position}" if place.is_store else ""
    return ", ".join(filter(None, (store, "source" if place.is_source else "", "delivery" if place.is_delivery else "")))


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0, overflow="fold")  # an id that is cut off cannot be copied
    return table


def _show(table: Table, otherwise: str) -> None:
    """A table, or *otherwise* when it is empty; as wide as its words where no terminal says how wide."""
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table if table.row_count else otherwise)


COMMANDS: dict[str, Command] = {
    "add": _add,
    "list": _list,
    "set": _set,
    "suspend": _suspend,
    "key add": _key_add,
    "key list": _key_list,
    "key revoke": _key_revoke,
    "key rotate": _key_rotate,
    "place add": _place_add,
    "place list": _place_list,
    "place retire": _place_retire,
    "policy put": _policy_put,
    "policy list": _policy_list,
}
