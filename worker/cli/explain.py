"""``bevara explain``: which rule would apply to a file, and why. Changes nothing."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from actions.catalog import CATALOG
from worker.cli.examine import examine
from worker.paths import archival_path
from worker.pipeline import naming
from worker.pipeline.hosts import HostPool
from worker.pipeline.scan import Kind
from worker.policy.decide import Identity
from worker.policy.explanation import render_explanation
from worker.policy.load import load_policy
from worker.settings import Settings


def add(parser: argparse.ArgumentParser) -> None:
    """Options of ``explain``."""
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--policy", default="skanearkiv", metavar="NAME|FILE", help="default: %(default)s")
    parser.add_argument("--lang", choices=("sv", "en"), default="en", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """Print the decision for each file; 2 when one is not there."""
    policy = load_policy(args.policy, CATALOG)
    files = [Path(name).absolute() for name in args.files]
    code = 0
    settings = Settings.from_environment(1)
    with tempfile.TemporaryDirectory(prefix="bevara.") as scratch:
        pool = HostPool(1, Path(scratch, "hosts"), settings.verapdf_lib, readable=tuple(path for path in files if path.is_file()))
        try:
            for path in files:
                if not path.is_file():
                    print(f"bevara: {path}: not a file that can be read", file=sys.stderr)
                    code = 2
                    continue
                name = archival_path(os.fsencode(path).lstrip(b"/"))
                found = examine(pool, path, name, Kind.FILE)
                identity = Identity(found.puid, found.mime, naming.extension(name))
                plan = policy.explain(identity, found.facts, found.size_bytes, args.lang)
                facts = ", ".join(
                    f"{key}={value}" for key, value in sorted(found.facts.items()) if value not in (None, False, "", [])
                )
                print(f"/{name}\n  {found.puid or 'unidentified'}  {found.said}\n  {facts}")
                print("  " + render_explanation(plan, args.lang).replace("\n", "\n  ") + "\n")
        finally:
            pool.close()
    return code
