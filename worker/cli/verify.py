"""``bevara verify``: is every byte and every event of an archive as it was? Offline, writes nothing, needs no database."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from worker.cli.preserve import UsageError
from worker.fixity.findings import Severity
from worker.verify import is_verifiable, verify


def add(parser: argparse.ArgumentParser) -> None:
    """Options of ``verify``."""
    parser.add_argument("archive", metavar="ARCHIVE", help="an archive, a place of the service, or a store alone")
    parser.add_argument("--json", action="store_true", help="one JSON object a finding")


def run(args: argparse.Namespace) -> int:
    """Print every finding; 1 when something is not as it was."""
    folder = Path(args.archive)
    if not folder.is_dir():
        raise UsageError("is not a folder", args.archive, "Name an archive that `bevara preserve` made.")
    if not is_verifiable(folder):
        raise UsageError("is not an archive", args.archive, "Name an archive that `bevara preserve` made.")
    wrong = 0
    for finding in verify(folder):
        wrong += finding.severity is Severity.ERROR
        print(json.dumps(asdict(finding), ensure_ascii=False) if args.json else finding)
    if not args.json:
        print(
            f"{args.archive}: {'whole: every byte and every event is as it was' if not wrong else f'{wrong} findings: see above'}"
        )
    return 1 if wrong else 0
