"""The OpenAPI document of a domain is a valid one, and says what the server does."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import schemathesis.specs.openapi.definitions as openapi_definitions
import yaml

from golem_server.gateway.code_first.compilation import compile_api
from golem_server.gateway.code_first.openapi import document_json, document_yaml, openapi_document
from golem_server.model.agent_types import AgentType, agent_types_from_guest
from golem_server.model.http_api_deployments import NamedSecurityScheme, TestSessionHeader
from tests.gateway.code_first.called_site import Answer, CalledSite
from tests.gateway.code_first.declared_agents import (
    BYTES,
    DOMAIN,
    STRING,
    TEXT,
    U32,
    agent_type,
    deployed_api,
    endpoint,
    list_of,
    method,
    option,
    security_scheme,
)
from tests.gateway.code_first.test_value_schemas import without_nullable
from tests.model.agent_strategies import discovered

# The library's own types are not complete enough to be checked.
_definitions: Any = openapi_definitions
_json_schema: Any = jsonschema

STATED: dict[str, Any] = {"a": U32, "b": STRING, "c": option(U32), "d": list_of(STRING), "e": U32, "f": option(STRING)}


def document_of(*types: AgentType, **security: Any) -> dict[str, Any]:
    """The document of a domain with these agents, which is checked to be one."""
    schemes = {"provider": security_scheme("provider")}
    api = deployed_api({type_.name: security.get(type_.name) for type_ in types}, *types)
    document = openapi_document(compile_api(api, schemes))
    _definitions.OPENAPI_30_VALIDATOR.validate(document)
    return document


def test_the_agents_of_the_sdk_have_a_valid_document() -> None:
    types = [*agent_types_from_guest(discovered("shop")), *agent_types_from_guest(discovered("counter"))]
    document = document_of(*types)
    assert document["info"] == {"title": "Managed api provided by Golem", "version": "1.0.0"}
    assert document["servers"] == [{"url": f"https://{DOMAIN}"}, {"url": f"http://{DOMAIN}"}]
    ids = [each["operationId"] for item in document["paths"].values() for each in item.values()]
    assert len(ids) == 26
    assert "CatalogAgent-find" in ids
    find = document["paths"]["/shops/{shop}/items/{sku}"]["get"]
    assert [(each["name"], each["in"], each["required"]) for each in find["parameters"]] == [
        ("shop", "path", True),
        ("sku", "path", True),
    ]
    assert list(find["responses"]) == ["200", "400", "404", "500"]


def test_both_forms_say_the_same() -> None:
    types = agent_types_from_guest(discovered("shop"))
    document = document_of(*types)
    assert json.loads(document_json(document)) == document
    text = document_yaml(document)
    assert yaml.safe_load(text) == document
    assert b"&id" not in text


def test_parameters_and_bodies_are_described() -> None:
    stated = method(
        "stated",
        STATED,
        endpoint("PUT", "/x/{a}/{b}", query={"c": "c", "d": "d"}, headers={"X-E": "e"}),
    )
    binary = method("binary", {"file": BYTES}, endpoint("POST", "/file"), result={"file": BYTES})
    text = method("text", {"text": TEXT}, endpoint("POST", "/text"), result={"text": TEXT})
    rest = method("rest", {"way": STRING}, endpoint("GET", "/rest/{+way}"), endpoint("PURGE", "/rest/{+way}"))
    document = document_of(agent_type("Shop", "/shops/{shop}", {"shop": STRING}, [stated, binary, text, rest]))
    paths = document["paths"]
    put = paths["/shops/{shop}/x/{a}/{b}"]["put"]
    assert [(each["name"], each["in"], each["required"], each["schema"]["type"]) for each in put["parameters"]] == [
        ("shop", "path", True, "string"),
        ("a", "path", True, "integer"),
        ("b", "path", True, "string"),
        ("c", "query", False, "integer"),
        ("d", "query", False, "array"),
        ("X-E", "header", True, "integer"),
    ]
    body = put["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"type": "object", "properties": {"f": {"type": "string", "nullable": True}}}
    assert list(paths["/shops/{shop}/file"]["post"]["requestBody"]["content"]) == ["application/octet-stream", "*/*"]
    assert list(paths["/shops/{shop}/text"]["post"]["requestBody"]["content"]) == ["text/plain"]
    assert set(paths["/shops/{shop}/rest/{way}"]) == {"get", "x-purge"}
    assert paths["/shops/{shop}/rest/{way}"]["x-purge"]["operationId"] == "Shop-rest-2"


def test_a_path_has_one_set_of_names() -> None:
    """Two templates that match the same requests, or a name twice in one, would make the document invalid."""
    get = method("get", {"id": STRING}, endpoint("GET", "/{id}"))
    put = method("put", {"other": U32}, endpoint("PUT", "/{other}"))
    document = document_of(agent_type("Shop", "/{id}", {"id": STRING}, [get, put]))
    item = document["paths"]["/{id}/{id-2}"]
    assert list(document["paths"]) == ["/{id}/{id-2}"]
    assert [each["name"] for each in item["put"]["parameters"]] == ["id", "id-2"]
    assert item["put"]["parameters"][1]["schema"]["type"] == "integer"


def test_security_is_described() -> None:
    closed = [method("get", {}, endpoint("GET", "/get")), method("open", {}, endpoint("GET", "/open", auth=False))]
    document = document_of(
        agent_type("A", "/a", {}, closed, auth=True),
        agent_type("B", "/b", {}, closed, auth=True),
        A=NamedSecurityScheme("provider"),
        B=TestSessionHeader("X-Test"),
    )
    assert document["components"]["securitySchemes"] == {
        "provider": {
            "type": "openIdConnect",
            "openIdConnectUrl": "https://provider.example/.well-known/openid-configuration",
        },
        "test-session-X-Test": {"type": "apiKey", "in": "header", "name": "X-Test"},
    }
    assert document["paths"]["/a/get"]["get"]["security"] == [{"provider": ["openid", "email"]}]
    assert document["paths"]["/b/get"]["get"]["security"] == [{"test-session-X-Test": []}]
    assert "security" not in document["paths"]["/a/open"]["get"]


@pytest.mark.timeout(900)
@pytest.mark.asyncio(loop_scope="session")
async def test_answers_are_as_the_document_says(shop: CalledSite) -> None:
    document = (await shop.call("GET", "/openapi.json")).json
    as_yaml = await shop.call("GET", "/openapi.yaml")
    assert as_yaml.headers["content-type"] == "application/yaml"
    assert yaml.safe_load(as_yaml.body) == document

    def check(path: str, http_method: str, answer: Answer) -> None:
        response = document["paths"][path][http_method]["responses"][str(answer.status)]
        if not answer.body:
            assert "content" not in response
            return
        described = response["content"][answer.headers["content-type"].partition(";")[0]]
        if answer.headers["content-type"] == "application/json":
            schema = without_nullable(described["schema"]) | {"components": document["components"]}
            _json_schema.validate(answer.json, schema)

    item: Any = {
        "sku": "x",
        "title": "X",
        "priceCents": 1,
        "category": "tool",
        "tags": [],
        "inStock": False,
        "size": None,
    }
    put = await shop.call("PUT", "/shops/doc/items/x", json={"item": item})
    check("/shops/{shop}/items/{sku}", "put", put)
    assert put.status == 200
    check("/shops/{shop}/items/{sku}", "get", await shop.call("GET", "/shops/doc/items/x"))
    check("/shops/{shop}/items/{sku}", "get", await shop.call("GET", "/shops/doc/items/y"))
    check("/shops/{shop}/items/{sku}", "delete", await shop.call("DELETE", "/shops/doc/items/y"))
    check("/shops/{shop}/items", "get", await shop.call("GET", "/shops/doc/items"))
    check("/shops/{shop}/items", "get", await shop.call("GET", "/shops/doc/items?limit=x"))
    price = "/shops/{shop}/items/{sku}/price"
    check(price, "patch", await shop.call("PATCH", "/shops/doc/items/x/price", json={"priceCents": 2}))
    refused = await shop.call("PATCH", "/shops/doc/items/y/price", json={"priceCents": 2})
    assert refused.status == 500
    check(price, "patch", refused)
    await shop.call("POST", "/shops/doc/leaflet", b"hello")
    check("/shops/{shop}/leaflet", "get", await shop.call("GET", "/shops/doc/leaflet"))
