"""Agent types with HTTP declarations, written shortly.

shop = agent_type("Shop", "/shops/{shop}", {"shop": STRING}, [method("list", {}, endpoint("GET", "/items"))])
api = deployed_api({"Shop": None}, shop)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from golem_server.gateway.code_first.deployed import DeployedAgent, DeployedHttpApi
from golem_server.model.agent_types import AgentType
from golem_server.model.component_agents import ComponentAgents
from golem_server.model.http_api_deployments import AgentSecurity, HttpApiDeployment
from golem_server.model.ids import ComponentId, EnvironmentId, Revision
from golem_server.model.json_types import Json
from golem_server.model.security_schemes import SecurityScheme

STRING: Json = {"type": "Str"}
U32: Json = {"type": "U32"}
TEXT = "text"
BYTES = "bytes"

DOMAIN = "shop.localhost:9006"
ENVIRONMENT = EnvironmentId(UUID(int=0xE))
COMPONENT = ComponentId(UUID(int=0xC))


def option(inner: Json) -> Json:
    """`option<inner>`."""
    return {"type": "Option", "inner": inner}


def list_of(inner: Json) -> Json:
    """`list<inner>`."""
    return {"type": "List", "inner": inner}


def segments(path: str) -> list[Json]:
    """`/a/{x}/{+rest}` as agent types have it."""
    return [_segment(part) for part in path.split("/") if part]


def _segment(part: str) -> Json:
    if part in ("{agent-type}", "{agent-version}"):
        return {"type": "SystemVariable", "value": "AgentType" if part == "{agent-type}" else "AgentVersion"}
    if part.startswith("{+"):
        return {"type": "RemainingPathVariable", "variableName": part[2:-1]}
    if part.startswith("{"):
        return {"type": "PathVariable", "variableName": part[1:-1]}
    return {"type": "Literal", "value": part}


def schema(elements: Mapping[str, Any]) -> Json:
    """A tuple of elements: types, TEXT or BYTES."""
    return {
        "type": "Tuple",
        "elements": [{"name": name, "schema": _element(type_)} for name, type_ in elements.items()],
    }


def _element(type_: Any) -> Json:
    if type_ == TEXT:
        return {"type": "UnstructuredText", "restrictions": None}
    if type_ == BYTES:
        return {"type": "UnstructuredBinary", "restrictions": None}
    return {"type": "ComponentModel", "elementType": type_}


def endpoint(
    http_method: str,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    auth: bool | None = None,
    cors: tuple[str, ...] = (),
) -> Json:
    """An endpoint; `query` and `headers` are the parameters by the names in the request."""
    method = http_method.capitalize()
    standard = method in ("Get", "Head", "Post", "Put", "Delete", "Connect", "Options", "Trace", "Patch")
    return {
        "httpMethod": {"type": method} if standard else {"type": "Custom", "value": http_method},
        "pathSuffix": segments(path),
        "queryVars": [{"queryParamName": name, "variableName": bound} for name, bound in (query or {}).items()],
        "headerVars": [{"headerName": name, "variableName": bound} for name, bound in (headers or {}).items()],
        "authDetails": None if auth is None else {"required": auth},
        "corsOptions": {"allowedPatterns": list(cors)},
    }


def method(name: str, parameters: Mapping[str, Any], *endpoints: Json, result: Mapping[str, Any] | None = None) -> Json:
    """A method, of which nothing is returned unless `result` says it."""
    return {
        "name": name,
        "description": f"{name} does it",
        "inputSchema": schema(parameters),
        "outputSchema": schema(result or {}),
        "httpEndpoint": list(endpoints),
    }


def agent_type(
    name: str,
    mount: str | None,
    constructor: Mapping[str, Any],
    methods: list[Json],
    *,
    auth: bool | None = None,
    cors: tuple[str, ...] = (),
    phantom: bool = False,
    webhook: str = "",
    mode: str = "Durable",
) -> AgentType:
    """An agent type, which is not mounted where `mount` is None."""
    json: dict[str, Json] = {
        "typeName": name,
        "constructor": {"inputSchema": schema(constructor)},
        "methods": methods,
        "mode": mode,
    }
    if mount is not None:
        json["httpMount"] = {
            "pathPrefix": segments(mount),
            "authDetails": None if auth is None else {"required": auth},
            "phantomAgent": phantom,
            "corsOptions": {"allowedPatterns": list(cors)},
            "webhookSuffix": segments(webhook),
        }
    return AgentType.from_json(json)


def deployed_agents(*types: AgentType, revision: int = 7) -> dict[str, DeployedAgent]:
    """The agent types as one component has them."""
    agents = ComponentAgents("golem:agent/guest", types, {}, takes_principal=True)
    return {type_.name: DeployedAgent(type_, COMPONENT, Revision(revision), agents) for type_ in types}


def security_scheme(name: str, redirect_url: str = "https://shop.example/auth/callback") -> SecurityScheme:
    """A security scheme of the environment."""
    return SecurityScheme(
        id=UUID(int=5),
        revision=0,
        environment_id=ENVIRONMENT,
        name=name,
        provider="provider",
        custom_provider=True,
        issuer_url="https://provider.example",
        client_id="client",
        client_secret="secret",
        redirect_url=redirect_url,
        scopes=("openid", "email"),
    )


def deployed_api(
    agents: Mapping[str, AgentSecurity],
    *types: AgentType,
    domain: str = DOMAIN,
    webhooks: str = "/webhooks/",
    openapi: str = "/",
    test_headers_allowed: bool = True,
) -> DeployedHttpApi:
    """These agents at a domain."""
    deployment = HttpApiDeployment(
        id=UUID(int=0xD),
        revision=0,
        environment_id=ENVIRONMENT,
        domain=domain,
        hash="",
        agents=agents,
        webhooks_prefix=webhooks,
        openapi_endpoint_prefix=openapi,
        created_at=0,
    )
    return DeployedHttpApi(deployment, deployed_agents(*types), test_headers_allowed)
