"""What must be true of a job of the service, however often things died meanwhile (P1, P3, P5): one place for every fault test.

Asked of the store's own texts and keys by tools that are not the service's, and of the ledger; never of a log.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import pytest
import sqlalchemy as sa
from lxml import etree

from tests.conftest import SHARED, bevara
from tests.installation import Installation, wait_for
from tests.worker.bucket_samples import download
from tests.worker.test_store_directory import ocfl_validate
from worker.archive import MARKER
from worker.fixity.agreement import check_chain, events_of
from worker.ledger.schema import contents, entries, jobs, packages, tasks
from worker.ledger.service_facts import JobView
from worker.record import FileRecord, Status
from worker.store.bucket import Bucket
from worker.store.bucket_folder import FolderBucket
from worker.store.bucket_s3 import S3Bucket, S3Endpoint, client_of
from worker.store.inventory import head
from worker.verify import Severity, verify

JOB_S = 480.0
"""How long a job may take to end by itself on a loaded machine: a message that died with its worker comes back after minutes."""


def bucket_of(site: Installation, tenant: str, endpoint: S3Endpoint | None = None) -> Bucket:
    """The tenant's store, past any proxy when *endpoint* says how."""
    place = site.ledger.tenants.primary(tenant)
    assert place is not None
    scheme, _, rest = place.url.partition("://")
    if scheme == "file":
        return FolderBucket(Path(rest))
    bucket, _, prefix = rest.partition("/")
    return S3Bucket(client_of(endpoint or site.endpoint), bucket, prefix)


def assert_truthful(
    site: Installation,
    tenant: str,
    job_id: str,
    sent: Mapping[str, bytes],
    folder: Path,
    *,
    endpoint: S3Endpoint | None = None,
    poisoned: bool = False,
) -> JobView:
    """The job of a package's first version ended by itself, and store and ledger tell one truth of it.

    Args:
        sent: The delivery's files.
        folder: For what is downloaded.
        endpoint: The store's server, when the site reaches it through a proxy.
        poisoned: Hosts or workers were killed: a file that was hit again and again may then end as failed, for that reason.
    """
    ended = site.until_over(tenant, job_id, JOB_S)
    assert (ended.state, ended.version, ended.error) == ("finished", 1, None)
    records = site.records(job_id)
    _each_file_has_one_status(site, tenant, job_id, records, sent)
    failed = {path: record for path, record in records.items() if record.status is Status.FAILED}
    assert poisoned or not failed, failed
    why = {path: (record.reason, [attempt.outcome for attempt in record.attempts]) for path, record in failed.items()}
    by_us = {"worker-died": 0, "poison": 2, "tool-crashed": 2}  # how many times its host must have been ended for it
    assert all(reason in by_us and tried.count("crashed") >= by_us[reason] for reason, tried in why.values()), why
    assert len(failed) <= len(sent) // 20, "killing at random moments does not hit every file again and again"
    _nobody_holds_anything(site, job_id)
    _at_most_one_derivative(site, ended)
    bucket = bucket_of(site, tenant, endpoint)
    stored = {f"original/{path}" for path, record in records.items() if record.sha512}
    assert stored >= {f"original/{path}" for path, record in records.items() if record.reason != "worker-died"}
    _root_is_valid(bucket, ended, {path: data for path, data in sent.items() if f"original/{path}" in stored}, folder)
    _events_chain(site, ended, folder)
    return ended


def _each_file_has_one_status(
    site: Installation, tenant: str, job_id: str, records: Mapping[str, FileRecord], sent: Mapping[str, bytes]
) -> None:
    assert set(records) == set(sent)
    counts = site.ledger.door(tenant).counts(job_id)
    assert counts is not None
    assert (counts.total, counts.done, counts.pending, counts.queued, counts.leased) == (len(sent), len(sent), 0, 0, 0)
    told = Counter(str(record.status) for record in records.values())
    assert {status: number for status, number in counts.by_status.items() if number} == told


def _nobody_holds_anything(site: Installation, job_id: str) -> None:
    held = list(site.ledger.stream(sa.select(tasks.c.id).where(tasks.c.job_id == job_id, tasks.c.worker.is_not(None))))
    held += list(site.ledger.stream(sa.select(jobs.c.id).where(jobs.c.id == job_id, jobs.c.worker.is_not(None))))
    assert held == []


