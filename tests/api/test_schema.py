"""The API against its own OpenAPI document: whatever the document allows, or just not, is answered as the document says."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from tests.api.archives import add_tenant, api, open_service
from tests.api.test_every_route import OPERATIONS, fill
from worker.api.app import create

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 8  # of each route and mode; the laws of single values have their own tests


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("schema")
    with open_service(folder, limit_requests_per_s=100_000) as service, api(service) as client:
        lund = add_tenant(service, "lund", folder)
        fill(service, client, lund)
        yield lund, schemathesis.openapi.from_asgi("/v1/openapi.json", create(service))


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "not-allowed"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.id)
def test_every_answer_is_one_that_the_document_has(world, operation, mode) -> None:
    lund, schema = world
    route = schema[operation.path][operation.method]
    if mode is GenerationMode.NEGATIVE and not (operation.names or route.query or route.body or route.headers):
        return  # nothing in the request could be wrong

    @seed(4)
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=route.as_strategy(generation_mode=mode), real=st.booleans())
    def ask(case, real) -> None:
        if real:  # past the 404s
            case.path_parameters.update({name: lund.made[name] for name in case.path_parameters if name in lund.made})
        answer = case.call(headers={"Authorization": f"Bearer {lund.keys['all']}"})
        case.validate_response(answer, checks=CHECKS)

    ask()
