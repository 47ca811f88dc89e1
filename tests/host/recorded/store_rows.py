"""Recorded functions of wasi:keyvalue and wasi:blobstore, on a real PostgreSQL.

What was read is gone by the time of the replay.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from golem_server.model.oplog import Category
from golem_server.model.types import Value
from golem_server.storage.database import Database
from tests.host.host_worker import HostWorker
from tests.host.recorded.world import Means, Row, World
from tests.host.store_worker import (
    BLOBSTORE,
    KEYVALUE,
    bucket,
    disable,
    good,
    guest_stores,
    outgoing,
    set_key,
    store_worker,
    streamed,
    whole,
)

READ, WRITE = Category.READ_REMOTE, Category.WRITE_REMOTE
FIXTURES = ("shared_database_url",)
BLOB = bytes(range(256)) * 1024


@asynccontextmanager
async def stores_world(means: Means) -> AsyncGenerator[World]:
    """A worker of an environment of its own, in which another one has put something."""
    database = Database(means.fixtures["shared_database_url"])
    await database.open()
    stores = guest_stores(database, means.folder / "spool")
    facts: dict[str, Any] = {"environment_id": uuid4()}
    async with (
        store_worker(stores, means.folder / "others", **facts) as others,
        store_worker(stores, means.folder / "own", **facts) as worker,
    ):
        await fill(others)

        async def out_of_reach() -> None:
            await empty(others)
            disable(worker, stores)

        yield World(worker, disable=out_of_reach)
    await database.close()


async def fill(worker: HostWorker) -> None:
    """Put something into a bucket and a container."""
    await set_key(worker, "small", b"few bytes")
    await set_key(worker, "large", BLOB)
    await set_key(worker, "number", b"37")
    for name in ("container", "other"):
        await good(worker, f"{BLOBSTORE}blobstore", "create-container", name)
    container = await good(worker, f"{BLOBSTORE}blobstore", "get-container", "container")
    for name in ("object", "second", "third"):
        value = await outgoing(worker, BLOBSTORE, BLOB)
        await good(worker, f"{BLOBSTORE}container", "[method]container.write-data", container, name, value)


async def empty(worker: HostWorker) -> None:
    """Take it away again."""
    await worker.call(f"{BLOBSTORE}blobstore", "delete-container", "container")
    await worker.call(f"{KEYVALUE}eventual-batch", "delete-many", await bucket(worker), ["small", "large", "number"])


def on_bucket(interface: str, name: str, *arguments: Value) -> Any:
    async def use(world: World) -> Value:
        return await good(world.worker, f"{KEYVALUE}{interface}", name, await bucket(world.worker), *arguments)

    return use


async def get(world: World) -> Value:
    return await whole(world.worker, KEYVALUE, await on_bucket("eventual", "get", "large")(world))


async def get_many(world: World) -> Value:
    handles = await on_bucket("eventual-batch", "get-many", ["large", "missing", "small"])(world)
    return [None if handle is None else await whole(world.worker, KEYVALUE, handle) for handle in handles]


async def set_(world: World) -> Value:
    return await on_bucket("eventual", "set", "new", await outgoing(world.worker, KEYVALUE, b"12345"))(world)


async def set_many(world: World) -> Value:
    values = [(key, await outgoing(world.worker, KEYVALUE, key.encode())) for key in ("one", "three")]
    return await on_bucket("eventual-batch", "set-many", values)(world)


def on_store(name: str, *arguments: Value) -> Any:
    async def use(world: World) -> Value:
        return await good(world.worker, f"{BLOBSTORE}blobstore", name, *arguments)

    return use


def opened(name: str) -> Any:
    async def use(world: World) -> Value:
        handle = await on_store(name, "container")(world)
        return await good(world.worker, f"{BLOBSTORE}container", "[method]container.info", handle)

    return use


def on_container(name: str, *arguments: Value) -> Any:
    async def use(world: World) -> Value:
        handle = await on_store("get-container", "container")(world)
        return await good(world.worker, f"{BLOBSTORE}container", f"[method]container.{name}", handle, *arguments)

    return use


async def get_data(world: World) -> Value:
    return await streamed(world.worker, BLOBSTORE, await on_container("get-data", "object", 5, 250_000)(world), 100_000)


async def write_data(world: World) -> Value:
    return await on_container("write-data", "new", await outgoing(world.worker, BLOBSTORE, b"12345"))(world)


async def list_objects(world: World) -> Value:
    stream = await on_container("list-objects")(world)
    return [
        await good(
            world.worker, f"{BLOBSTORE}container", f"[method]stream-object-names.{name}-stream-object-names", stream, 1
        )
        for name in ("read", "skip", "read")
    ]


def key_value(
    interface: str, name: str, record: str, category: Category, use: Any, request: dict[str, Any] | None = None
) -> Row:
    return Row(
        f"{KEYVALUE}{interface}",
        name,
        f"keyvalue::{record}",
        category,
        use,
        stores_world,
        {"bucket": "bucket", **(request or {})},
        fixtures=FIXTURES,
    )


def stored(name: str, category: Category, use: Any, request: dict[str, Any]) -> Row:
    record = f"blobstore::blobstore::{name.replace('-', '_')}"
    return Row(f"{BLOBSTORE}blobstore", name, record, category, use, stores_world, request, fixtures=FIXTURES)


def contained(name: str, category: Category, use: Any, record: str | None = None, **request: Any) -> Row:
    record = f"blobstore::container::{record or name.replace('-', '_')}"
    return Row(
        f"{BLOBSTORE}container",
        f"[method]container.{name}",
        record,
        category,
        use,
        stores_world,
        {"container": "container", **request},
        fixtures=FIXTURES,
    )


THERE = {"container": "container", "object": "object"}
TARGET = {"container": "other", "object": "target"}
BOTH = {
    "source_container": "container",
    "source_object": "object",
    "target_container": "other",
    "target_object": "target",
}

ROWS = [
    key_value("eventual", "get", "eventual::get", READ, get, {"key": "large"}),
    key_value("eventual", "set", "eventual::set", WRITE, set_, {"key": "new", "length": 5}),
    key_value(
        "eventual", "delete", "eventual::delete", WRITE, on_bucket("eventual", "delete", "small"), {"key": "small"}
    ),
    key_value(
        "eventual", "exists", "eventual::exists", READ, on_bucket("eventual", "exists", "small"), {"key": "small"}
    ),
    key_value(
        "eventual-batch",
        "get-many",
        "eventual_batch::get_many",
        READ,
        get_many,
        {"keys": ["large", "missing", "small"]},
    ),
    key_value("eventual-batch", "keys", "eventual_batch::get_keys", READ, on_bucket("eventual-batch", "keys")),
    key_value(
        "eventual-batch", "set-many", "eventual_batch::set_many", WRITE, set_many, {"keys": [["one", 3], ["three", 5]]}
    ),
    key_value(
        "eventual-batch",
        "delete-many",
        "eventual_batch::delete_many",
        WRITE,
        on_bucket("eventual-batch", "delete-many", ["small", "large"]),
        {"keys": ["small", "large"]},
    ),
    key_value(
        "atomic",
        "increment",
        "atomic::increment",
        WRITE,
        on_bucket("atomic", "increment", "number", 5),
        {"key": "number", "delta": 5},
    ),
    key_value(
        "atomic",
        "compare-and-swap",
        "atomic::compare_and_swap",
        WRITE,
        on_bucket("atomic", "compare-and-swap", "number", 37, 1),
        {"key": "number", "old": 37, "new": 1},
    ),
    stored("create-container", WRITE, opened("create-container"), {"container": "container"}),
    stored("get-container", READ, opened("get-container"), {"container": "container"}),
    stored("delete-container", WRITE, on_store("delete-container", "container"), {"container": "container"}),
    stored("container-exists", READ, on_store("container-exists", "container"), {"container": "container"}),
    stored("copy-object", WRITE, on_store("copy-object", THERE, TARGET), BOTH),
    stored("move-object", WRITE, on_store("move-object", THERE, TARGET), BOTH),
    contained("get-data", READ, get_data, object="object", begin=5, end=250_000),
    contained("write-data", WRITE, write_data, object="new", length=5),
    contained("list-objects", READ, list_objects, "list_object"),
    contained("delete-object", WRITE, on_container("delete-object", "object"), object="object"),
    contained("delete-objects", WRITE, on_container("delete-objects", ["object", "x"]), objects=["object", "x"]),
    contained("has-object", READ, on_container("has-object", "object"), object="object"),
    contained("object-info", READ, on_container("object-info", "object"), object="object"),
    contained("clear", WRITE, on_container("clear")),
]
