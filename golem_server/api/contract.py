"""The OpenAPI document that the server shows: the contract itself and the little that it adds.

The document is the contract's file, not made from the routes, so that what clients read and what they were promised
cannot differ; a test compares the routes with it.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import yaml

_WORKER = "/v1/components/{component_id}/workers/{agent_name}"
_METHODS = ("get", "put", "post", "delete", "patch")


def contract() -> dict[str, Any]:
    """The contract as its file has it."""
    document: dict[str, Any] = yaml.safe_load((files("golem_server.api") / "contract.yaml").read_text())
    return document


@cache
def openapi_document() -> dict[str, Any]:
    """The contract with this server as its address, an error answer for each operation, and the operations added."""
    document = contract()
    document["servers"] = [{"url": "/"}]
    document["paths"] |= _additions()
    for path in document["paths"].values():
        for method in _METHODS:
            if method in path:
                path[method]["responses"].setdefault("default", {"$ref": "#/components/responses/Error"})
    document["components"]["schemas"]["GolemError"]["properties"]["code"] = {"type": "string"}
    return document


def _additions() -> dict[str, Any]:
    component = {"$ref": "#/components/parameters/ComponentId"}
    worker = [component, {"$ref": "#/components/parameters/AgentName"}]
    revision = {"name": "revision", "in": "path", "required": True, "schema": {"type": "integer", "format": "int64"}}
    key = {"name": "idempotency_key", "in": "path", "required": True, "schema": {"type": "string"}}
    invocation = {
        "type": "object",
        "required": ["idempotencyKey", "status"],
        "properties": {
            "idempotencyKey": {"type": "string"},
            "status": {"type": "string", "enum": ["Pending", "Running", "Complete", "Failed"]},
        },
    }
    completion = {
        "type": "object",
        "required": ["oplogIdx", "data"],
        "properties": {
            "oplogIdx": {"type": "integer", "format": "int64"},
            "data": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}},
        },
    }
    return {
        "/v1/components/{component_id}/revisions/{revision}": {
            "get": {
                "tags": ["Component"],
                "operationId": "getComponentRevision",
                "summary": "Get a component at one revision",
                "parameters": [component, revision],
                "responses": {
                    "200": {
                        "description": "The component metadata.",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Component"}}},
                    }
                },
            }
        },
        f"{_WORKER}/complete": {
            "post": {
                "tags": ["Worker"],
                "operationId": "completePromise",
                "summary": "Complete a promise of a worker",
                "parameters": worker,
                "requestBody": {"required": True, "content": {"application/json": {"schema": completion}}},
                "responses": {
                    "200": {
                        "description": "Whether this call completed it.",
                        "content": {"application/json": {"schema": {"type": "boolean"}}},
                    }
                },
            }
        },
        f"{_WORKER}/invocations/{{idempotency_key}}": {
            "get": {
                "tags": ["Worker"],
                "operationId": "getInvocation",
                "summary": "What has become of an invocation",
                "parameters": [*worker, key],
                "responses": {
                    "200": {
                        "description": "Whether it waits, runs, or has its result.",
                        "content": {"application/json": {"schema": invocation}},
                    }
                },
            }
        },
        "/healthcheck": _service("healthcheck", "Whether the server lives", {"type": "object"}),
        "/version": _service("version", "The version of the server", {"type": "object"}),
        "/metrics": _service("metrics", "The server's figures", {"type": "string"}, "text/plain"),
    }


def _service(name: str, summary: str, schema: dict[str, Any], media_type: str = "application/json") -> dict[str, Any]:
    content = {media_type: {"schema": schema}}
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "security": [],
            "responses": {"200": {"description": summary, "content": content}},
        }
    }
