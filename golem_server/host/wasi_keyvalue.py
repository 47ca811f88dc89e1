"""wasi:keyvalue 0.1.0: buckets of keys, shared by the workers of an environment.

A bucket is a name: opening one creates nothing. `cache` is not provided, as in Golem: calling it traps with the
function's name. `atomic` is, although Golem traps there too; its numbers are decimal digits to `get`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.host.guest_stores import (
    MAX_NAMES,
    Refused,
    checked_batch,
    checked_listing,
    checked_name,
    stores_of,
    write_place,
)
from golem_server.host.value_bodies import IncomingValue, OutgoingBody, OutgoingValue, read_value, recorded_value
from golem_server.model.errors import InvalidInput
from golem_server.model.oplog import Category
from golem_server.model.stored_values import StoredValue
from golem_server.model.types import Value

types = HostInterface("wasi:keyvalue/types")
errors = HostInterface("wasi:keyvalue/wasi-keyvalue-error")
eventual = HostInterface("wasi:keyvalue/eventual")
batch = HostInterface("wasi:keyvalue/eventual-batch")
atomic = HostInterface("wasi:keyvalue/atomic")

INTERFACES = [types, errors, eventual, batch, atomic]

_MAX_BATCH_BYTES = 1 << 20
"""Bytes of many values that one entry of the oplog holds; what is beyond lies beside it, value by value."""


class Bucket:
    """The resource `bucket`: a name."""

    def __init__(self, name: str) -> None:
        self.name = name


class KeyValueError:
    """The resource `error`: a text."""

    def __init__(self, text: str) -> None:
        self.text = text


@errors.unrecorded("[method]error.trace")
def trace(context: WorkerContext, handle: int) -> Value:
    """The text of an error."""
    return context.resources.get(handle, KeyValueError).text


def _failed(context: WorkerContext, text: str) -> Value:
    return ("err", context.resources.add(KeyValueError(text)))


# --- Buckets and values


@types.unrecorded("[static]bucket.open-bucket")
def open_bucket(context: WorkerContext, name: str) -> Value:
    """A bucket. It need not exist."""
    try:
        return ("ok", context.resources.add(Bucket(checked_name("The name of the bucket", name))))
    except Refused as refusal:
        return _failed(context, str(refusal))


@types.unrecorded("[static]outgoing-value.new-outgoing-value")
def new_outgoing_value(context: WorkerContext) -> Value:
    """A value to be written."""
    return context.resources.add(OutgoingValue(context))


@types.unrecorded("[method]outgoing-value.outgoing-value-write-body-sync")
def write_body_sync(context: WorkerContext, handle: int, content: bytes) -> Value:
    """Adds bytes at the end of the value."""
    try:
        context.resources.get(handle, OutgoingValue).append(content)
    except Refused as refusal:
        return _failed(context, str(refusal))
    return ("ok", None)


@types.unrecorded("[method]outgoing-value.outgoing-value-write-body-async")
def write_body_async(context: WorkerContext, handle: int) -> Value:
    """A stream that adds bytes at the end of the value."""
    return ("ok", context.resources.add(OutgoingBody(context.resources.get(handle, OutgoingValue))))


@types.unrecorded("[method]incoming-value.incoming-value-consume-sync")
async def consume_sync(context: WorkerContext, handle: int) -> Value:
    """All bytes of the value; none the second time."""
    try:
        return ("ok", await context.resources.get(handle, IncomingValue).consume_whole(context))
    except Refused as refusal:
        return _failed(context, str(refusal))


@types.unrecorded("[method]incoming-value.incoming-value-consume-async")
def consume_async(context: WorkerContext, handle: int) -> Value:
    """A stream of the value's bytes."""
    return ("ok", context.resources.add(context.resources.get(handle, IncomingValue).consume()))


