"""``bevara identify``: what files are, by every voice that was asked. Reads, changes nothing."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actions.errors import PreservationError
from worker.paths import archival_path
from worker.pipeline.hosts import HostPool
from worker.pipeline.scan import Kind, scan
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.cli.examine import Examined

SHOWN = frozenset(
    {"encrypted", "restricted", "signed", "macros", "damaged", "portfolio", "empty", "disagreement", "encoding", "pages"}
)
AHEAD = 64  # questions asked before the first answer is printed: keeps order and bounds memory
BATCH = 8  # files named in one question
BATCH_LIMIT_S = 20.0  # one that takes longer is asked file by file, each with its own limit


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
        lines = _named(pool, roots) if args.formats_only and not args.json else _examined(pool, roots, args)
        try:
            for known, line in lines:
                unknown += not known
                print(line)
        finally:
            pool.close()
    return 1 if unknown else 0


def _examined(pool: HostPool, roots: Iterable[Path], args: argparse.Namespace) -> Iterator[tuple[bool, str]]:
    """Whether it is known, and the line, of every file of *roots*; voices and probes, one file a question."""
    from worker.cli.examine import examine  # noqa: PLC0415 -- 0.1 s to load

    asked = ((examine, pool, *file) for file in _files(roots))
    for found in _in_order(pool.size, asked, probe=not args.formats_only):
        yield found.puid is not None, json.dumps(found.as_json(), ensure_ascii=False) if args.json else _row(found)


def _named(pool: HostPool, roots: Iterable[Path]) -> Iterator[tuple[bool, str]]:
    """As ``_examined``, formats only and several files a question."""
    files = _files(roots)
    batches = iter(lambda: list(islice(files, BATCH)), [])
    for rows in _in_order(pool.size, ((_batch, pool, batch) for batch in batches)):
        yield from rows


def _batch(pool: HostPool, batch: list[tuple[Path, str, Kind]]) -> list[tuple[bool, str]]:
    regular = [path for path, _, kind in batch if kind is Kind.FILE and os.access(path, os.R_OK)]
    try:
        with pool.borrow() as host:
            answers = dict(zip(regular, host.formats(regular, timeout_s=BATCH_LIMIT_S), strict=True))
    except PreservationError:  # one of them: each is asked by itself, and the one is told
        answers = {}
    return [_answered(pool, file, answers.get(file[0])) for file in batch]


def _answered(pool: HostPool, file: tuple[Path, str, Kind], answer: dict[str, Any] | None) -> tuple[bool, str]:
    if answer is None:
        from worker.cli.examine import examine  # noqa: PLC0415 -- as above

        found = examine(pool, *file, probe=False)
        return found.puid is not None, _row(found)
    facts = answer["facts"]
    said = str(facts["format_name"] or "unidentified")
    return facts["puid"] is not None, _line(file[1], facts["puid"], facts["mime"], said, facts)


def _in_order(size: int, asked: Iterable[tuple[Any, ...]], **more: Any) -> Iterator[Any]:
    """Call each function with its arguments, several at once, and give the answers in order."""
    waiting: deque[Any] = deque()
    with ThreadPoolExecutor(size) as threads:
        for function, *arguments in asked:
            waiting.append(threads.submit(function, *arguments, **more))
            if len(waiting) >= AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _files(roots: Iterable[Path]) -> Iterator[tuple[Path, str, Kind]]:
    for root in roots:
        raw = os.fsencode(root)
        for seen in scan(raw):
            full = os.path.join(raw, seen.path) if root.is_dir() else raw  # noqa: PTH118 -- bytes
            yield Path(os.fsdecode(full)), archival_path(full.lstrip(b"/")), seen.kind


def _row(examined: Examined) -> str:
    return _line(examined.path, examined.puid, examined.mime, examined.said, examined.facts)


def _line(path: str, puid: object, mime: object, said: str, facts: Mapping[str, Any]) -> str:
    seen = ", ".join(f"{name}={value}" if value is not True else name for name, value in facts.items() if name in SHOWN and value)
    return "\t".join((str(puid or "-"), str(mime or "-"), f"{said} ({seen})" if seen else said, "/" + path))
