"""Hashes by which clients see whether something has changed: of components, HTTP APIs, MCP endpoints, deployments.

BLAKE3 in hex over compact JSON whose keys come in a fixed order; a hashed part stands in it as its hash. Clients
compute the same from what they are about to send, so every byte counts (reference: cli-1.5, section 3.4).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import cast

from blake3 import blake3

from golem_server.model.http_api_deployments import AgentSecurity, NamedSecurityScheme, TestSessionHeader
from golem_server.model.json_types import Json

_MIN_INT, _MAX_INT = -(1 << 63), (1 << 63) - 1


def component_hash(wasm_hash: str, provisions: Mapping[str, Json]) -> str:
    """Of a component's revision; `provisions` are those of its agent types, as `provisions_json` makes them."""
    fields: dict[str, Json] = {"wasmHash": wasm_hash}
    if provisions:
        fields["agentTypeProvisionConfigs"] = {name: _provision(each) for name, each in _sorted(provisions).items()}
    return _hash(fields)


def _provision(provision: Json) -> str:
    config = {".".join(entry["path"]): _normalised(entry["value"]["value"]) for entry in provision["config"]}
    files = {
        file["path"]: _hash({"hash": file["contentHash"], "permissions": file["permissions"]})
        for file in provision["files"]
    }
    plugins = {
        plugin["environmentPluginGrantId"]: {
            "priority": plugin["priority"],
            "name": plugin["pluginName"],
            "version": plugin["pluginVersion"],
            "grantId": plugin["environmentPluginGrantId"],
            "parameters": _sorted(plugin["parameters"]),
        }
        for plugin in provision["plugins"]
    }
    parts = {"env": provision["env"], "config": config, "filesByPath": files, "pluginsByGrantId": plugins}
    return _hash({name: _sorted(part) for name, part in parts.items() if part})


def http_api_hash(agents: Mapping[str, AgentSecurity], webhooks_prefix: str, openapi_endpoint_prefix: str) -> str:
    """Of an HTTP API at a domain."""
    securities = {
        name: {
            "securityScheme": security.name if isinstance(security, NamedSecurityScheme) else None,
            "testSessionHeader": security.header_name if isinstance(security, TestSessionHeader) else None,
        }
        for name, security in _sorted(agents).items()
    }
    prefixes = {"webhooksPrefix": webhooks_prefix, "openapiEndpointPrefix": openapi_endpoint_prefix}
    return _hash({**prefixes, "agents": securities})


def mcp_hash(agents: Mapping[str, str | None]) -> str:
    """Of an MCP endpoint at a domain; the agents have the names of their security schemes."""
    return _hash({"agents": {name: {"securityScheme": scheme} for name, scheme in _sorted(agents).items()}})


def deployment_hash(components: Mapping[str, str], http_apis: Mapping[str, str], mcp: Mapping[str, str]) -> str:
    """Of a deployment: hashes of its components by name, of its APIs and MCP endpoints by domain."""
    parts = {"components": components, "httpApiDeployments": http_apis, "mcpDeployments": mcp}
    return _hash({name: _sorted(part) for name, part in parts.items() if part})


def _hash(value: Json) -> str:
    return blake3(_text(value).encode("utf-8", "surrogatepass")).hexdigest()


def _sorted(mapping: Mapping[str, Json]) -> dict[str, Json]:
    """By the bytes of the keys, which is the order of their code points."""
    return dict(sorted(mapping.items()))


def _normalised(value: Json) -> Json:
    """A number without a fraction becomes an integer, keys are sorted."""
    if isinstance(value, dict):
        return {key: _normalised(part) for key, part in _sorted(cast("dict[str, Json]", value)).items()}
    if isinstance(value, list):
        return [_normalised(part) for part in cast("list[Json]", value)]
    if isinstance(value, float) and value.is_integer():
        return max(_MIN_INT, min(_MAX_INT, int(value)))
    return value


def _text(value: Json) -> str:
    if isinstance(value, dict):
        members = cast("dict[str, Json]", value).items()
        return "{" + ",".join(f"{_text(key)}:{_text(part)}" for key, part in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, cast("list[Json]", value))) + "]"
    if isinstance(value, float):
        return _fraction(value)
    return json.dumps(value, ensure_ascii=False)


def _fraction(value: float) -> str:
    """The shortest form, written out from 0.00001 on, with an exponent without zeros below."""
    shortest = repr(value)
    if "e" not in shortest:
        return shortest
    digits, _, exponent = shortest.partition("e")
    if int(exponent) == -5:
        return format(Decimal(shortest), "f")
    return f"{digits}e{int(exponent)}"
