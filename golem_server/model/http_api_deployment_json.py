"""HTTP APIs and MCP endpoints of agents as JSON (reference: cli-1.5, section 6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from golem_server.model.errors import InvalidInput
from golem_server.model.http_api_deployments import AgentSecurity, NamedSecurityScheme, TestSessionHeader
from golem_server.model.json_types import Json


def security_to_json(security: AgentSecurity) -> Json:
    """How callers of an agent are known."""
    if isinstance(security, TestSessionHeader):
        return {"type": "TestSessionHeader", "headerName": security.header_name}
    if isinstance(security, NamedSecurityScheme):
        return {"type": "SecurityScheme", "securityScheme": security.name}
    return None


def security_from_json(json: Json, path: str) -> AgentSecurity:
    """What `security_to_json` makes. Raises InvalidInput."""
    if json is None:
        return None
    fields = _record(json, path)
    header, scheme = fields.get("headerName"), fields.get("securityScheme")
    if fields.get("type") == "TestSessionHeader" and isinstance(header, str) and header:
        return TestSessionHeader(header)
    if fields.get("type") == "SecurityScheme" and isinstance(scheme, str) and scheme:
        return NamedSecurityScheme(scheme)
    raise InvalidInput(
        f"{path}: expected a TestSessionHeader with `headerName` or a SecurityScheme with `securityScheme`"
    )


def http_agents_to_json(agents: Mapping[str, AgentSecurity]) -> dict[str, Json]:
    """The agents of an HTTP API."""
    return {name: {"security": security_to_json(security)} for name, security in sorted(agents.items())}


def http_agents_from_json(json: Mapping[str, Json]) -> dict[str, AgentSecurity]:
    """What `http_agents_to_json` makes. Raises InvalidInput."""
    return {
        name: security_from_json(_record(each, f"agents.{name}").get("security"), f"agents.{name}")
        for name, each in json.items()
    }


def mcp_agents_to_json(agents: Mapping[str, str | None]) -> dict[str, Json]:
    """The agents of an MCP endpoint."""
    return {name: {"securityScheme": scheme} for name, scheme in sorted(agents.items())}


def mcp_agents_from_json(json: Mapping[str, Json]) -> dict[str, str | None]:
    """What `mcp_agents_to_json` makes. Raises InvalidInput."""
    agents: dict[str, str | None] = {}
    for name, each in json.items():
        scheme = _record(each, f"agents.{name}").get("securityScheme")
        if scheme is not None and not isinstance(scheme, str):
            raise InvalidInput(f"agents.{name}.securityScheme: expected string")
        agents[name] = scheme
    return agents


def _record(json: Json, path: str) -> Mapping[str, Json]:
    if not isinstance(json, dict):
        raise InvalidInput(f"{path}: expected record")
    return cast("dict[str, Json]", json)
