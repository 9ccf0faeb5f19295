"""The words of ``bevara tenant``: which sub-commands there are, and what each takes. What they do is ``tenant``'s."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 -- argparse has no public name for it


def add(parser: argparse.ArgumentParser) -> None:
    """All of them."""
    commands = parser.add_subparsers(dest="what", required=True, metavar="add|list|set|suspend|key|place|policy")
    one = _of(commands, "add", "make a tenant")
    one.add_argument("--name", metavar="TEXT", help="its name for people (default: the id)")
    one.add_argument("--weight", type=int, default=1, metavar="N", help="its share of the workers, 1 to 1000 (default: 1)")
    commands.add_parser("list", help="show all tenants")
    one = _of(commands, "set", "change a tenant")
    one.add_argument("--name", metavar="TEXT", help="its name for people")
    one.add_argument("--weight", type=int, metavar="N", help="its share of the workers, 1 to 1000")
    one.add_argument("--settings", metavar="JSON", help='a JSON object, such as {"callbacks": ["https://host/path"]}')
    one = _of(commands, "suspend", "let a tenant's keys and jobs rest")
    one.add_argument("--resume", action="store_true", help="let them go on")
    _keys(_group(commands, "key", "the tenant's keys", "add|list|revoke|rotate"))
    _places(_group(commands, "place", "where its objects lie, come from and go to", "add|list|retire"))
    _policies(_group(commands, "policy", "policies of its own", "put|list"))


def _keys(commands: Commands) -> None:
    one = _of(commands, "add", "make a key; it is shown once")
    one.add_argument("name", metavar="NAME", help="who or what will use it")
    one.add_argument(
        "--scopes", default="submit,read", metavar="S,S", help="of submit, read, officer, admin (default: %(default)s)"
    )
    one.add_argument("--days", type=float, metavar="N", help="how long it is good (default: until it is revoked)")
    _of(commands, "list", "show the keys, never their secrets")
    one = commands.add_parser("revoke", help="end a key at once")
    one.add_argument("key", metavar="KEY", help="the key's id: what stands between the first two underscores")
    one = commands.add_parser("rotate", help="make a new key in place of an old one")
    one.add_argument("key", metavar="KEY", help="the old key's id")
    one.add_argument("--overlap-hours", type=float, default=24.0, metavar="N", help="how long both are good (default: %(default)g)")


def _places(commands: Commands) -> None:
    one = _of(commands, "add", "register a place, after it has answered")
    one.add_argument("name", metavar="NAME", help="what jobs call it")
    one.add_argument("url", metavar="URL", help="file:///absolute/folder or s3://bucket/prefix")
    one.add_argument("--endpoint", metavar="E", help="name of the S3 endpoint in the settings")
    one.add_argument("--store", action="store_true", help="versions are kept here; the first one is the primary store")
    one.add_argument("--source", action="store_true", help="jobs may read from here")
    one.add_argument("--delivery", action="store_true", help="jobs may deliver to here")
    one.add_argument("--position", type=int, metavar="N", help="among the stores; 0 is the primary (default: the next)")
    _of(commands, "list", "show its places")
    one = _of(commands, "retire", "use a place no more; what lies there stays")
    one.add_argument("name", metavar="NAME")
    one.add_argument("--lost", action="store_true", help="the first store is gone: go on, although the next one lacks packages")


def _policies(commands: Commands) -> None:
    one = _of(commands, "put", "keep a policy file for the tenant, after it was checked")
    one.add_argument("file", metavar="FILE")
    one.add_argument("--name", metavar="NAME", help="what jobs call it (default: the file's name)")
    _of(commands, "list", "show them")


def _group(commands: Commands, name: str, about: str, below: str) -> Commands:
    return commands.add_parser(name, help=about).add_subparsers(dest="do", required=True, metavar=below)


def _of(commands: Commands, name: str, about: str) -> argparse.ArgumentParser:
    one = commands.add_parser(name, help=about)
    one.add_argument("tenant", metavar="TENANT", help="the tenant's id")
    return one
