"""Makes endpoints of definitions: checks them when they are written, and builds them when they are deployed.

What was compiled is remembered, so that a site is built anew at the cost of what has changed in it.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from golem_server.durable.executor import Executor
from golem_server.gateway.classic.agent_interfaces import is_agent_method
from golem_server.gateway.classic.cors import CorsPolicy, policy_of
from golem_server.gateway.classic.endpoints import Endpoint, Target, WorkerEndpoint
from golem_server.gateway.classic.file_server import FileServerEndpoint
from golem_server.gateway.classic.http_handler import HttpHandlerEndpoint
from golem_server.gateway.classic.path_patterns import PathPattern, parse_path_pattern
from golem_server.gateway.classic.preflight import PreflightEndpoint
from golem_server.gateway.classic.scripts import Script, Scripts, compile_scripts, in_route
from golem_server.gateway.classic.swagger_ui import SwaggerUiEndpoint
from golem_server.gateway.rib.type_names import print_type
from golem_server.model.api_definitions import ApiDefinition, BindingKind, DefinitionKey, Route, StoredDefinition
from golem_server.model.errors import InvalidInput, NotFound
from golem_server.model.ids import EnvironmentId
from golem_server.model.json_types import type_to_json
from golem_server.model.types import ComponentType, FunctionType
from golem_server.model.virtual_exports import HANDLE_HTTP
from golem_server.registry.components import Components, RegisteredComponent

_NEED_RESPONSE = (BindingKind.DEFAULT, BindingKind.FILE_SERVER)
_NEED_COMPONENT = (BindingKind.DEFAULT, BindingKind.FILE_SERVER, BindingKind.HTTP_HANDLER)
_MAX_REMEMBERED = 1_000
_NO_SCRIPTS = Scripts(None, None, None, None)


class SecuritySchemes(Protocol):
    """Knows the security schemes of environments."""

    async def has_scheme(self, environment_id: EnvironmentId, name: str) -> bool:
        """Whether there is a scheme of that name."""
        ...


@dataclass(frozen=True, slots=True)
class CompiledRoute:
    """A route, ready to answer. `cors` are the rules of a preflight binding."""

    route: Route
    pattern: PathPattern
    endpoint: Endpoint
    component: RegisteredComponent | None
    scripts: Scripts
    cors: CorsPolicy | None = None


@dataclass(frozen=True, slots=True)
class _CompiledDefinition:
    revision: int
    routes: tuple[CompiledRoute, ...]


class DefinitionCompiler:
    """Implements `registry.ports.ApiCompiler`."""

    def __init__(self, executor: Executor, components: Components, schemes: SecuritySchemes | None = None) -> None:
        self._executor = executor
        self._components = components
        self._schemes = schemes
        self._remembered: OrderedDict[tuple[EnvironmentId, DefinitionKey], _CompiledDefinition] = OrderedDict()

    async def check(self, environment_id: EnvironmentId, definition: ApiDefinition) -> StoredDefinition:
        """The definition as it is to be stored. Raises InvalidInput, and NotFound for a security scheme."""
        patterns = [_pattern(route) for route in definition.routes]
        _check_duplicates(definition.routes, patterns)
        for name in dict.fromkeys(route.security for route in definition.routes if route.security is not None):
            if self._schemes is None or not await self._schemes.has_scheme(environment_id, name):
                raise NotFound(f"Security scheme not found: {name}", code="SECURITY_SCHEME_NOT_FOUND")
        routes = [await self._route(environment_id, route) for route in definition.routes]
        resolved = replace(definition, routes=tuple(compiled.route for compiled in routes))
        return StoredDefinition(resolved, tuple(map(_facts, routes)), _uses(routes))

    async def compiled(self, environment_id: EnvironmentId, stored: StoredDefinition) -> Sequence[CompiledRoute]:
        """The routes of a stored definition. Raises InvalidInput if they do not fit the components any more."""
        key = (environment_id, stored.definition.key)
        known = self._remembered.get(key)
        if known is None or known.revision != stored.revision:
            routes = [await self._route(environment_id, route, stored) for route in stored.definition.routes]
            known = _CompiledDefinition(stored.revision, tuple(routes))
            self._remembered[key] = known
        self._remembered.move_to_end(key)
        if len(self._remembered) > _MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return known.routes

    def conflicts(self, added: Sequence[StoredDefinition], present: Sequence[StoredDefinition]) -> list[str]:
        """The paths of added routes that match what another route, added or present, matches too."""
        shapes: Counter[object] = Counter()
        of_added: dict[object, str] = {}
        for number, stored in enumerate((*added, *present)):
            for route in stored.definition.routes:
                pattern = parse_path_pattern(route.path)
                shape = (route.method, pattern.shape)
                shapes[shape] += 1
                if number < len(added):
                    of_added.setdefault(shape, f"/{str(pattern).lstrip('/')}")
        return sorted({path for shape, path in of_added.items() if shapes[shape] > 1})

    def signatures(self, type_: ComponentType) -> Mapping[str, str]:
        """The functions that a component exports, by full name, with their signatures as text."""
        found = {name: _signature(function) for name, function in type_.exported_functions.items()}
        for name, interface in type_.exports.items():
            found |= {f"{name}.{{{raw}}}": _signature(each) for raw, each in interface.functions.items()}
        return found

    async def _route(
        self, environment_id: EnvironmentId, route: Route, stored: StoredDefinition | None = None
    ) -> CompiledRoute:
        """Compile one route; the others of the server have their turn in between. Raises InvalidInput.

        `stored` is the route's definition, where that is stored already.
        """
        await asyncio.sleep(0)
        pattern = _pattern(route)
        if route.binding.kind is BindingKind.SWAGGER_UI:
            return _swagger_ui(route, pattern, stored)
        if route.binding.kind is BindingKind.CORS_PREFLIGHT:
            return await _preflight(route, pattern)
        component = await self._component(environment_id, route)
        scripts = compile_scripts(route, pattern, component)
        binding = replace(route.binding, component_version=component.revision)
        resolved = replace(route, binding=binding)
        endpoint = self._endpoint(route, component, scripts)
        return CompiledRoute(resolved, pattern, endpoint, component, scripts)

    def _endpoint(self, route: Route, component: RegisteredComponent, scripts: Scripts) -> Endpoint:
        target = Target(self._executor, component, scripts)
        response = scripts.response
        if route.binding.kind is BindingKind.HTTP_HANDLER:
            try:
                component.functions.resolve(HANDLE_HTTP)
            except InvalidInput:
                raise in_route(route, f"{component.name} does not export wasi:http/incoming-handler") from None
            return HttpHandlerEndpoint(target)
        if response is None:
            raise in_route(route, "Missing response field in binding")
        if route.binding.kind is BindingKind.FILE_SERVER:
            return FileServerEndpoint(target, response, self._components)
        return WorkerEndpoint(target, response)

    async def _component(self, environment_id: EnvironmentId, route: Route) -> RegisteredComponent:
        binding = route.binding
        if binding.kind in _NEED_RESPONSE and binding.response is None:
            raise in_route(route, "Missing response field in binding")
        if binding.component is None:
            raise in_route(route, "Missing component field in binding")
        try:
            component = await self._components.by_name(environment_id, binding.component)
        except NotFound:
            raise in_route(route, f"Did not find component for name {binding.component}") from None
        if binding.component_version is None:
            return component
        try:
            return await self._components.revision(component.component_id, binding.component_version)
        except NotFound:
            raise in_route(
                route, f"Unable to fetch component: {binding.component} has no version {binding.component_version}"
            ) from None


def _pattern(route: Route) -> PathPattern:
    try:
        return parse_path_pattern(route.path)
    except InvalidInput as error:
        raise in_route(route, error.message) from None


def _swagger_ui(route: Route, pattern: PathPattern, stored: StoredDefinition | None) -> CompiledRoute:
    if route.method != "GET" or pattern.variables:
        raise in_route(route, "a swagger-ui binding must be on a GET route without variables")
    endpoint = SwaggerUiEndpoint(stored or StoredDefinition(ApiDefinition(DefinitionKey("", ""), True, ()), (), {}))
    return CompiledRoute(route, pattern, endpoint, None, _NO_SCRIPTS)


async def _preflight(route: Route, pattern: PathPattern) -> CompiledRoute:
    if route.method != "OPTIONS":
        raise in_route(route, "a cors-preflight binding must be on an OPTIONS route")
    try:
        policy = await policy_of(route.binding.response)
    except InvalidInput as error:
        raise in_route(route, error.message) from None
    return CompiledRoute(route, pattern, PreflightEndpoint(policy), None, _NO_SCRIPTS, policy)


def _check_duplicates(routes: Sequence[Route], patterns: Sequence[PathPattern]) -> None:
    seen: dict[object, Route] = {}
    for route, pattern in zip(routes, patterns, strict=True):
        first = seen.setdefault((route.method, pattern.shape), route)
        if first is not route:
            raise InvalidInput(
                f"RouteValidationError: method: {route.method}, path: {first.path}, "
                f"detail: Duplicate route with path: {route.path}"
            )


def _facts(compiled: CompiledRoute) -> dict[str, Any]:
    """What is told of a binding besides what its user wrote; scripts as they are understood."""
    if compiled.route.binding.kind is BindingKind.SWAGGER_UI:
        return {}
    if compiled.cors is not None:
        return {"corsPreflight": compiled.cors.to_json()}
    scripts = compiled.scripts
    return {
        **_printed("workerName", scripts.worker_name),
        **_printed("idempotencyKey", scripts.idempotency_key),
        **_printed("invocationContext", scripts.invocation_context),
        **_printed("response", scripts.response),
        "workerNameInput": _input(scripts.worker_name),
        "idempotencyKeyInput": _input(scripts.idempotency_key),
        "responseMappingInput": _input(scripts.response),
        "responseMappingOutput": _output(scripts.response),
    }


def _printed(name: str, script: Script | None) -> dict[str, str]:
    return {} if script is None else {name: script.compiled.text}


def _input(script: Script | None) -> dict[str, Any] | None:
    if script is None:
        return None
    return {"types": {name: type_to_json(type_) for name, type_ in script.compiled.inputs.items()}}


def _output(script: Script | None) -> dict[str, Any] | None:
    if script is None or script.compiled.output is None:
        return None
    return {"analysedType": type_to_json(script.compiled.output)}


def _uses(routes: Sequence[CompiledRoute]) -> dict[str, dict[str, str]]:
    """What default bindings call, for each component: an update may not take it away while they are deployed."""
    uses: dict[str, dict[str, str]] = {}
    for compiled in routes:
        component, script = compiled.component, compiled.scripts.response
        if component is None or script is None or compiled.route.binding.kind is not BindingKind.DEFAULT:
            continue
        for name in script.compiled.called_functions:
            if is_agent_method(component, name):
                # What agents a binary has it may tell only when it runs.
                continue
            resolved = component.functions.resolve(name)
            uses.setdefault(component.name, {})[resolved.export_name] = _signature(resolved.type)
    return uses


def _signature(type_: FunctionType) -> str:
    parameters = ", ".join(f"{parameter.name}: {print_type(parameter.type)}" for parameter in type_.parameters)
    return f"({parameters})" + ("" if type_.result is None else f" -> {print_type(type_.result)}")