@types.unrecorded("[method]incoming-value.incoming-value-size")
def incoming_value_size(context: WorkerContext, handle: int) -> Value:
    """The size of the value in bytes."""
    return ("ok", context.resources.get(handle, IncomingValue).size)


# --- Calls that are recorded: a result with a text as error, of which the guest gets a resource


def _bucket(context: WorkerContext, handle: int) -> str:
    return context.resources.get(handle, Bucket).name


def _recorded(
    interface: HostInterface,
    name: str,
    category: Category,
    record: str,
    request: Callable[..., Value],
    returns: Callable[[WorkerContext, Value], Value] = lambda _context, value: value,
) -> Callable[[Callable[..., Awaitable[Value]]], None]:
    """Declare a function on a bucket. The first argument of it and of `request` is the bucket's name; `returns` makes
    what the guest gets of what is recorded."""

    def declare(function: Callable[..., Awaitable[Value]]) -> None:
        async def live(context: WorkerContext, bucket: int, *arguments: Value) -> Value:
            try:
                return ("ok", await function(context, _bucket(context, bucket), *arguments))
            except Refused as refusal:
                return ("err", str(refusal))
            except InvalidInput as error:
                return ("err", error.message)

        def request_of(context: WorkerContext, bucket: int, *arguments: Value) -> Value:
            return {"bucket": _bucket(context, bucket), **request(context, *arguments)}

        recorded = interface.recorded(name, category, record, request=request_of)(live)

        @recorded.finish
        def _(context: WorkerContext, response: Value, *_arguments: Value) -> Value:
            tag, content = response
            return ("ok", returns(context, content)) if tag == "ok" else _failed(context, content)

    return declare


def _incoming(context: WorkerContext, recorded: Value) -> Value:
    return None if recorded is None else context.resources.add(IncomingValue(recorded))


def _all_incoming(context: WorkerContext, recorded: Value) -> Value:
    return [_incoming(context, each) for each in recorded]


def _key(_context: WorkerContext, key: str) -> dict[str, Value]:
    return {"key": key}


def _keys(_context: WorkerContext, keys: Sequence[str]) -> dict[str, Value]:
    return {"keys": list(keys)}


def _no_more(_context: WorkerContext) -> dict[str, Value]:
    return {}


def _key_and_length(context: WorkerContext, key: str, value: int) -> dict[str, Value]:
    return {"key": key, "length": context.resources.get(value, OutgoingValue).size}


def _keys_and_lengths(context: WorkerContext, values: Sequence[tuple[str, int]]) -> dict[str, Value]:
    return {"keys": [(key, context.resources.get(value, OutgoingValue).size) for key, value in values]}


@_recorded(eventual, "get", Category.READ_REMOTE, "keyvalue::eventual::get", _key, _incoming)
async def get(context: WorkerContext, bucket: str, key: str) -> Value:
    """The value of a key, if it has one."""
    checked_name("The key", key)

    async def find() -> StoredValue | None:
        return (await stores_of(context).key_values.get(context.environment_id, bucket, [key])).get(key)

    return await read_value(context, find)


@_recorded(eventual, "set", Category.WRITE_REMOTE, "keyvalue::eventual::set", _key_and_length)
async def set_(context: WorkerContext, bucket: str, key: str, value: int) -> Value:
    """Gives a key a value."""
    checked_name("The key", key)
    stored = await context.resources.get(value, OutgoingValue).write()
    await stores_of(context).key_values.set(context.environment_id, bucket, {key: stored})


@_recorded(eventual, "delete", Category.WRITE_REMOTE, "keyvalue::eventual::delete", _key)
async def delete(context: WorkerContext, bucket: str, key: str) -> Value:
    """Removes a key, whether it is there or not."""
    checked_name("The key", key)
    await stores_of(context).key_values.delete(context.environment_id, bucket, [key])


@_recorded(eventual, "exists", Category.READ_REMOTE, "keyvalue::eventual::exists", _key)
async def exists(context: WorkerContext, bucket: str, key: str) -> Value:
    """Whether a key has a value."""
    checked_name("The key", key)
    return await stores_of(context).key_values.exists(context.environment_id, bucket, key)


