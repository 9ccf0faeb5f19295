"""``bevara policy check|schema``: for officers, before a policy decides over records."""

from __future__ import annotations

import argparse
import sys

from actions.catalog import CATALOG
from worker.policy.load import check
from worker.policy.problem import Severity
from worker.policy.schema import schema_json


def add(parser: argparse.ArgumentParser) -> None:
    """Sub-commands of ``policy``."""
    commands = parser.add_subparsers(dest="what", required=True, metavar="check|schema")
    checking = commands.add_parser("check", help="name every fault of a policy file, with file, line and what to do")
    checking.add_argument("file", metavar="FILE", help="a policy file, or a shipped policy's name")
    commands.add_parser("schema", help="print the JSON Schema, for an editor that completes and checks")


def run(args: argparse.Namespace) -> int:
    """2 when the policy cannot be used."""
    if args.what == "schema":
        print(schema_json(), end="")
        return 0
    problems = check(args.file, CATALOG)
    for problem in problems:
        print(problem, file=sys.stderr)
    if any(problem.severity is Severity.ERROR for problem in problems):
        return 2
    print(f"{args.file}: a policy that can be used" + (", with the remarks above" if problems else ""))
    return 0
