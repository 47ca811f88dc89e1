"""wasi:blobstore: containers of objects, shared by the workers of an environment. Its errors are texts.

`get-data` gives the bytes from `start` to `end`, the end exclusive, as Golem's own backends have it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface, RequestOf
from golem_server.host.guest_stores import (
    MAX_NAMES,
    Refused,
    checked_batch,
    checked_listing,
    checked_name,
    stores_of,
    write_place,
)
from golem_server.host.value_bodies import IncomingValue, OutgoingBody, OutgoingValue, read_value
from golem_server.model.errors import NotFound
from golem_server.model.oplog import Category
from golem_server.model.stored_values import StoredValue
from golem_server.model.types import Value

blobstore = HostInterface("wasi:blobstore/blobstore")
container = HostInterface("wasi:blobstore/container")
types = HostInterface("wasi:blobstore/types")

INTERFACES = [blobstore, container, types]

_NO_CONTAINER = "Container not found"
_NO_OBJECT = "Object does not exist"


class Container:
    """The resource `container`. `created_at` in milliseconds since the epoch."""

    def __init__(self, name: str, created_at: int) -> None:
        self.name = name
        self.created_at = created_at


class ObjectNames:
    """The resource `stream-object-names`: names that are taken from the end."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)

    def take(self, count: int) -> list[str]:
        """Up to `count` names."""
        taken = self._names[max(0, len(self._names) - count) :]
        del self._names[len(self._names) - len(taken) :]
        return taken[::-1]

    @property
    def ended(self) -> bool:
        """Whether nothing is left."""
        return not self._names


# --- Values


@types.unrecorded("[static]outgoing-value.new-outgoing-value")
def new_outgoing_value(context: WorkerContext) -> Value:
    """A value to be written."""
    return context.resources.add(OutgoingValue(context))


@types.unrecorded("[method]outgoing-value.outgoing-value-write-body")
def write_body(context: WorkerContext, handle: int) -> Value:
    """A stream that adds bytes at the end of the value."""
    return ("ok", context.resources.add(OutgoingBody(context.resources.get(handle, OutgoingValue))))


@types.unrecorded("[method]incoming-value.incoming-value-consume-sync")
async def consume_sync(context: WorkerContext, handle: int) -> Value:
    """All bytes of the value; none the second time."""
    try:
        return ("ok", await context.resources.get(handle, IncomingValue).consume_whole(context))
    except Refused as refusal:
        return ("err", str(refusal))


@types.unrecorded("[method]incoming-value.incoming-value-consume-async")
def consume_async(context: WorkerContext, handle: int) -> Value:
    """A stream of the value's bytes."""
    return ("ok", context.resources.add(context.resources.get(handle, IncomingValue).consume()))


@types.unrecorded("[method]incoming-value.size")
def size(context: WorkerContext, handle: int) -> Value:
    """The size of the value in bytes."""
    return context.resources.get(handle, IncomingValue).size


@container.unrecorded("[method]container.name")
def name_of(context: WorkerContext, handle: int) -> Value:
    """The container's name."""
    return ("ok", context.resources.get(handle, Container).name)


@container.unrecorded("[method]container.info")
def info(context: WorkerContext, handle: int) -> Value:
    """The container's name and age."""
    found = context.resources.get(handle, Container)
    return ("ok", {"name": found.name, "created-at": found.created_at})


@container.unrecorded("[method]stream-object-names.read-stream-object-names")
def read_names(context: WorkerContext, handle: int, count: int) -> Value:
    """Up to `count` names, and whether they were the last."""
    names = context.resources.get(handle, ObjectNames)
    return ("ok", (names.take(count), names.ended))


@container.unrecorded("[method]stream-object-names.skip-stream-object-names")
def skip_names(context: WorkerContext, handle: int, count: int) -> Value:
    """Leaves up to `count` names out; how many, and whether they were the last."""
    names = context.resources.get(handle, ObjectNames)
    return ("ok", (len(names.take(count)), names.ended))


# --- Calls that are recorded