@_recorded(batch, "get-many", Category.READ_REMOTE, "keyvalue::eventual_batch::get_many", _keys, _all_incoming)
async def get_many(context: WorkerContext, bucket: str, keys: Sequence[str]) -> Value:
    """The values of keys, in their order."""
    checked_batch("A key", keys)
    stores = stores_of(context)
    found = await stores.key_values.get(context.environment_id, bucket, keys)
    recorded: dict[str, Value] = {}
    total = 0
    for key in dict.fromkeys(keys):
        value = await read_value(context, _first_then_again(context, bucket, key, found.get(key)))
        if isinstance(value, bytes):
            total += len(value)
            if total > _MAX_BATCH_BYTES and value:
                value = recorded_value(await stores.contents.keep_bytes(context.oplog.number, value))
        recorded[key] = value
    return [recorded[key] for key in keys]


def _first_then_again(
    context: WorkerContext, bucket: str, key: str, found: StoredValue | None
) -> Callable[[], Awaitable[StoredValue | None]]:
    """What was found already, and if that is no good what is found now."""
    first = [found]

    async def find() -> StoredValue | None:
        if first:
            return first.pop()
        return (await stores_of(context).key_values.get(context.environment_id, bucket, [key])).get(key)

    return find


@_recorded(batch, "keys", Category.READ_REMOTE, "keyvalue::eventual_batch::get_keys", _no_more)
async def keys_(context: WorkerContext, bucket: str) -> Value:
    """All keys of a bucket."""
    return checked_listing(await stores_of(context).key_values.keys(context.environment_id, bucket, MAX_NAMES + 1))


@_recorded(batch, "set-many", Category.WRITE_REMOTE, "keyvalue::eventual_batch::set_many", _keys_and_lengths)
async def set_many(context: WorkerContext, bucket: str, values: Sequence[tuple[str, int]]) -> Value:
    """Gives keys their values, all or none. The last one counts of a key that comes twice."""
    checked_batch("A key", [key for key, _ in values])
    last = dict(values)
    stored = {key: await context.resources.get(value, OutgoingValue).write() for key, value in last.items()}
    await stores_of(context).key_values.set(context.environment_id, bucket, stored)


@_recorded(batch, "delete-many", Category.WRITE_REMOTE, "keyvalue::eventual_batch::delete_many", _keys)
async def delete_many(context: WorkerContext, bucket: str, keys: Sequence[str]) -> Value:
    """Removes keys, whether they are there or not."""
    checked_batch("A key", keys)
    await stores_of(context).key_values.delete(context.environment_id, bucket, keys)


def _delta(_context: WorkerContext, key: str, delta: int) -> dict[str, Value]:
    return {"key": key, "delta": delta}


def _old_and_new(_context: WorkerContext, key: str, old: int, new: int) -> dict[str, Value]:
    return {"key": key, "old": old, "new": new}


@_recorded(atomic, "increment", Category.WRITE_REMOTE, "keyvalue::atomic::increment", _delta)
async def increment(context: WorkerContext, bucket: str, key: str, delta: int) -> Value:
    """Adds to a number and gives the sum, once whatever happens to the server meanwhile."""
    checked_name("The key", key)
    store = stores_of(context).key_values
    return await store.increment(context.environment_id, bucket, key, delta, write_place(context))


@_recorded(atomic, "compare-and-swap", Category.WRITE_REMOTE, "keyvalue::atomic::compare_and_swap", _old_and_new)
async def compare_and_swap(context: WorkerContext, bucket: str, key: str, old: int, new: int) -> Value:
    """Replaces a number if it is the old one; whether it was."""
    checked_name("The key", key)
    store = stores_of(context).key_values
    return await store.compare_and_swap(context.environment_id, bucket, key, old, new, write_place(context))
