"""Laws that hold for every route there is, generated from the OpenAPI document, so that a new route cannot be forgotten."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import httpx
import pytest

from tests.api.archives import (
    SCOPES,
    Api,
    Tenanted,
    add_tenant,
    api,
    code,
    end_job,
    found_bad,
    job_with_files,
    open_service,
    preserve,
)
from tests.api.test_policies import OWN
from worker.api.app import create
from worker.api.problems import PROBLEMS, TYPE_PREFIX
from worker.app import Service
from worker.record import Status

FILE = "hemligt/brev.txt"
UNKNOWN = {"job_id": "0" * 32, "upload_id": "f" * 32, "package": "urn:bevara:nobody:x", "name": "nobodys", "finding_id": str(2**40)}
OFFICERS = {"putPolicy", "approveRepair"}
YAML = {"Content-Type": "application/yaml"}


@dataclass(frozen=True)
class Operation:
    """One route and method."""

    id: str
    method: str
    path: str

    @property
    def names(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)

    def address(self, **values: str) -> str:
        return re.sub(r"{(\w+)}", lambda found: values[found[1]], self.path)

    def body(self) -> dict:
        """A body that the route takes, so that nothing but the id can be wrong."""
        return {
            "submitJob": {"json": {"source": "file://in/x", "package": "p"}},
            "putPolicy": {"content": OWN, "headers": YAML},
            "putUploadFile": {"content": b"x"},
            "completeUploadFile": {"json": {"path": FILE, "parts": 1}},
        }.get(self.id, {})

    @property
    def scope(self) -> str:
        """What the design asks for: reading reads, officers write policies, everything else submits."""
        return "officer" if self.id in OFFICERS else "read" if self.method in {"GET", "HEAD"} else "submit"


@dataclass(frozen=True)
class World:
    """A service with two tenants that have one of everything."""

    service: Service
    client: httpx.Client
    lund: Tenanted
    malmo: Tenanted


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from made(tmp_path_factory.mktemp("world"))


@pytest.fixture
def world_on_postgres(postgres_url: str, tmp_path: Path) -> Iterator[World]:
    yield from made(tmp_path, ledger_url=postgres_url)


def made(folder: Path, **more: str) -> Iterator[World]:
    with (
        open_service(folder, everything=True, **more) as worker,
        open_service(folder, limit_requests_per_s=100_000, **more) as service,
        api(service) as client,
    ):
        lund, malmo = add_tenant(worker, "lund", folder), add_tenant(worker, "malmo", folder)
        for one in (lund, malmo):
            fill(worker, client, one)
        yield World(service, client, lund, malmo)


def fill(service: Service, client: httpx.Client, tenant: Tenanted) -> None:
    """Give a tenant one of everything that has an id."""
    ask = Api(client, tenant.keys["all"])
    preserve(service, tenant.id, f"paket-{tenant.id}", {FILE.encode(): tenant.id.encode()})
    job = job_with_files(service, tenant.id, f"paket-{tenant.id}", {FILE: (Status.FAILED, "tool-timeout")})
    end_job(service, job)
    upload = ask("POST", "/v1/uploads").json()["id"]
    assert ask("PUT", f"/v1/uploads/{upload}/files/{FILE}", content=b"x").status_code == 200
    name = f"egen-{tenant.id}"
    assert ask("PUT", f"/v1/policies/{name}", content=OWN.replace("name: lund", f"name: {name}"), headers=YAML).status_code == 200
    package = quote(f"urn:bevara:{tenant.id}:paket-{tenant.id}", safe="")
    tenant.made.update({"job_id": job, "upload_id": upload, "package": package, "name": name, "path": FILE})
    tenant.made["finding_id"] = str(found_bad(service, tenant.id, f"urn:bevara:{tenant.id}:paket-{tenant.id}"))


def operations() -> list[Operation]:
    """From the document itself, which needs no ledger and no store."""
    document = create(SimpleNamespace(settings=None)).openapi()
    return [
        Operation(operation["operationId"], method.upper(), path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


OPERATIONS = operations()
KEYED = [one for one in OPERATIONS if one.path.startswith("/v1/")]
NAMED = [one for one in KEYED if one.names]
MAKERS = {"deleteUpload", "deleteUploadFile", "putPolicy", "submitJob", "beginUpload"}  # what they answer is new, or nothing


def told(answer: httpx.Response) -> tuple[int, bytes, str]:
    return answer.status_code, answer.content, answer.headers.get("content-type", "")


@pytest.mark.parametrize("operation", NAMED, ids=lambda one: one.id)
def test_what_is_another_tenants_and_what_does_not_exist_are_answered_alike(world, operation) -> None:
    """404, byte for byte the same, by every route and with every id (promise P7)."""
    ask = Api(world.client, world.lund.keys["all"])

    theirs = ask(operation.method, operation.address(**world.malmo.made), **operation.body())
    nobodys = ask(operation.method, operation.address(**{"path": FILE} | UNKNOWN), **operation.body())

    if operation.id == "putPolicy":  # makes what is named; that it then is the tenant's own is told in test_policies
        assert theirs.status_code == 422
        return
    assert told(theirs) == told(nobodys)
    assert theirs.status_code == 404
    assert operation.method == "HEAD" or code(theirs) == "not-found"


def test_the_same_on_postgresql_where_the_api_may_see_no_tenant_by_itself(world_on_postgres) -> None:
    """Every route works there with one's own ids, and none with the other's: row-level security is on, and nothing needs more."""
    ask = Api(world_on_postgres.client, world_on_postgres.lund.keys["all"])
    for operation in sorted(NAMED, key=lambda one: one.id in MAKERS):
        test_what_is_another_tenants_and_what_does_not_exist_are_answered_alike(world_on_postgres, operation)
        own = ask(operation.method, operation.address(**world_on_postgres.lund.made), **operation.body())
        assert own.status_code < 300 or own.status_code in {409, 422}, (operation.id, own.text)
    assert "malmo" not in ask("GET", "/v1/jobs").text + ask("GET", "/v1/packages").text + ask("GET", "/v1/policies").text


@pytest.mark.parametrize("operation", [one for one in KEYED if one.id not in MAKERS], ids=lambda one: one.id)
def test_nothing_of_another_tenant_is_in_any_answer(world, operation) -> None:
    """Asked with one's own ids, every answer is free of the other's."""
    ask = Api(world.client, world.lund.keys["all"])

    answer = ask(operation.method, operation.address(**world.lund.made), **operation.body())

    assert answer.status_code < 500
    assert "malmo" not in answer.text
    assert all(value not in answer.text for name, value in world.malmo.made.items() if name not in {"path", "finding_id"})


@pytest.mark.parametrize("operation", KEYED, ids=lambda one: one.id)
def test_a_key_can_do_what_its_scope_says_and_nothing_else(world, operation) -> None:
    address = operation.address(**{"path": FILE} | UNKNOWN)
    for scope in SCOPES:
        answer = Api(world.client, world.lund.keys[scope])(operation.method, address, **operation.body())
        if scope in {operation.scope, "admin"}:
            assert answer.status_code not in {401, 403}, scope
        else:
            assert answer.status_code == 403, scope
            assert operation.method == "HEAD" or code(answer) == "scope"


@pytest.mark.parametrize("operation", KEYED, ids=lambda one: one.id)
def test_no_route_answers_without_a_key(world, operation) -> None:
    answer = world.client.request(operation.method, operation.address(**world.lund.made), **operation.body())

    assert answer.status_code == 401


@pytest.mark.parametrize("operation", KEYED, ids=lambda one: one.id)
@pytest.mark.parametrize("odd", ["..", "%2e%2e", "%00", "a'--", "%F0%9F%92%A9", "x" * 3000, "%", "%zz", "*", "%0d%0aX: y", " "])
def test_an_odd_id_is_no_fault(world, operation, odd) -> None:
    ask = Api(world.client, world.lund.keys["all"])
    for name in operation.names:
        answer = ask(operation.method, operation.address(**world.lund.made | {name: odd}), **operation.body())
        assert answer.status_code < 500
        assert "x: y" not in {key.lower() for key in answer.headers}


def test_the_document_is_complete(world) -> None:
    """Every operation has a name, a summary and a description; every problem that it names is in the table, and each is named."""
    document = world.client.get("/v1/openapi.json").json()
    named = set()
    assert document["openapi"].startswith("3.1")
    assert len({one.id for one in OPERATIONS}) == len(OPERATIONS)
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["summary"]
            assert operation["description"]
            if path.startswith("/v1/"):
                assert operation["security"] == [{"key": []}], path
            for status, answer in operation["responses"].items():
                for shown in answer.get("content", {}).get("application/problem+json", {}).get("examples", {}).values():
                    assert shown["value"]["type"].startswith(TYPE_PREFIX)
                    assert shown["value"]["status"] == int(status)
                    named.add(shown["value"]["type"].removeprefix(TYPE_PREFIX))
    assert named <= set(PROBLEMS)
    assert set(PROBLEMS) - named <= {"internal", "method-not-allowed"}, "answers that no route documents"


def test_no_key_and_no_name_is_in_any_log(world, caplog) -> None:
    """Everything that every route logs, at its most talkative (promise P7)."""
    with caplog.at_level(logging.DEBUG):
        ask = Api(world.client, world.lund.keys["all"])
        for operation in KEYED:
            ask(operation.method, operation.address(**{"path": FILE} | UNKNOWN), **operation.body())
            ask(operation.method, operation.address(**world.malmo.made), headers={"Authorization": "Bearer bvr_x_guess"})
        ask("GET", f"/v1/packages/{world.lund.made['package']}/files/{FILE}")

    records = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]  # the test's own client
    said = "\n".join(str(record.getMessage()) for record in records)
    assert said
    secrets = [key.split("_", 2)[2] for key in world.lund.keys.values()]
    assert not any(secret in said for secret in [*secrets, "bvr_x_guess", "brev", "hemligt"])