def _recorded(
    interface: HostInterface,
    name: str,
    category: Category,
    record: str,
    request: RequestOf,
    returns: Callable[..., Value] | None = None,
) -> Callable[[Callable[..., Awaitable[Value]]], None]:
    """Declare a function whose value is recorded as the `ok` of a result; `returns(context, value, *arguments)` makes
    the guest's result of it."""

    def declare(function: Callable[..., Awaitable[Value]]) -> None:
        async def live(context: WorkerContext, *arguments: Value) -> Value:
            try:
                return ("ok", await function(context, *arguments))
            except Refused as refusal:
                return ("err", str(refusal))
            except NotFound as error:
                return ("err", error.message)

        recorded = interface.recorded(name, category, record, request=request)(live)

        @recorded.finish
        def _(context: WorkerContext, response: Value, *arguments: Value) -> Value:
            tag, content = response
            if tag == "ok" and returns is not None:
                return returns(context, content, *arguments)
            return (tag, content)

    return declare


def _container_request(_context: WorkerContext, name: str) -> Value:
    return {"container": name}


def _copy_request(_context: WorkerContext, source: dict[str, str], target: dict[str, str]) -> Value:
    return {
        "source_container": source["container"],
        "source_object": source["object"],
        "target_container": target["container"],
        "target_object": target["object"],
    }


def _opened(context: WorkerContext, created_at: int | None, name: str) -> Value:
    if created_at is None:
        return ("err", _NO_CONTAINER)
    return ("ok", context.resources.add(Container(name, created_at)))


def _checked_container(name: str) -> str:
    return checked_name("The name of the container", name)


def _checked_object(name: str) -> str:
    return checked_name("The name of the object", name)


@_recorded(
    blobstore,
    "create-container",
    Category.WRITE_REMOTE,
    "blobstore::blobstore::create_container",
    _container_request,
    _opened,
)
async def create_container(context: WorkerContext, name: str) -> Value:
    """A container, created if it is not there."""
    objects = stores_of(context).objects
    return await objects.create_container(context.environment_id, _checked_container(name), context.now_ms())


@_recorded(
    blobstore,
    "get-container",
    Category.READ_REMOTE,
    "blobstore::blobstore::get_container",
    _container_request,
    _opened,
)
async def get_container(context: WorkerContext, name: str) -> Value:
    """A container that is there."""
    return await stores_of(context).objects.container(context.environment_id, _checked_container(name))


@_recorded(
    blobstore,
    "delete-container",
    Category.WRITE_REMOTE,
    "blobstore::blobstore::delete_container",
    _container_request,
)
async def delete_container(context: WorkerContext, name: str) -> Value:
    """Removes a container with its objects, whether it is there or not."""
    await stores_of(context).objects.delete_container(context.environment_id, _checked_container(name))


@_recorded(
    blobstore,
    "container-exists",
    Category.READ_REMOTE,
    "blobstore::blobstore::container_exists",
    _container_request,
)
async def container_exists(context: WorkerContext, name: str) -> Value:
    """Whether there is such a container."""
    return await stores_of(context).objects.container(context.environment_id, _checked_container(name)) is not None


def _checked_id(object_id: dict[str, str]) -> tuple[str, str]:
    return _checked_container(object_id["container"]), _checked_object(object_id["object"])


@_recorded(blobstore, "copy-object", Category.WRITE_REMOTE, "blobstore::blobstore::copy_object", _copy_request)
async def copy_object(context: WorkerContext, source: dict[str, str], target: dict[str, str]) -> Value:
    """Copies an object, replacing what is there."""
    stores = stores_of(context)
    from_container, from_name = _checked_id(source)
    to_container, to_name = _checked_id(target)
    found = await stores.objects.get(context.environment_id, from_container, from_name)
    if found is None:
        raise NotFound(_NO_OBJECT)
    copy = await stores.contents.copy(found)
    await stores.objects.put(context.environment_id, to_container, to_name, context.now_ms(), copy)


@_recorded(blobstore, "move-object", Category.WRITE_REMOTE, "blobstore::blobstore::move_object", _copy_request)
async def move_object(context: WorkerContext, source: dict[str, str], target: dict[str, str]) -> Value:
    """Moves an object, replacing what is there; once, whatever happens to the server meanwhile."""
    await stores_of(context).objects.move(
        context.environment_id, _checked_id(source), _checked_id(target), context.now_ms(), write_place(context)
    )


