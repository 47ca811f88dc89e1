"""Definitions as OpenAPI documents: exported, imported again, and shown to people."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.api.guest import API
from tests.api.server import JSON, Client, ServerThread
from tests.gateway.classic.conftest import Api, route

RESPONSE = f"""let n: u32 = request.query.n;
let items: list<tuple<u32, f64>> = request.body;
let size = {API}.{{total}}(items);
{{status: 201, headers: {{X-Size: size}}, body: {{name: request.path.name, n: n}}}}"""


@pytest.fixture(scope="module")
def component(client: Client) -> str:
    """The name of a component to bind to."""
    return client.create()["componentName"]


@pytest.fixture(scope="module")
def api(server: ServerThread, client: Client, component: str) -> Api:
    """An API with its own documentation."""
    return Api(
        server,
        client,
        [
            route("Post", "/things/{name}?{n}&{unused}", RESPONSE, component=component, workerName='"w"'),
            route("Options", "/things/{name}", bindingType="cors-preflight"),
            route("Get", "/docs", bindingType="swagger-ui"),
        ],
    )


def exported(api: Api, accept: str = "*/*") -> Any:
    """The document of the API."""
    answer = api.client.get(f"/v1/api/definitions/{api.id}/1/openapi", accept=accept)
    assert answer.status == 200
    return json.loads(answer.body) if accept == "*/*" else yaml.safe_load(answer.body)


def test_the_document_tells_types(api: Api) -> None:
    """Parameters and bodies by what scripts use, responses by what they give."""
    document = exported(api)
    operation = document["paths"]["/things/{name}"]["post"]
    shown = {(each["in"], each["name"]): (each["required"], each["schema"]["type"]) for each in operation["parameters"]}
    assert shown == {
        ("path", "name"): (True, "string"),
        ("query", "n"): (True, "integer"),
        ("query", "unused"): (False, "string"),
    }
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    assert (body["type"], body["items"]["minItems"]) == ("array", 2)
    response = operation["responses"]["default"]
    assert response["content"]["application/json"]["schema"]["required"] == ["name", "n"]
    assert response["headers"]["X-Size"]["schema"]["type"] == "integer"
    assert document["openapi"] == "3.0.0"


def test_yaml_and_json_agree(api: Api) -> None:
    """It is one document."""
    assert exported(api, "application/yaml") == exported(api)


@pytest.mark.parametrize("as_yaml", [False, True])
def test_what_is_exported_can_be_imported(api: Api, as_yaml: bool) -> None:
    """As a draft, with the same routes; a second time it exists."""
    document = exported(api)
    document["x-golem-api-definition-id"] = f"{api.id}-{as_yaml}"
    body, type_ = (
        (yaml.safe_dump(document).encode(), "application/yaml")
        if as_yaml
        else (json.dumps(document).encode(), "application/json")
    )
    imported = api.client.send("PUT", "/v1/api/definitions/import", body, {"content-type": type_}).ok()
    assert imported["draft"] is True
    by_place = {(each["method"], each["path"]): each["binding"] for each in imported["routes"]}
    before = {(each["method"], each["path"]): each["binding"] for each in api.definition["routes"]}
    assert by_place == before
    api.client.send("PUT", "/v1/api/definitions/import", body, {"content-type": type_}).refused(409)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"openapi": "2.0"}, "openapi: expected a document of OpenAPI 3"),
    ({"x-golem-api-definition-id": None}, "x-golem-api-definition-id: expected string"),
    ({"paths": {"/a": {"$ref": "#/x"}}}, "a path by reference"),
    ({"paths": {"/a": {"get": {}}}}, "No x-golem-worker-bridge extension found"),
    ({"paths": {"/a": {"get": []}}}, "paths./a.get: expected record, got list"),
    ({"paths": []}, "paths: expected record"),
    (
        {"paths": {"/a": {"get": {"x-golem-worker-bridge": {"component-name": "none", "response": "1"}}}}},
        "Did not find",
    ),
]


@pytest.mark.parametrize(("change", "reason"), WRONG)
def test_what_cannot_be_imported(client: Client, change: dict[str, Any], reason: str) -> None:
    """The error names the place."""
    document: dict[str, Any] = {
        "openapi": "3.0.0",
        "x-golem-api-definition-id": "imported",
        "x-golem-api-definition-version": "1",
        "paths": {},
        **change,
    }
    client.send("PUT", "/v1/api/definitions/import", json.dumps(document).encode(), JSON).refused(400, reason)


def test_people_see_the_documentation(api: Api) -> None:
    """A page with the document in it, and everything that it needs from the same place."""
    page = api.call("GET", "/docs")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b'"/things/{name}"' in page.body
    assert f"http://{api.host}".encode() in page.body
    for asset, start in (("swagger-ui.css", b".swagger-ui"), ("swagger-ui-bundle.js", b"/*! For license")):
        answer = api.call("GET", f"/docs/{asset}")
        assert answer.status == 200
        assert answer.body.startswith(start)
    assert b"//cdn" not in page.body
