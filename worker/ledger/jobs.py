"""Rows of packages and jobs as facts, and back. Every function runs inside its caller's transaction."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from worker.ledger import engine as database
from worker.ledger.events import first_prev
from worker.ledger.facts import Job, JobState
from worker.ledger.schema import jobs, packages
from worker.record import PolicyRef


def object_id(tenant: str, package: str) -> str:
    """The OCFL id of a package."""
    return f"urn:bevara:{quote(tenant, safe='')}:{quote(package, safe='')}"


def package_row(db: sa.Connection, tenant: str, package: str) -> sa.Row[Any]:
    """The package's row, made when it is new."""
    name = object_id(tenant, package)
    wanted = sa.select(packages).where(packages.c.object_id == name)
    if (row := db.execute(wanted).one_or_none()) is not None:
        return row
    db.execute(
        database.insert_or_ignore(db.engine, packages),
        {"object_id": name, "tenant": tenant, "package": package, "version": 0, "last_seq": 0, "last_hash": first_prev(name)},
    )
    return db.execute(wanted).one()


def load_job(db: sa.Connection, job_id: str) -> Job | None:
    """A job by its id."""
    row = db.execute(sa.select(jobs).where(jobs.c.id == job_id)).one_or_none()
    if row is None:
        return None
    return job_of(db.execute(sa.select(packages).where(packages.c.id == row.package_id)).one(), row)


def job_of(home: sa.Row[Any], row: sa.Row[Any]) -> Job:
    """A job from its package's row and its own."""
    return Job(
        id=row.id,
        object_id=home.object_id,
        tenant=home.tenant,
        package=home.package,
        package_key=home.id,
        source=row.source,
        policy=PolicyRef(name=row.policy_name, version=row.policy_version, sha256=row.policy_sha256),
        toolchain=row.toolchain,
        state=JobState(row.state),
        started=row.started,
        finished=row.finished,
        version=row.version,
    )
