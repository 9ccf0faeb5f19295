"""The service as real processes: worker and scheduler over PostgreSQL, Redis and MinIO, from a submitted job to its version."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import samples
from tests.installation import Installation, installed


@pytest.fixture
def site(tmp_path: Path, postgres_url: str, redis_url: str, minio_server):
    with installed(tmp_path, postgres_url, redis_url, minio_server.endpoint) as one:
        yield one


def small(folder: Path) -> Path:
    """Three files of three fates, quickly worked on."""
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("Å ä ö\n", "utf-8")
    (folder / "under mapp").mkdir()
    (folder / "under mapp" / "b.pdf").write_bytes(samples.born_digital_pdf("Beslut", pages=1))
    (folder / "låst.pdf").write_bytes(samples.encrypted_pdf())
    return folder


def test_a_job_goes_all_the_way(site: Installation, minio_server) -> None:
    """Submitted, scanned, worked on, committed, delivered, finished: by processes that share nothing but ledger, queue and store."""
    lund = site.tenant("lund", minio_server.new_bucket())
    small(site.inbox(lund) / "Nämnd")
    site.start("schedule")
    site.start("work")
    job = site.submit(lund, "Nämnd", delivery="file://out/ut")

    ended = site.until_over(lund, job)

    assert (ended.state, ended.version, ended.error) == ("finished", 1, None)
    statuses = {path: record.status for path, record in site.records(job).items()}
    assert statuses == {"a.txt": "kept", "under mapp/b.pdf": "migrated", "låst.pdf": "returned"}
