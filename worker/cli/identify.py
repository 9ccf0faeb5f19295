"""``bevara identify``: what files are, by every voice that was asked. Reads, changes nothing."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from worker.cli.examine import Examined, examine
from worker.paths import archival_path
from worker.pipeline.hosts import HostPool
from worker.pipeline.scan import Kind, scan
from worker.settings import Settings

SHOWN = frozenset(
    {"encrypted", "restricted", "signed", "macros", "damaged", "portfolio", "empty", "disagreement", "encoding", "pages"}
)
AHEAD = 64  # files handed out before the first answer is printed: keeps order and bounds memory


def add(parser: argparse.ArgumentParser) -> None:
    """Options of ``identify``."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="files or folders")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, with voices and probed facts")
    parser.add_argument(
        "--formats-only", action="store_true", help="ask the identifiers, leave out the probes (encrypted, signed …): faster"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="files at once (default: the number of cores)")


def run(args: argparse.Namespace) -> int:
    """Print one line a file, in the order of the folders; 1 when something could not be identified."""
    roots = [Path(path).absolute() for path in args.paths]
    for root in roots:
        if not os.path.lexists(root):
            print(f"bevara: {root}: there is no such file or folder", file=sys.stderr)
            return 2
    settings = Settings.from_environment(args.jobs)
    unknown = 0
    with tempfile.TemporaryDirectory(prefix="bevara.") as scratch:
        pool = HostPool(settings.jobs, Path(scratch, "hosts"), settings.verapdf_lib, readable=tuple(roots))
        pool.start("identify")  # signatures load while the folders are listed
        try:
            for examined in _all(pool, roots, probe=not args.formats_only):
                unknown += examined.puid is None
                print(json.dumps(examined.as_json(), ensure_ascii=False) if args.json else _row(examined))
        finally:
            pool.close()
    return 1 if unknown else 0


def _all(pool: HostPool, roots: Iterable[Path], *, probe: bool) -> Iterator[Examined]:
    """Examine every file of *roots*, several at once, answers in order."""
    waiting: list[Any] = []
    with ThreadPoolExecutor(pool.size) as threads:
        for path, name, kind in _files(roots):
            waiting.append(threads.submit(examine, pool, path, name, kind, probe=probe))
            if len(waiting) >= AHEAD:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()


def _files(roots: Iterable[Path]) -> Iterator[tuple[Path, str, Kind]]:
    for root in roots:
        raw = os.fsencode(root)
        for seen in scan(raw):
            full = os.path.join(raw, seen.path) if root.is_dir() else raw  # noqa: PTH118 -- bytes
            yield Path(os.fsdecode(full)), archival_path(full.lstrip(b"/")), seen.kind


def _row(examined: Examined) -> str:
    seen = ", ".join(
        f"{name}={value}" if value is not True else name for name, value in examined.facts.items() if name in SHOWN and value
    )
    said = f"{examined.said} ({seen})" if seen else examined.said
    return "\t".join((examined.puid or "-", examined.mime or "-", said, "/" + examined.path))
