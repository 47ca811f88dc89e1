"""Whether the MCP endpoints of a deployment can be served (reference: gateway, section 3.8)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from urllib.parse import urlsplit

from golem_server.model.http_api_deployments import McpDeployment
from golem_server.model.security_schemes import MCP_CALLBACK_PATH, SecurityScheme


def mcp_problems(
    endpoints: Sequence[McpDeployment], agents: Collection[str], schemes: Sequence[SecurityScheme]
) -> list[str]:
    """What is wrong with the MCP endpoints of a deployment with these agent types, in an environment's schemes."""
    known = {each.name: each for each in schemes}
    return [f"domain {each.domain}: {text}" for each in endpoints for text in _problems(each, agents, known)]


def _problems(endpoint: McpDeployment, agents: Collection[str], schemes: dict[str, SecurityScheme]) -> Iterator[str]:
    for name in endpoint.agents:
        if name not in agents:
            yield f"agent type {name} is not part of the deployment"
    used = sorted({scheme for scheme in endpoint.agents.values() if scheme is not None})
    if len(used) > 1:
        yield f"its agent types must have the same security scheme, and have {', '.join(used)}"
    for name in used:
        scheme = schemes.get(name)
        if scheme is None:
            yield f"security scheme {name} does not exist"
        elif urlsplit(scheme.redirect_url).path != MCP_CALLBACK_PATH:
            yield (
                f"the redirect URL of security scheme {name} must end in {MCP_CALLBACK_PATH}, and is "
                f"{scheme.redirect_url}"
            )
