"""Agent ids: the names of workers that are agents.

    CartAgent("books","ann")[0192f2a1-6c5e-7b3a-9d2e-0f1e2d3c4b5a]

An id is the agent's type, the parameters of its constructor in a canonical text that has no names in it
(`model/agent_id_text.py`), and the UUID that tells *phantom* agents with equal parameters apart (reference: cli-1.5,
section 5.1). Equal agents have equal texts: a text is read with blanks and other spellings, and written in one way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID, uuid4

from golem_server.model.agent_id_parser import parse_parameters
from golem_server.model.agent_id_text import InvalidAgentId, print_parameters
from golem_server.model.data_values import DataSchema
from golem_server.model.ids import MAX_WORKER_NAME_BYTES
from golem_server.model.types import Value

__all__ = [
    "AgentId",
    "InvalidAgentId",
    "agent_type_name",
    "normalize_agent_id",
    "parse_agent_id",
    "print_agent_id",
    "with_phantom_rule",
]

MAX_TEXT_BYTES = 16 * MAX_WORKER_NAME_BYTES
"""How long a text may be before blanks and escapes are taken out of it."""

# A string literal, which may lack its end, or blanks.
_STRING_OR_BLANKS = re.compile(r'("(?:[^"\\]|\\.)*+"?)|[ \t\r\n]+', re.DOTALL)


@dataclass(frozen=True, slots=True)
class AgentId:
    """An agent id that was read with its type's schema; `parameters` is the data value for the constructor."""

    type_name: str
    parameters: Value
    phantom: UUID | None


def parse_agent_id(text: str, constructor_schema: DataSchema) -> AgentId:
    """The id that the text is, for an agent whose constructor has this schema. Raises InvalidAgentId with the reason.

    That the type's name is the one of the schema is up to the caller, who found the schema by it (`agent_type_name`).
    """
    name, parameters, phantom = _parts(text)
    value = parse_parameters(_without_blanks(parameters), constructor_schema)
    agent_id = AgentId(name, value, phantom)
    print_agent_id(agent_id, constructor_schema)
    return agent_id


def print_agent_id(agent_id: AgentId, constructor_schema: DataSchema) -> str:
    """The canonical text.

    Raises InvalidAgentId where the parameters have none (NaN, handles), do not fit the schema or make it too long.
    """
    parameters = print_parameters(agent_id.parameters, constructor_schema)
    return _checked(_joined(agent_id.type_name, parameters, agent_id.phantom))


def normalize_agent_id(text: str) -> str:
    """The text without blanks outside of its strings and with the UUID in its usual spelling; needs no schema.

    Raises InvalidAgentId for a text that is no agent id.
    """
    name, parameters, phantom = _parts(text)
    return _checked(_joined(name, _without_blanks(parameters), phantom))


def agent_type_name(text: str) -> str:
    """The name of the agent type in an agent id. Raises InvalidAgentId for a text that is none."""
    return _parts(text)[0]


def with_phantom_rule(phantom: UUID | None, mode: str) -> UUID | None:
    """The phantom id with which an agent is made: an ephemeral agent always gets one, a durable one only if asked."""
    return uuid4() if phantom is None and mode == "ephemeral" else phantom


def _joined(name: str, parameters: str, phantom: UUID | None) -> str:
    return f"{name}({parameters})" if phantom is None else f"{name}({parameters})[{phantom}]"


def _checked(text: str) -> str:
    length = len(text.encode("utf-8", "surrogatepass"))
    if length > MAX_WORKER_NAME_BYTES:
        shown = text if length <= MAX_TEXT_BYTES else f"{text[:MAX_WORKER_NAME_BYTES]}..."
        raise InvalidAgentId(f"Agent id is too long: {length}, max length: {MAX_WORKER_NAME_BYTES}, agent id: {shown}")
    return text


def _parts(text: str) -> tuple[str, str, UUID | None]:
    """The type's name, the parameters' text and the phantom id."""
    if len(text) > MAX_TEXT_BYTES:
        _checked(text)
    name, opened, rest = text.strip().partition("(")
    parameters, closed, phantom = rest.rpartition(")")
    in_brackets = phantom.startswith("[") and phantom.find("]") == len(phantom) - 1 > 1
    if not (name and opened and closed) or (phantom and not in_brackets) or not _is_unicode(text):
        raise InvalidAgentId(
            f"Unexpected agent-id format - must be 'agent-type(...)' or 'agent-type(...)[uuid]', got: {text}"
        )
    if not (name := name.strip()):
        raise InvalidAgentId("Agent type name cannot be empty")
    try:
        return name, parameters, UUID(phantom[1:-1].strip()) if phantom else None
    except ValueError as error:
        raise InvalidAgentId(f"Invalid UUID in phantom ID: {error}") from None


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any(0xD800 <= ord(character) <= 0xDFFF for character in text)


def _without_blanks(parameters: str) -> str:
    return _STRING_OR_BLANKS.sub(lambda found: found[1] or "", parameters)