def _at_most_one_derivative(site: Installation, job: JobView) -> None:
    e = entries.c
    mine = sa.select(e.logical_path, e.source).join(packages, packages.c.id == e.package_id)
    rows = list(site.ledger.stream(mine.where(packages.c.object_id == job.object_id, e.source.is_not(None), e.dropped.is_(False))))
    made = Counter((row.logical_path.split("/")[0], row.source) for row in rows)
    assert set(made.values()) <= {1}, made


def _root_is_valid(bucket: Bucket, job: JobView, sent: Mapping[str, bytes], folder: Path) -> None:
    """By a validator that we did not write, by ours, by PREMIS's schema; and every original is there, byte for byte."""
    root = download(bucket, folder)
    (folder / MARKER[0]).write_bytes(MARKER[1])
    home = _home(root, job.object_id)
    for path in (root, home):
        done = ocfl_validate(path)
        assert done.returncode == 0, done.stdout + done.stderr
    assert [str(finding) for finding in verify(folder) if finding.severity is Severity.ERROR] == []
    for path, data in sent.items():
        assert (home / "v1" / "content" / "original" / path).read_bytes() == data, path
    (records,) = home.glob("v*/content/metadata/records/*.jsonl")
    assert len(records.read_bytes().splitlines()) >= len(sent)
    _schema().assertValid(etree.parse(home / "v1" / "content" / "metadata" / "premis.xml"))


def originals_of(bucket: Bucket, object_id: str, folder: Path) -> set[str]:
    """What the newest version holds of the deliveries, when all of the store is whole; *folder* is made for what is downloaded."""
    inventories = [json.loads(path.read_bytes()) for path in download(bucket, folder).glob("*/*/*/*/inventory.json")]
    (folder / MARKER[0]).write_bytes(MARKER[1])
    assert [str(finding) for finding in verify(folder) if finding.severity is Severity.ERROR] == []
    (found,) = (one for one in inventories if one["id"] == object_id)
    paths = [path for paths in found["versions"][found["head"]]["state"].values() for path in paths]
    return {path.removeprefix("original/") for path in paths if path.startswith("original/")}


def _home(root: Path, object_id: str) -> Path:
    """Where the object lives below *root*, by its own inventory."""
    for path in root.glob("*/*/*/*/inventory.json"):
        with path.open("rb") as stream:
            if head(stream) == (object_id, 1):
                return path.parent
    raise AssertionError(f"{object_id} is not in the store with one version")


def _events_chain(site: Installation, job: JobView, folder: Path) -> None:
    """In the ledger, and the same events in the store; each original was ingested once; the ledger's content is the store's."""
    home = _home(folder / "store", job.object_id)
    lines = sorted(home.glob("v*/content/metadata/events/*.jsonl"))
    with site.ledger.engine.connect() as db:
        key = db.scalar(sa.select(packages.c.id).where(packages.c.object_id == job.object_id))
        assert key is not None
        assert list(check_chain(db, key, events_of(path.open("rb") for path in lines))) == []
        known = {row.content_path for row in db.execute(sa.select(contents).where(contents.c.package_id == key))}
    there = {str(path.relative_to(home)) for path in home.rglob("v1/content/*/**/*") if path.is_file()}
    assert {path for path in there if "/metadata/" not in path} <= known


@lru_cache
def _schema() -> etree.XMLSchema:
    path = SHARED / "schemas" / "premis-v3-0.xsd"
    if not path.exists() and not os.environ.get("CI"):
        pytest.skip("the PREMIS schema is not here")
    return etree.XMLSchema(etree.parse(path))


def assert_nothing_is_left(site: Installation, tenant: str, endpoint: S3Endpoint | None = None) -> None:
    """What nothing refers to, ``bevara gc`` names and removes; then the store holds versions and reports alone.

    Asked again for a while: a process that lost its lease may still be putting something away.
    """
    bucket = bucket_of(site, tenant, endpoint)

    def swept() -> bool:
        ran = bevara("gc", "--grace", "0", "--apply", "--tenant", tenant, env=site.environment)
        assert ran.code == 0, ran.said
        return {blob.key.split("/")[0] for blob in bucket.list()} <= {"store", "reports"}

    wait_for(swept)
    ran = bevara("gc", "--grace", "0", "--tenant", tenant, env=site.environment)
    assert ran.out.startswith("0 keys"), ran.said
