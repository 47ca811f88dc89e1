"""The server against its contract: generated requests find no 5xx and no answer that its schema does not have.

The requests are made by schemathesis, which tries what the schema allows and what it forbids. Half of them go to things
that exist: the ids and names in the path are replaced, since no generator guesses a UUID.
"""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
import schemathesis.checks
from hypothesis import HealthCheck, Phase, settings

from golem_server.api.contract import contract, openapi_document
from golem_server.registry.accounts import DEFAULT_ACCOUNT_ID, DEFAULT_ENVIRONMENT_ID
from golem_server.registry.tokens import LOCAL_TOKEN
from tests.api.guest import API
from tests.api.server import Client

METHODS = ("get", "put", "post", "delete", "patch")


def operations(document: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Method and path of each operation by its id."""
    return {
        path[method]["operationId"]: (method.upper(), name)
        for name, path in document["paths"].items()
        for method in METHODS
        if method in path
    }


def test_the_document_is_the_contract_with_additions() -> None:
    shown, promised = operations(openapi_document()), operations(contract())
    assert promised.items() <= shown.items()
    for operation, (method, path) in promised.items():
        mine, its = (document["paths"][path][method.lower()] for document in (openapi_document(), contract()))
        responses = mine["responses"].copy()
        del responses["default"]
        assert {**mine, "responses": responses} == its, operation


@pytest.mark.parametrize(("method", "path"), operations(openapi_document()).values())
def test_every_operation_of_the_document_has_a_route(client: Client, method: str, path: str) -> None:
    answer = Client(client.port, None).send(method, path.replace("{", "").replace("}", ""))
    assert answer.status in (200, 401)


def test_the_document_and_its_page_are_served(client: Client) -> None:
    nobody = Client(client.port, None)
    assert nobody.get("/openapi.json").ok() == openapi_document()
    assert nobody.get("/docs").status == 200


# The generator's own types are not complete enough to be checked.
_generator: Any = schemathesis
_checks: Any = schemathesis.checks

schema: Any = _generator.openapi.from_dict(openapi_document())

_SOME = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def checks() -> list[Any]:
    """What each answer is checked for.

    Left out are those that presume more of a schema than the contract says: which requests must be accepted or refused
    (its schemas are open, and a body of another shape is read as what it is), and that it names every status.
    """
    _checks.load_all_checks()
    return _checks.CHECKS.get_by_names(
        ["not_a_server_error", "content_type_conformance", "response_schema_conformance", "status_code_conformance"]
    )


DELETIONS = ("deleteComponent", "deletePlugin", "deleteApiDefinition", "deleteApiDeployment")

PLUGIN = {
    "name": "known",
    "version": "1",
    "specs": {
        "type": "ComponentTransformer",
        "validateUrl": "http://127.0.0.1:1",
        "transformUrl": "http://127.0.0.1:1",
    },
}


@pytest.fixture(scope="module")
def known(client: Client) -> dict[str, Any]:
    """Values for the parameters of paths that lead to something."""
    component = client.component()
    client.call(f"{component}/workers/known", "increment", key="known").ok()
    name = client.get(component).ok()["componentName"]
    binding = {"component": {"name": name}, "workerName": '"w"', "response": "{status: 200}"}
    definition = {"id": "known", "version": "1", "routes": [{"method": "Get", "path": "/known", "binding": binding}]}
    client.post("/v1/api/definitions", definition).ok()
    site = {"host": "known.example.com"}
    client.post("/v1/api/deployments", {"apiDefinitionId": "known", "version": "1", "site": site}).ok()
    return {
        "id": "known",
        "version": "1",
        "site": "known.example.com",
        "environment_id": str(DEFAULT_ENVIRONMENT_ID),
        "component_id": component.rpartition("/")[2],
        "component_name": name.replace(" ", "%20"),
        "revision": 0,
        "agent_name": "known",
        "idempotency_key": "known",
        "account_id": str(DEFAULT_ACCOUNT_ID),
        "plugin_id": client.post(f"/v1/accounts/{DEFAULT_ACCOUNT_ID}/plugins", PLUGIN).ok()["id"],
    }


@schema.parametrize()
@_SOME
def test_generated_requests_are_answered_as_the_contract_says(case: Any, client: Client) -> None:
    case.call_and_validate(
        base_url=client.url, headers={"Authorization": f"Bearer {LOCAL_TOKEN}"}, checks=checks(), timeout=30
    )


@schema.parametrize()
@_SOME
def test_generated_requests_for_what_exists_are_answered_as_the_contract_says(
    case: Any, client: Client, known: dict[str, Any]
) -> None:
    if case.operation.definition.raw.get("operationId") in DELETIONS:
        pytest.skip("there would be nothing left for the others")
    names: list[str] = list(case.path_parameters or ())
    for name in names:
        case.path_parameters[name] = known[name]
    if case.operation.path.endswith(("/invoke", "/invoke-and-await")):
        case.query = {"function": f"{API}.{{echo-u64}}"}
    case.call_and_validate(
        base_url=client.url, headers={"Authorization": f"Bearer {LOCAL_TOKEN}"}, checks=checks(), timeout=30
    )
