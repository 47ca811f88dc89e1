"""The routes that one agent type declares: its mount, its methods' endpoints, and its webhooks' path.

Reference: gateway, sections 3.1 and 3.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from golem_server.gateway.code_first.declarations import InvalidDeclaration
from golem_server.gateway.code_first.deployed import DeployedAgent
from golem_server.gateway.code_first.parameters import constructor_parameters, method_parameters
from golem_server.gateway.code_first.path_segments import (
    Literal,
    Remaining,
    Segment,
    declared_segments,
    prefix_segments,
)
from golem_server.gateway.code_first.request_bodies import body_reader
from golem_server.gateway.code_first.results import responder
from golem_server.gateway.code_first.routes import AgentRoute
from golem_server.model.agent_functions import kebab_case
from golem_server.model.agent_types import AgentMethod
from golem_server.model.http_api_deployments import AgentSecurity, TestSessionHeader
from golem_server.model.json_types import Json

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class MountedAgent:
    """An agent type with a mount, at a domain that has some security for it.

    Raises InvalidDeclaration for a mount that cannot be. `mount` is the JSON that the type declares.
    """

    def __init__(self, agent: DeployedAgent, security: AgentSecurity, *, test_headers_allowed: bool) -> None:
        self.agent = agent
        self._mount: Json = agent.type.http_mount
        self._security = security
        self._test_headers_allowed = test_headers_allowed
        self._prefix = self._segments(self._mount["pathPrefix"])
        self._captured = sum(not isinstance(segment, Literal) for segment in self._prefix)
        self._constructor = constructor_parameters(agent.type.constructor_schema, self._prefix)

    def endpoints(self) -> Iterator[tuple[AgentMethod, Json]]:
        """The endpoints of its methods, as they are declared."""
        for method in self.agent.type.methods:
            for endpoint in method.http_endpoints:
                yield method, endpoint

    def route(self, method: AgentMethod, endpoint: Json) -> AgentRoute:
        """The route of an endpoint. Raises InvalidDeclaration."""
        suffix = self._segments(endpoint["pathSuffix"])
        path = (*self._prefix, *suffix)
        if any(isinstance(segment, Remaining) for segment in path[:-1]):
            raise InvalidDeclaration("the variable for the rest of a path must be the last segment")
        arguments, body = method_parameters(method.input_schema, endpoint, suffix, self._captured)
        return AgentRoute(
            agent=self.agent,
            method=method,
            http_method=_http_method(endpoint["httpMethod"]),
            path=path,
            constructor=self._constructor,
            arguments=arguments,
            body=body,
            read_body=body_reader(body),
            respond=responder(method.output_schema),
            cors=self._cors(endpoint),
            security=self._demanded_security(endpoint),
            phantom=self._mount["phantomAgent"] or self.agent.type.mode == "ephemeral",
        )

    def webhook_path(self, webhooks_prefix: str) -> list[Segment]:
        """Where its webhooks are, without the last segment. Raises InvalidDeclaration."""
        suffix = self._segments(self._mount["webhookSuffix"])
        if not all(isinstance(segment, Literal) for segment in suffix):
            raise InvalidDeclaration("the path of webhooks cannot have variables")
        return [*prefix_segments(webhooks_prefix), *(suffix or [Literal(kebab_case(self.agent.type.name))])]

    def _segments(self, declared: list[Json]) -> list[Segment]:
        return declared_segments(declared, self.agent.type.name, self.agent.revision)

    def _cors(self, endpoint: Json) -> tuple[str, ...]:
        declared = (self._mount["corsOptions"], endpoint["corsOptions"])
        return tuple(sorted({pattern for each in declared for pattern in each["allowedPatterns"]}))

    def _demanded_security(self, endpoint: Json) -> AgentSecurity:
        """How callers must say who they are, None where they need not. What an endpoint says overrides the mount."""
        details = endpoint["authDetails"] or self._mount["authDetails"]
        if details is None or not details["required"]:
            return None
        security = self._security
        if security is None:
            raise InvalidDeclaration("callers must be known here, and the deployment names no security for the agent")
        if isinstance(security, TestSessionHeader):
            if not self._test_headers_allowed:
                raise InvalidDeclaration(
                    "callers cannot name themselves in a header in an environment without security overrides"
                )
            if _TOKEN.fullmatch(security.header_name) is None:
                raise InvalidDeclaration(f"{security.header_name[:100]!r} cannot be the name of a header")
        return security


def _http_method(declared: Json) -> str:
    if declared["type"] != "Custom":
        return str(declared["type"]).upper()
    method: str = declared["value"]
    if _TOKEN.fullmatch(method) is None:
        raise InvalidDeclaration(f"{method[:100]!r} cannot be an HTTP method")
    return method.upper()
