"""Entries of an oplog as they are stored: what an earlier release has written stays readable."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest

from golem_server.model.golem_variables import GolemVariables
from golem_server.model.oplog import (
    Create,
    Entry,
    ForkOrigin,
    HostCall,
    InvocationFinished,
    PendingUpdate,
    Snapshot,
    decode_entry,
    encode_entry,
)

CREATE = Create(
    timestamp=7,
    component_id=UUID(int=1),
    name="w-1",
    component_revision=2,
    environment_id=UUID(int=3),
    created_by=UUID(int=4),
    instance_id=UUID(int=5),
    arguments=["a"],
    environment={"A": "1"},
    forks=[ForkOrigin("w-0", 9)],
    agent_type="CounterAgent",
    principal=("anonymous", None),
    golem_variables=GolemVariables.BY_COMPONENT,
)


def test_a_worker_from_before_the_choice_of_variables_has_all_of_them() -> None:
    encoded = encode_entry(CREATE)
    *fields, chosen, timestamp = msgspec.msgpack.decode(encoded.data)
    assert chosen == GolemVariables.BY_COMPONENT
    older = decode_entry(encoded.kind, msgspec.msgpack.encode([*fields, timestamp]))
    assert isinstance(older, Create)
    assert older.golem_variables is GolemVariables.ALL
    assert older.agent_type == "CounterAgent"
    assert older.timestamp == 7


@pytest.mark.parametrize(
    "entry",
    [
        CREATE,
        HostCall(timestamp=7, function="f", request=1, response=[2, "x"], category=3, begin_index=5),
        InvocationFinished(timestamp=7, result={"a": 1}, component_revision=3, consumed_fuel=12),
        Snapshot(timestamp=7, data=b"\x00\xff", mime_type="text/plain"),
    ],
    ids=lambda entry: type(entry).__name__,
)
def test_an_entry_without_its_last_fields_has_their_defaults(entry: Entry) -> None:
    encoded = encode_entry(entry)
    *values, timestamp = msgspec.msgpack.decode(encoded.data)
    fields = msgspec.structs.fields(type(entry))[:-1]
    expected: Any = decode_entry(encoded.kind, encoded.data)
    while not fields[-1].required:
        field = fields[-1]
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        expected = msgspec.structs.replace(expected, **{field.name: default})
        fields, values = fields[:-1], values[:-1]
        assert decode_entry(encoded.kind, msgspec.msgpack.encode([*values, timestamp])) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\x00",
        msgspec.msgpack.encode({"target_revision": 1}),
        msgspec.msgpack.encode([]),
        msgspec.msgpack.encode([7]),
        msgspec.msgpack.encode(["one", 7]),
    ],
)
def test_what_is_no_entry_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_entry(PendingUpdate.kind, data)
