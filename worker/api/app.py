"""The ingest API as one ASGI application, from the service that it stands on."""

from __future__ import annotations

import anyio
from fastapi import FastAPI

from worker import __version__
from worker.api import audits, health, job_events, jobs, packages, policies, problems, tenant, uploads
from worker.api.gate import Gate
from worker.api.surroundings import Surroundings
from worker.observe.admin import Readiness
from worker.observe.metrics import Metrics
from worker.observe.requests import ObservedRequests

_ABOUT = """
Submit packages for preservation, watch them, and fetch what came of them.

* Every request carries a key of one tenant: `Authorization: Bearer bvr_…`. What is another tenant's does not exist.
* Errors are problem documents (RFC 9457). `type` is stable, `detail` and `remedy` are for people.
* A submission with an `Idempotency-Key` can be sent again without harm.
* Lists are paged: pass `next` on as `cursor`. Cursors stay good while things change.
* 429 and 503 say in `Retry-After` when to come again.
"""
_TAGS = [
    {"name": "jobs", "description": "Ask for a package to be preserved, and see how it goes."},
    {"name": "uploads", "description": "Send files that lie in no place which the service can read."},
    {"name": "packages", "description": "What the archive holds."},
    {"name": "policies", "description": "The rules by which files are kept, converted or returned."},
    {"name": "audit", "description": "How often every copy is read, what was found, and who agreed to its repair."},
    {"name": "tenant", "description": "Who the key speaks for."},
    {"name": "health", "description": "For load balancers."},
]


def create(service: Surroundings, metrics: Metrics | None = None) -> FastAPI:
    """Make the application.

    Args:
        service: What it stands on; not closed here.
        metrics: Told of each answer; None: its own, which nobody reads.
    """
    app = FastAPI(
        title="bevara",
        version=__version__,
        summary="Preservation and format migration for an archive's ingest systems.",
        description=_ABOUT,
        openapi_url="/v1/openapi.json",
        openapi_tags=_TAGS,
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.bodies = anyio.CapacityLimiter(uploads.BODIES_AT_ONCE)
    for module in (jobs, job_events, uploads, packages, policies, audits, tenant):
        app.include_router(module.router)
    told = metrics or Metrics("api")
    app.include_router(health.routes(Readiness(health.checks(service), told)))
    problems.install(app)
    app.add_middleware(Gate, service=service)
    app.add_middleware(
        ObservedRequests, metrics=told, tracing=getattr(service, "tracing", None)
    )  # the outermost: it sees what the gate refuses as well
    return app
