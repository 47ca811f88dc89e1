"""The OpenAPI document of a domain: what its routes take and give (reference: gateway, section 3.7).

It says what the server does, and what OpenAPI 3.0 cannot say it says nearly: the rest of a path is a parameter like
others, and methods that it does not know stand as `x-` and their name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import yaml

from golem_server.gateway.code_first.openapi_responses import ERROR_SCHEMA, responses_of
from golem_server.gateway.code_first.parameters import JsonBody, Parameter
from golem_server.gateway.code_first.path_segments import Literal, Remaining, Segment, Shape
from golem_server.gateway.code_first.request_bodies import OCTETS
from golem_server.gateway.code_first.routes import AgentRoute, CompiledApi
from golem_server.gateway.code_first.value_schemas import text_schema, value_schema
from golem_server.model.http_api_deployments import AgentSecurity, TestSessionHeader
from golem_server.model.json_types import Json
from golem_server.model.types import ListType, OptionType

_METHODS = frozenset(("get", "put", "post", "delete", "options", "head", "patch", "trace"))


def openapi_document(api: CompiledApi) -> dict[str, Json]:
    """The document as JSON."""
    domain = api.deployment.domain
    return {
        "openapi": "3.0.0",
        "info": {"title": "Managed api provided by Golem", "version": "1.0.0"},
        "servers": [{"url": f"{scheme}://{domain}"} for scheme in ("https", "http")],
        "paths": _paths(api),
        "components": {
            "schemas": {"Error": ERROR_SCHEMA},
            "securitySchemes": {_scheme_name(each): _scheme(api, each) for each in _securities(api.agent_routes)},
        },
    }


def document_json(document: Mapping[str, Json]) -> bytes:
    """The document as JSON text."""
    return msgspec.json.encode(document)


def document_yaml(document: Mapping[str, Json]) -> bytes:
    """The same document as YAML."""
    # The library's own types are not complete enough to be checked.
    dumper: Any = _Dumper
    return yaml.dump(document, Dumper=dumper, sort_keys=False, allow_unicode=True, encoding="utf-8")


class _Dumper(yaml.CSafeDumper):
    """Writes parts that several places share in each of them."""

    def ignore_aliases(self, data: object) -> bool:
        """Every part is written where it is."""
        return True


def _paths(api: CompiledApi) -> dict[str, Json]:
    paths: dict[str, dict[str, Json]] = {}
    names: dict[Shape, list[str]] = {}
    operation_ids: dict[str, int] = {}
    for route in api.agent_routes:
        # The same path with other names of variables would be another one that matches the same requests.
        known = names.setdefault(route.shape, list(_variable_names(route.path)))
        item = paths.setdefault(_template(route.path, known), {})
        method = route.http_method.lower()
        operation_id = f"{route.agent.type.name}-{route.method.name}"
        count = operation_ids[operation_id] = operation_ids.get(operation_id, 0) + 1
        item[method if method in _METHODS else f"x-{method}"] = {
            "operationId": operation_id if count == 1 else f"{operation_id}-{count}",
            "tags": [route.agent.type.name],
            "description": route.method.description,
            "parameters": [*_path_parameters(route, known), *_other_parameters(route)],
            **_request_body(route),
            "responses": responses_of(route),
            **_security(api, route.security),
        }
    return dict(paths)


def _variable_names(path: Sequence[Segment]) -> Iterator[str]:
    """The names of a path's variables, each once: the constructor and the method may use the same."""
    used: set[str] = set()
    for segment in path:
        if not isinstance(segment, Literal):
            name, number = segment.name, 2
            while name in used:
                name, number = f"{segment.name}-{number}", number + 1
            used.add(name)
            yield name


def _template(path: Sequence[Segment], names: Sequence[str]) -> str:
    left = iter(names)
    return "/" + "/".join(segment.text if isinstance(segment, Literal) else f"{{{next(left)}}}" for segment in path)


def _path_parameters(route: AgentRoute, names: Sequence[str]) -> Iterator[Json]:
    mounted = {parameter.element.name: parameter for parameter in route.constructor}
    own = {parameter.element.name: parameter for parameter in route.arguments if parameter.source == "path"}
    variables = [segment for segment in route.path if not isinstance(segment, Literal)]
    for at, (segment, name) in enumerate(zip(variables, names, strict=True)):
        # The first ones are the mount's.
        parameter = (mounted if at < len(mounted) else own).get(segment.name)
        described: dict[str, Json] = {"name": name, "in": "path", "required": True}
        if isinstance(segment, Remaining):
            described["description"] = "The rest of the path: one segment or more"
        yield described | {"schema": {"type": "string"} if parameter is None else _text_schema(parameter)}


def _other_parameters(route: AgentRoute) -> Iterator[Json]:
    for parameter in route.arguments:
        if parameter.source in ("query", "header"):
            yield {
                "name": parameter.key,
                "in": parameter.source,
                "required": not isinstance(parameter.element.type, OptionType | ListType),
                "schema": _text_schema(parameter),
            }


def _text_schema(parameter: Parameter) -> Json:
    assert parameter.element.type is not None
    return text_schema(parameter.element.type)


def _request_body(route: AgentRoute) -> dict[str, Json]:
    if route.body is None:
        return {}
    if isinstance(route.body, JsonBody):
        content: Json = {"application/json": {"schema": value_schema(route.body.type)}}
    elif route.body.element.kind == "unstructured-text":
        content = {"text/plain": {"schema": {"type": "string"}}}
    else:
        binary: Json = {"schema": {"type": "string", "format": "binary"}}
        allowed = route.body.element.restrictions
        # Any type is taken; the one that is named is what a body without a type is taken for.
        content = dict.fromkeys(allowed if allowed is not None else (OCTETS, "*/*"), binary)
    return {"requestBody": {"required": True, "content": content}}


def _securities(routes: Sequence[AgentRoute]) -> list[AgentSecurity]:
    return list(dict.fromkeys(route.security for route in routes if route.security is not None))


def _scheme_name(security: AgentSecurity) -> str:
    if isinstance(security, TestSessionHeader):
        return f"test-session-{security.header_name}"
    return "" if security is None else security.name


def _scheme(api: CompiledApi, security: AgentSecurity) -> Json:
    if security is None or isinstance(security, TestSessionHeader):
        return {"type": "apiKey", "in": "header", "name": "" if security is None else security.header_name}
    issuer = api.schemes[security.name].issuer_url.rstrip("/")
    return {"type": "openIdConnect", "openIdConnectUrl": f"{issuer}/.well-known/openid-configuration"}


def _security(api: CompiledApi, security: AgentSecurity) -> dict[str, Json]:
    if security is None:
        return {}
    scopes = [] if isinstance(security, TestSessionHeader) else list(api.schemes[security.name].scopes)
    return {"security": [{_scheme_name(security): scopes}]}
