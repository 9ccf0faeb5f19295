"""A small service for the tests of the API: a real ledger and real places on disk, two tenants, and packages in the archive."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio.from_thread
import httpx

from tests.worker.store_samples import keep
from worker.api.app import create
from worker.app import Service
from worker.commit import commit_job
from worker.fixity.book import Book
from worker.fixity.copies import Copies
from worker.fixity.rules import Rules
from worker.fixity.verdicts import Fault, Verdict
from worker.ledger.events import now
from worker.ledger.facts import Found, Job
from worker.ledger.ledger import Ledger
from worker.ledger.service_facts import Submission
from worker.paths import archival_path
from worker.record import FileRecord, PolicyRef, Status
from worker.service_settings import ServiceSettings

POLICY = PolicyRef(name="default", version="1", sha256="a" * 64)
SCOPES = ("read", "submit", "officer", "admin")
CALLBACKS = ["https://ingest.lund.example/bevara", "https://andra.example:8443/"]


@dataclass
class Tenanted:
    """One tenant with a key of each scope, and one of all."""

    id: str
    keys: dict[str, str]
    folders: dict[str, Path]
    made: dict[str, str] = field(default_factory=dict)


@cache
def _empty_ledger() -> bytes:
    """A ledger with the newest schema, made once: hundreds of tests need one each."""
    with tempfile.TemporaryDirectory() as folder:
        Ledger.connect(f"sqlite:///{folder}/empty").close()
        return Path(folder, "empty").read_bytes()


def open_service(folder: Path, *, everything: bool = False, **settings: object) -> Service:
    """A service with SQLite and folders; what is in *settings* replaces the defaults. *everything*: a worker's, not the API's."""
    environ = {"BEVARA_LEDGER_URL": f"sqlite:///{folder}/ledger.sqlite3", "BEVARA_SCRATCH": str(folder / "scratch")}
    environ |= {f"BEVARA_{name.upper()}": str(value) for name, value in settings.items()}
    (folder / "scratch").mkdir(parents=True, exist_ok=True)
    if not (folder / "ledger.sqlite3").exists():
        (folder / "ledger.sqlite3").write_bytes(_empty_ledger())
    return Service.open(ServiceSettings.load(environ), everything=everything)


def add_tenant(service: Service, tenant: str, folder: Path, **settings: Any) -> Tenanted:
    """A tenant with a store, a source and a place for deliveries, all in *folder*."""
    tenants = service.ledger.tenants
    tenants.add(tenant, tenant.title(), settings=json.dumps({"callbacks": CALLBACKS} | settings))
    folders = {name: folder / tenant / name for name in ("arkiv", "in", "ut")}
    for path in folders.values():
        path.mkdir(parents=True)
    tenants.add_place(tenant, "arkiv", folders["arkiv"].as_uri(), is_store=True)
    tenants.add_place(tenant, "in", folders["in"].as_uri(), is_source=True)
    tenants.add_place(tenant, "ut", folders["ut"].as_uri(), is_delivery=True)
    keys = {scope: tenants.add_key(tenant, scope, [scope]).text for scope in SCOPES}
    keys["all"] = tenants.add_key(tenant, "all", SCOPES).text
    return Tenanted(tenant, keys, folders)


def preserve(service: Service, tenant: str, package: str, files: Mapping[bytes, bytes]) -> Job:
    """Put a package into the tenant's archive, by the very parts that the pipeline uses; no tools run. Returns its job."""
    store, ledger = service.store_of(tenant), service.ledger
    job = ledger.open_job(tenant, package, b"file://in/x", POLICY, "tools-1")
    ledger.add_tasks(job, [Found(raw, archival_path(raw), len(data), 1) for raw, data in files.items()])
    draft = store.open_draft(job.object_id)
    archive: Any = SimpleNamespace(store=store, ledger=ledger)
    while todo := ledger.claim(job, "w", 10, 60):
        for task in todo:
            keep(archive, draft, task, files[task.raw_path])
    commit_job(store, ledger, draft, job)
    return job


def job_with_files(service: Service, tenant: str, package: str, outcomes: Mapping[str, tuple[Status, str]]) -> str:
    """A submitted job that was worked on: each path ended in a status for a reason, or waits ("" for the reason)."""
    queue, ledger = service.ledger.queue, service.ledger
    job_id = queue.submit(Submission(tenant, package, "file://in/x", POLICY)).job_id
    step = queue.claim_job(job_id, "w", 60)
    ledger.add_tasks(step.job, [Found(path.encode(), path, 5, 1) for path in outcomes])
    queue.job_moved(job_id, "w", "open")
    for task_id in queue.admit(window_total=100, window_tenant=100, lease_s=60):
        task = queue.claim_task(task_id, "w", 60)
        status, reason = outcomes[task.path]
        if reason:
            record = FileRecord(path=task.path, size_bytes=5, status=status, reason=reason, message="So it ended.")
            ledger.finish(task, record)
        else:
            queue.release([task_id])
    return job_id


def end_job(service: Service, job_id: str, state: str = "finished") -> None:
    """Bring a job to its end as a worker does."""
    step = service.ledger.queue.claim_job(job_id, "w", 60)
    if step is not None and state == "finished":
        service.ledger.finish_job(step.job, None)
    service.ledger.queue.job_moved(job_id, "w", state)


def found_bad(service: Service, tenant: str, object_id: str, path: str = "v1/content/original/x.txt") -> int:
    """A finding of an audit in the tenant's store, by the very parts that an auditor uses; its number."""
    book, copies = Book(service.ledger.transactions), Copies(service.ledger.transactions)
    copies.note(tenant, "arkiv", [(object_id, "held")], now=now(), rules=Rules())
    copy = copies.get(tenant, "arkiv", object_id)
    fault = Fault(path, Verdict.MISMATCH, "its bytes are not those that were stored", "a" * 128, "b" * 128)
    return service.ledger.transactions.write(lambda db: book.record(db, copy, [fault], now(), full=True))[0]


class Api:
    """The application with one key, as a client sees it."""

    def __init__(self, client: httpx.Client, key: str) -> None:
        self.client, self.key = client, key

    def __call__(self, method: str, path: str, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.key}"} | dict(more.pop("headers", {}))
        return self.client.request(method, path, headers=headers, **more)


class _Inside(httpx.BaseTransport):
    """Requests of a plain client to an application in this process; an exception in it is raised to the test."""

    def __init__(self, app: Any) -> None:
        self._asked = httpx.ASGITransport(app, raise_app_exceptions=True)
        self._portal = anyio.from_thread.start_blocking_portal()
        self._loop = self._portal.__enter__()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        sent = httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
        if "transfer-encoding" in request.headers:  # the length was not told
            del sent.headers["content-length"]
        return self._loop.call(self._answered, sent)

    async def _answered(self, request: httpx.Request) -> httpx.Response:
        answer = await self._asked.handle_async_request(request)
        return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())

    def close(self) -> None:
        self._portal.__exit__(None, None, None)


def api(service: Service) -> httpx.Client:
    """The application in this process."""
    return httpx.Client(transport=_Inside(create(service)), base_url="http://api.example", timeout=30)


def code(answer: Any) -> str:
    """The end of a problem's type."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["detail"]
    assert body["remedy"]
    return body["type"].removeprefix("urn:bevara:problem:")
