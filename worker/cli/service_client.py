"""What ``bevara submit`` and ``bevara status`` share: finding the service and the key, and showing a job."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from actions.errors import PermanentError
from worker.client import Client
from worker.record import Status
from worker.report.names import one_line
from worker.report.progress import Progress
from worker.report.words import NEED_A_PERSON

URL, KEY = "BEVARA_API_URL", "BEVARA_API_KEY"


def add_service(parser: argparse.ArgumentParser) -> None:
    """Options that say which service, and who asks."""
    parser.add_argument("--url", metavar="URL", help=f"the service's address, https://HOST[:PORT] (default: {URL})")
    parser.add_argument("--key-file", metavar="FILE", help=f"file that holds the key (default: the key itself in {KEY})")
    parser.add_argument("--allow-http", action="store_true", help="send the key without TLS to another machine than this one")
    parser.add_argument("--json", action="store_true", help="print the job as JSON")


def connect(args: argparse.Namespace) -> Client:
    """The service that the options or the environment name."""
    url = args.url or os.environ.get(URL, "")
    if not url:
        raise PermanentError("the service's address is missing", "--url", f"Give --url, or set {URL}.", code="usage")
    return Client(url, _key(args.key_file), allow_http=args.allow_http)


def _key(file: str | None) -> str:
    if file is None:
        key = os.environ.get(KEY, "").strip()
        if not key:
            raise PermanentError("the key is missing", "--key-file", f"Name the file that holds it, or set {KEY}.", code="usage")
        return key
    try:
        return Path(file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as no:
        told = no.strerror if isinstance(no, OSError) else "it is not text"
        raise PermanentError(f"cannot be read: {told}", file, "Name the file that holds the key.", code="usage") from None


def watch(client: Client, job: dict[str, Any]) -> dict[str, Any]:
    """Show how far the job is until it has ended, and return it as it ended."""
    print(f"watching job {job['id']}; it does not need you: Ctrl-C ends the watching alone", file=sys.stderr)
    newest = client.watch(job["id"])
    now = next(one for one in newest if one["ended"] or one["state"] not in {"accepted", "scanning"})
    before: Counter[str] = Counter()
    with Progress(now["counts"]["total"], 0, sys.stderr) as progress:
        while True:
            counted = Counter(now["counts"]["by_status"])
            for status in (counted - before).elements():
                progress.advance(Status(status), 0)
            before = counted
            if now["ended"]:
                return now
            now = next(newest)


def show(job: dict[str, Any], *, as_json: bool, waiting: Iterable[dict[str, Any]] = ()) -> int:
    """Print the job, and return the exit code that it comes to (see ``worker.cli.main``)."""
    counts = job["counts"]
    if as_json:
        print(json.dumps(job, ensure_ascii=False, indent=2))
    else:
        print(f"job      {job['id']}")
        print(f"package  {one_line(job['package'])}  ({one_line(job['package_id'])})")
        print(f"state    {job['state']}{_why(job)}")
        done = ", ".join(f"{number} {status}" for status, number in counts["by_status"].items() if number)
        left = f"{counts['waiting']} waiting, {counts['working']} in hand, " if not job["ended"] else ""
        cancelled = f", {counts['cancelled']} cancelled" if counts["cancelled"] else ""
        print(f"files    {counts['total']}: {left}{counts['done']} done{f' ({done})' if done else ''}{cancelled}")
        if job["version"]:
            print(f"version  {job['version']}")
        for file in waiting:
            print(f"  {file['status']}: {one_line(file['path'])}: {one_line(str((file['record'] or {}).get('message', '')))}")
    needs = any(counts["by_status"].get(status.value) for status in NEED_A_PERSON)
    return 1 if needs or job["state"] in {"failed", "cancelled", "superseded"} else 0


def _why(job: dict[str, Any]) -> str:
    if job["error"]:
        return f": {one_line(job['error'])}"
    return " (cancelling)" if job["cancel_asked"] and not job["ended"] else ""
