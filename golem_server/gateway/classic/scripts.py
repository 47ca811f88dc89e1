"""The scripts of a binding, compiled: worker name, idempotency key, invocation context and response.

Errors name the route, the script and the place in it (reference: gateway, sections 1.3 and 1.8).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from golem_server.gateway.classic.agent_interfaces import agent_constructors, type_with_agents
from golem_server.gateway.classic.path_patterns import PathPattern
from golem_server.gateway.classic.request_inputs import RequestFacts, RequestInputs
from golem_server.gateway.classic.response_mapping import literal_text
from golem_server.gateway.failures import RequestFailed
from golem_server.gateway.rib import CompiledScript, RibError, RibRuntimeError, RibTypeError, compile_script
from golem_server.model.api_definitions import Route
from golem_server.model.errors import InvalidInput
from golem_server.model.types import RecordType, Value
from golem_server.registry.components import RegisteredComponent


@dataclass(frozen=True, slots=True)
class Script:
    """One script with what reads its inputs."""

    compiled: CompiledScript
    inputs: RequestInputs

    async def pure_value(self, facts: RequestFacts) -> Value:
        """The value of a script that calls no workers. Raises RequestFailed."""
        try:
            return await self.compiled.evaluate(await self.inputs.read(facts))
        except RibRuntimeError as error:
            raise RequestFailed(500, f"Failed interpreting pure rib expression: {error.message}") from None

    async def pure_text(self, facts: RequestFacts, what: str) -> str:
        """The value of a script that gives a simple value, as text. Raises RequestFailed."""
        value = await self.pure_value(facts)
        type_ = self.compiled.output
        text = None if type_ is None else literal_text(type_, value)
        if text is None:
            raise RequestFailed(400, f"{what} is not a Rib expression that resolves to String")
        return text


@dataclass(frozen=True, slots=True)
class Scripts:
    """The scripts of one binding, those that it has."""

    worker_name: Script | None
    idempotency_key: Script | None
    invocation_context: Script | None
    response: Script | None

    def all(self) -> Iterable[tuple[str, Script]]:
        """Each script with what messages call it."""
        named = (
            ("worker name", self.worker_name),
            ("idempotency key", self.idempotency_key),
            ("invocation context", self.invocation_context),
            ("response mapping", self.response),
        )
        return ((name, script) for name, script in named if script is not None)


def compile_scripts(route: Route, pattern: PathPattern, component: RegisteredComponent) -> Scripts:
    """Compile the scripts of a route against its component, and check what they look up. Raises InvalidInput."""
    binding = route.binding
    type_, agents = type_with_agents(component), agent_constructors(component)

    def script(what: str, text: str | None, *, pure: bool) -> Script | None:
        if text is None:
            return None
        try:
            compiled = compile_script(text, pure=True) if pure else compile_script(text, type_, agents=agents)
        except RibTypeError as error:
            raise in_route(route, f"{what}: Rib compilation error: {error.message}") from None
        except RibError as error:
            raise in_route(route, f"{what}: Invalid rib syntax: {error.message}") from None
        return Script(compiled, RequestInputs(compiled))

    scripts = Scripts(
        worker_name=script("workerName", binding.worker_name, pure=True),
        idempotency_key=script("idempotencyKey", binding.idempotency_key, pure=True),
        invocation_context=script("invocationContext", binding.invocation_context, pure=True),
        response=script("response", binding.response, pure=False),
    )
    faults = [fault for name, each in scripts.all() for fault in _unknown_lookups(name, each.compiled, pattern)]
    if faults:
        raise InvalidInput(f"Error in endpoint {route}: {faults[0]}", details=[f"{route}: {each}" for each in faults])
    if route.security is None and any(_fields(each.compiled, "auth") is not None for _, each in scripts.all()):
        raise in_route(route, "request.auth is there only on routes with a security scheme")
    return scripts


def in_route(route: Route, reason: str) -> InvalidInput:
    """An error in a route."""
    return InvalidInput(f"Error in endpoint {route}: {reason}")


def _unknown_lookups(name: str, script: CompiledScript, pattern: PathPattern) -> Iterable[str]:
    for place, known in (("query", pattern.query), ("path", pattern.variables)):
        unknown = [field for field in _fields(script, place) or () if field not in known]
        if unknown:
            yield (
                f"Following request.{place} lookups in {name} rib script is not present in API route: "
                f"{', '.join(unknown)}"
            )


def _fields(script: CompiledScript, name: str) -> list[str] | None:
    """The fields of a part of `request` that a script uses; None if it does not use the part."""
    request = script.inputs.get("request")
    for part in () if request is None else request.fields:
        if part.name == name:
            return [field.name for field in part.type.fields] if isinstance(part.type, RecordType) else []
    return None
