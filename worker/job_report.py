"""A job's report beside the store it was committed to: ``reports/<job>/report.json`` and ``report.html`` in the tenant's place.

The same reports as the embedded use writes, with the pictures that the workers put there. What they say is ``report``'s matter.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from actions.tools.bubblewrap import boundary
from worker import toolchain
from worker.app import Service
from worker.ledger.events import now
from worker.ledger.facts import Job
from worker.places import REPORTS
from worker.record import FileRecord
from worker.report import html_report, json_report
from worker.report.header import ReportHeader
from worker.report.pictures import PICTURE_BYTES
from worker.report.summary import Summary
from worker.store.bucket import Bucket
from worker.store.contract import NotInStoreError


def write_report(service: Service, job: Job) -> None:
    """Write both; older ones are replaced.

    Raises:
        StoreUnreachableError: The place gives no answer.
    """
    ledger, bucket = service.ledger, service.bucket_of(job.tenant)
    current = ledger.job(job.id) or job
    summary = Summary()
    for record in ledger.records(job):
        summary.add(record)
    header = ReportHeader(
        job=job.id,
        tenant=job.tenant,
        package=job.package,
        policy=job.policy,
        started=job.started,
        finished=now(),
        counts=summary.tally.by_status(),
        archive=bucket.url,
        source=job.source.decode("utf-8", "replace"),
        version=f"v{current.version}" if current.version else None,
        size_bytes=summary.tally.size_bytes,
        tools={tool.name: tool.version for tool in toolchain.tools(service.machine) if tool.version},
        sandbox=boundary().kind,
    )

    def records() -> Iterator[FileRecord]:
        return ledger.records(job)

    with tempfile.TemporaryDirectory(prefix="report-", dir=service.scratch.folder) as scratch:
        text, page = Path(scratch, "report.json"), Path(scratch, "report.html")
        json_report.write(text, header, records())
        html_report.write(page, header, records, lambda name: _picture(bucket, name))
        for path in (text, page):
            bucket.put_file(f"{REPORTS}/{job.id}/{path.name}", path)


def _picture(bucket: Bucket, name: str) -> bytes:
    """A picture that a worker put there; nothing where it is not, or is no thumbnail."""
    try:
        with bucket.get(f"{REPORTS}/{name}", 0, PICTURE_BYTES + 1) as stream:
            content = stream.read()
    except NotInStoreError:
        return b""
    return content if len(content) <= PICTURE_BYTES else b""