def _method(
    name: str,
    category: Category,
    record: str,
    request: Callable[..., dict[str, Any]],
    returns: Callable[..., Value] | None = None,
) -> Callable[[Callable[..., Awaitable[Value]]], None]:
    """Declare a recorded method of `container`; the function gets the container's name."""

    def request_of(context: WorkerContext, handle: int, *arguments: Value) -> Value:
        return {"container": context.resources.get(handle, Container).name, **request(context, *arguments)}

    def declare(function: Callable[..., Awaitable[Value]]) -> None:
        async def call(context: WorkerContext, handle: int, *arguments: Value) -> Value:
            return await function(context, context.resources.get(handle, Container).name, *arguments)

        _recorded(
            container, f"[method]container.{name}", category, f"blobstore::container::{record}", request_of, returns
        )(call)

    return declare


def _nothing(_context: WorkerContext) -> dict[str, Any]:
    return {}


def _object(_context: WorkerContext, name: str) -> dict[str, Any]:
    return {"object": name}


def _objects(_context: WorkerContext, names: Sequence[str]) -> dict[str, Any]:
    return {"objects": list(names)}


def _range(_context: WorkerContext, name: str, start: int, end: int) -> dict[str, Any]:
    return {"object": name, "begin": start, "end": end}


def _object_and_length(context: WorkerContext, name: str, value: int) -> dict[str, Any]:
    return {"object": name, "length": context.resources.get(value, OutgoingValue).size}


def _incoming(context: WorkerContext, recorded: Value, *_arguments: Value) -> Value:
    return ("ok", context.resources.add(IncomingValue(recorded)))


def _listed(context: WorkerContext, names: Value, *_arguments: Value) -> Value:
    return ("ok", context.resources.add(ObjectNames(names)))


@_method("get-data", Category.READ_REMOTE, "get_data", _range, _incoming)
async def get_data(context: WorkerContext, within: str, name: str, start: int, end: int) -> Value:
    """The bytes of an object from `start` to `end`, as far as there are any."""
    _checked_object(name)
    if start > end:
        raise Refused("The start of the range lies behind its end")

    async def find() -> StoredValue | None:
        return await stores_of(context).objects.get(context.environment_id, within, name)

    value = await read_value(context, find, start, end)
    if value is None:
        raise NotFound(_NO_OBJECT)
    return value


@_method("write-data", Category.WRITE_REMOTE, "write_data", _object_and_length)
async def write_data(context: WorkerContext, within: str, name: str, value: int) -> Value:
    """Makes an object or replaces it."""
    _checked_object(name)
    stored = await context.resources.get(value, OutgoingValue).write()
    await stores_of(context).objects.put(context.environment_id, within, name, context.now_ms(), stored)


@_method("list-objects", Category.READ_REMOTE, "list_object", _nothing, _listed)
async def list_objects(context: WorkerContext, within: str) -> Value:
    """The names of the container's objects."""
    return checked_listing(await stores_of(context).objects.names(context.environment_id, within, MAX_NAMES + 1))


@_method("delete-object", Category.WRITE_REMOTE, "delete_object", _object)
async def delete_object(context: WorkerContext, within: str, name: str) -> Value:
    """Removes an object, whether it is there or not."""
    await stores_of(context).objects.delete(context.environment_id, within, [_checked_object(name)])


@_method("delete-objects", Category.WRITE_REMOTE, "delete_objects", _objects)
async def delete_objects(context: WorkerContext, within: str, names: Sequence[str]) -> Value:
    """Removes objects, whether they are there or not."""
    checked_batch("The name of an object", names)
    await stores_of(context).objects.delete(context.environment_id, within, names)


@_method("has-object", Category.READ_REMOTE, "has_object", _object)
async def has_object(context: WorkerContext, within: str, name: str) -> Value:
    """Whether there is such an object."""
    return await stores_of(context).objects.info(context.environment_id, within, _checked_object(name)) is not None


@_method("object-info", Category.READ_REMOTE, "object_info", _object)
async def object_info(context: WorkerContext, within: str, name: str) -> Value:
    """Size and age of an object."""
    found = await stores_of(context).objects.info(context.environment_id, within, _checked_object(name))
    if found is None:
        raise NotFound(_NO_OBJECT)
    return {"name": name, "container": within, "created-at": found.created_at, "size": found.size}


@_method("clear", Category.WRITE_REMOTE, "clear", _nothing)
async def clear(context: WorkerContext, within: str) -> Value:
    """Removes all objects of the container."""
    await stores_of(context).objects.clear(context.environment_id, within)
