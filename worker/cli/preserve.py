"""``bevara preserve``: the main job, all in one process (design.md §10)."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path
from types import FrameType

from actions.catalog import CATALOG
from actions.errors import PreservationError
from actions.tools.bubblewrap import boundary
from worker import memory, toolchain
from worker.archive import Archive
from worker.cli import interrupt
from worker.disk import full_disk_told
from worker.paths import archival_path
from worker.pipeline.hosts import HostPool
from worker.pipeline.job import Asked, EmbeddedJob, Ended
from worker.pipeline.scan import scan
from worker.policy.inherit import shipped
from worker.policy.load import load_policy
from worker.record import FileRecord, Status
from worker.report import html_report, json_report
from worker.report.header import ReportHeader
from worker.report.progress import Progress
from worker.report.summary import Summary
from worker.settings import Settings

NEEDS_A_PERSON = frozenset({Status.REVIEW, Status.RETURNED, Status.FAILED})
NAME = re.compile(r"[\w.-]{1,64}")
OFFICE = frozenset("doc docx docm dot dotx odt ott fodt sxw rtf wpd wps wri ppt pptx pptm pps ppsx odp otp sxi".split())  # noqa: SIM905
PREWARM_NAMES = 2000  # how far to look for office files before the hosts start; more would delay them


class UsageError(PreservationError):
    """The command line asks for something that cannot be done."""

    code = "usage"


def add(parser: argparse.ArgumentParser) -> None:
    """Options of ``preserve``."""
    parser.add_argument("folder", metavar="FOLDER", help="what to preserve: a folder, or one file. It is read, never changed")
    parser.add_argument("--archive", required=True, metavar="DIR", help="the archive; made when it does not exist")
    parser.add_argument(
        "--policy", default="skanearkiv", metavar="NAME|FILE", help="a shipped policy's name, or a file (default: %(default)s)"
    )
    parser.add_argument("--tenant", default="default", metavar="T", help="whose records they are (default: %(default)s)")
    parser.add_argument(
        "--package", metavar="P", help="the package's name in the archive (default: from the folder's name and place)"
    )
    parser.add_argument("--report", metavar="DIR", help="where report.json and report.html go (default: ARCHIVE/reports/<job>)")
    parser.add_argument("--jobs", type=_positive, metavar="N", help="files at once (default: the number of cores)")


def run(args: argparse.Namespace) -> int:
    """Carry out the job; see the exit codes in ``worker.cli.main``."""
    started = time.monotonic()
    if not args.archive:
        raise UsageError("names no folder", "--archive", "Name a new folder, or an archive that bevara made.")
    source, folder = _source(args.folder), Path(args.archive).absolute()
    _apart(source, folder)
    if args.package == "":
        raise UsageError("is not a package's name", "--package", "Leave it out, or name the package.")
    if not NAME.fullmatch(args.tenant):
        raise UsageError("is not a tenant's name", args.tenant, "Use letters, digits, dots, hyphens and underscores.")
    memory.share()
    settings = Settings.from_environment(args.jobs)
    # A policy of the user's own is read before anything is made. A shipped one has no typo, and is read while the hosts start.
    policy = None if args.policy in shipped() else load_policy(args.policy, CATALOG)
    with full_disk_told(args.archive), Archive(folder) as archive:
        for sentence in archive.recovered:
            print(f"bevara: {sentence}", file=sys.stderr)
        hosts = HostPool(settings.jobs, archive.scratch / "hosts", settings.verapdf_lib)
        try:
            hosts.start(*_to_warm(source))
            policy = policy or load_policy(args.policy, CATALOG)
            package = args.package or _package(source)
            asked = Asked(args.tenant, package, source, toolchain.digest(settings), settings.time_factor)
            ended = _watched(EmbeddedJob(archive, policy, hosts, asked))
        finally:
            hosts.close()
        return _told(args, archive, settings, ended, started)


def _watched(job: EmbeddedJob) -> Ended:
    """Run the job with progress and with Ctrl-C meaning: finish what is in hand."""
    files, size = job.scan()
    if job.job.continued:
        print(f"bevara: going on with job {job.job.id}, which was interrupted", file=sys.stderr)
    with Progress(files, size, sys.stderr) as progress, _signals(job, progress):
        return job.run(lambda record: progress.advance(record.status, record.size_bytes or 0))


@contextmanager
def _signals(job: EmbeddedJob, progress: Progress) -> Iterator[None]:
    asked = 0

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        nonlocal asked
        asked += 1
        job.stop(at_once=asked > 1)
        if asked == 1:
            progress.message("stopping: the files in hand are being finished (Ctrl-C again drops them)")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    if interrupt.was_asked():  # it came at a moment when Python had nowhere to raise it
        handle(signal.SIGINT, None)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _told(args: argparse.Namespace, archive: Archive, settings: Settings, ended: Ended, started: float) -> int:
    """Write the reports, print the summary, choose the exit code."""
    report = Path(args.report).absolute() if args.report else archive.reports / ended.job.id
    report.mkdir(parents=True, exist_ok=True)
    summary = Summary()
    for record in archive.ledger.records(ended.job):
        summary.add(record)
    counts = summary.tally.by_status()
    header = ReportHeader(
        job=ended.job.id,
        tenant=ended.job.tenant,
        package=ended.job.package,
        policy=ended.job.policy,
        started=ended.job.started,
        finished=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        counts=counts,
        archive=args.archive,
        source=args.folder,
        interrupted=not ended.complete,
        version=f"v{ended.version}" if ended.version else None,
        seconds=time.monotonic() - started,
        size_bytes=summary.tally.size_bytes,
        tools={tool.name: tool.version for tool in toolchain.tools(settings) if tool.version},
        sandbox=boundary().kind,
    )

    def records() -> Iterator[FileRecord]:
        return archive.ledger.records(ended.job)

    json_report.write(report / "report.json", header, records())
    html_report.write(report / "report.html", header, records, archive.reports)
    summary.show(header, report, sys.stdout)
    if not ended.complete:
        again = shlex.join(["bevara", *sys.argv[1:]])
        print(f"\nStopped before the end: {ended.left} files are left. Nothing is lost.")
        print(f"To go on, run the same command again:\n  {again}")
        return 130
    return 1 if any(counts[status] for status in NEEDS_A_PERSON) else 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _source(given: str) -> bytes:
    """The folder's real path in the file system's bytes: names that are not UTF-8 are names too."""
    path = os.path.realpath(os.fsencode(given))
    if not given or not os.path.lexists(path):
        raise UsageError("does not exist", given, "Name a folder, or one file.")
    if not (os.path.isdir(path) or os.path.isfile(path)):  # noqa: PTH112, PTH113 -- bytes
        raise UsageError("is neither a folder nor a file", given, "Name a folder, or one file.")
    return path


def _apart(source: bytes, archive: Path) -> None:
    """Neither may be inside the other: the archive would take itself in."""
    other = os.path.realpath(os.fsencode(archive))
    for inner, outer in ((source, other), (other, source)):
        if inner == outer or inner.startswith(outer.rstrip(b"/") + b"/"):
            raise UsageError("archive and source folder must be apart", os.fsdecode(inner), "Put the archive somewhere else.")


def _package(source: bytes) -> str:
    """The folder's name, made unique by its place: two folders called `scan` are two packages."""
    name = archival_path(os.path.basename(source) or b"root")  # noqa: PTH119 -- bytes
    return f"{name}-{sha256(source).hexdigest()[:8]}"


def _to_warm(source: bytes) -> list[str]:
    """Tools that this folder will need, by the first names in it, so that their start overlaps with ours."""
    extensions = {os.fsdecode(seen.path).rpartition(".")[2].lower() for seen in islice(scan(source), PREWARM_NAMES)}
    office, pdf = bool(extensions & OFFICE), "pdf" in extensions
    return [*(["libreoffice"] if office else []), *(["verapdf"] if office or pdf else []), "identify"]
