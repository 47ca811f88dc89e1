"""golem:core/types: UUIDs as text and back."""

from __future__ import annotations

from uuid import UUID

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.host.golem_records import uuid_of, uuid_record
from golem_server.model.types import Value

types = HostInterface("golem:core/types")

INTERFACES = [types]

_MAX_TEXT = 64


@types.unrecorded("parse-uuid")
def parse_uuid(_context: WorkerContext, uuid: str) -> Value:
    """The UUID of a text in one of its usual spellings."""
    if len(uuid) > _MAX_TEXT:
        return ("err", f"invalid UUID: a text of {len(uuid)} characters")
    try:
        return ("ok", uuid_record(UUID(uuid)))
    except ValueError as error:
        return ("err", f"invalid UUID: {error}")


@types.unrecorded("uuid-to-string")
def uuid_to_string(_context: WorkerContext, uuid: Value) -> Value:
    """The text of a UUID, in lower case with hyphens."""
    return str(uuid_of(uuid))
