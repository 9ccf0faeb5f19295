"""``bevara``: the door for people. Parses, calls, and turns every end into a sentence and an exit code.

Exit codes (design.md §10): 0 all well; 1 finished, and something needs a person; 2 bad usage or input;
3 the environment is not fit; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import cast

from actions.errors import PreservationError
from worker import __version__
from worker.cli import interrupt

OK, NEEDS_A_PERSON, BAD_INPUT, NOT_FIT, INTERRUPTED = 0, 1, 2, 3, 130

ENVIRONMENT = frozenset(
    {
        *("tool-missing", "tool-crashed", "disk-full", "archive-busy", "ledger-damaged", "store-damaged", "bug", "scratch"),
        *("settings", "service-unreachable", "service-untrusted", "ledger-unreachable", "queue-unreachable", "store-unreachable"),
    }
)

Command = Callable[[argparse.Namespace], int]

# Name: module with ``add(parser)`` and ``run(args) -> int``, and a line of help. Imported when called: each needs other libraries.
COMMANDS = {
    "preserve": ("worker.cli.preserve", "preserve a folder in an archive: identify, convert, prove, store"),
    "identify": ("worker.cli.identify", "say what files are: formats, voices and probes"),
    "explain": ("worker.cli.explain", "say which rule of a policy would apply to a file, and why; changes nothing"),
    "policy": ("worker.cli.policy", "for officers: check a policy file, print the schema"),
    "verify": ("worker.cli.verify", "check an archive offline: OCFL, digests, event chains; needs no database"),
    "evidence": ("worker.cli.evidence", "sign what an archive holds each day, prove it later, give out proofs"),
    "audit": ("worker.cli.audit", "read copies by their deadlines; findings, approvals, repair"),
    "copies": ("worker.cli.copies", "show where copies are, add a second store, fill it"),
    "ledger": ("worker.cli.ledger", "rebuild an archive's ledger from its store"),
    "submit": ("worker.cli.submit", "send a folder, or name one that the service can read, to a running service"),
    "status": ("worker.cli.status", "show a job of a running service, and watch it"),
    "serve": ("worker.cli.serve", "the service's API"),
    "work": ("worker.cli.work", "a worker of the service: takes files and jobs from the queue"),
    "schedule": ("worker.cli.schedule", "the service's scheduler: fills the queue, takes back what was lost"),
    "dev": ("worker.cli.dev", "the whole service in one process, for trying it out"),
    "queue": ("worker.cli.queue", "for operators: show the service's queue, or fill it again from the ledger"),
    "tenant": ("worker.cli.tenant", "for operators: tenants, their keys, places and policies"),
    "gc": ("worker.cli.gc", "for operators: name, or remove, what the stores hold and nothing refers to"),
    "doctor": ("worker.cli.doctor", "show each tool, its version, what it is for, and how to get it"),
}


def entry() -> None:
    """The console script. A SIGTERM means what Ctrl-C means, also before a job listens for both."""
    interrupt.listen()
    sys.exit(main(sys.argv[1:]))


def main(argv: Sequence[str]) -> int:
    """Run one command; never raises for what a user can do wrong."""
    for stream in (sys.stdout, sys.stderr):  # a file's name must not end the program on a terminal that cannot show it
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="backslashreplace")
    try:
        return _called(argv)
    except PreservationError as known:
        print(f"bevara: {known.subject}: {known.what}. {known.remedy}", file=sys.stderr)
        for problem in getattr(known, "problems", ()):  # of a policy: each with its file and line
            print(problem, file=sys.stderr)
        return NOT_FIT if known.reason in ENVIRONMENT else BAD_INPUT
    except KeyboardInterrupt:
        print("\nbevara: stopped.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `bevara identify … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def _called(argv: Sequence[str]) -> int:
    parser = _parser(argv)
    args = parser.parse_args(argv)
    if not args.command:
        parser.print_help()
        return BAD_INPUT
    command = cast("Command", import_module(COMMANDS[args.command][0]).run)
    return command(args)


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bevara", description="Preservation and format migration, proven.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"bevara {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    called = next((word for word in argv if not word.startswith("-")), None)
    for name, (module, help_text) in COMMANDS.items():
        sub = commands.add_parser(name, help=help_text, description=help_text[0].upper() + help_text[1:] + ".", allow_abbrev=False)
        if name == called:
            import_module(module).add(sub)
    return parser
