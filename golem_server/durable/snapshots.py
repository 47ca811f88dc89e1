"""A worker's state as its own code saves it, and loads it again: for updates that do not replay.

The guest exports `golem:api/save-snapshot` and `golem:api/load-snapshot`, in two shapes: a list of bytes, or from 1.5
on a record of bytes and their media type. Both run with nothing recorded (reference: host-interfaces, section 5.2).
"""

from __future__ import annotations

from typing import Any, cast

from golem_server.durable.context import WorkerContext
from golem_server.durable.ports import OplogStore
from golem_server.durable.replay import describe
from golem_server.model.errors import InternalBug
from golem_server.model.ids import WorkerNumber
from golem_server.model.metadata import exported_interface
from golem_server.model.oplog import PendingUpdate, Snapshot, decode_entry
from golem_server.model.types import RecordType, Value
from golem_server.wasm.instance import Instance

SAVE = "golem:api/save-snapshot"
LOAD = "golem:api/load-snapshot"

DEFAULT_MIME_TYPE = "application/octet-stream"
"""The type of snapshots of guests that name none."""


class SnapshotFailed(Exception):
    """The guest has no function for it, or the function failed; the text says which."""


class SavedState:
    """A snapshot: the bytes, and what they are."""

    __slots__ = ("mime_type", "payload")

    def __init__(self, payload: bytes, mime_type: str = DEFAULT_MIME_TYPE) -> None:
        self.payload = payload
        self.mime_type = mime_type


async def save(instance: Instance, context: WorkerContext) -> SavedState:
    """Ask the guest for its state. Raises SnapshotFailed where it has no such export, else what the call raises."""
    interface = exported_interface(instance.linked.type, SAVE)
    if interface is None:
        raise SnapshotFailed("save-snapshot is not exported")
    with context.unrecorded():
        result = await instance.call(interface, "save", [])
    if isinstance(result, dict):
        record = cast("dict[str, Any]", result)
        return SavedState(bytes(record["payload"]), record["mime-type"])
    return SavedState(bytes(result))


async def load(instance: Instance, context: WorkerContext, state: SavedState) -> None:
    """Give a fresh instance a saved state. Raises SnapshotFailed if it has no such export or refuses the state."""
    interface = exported_interface(instance.linked.type, LOAD)
    if interface is None:
        raise SnapshotFailed("load-snapshot is not exported")
    parameter = instance.linked.export(interface, "load").type.parameters[0].type
    argument: Value = state.payload
    if isinstance(parameter, RecordType):
        argument = {"payload": state.payload, "mime-type": state.mime_type}
    with context.unrecorded():
        result = await instance.call(interface, "load", [argument])
    if result[0] == "err":
        raise SnapshotFailed(str(result[1]))


async def stored_state(store: OplogStore, number: WorkerNumber, index: int) -> SavedState:
    """The snapshot in the oplog entry at `index`."""
    (stored,) = await store.read(number, index, 1)
    entry = decode_entry(stored.kind, stored.data)
    if isinstance(entry, Snapshot):
        return SavedState(entry.data, entry.mime_type)
    if isinstance(entry, PendingUpdate) and entry.snapshot is not None:
        return SavedState(entry.snapshot, entry.mime_type)
    raise InternalBug(f"there is no snapshot at index {index} of worker {number}, but {describe(entry)}")
