"""Golem's records as guests of every generation see them.

A record that a guest gets carries the field names of all versions of the interface: the imported type decides which
are used. A record that a guest gives has those of its own version (reference: host-interfaces, section 1.2).
"""

from __future__ import annotations

from golem_server.model.ids import ComponentId, OplogIndex, PromiseId, WorkerId
from golem_server.model.oplog import Category, PersistenceLevel
from golem_server.model.principals import uuid_of, uuid_record
from golem_server.model.types import Value

_CATEGORY_NAMES = {category: category.name.lower().replace("_", "-") for category in Category}
_CATEGORIES = {name: category for category, name in _CATEGORY_NAMES.items()}
_WITH_INDEX = (Category.WRITE_REMOTE_BATCHED, Category.WRITE_REMOTE_TRANSACTION)
_LEVEL_NAMES = {level: level.name.lower().replace("_", "-") for level in PersistenceLevel}
_LEVELS = {name: level for level, name in _LEVEL_NAMES.items()}


def datetime_record(milliseconds: int) -> Value:
    """`datetime` of a time since the Unix epoch."""
    return {"seconds": milliseconds // 1000, "nanoseconds": milliseconds % 1000 * 1_000_000}


def durable_function_type(category: int, begin_index: int | None) -> Value:
    """`wrapped-function-type`, `durable-function-type`."""
    category = Category(category)
    return (_CATEGORY_NAMES[category], begin_index if category in _WITH_INDEX else None)


def category_of(variant: Value) -> tuple[Category, int | None]:
    """What `durable_function_type` made."""
    name, begin_index = variant
    return _CATEGORIES[name], begin_index


def persistence_level_variant(level: PersistenceLevel) -> Value:
    """`persistence-level`."""
    return (_LEVEL_NAMES[level], None)


def persistence_level_of(variant: Value) -> PersistenceLevel:
    """What `persistence_level_variant` made."""
    return _LEVELS[variant[0]]


def worker_id_record(worker_id: WorkerId) -> Value:
    """`agent-id`, `worker-id`."""
    return {
        "component-id": {"uuid": uuid_record(worker_id.component_id)},
        "agent-id": worker_id.name,
        "worker-name": worker_id.name,
    }


def worker_id_of(record: Value) -> WorkerId:
    """The worker that a guest names."""
    name = record["agent-id"] if "agent-id" in record else record["worker-name"]
    return WorkerId(ComponentId(uuid_of(record["component-id"]["uuid"])), name)


def promise_id_record(promise: PromiseId) -> Value:
    """`promise-id`."""
    worker_id = worker_id_record(promise.worker_id)
    return {"agent-id": worker_id, "worker-id": worker_id, "oplog-idx": promise.oplog_index}


def promise_id_of(record: Value) -> PromiseId:
    """The promise that a guest names."""
    worker_id = record["agent-id"] if "agent-id" in record else record["worker-id"]
    return PromiseId(worker_id_of(worker_id), OplogIndex(record["oplog-idx"]))
