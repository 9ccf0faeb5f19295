"""``bevara submit``: hand a package to a running service, from this machine's disk or by reference."""

from __future__ import annotations

import argparse
import os
import re
import sys
from typing import Any

from actions.errors import PermanentError
from worker.cli.service_client import add_service, connect, show, watch
from worker.client import Client, RefusedRequestError
from worker.client_notes import Notes
from worker.client_upload import Sender, begin
from worker.paths import archival_path
from worker.pipeline.scan import Kind, scan
from worker.report.progress import Progress

_REFERENCE = re.compile(r"(?:s3|file|upload)://")


def add(parser: argparse.ArgumentParser) -> None:
    """Options of ``submit``."""
    parser.add_argument(
        "source", metavar="FOLDER|REFERENCE", help="a folder or file here, or s3://PLACE/prefix, file://PLACE/folder"
    )
    add_service(parser)
    parser.add_argument("--package", metavar="P", help="the package's name in the archive (default: the folder's name)")
    parser.add_argument("--policy", default="skanearkiv", metavar="NAME", help="the policy's name (default: %(default)s)")
    parser.add_argument("--priority", type=int, default=0, metavar="N", help="-10 to 10, higher goes first (default: %(default)s)")
    parser.add_argument("--manifest", metavar="FILE", help="name of a checksum manifest in the source, to be checked")
    parser.add_argument("--delivery", metavar="REFERENCE", help="where derivatives and PREMIS go as well: s3://PLACE/prefix")
    parser.add_argument("--callback", metavar="URL", help="registered address that is told when the job ends")
    parser.add_argument("--watch", action="store_true", help="stay and show how far it is, until it has ended")


def run(args: argparse.Namespace) -> int:
    """Submit, and watch when asked to; see the exit codes in ``worker.cli.main``."""
    if not -10 <= args.priority <= 10:
        raise PermanentError("is not from -10 to 10", f"--priority {args.priority}", "Leave it out for the middle.", code="usage")
    by_reference = _REFERENCE.match(args.source) is not None
    if by_reference and not args.package:
        raise PermanentError(
            "the package has no name", "--package", "Name the package that the reference stands for.", code="usage"
        )
    with connect(args) as client:
        not_sent = 0
        if by_reference:
            job = client.submit(_request(args, args.source, args.package))
        else:
            job, not_sent = _from_here(client, args)
        if args.watch:
            job = watch(client, job)
        code = show(job, as_json=args.json)
        return 1 if not_sent else code


def _request(args: argparse.Namespace, source: str, package: str) -> dict[str, Any]:
    asked = {"source": source, "package": package, "policy": args.policy, "priority": args.priority}
    more = {"expected": args.manifest, "delivery": args.delivery, "callback": args.callback}
    return asked | {name: value for name, value in more.items() if value is not None}


def _from_here(client: Client, args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Send a folder and submit it; returns the job, and how many names were no files."""
    root = os.path.realpath(os.fsencode(args.source))
    if not os.path.isdir(root) and not os.path.isfile(root):  # noqa: PTH112, PTH113 -- bytes
        raise PermanentError("is neither a folder nor a file", args.source, "Name what is to be preserved.", code="usage")
    package = args.package or archival_path(os.path.basename(root) or b"root")  # noqa: PTH119 -- bytes
    client.tenant()  # a wrong key or address is said before a large folder is looked through
    notes = Notes(client.url, root, package)
    begun = begin(client, notes)
    files = [seen.size_bytes for seen in scan(root) if seen.kind is Kind.FILE]
    with Progress(len(files), sum(files), sys.stderr) as progress:
        sender = Sender(client, begun.upload, root, notes, sent=lambda size: progress.advance(None, size), said=progress.message)
        if client.ask("GET", f"/v1/uploads/{begun.upload}")["state"] == "open":
            sender.send()
    try:
        job = client.submit(_request(args, f"upload://{begun.upload}", package), idempotency_key=begun.idempotency_key)
    except RefusedRequestError as refused:
        if refused.reason == "idempotency-conflict":  # an earlier run submitted these files, and asked for something else
            notes.forget()
        raise
    notes.forget()
    return job, sender.not_sent
