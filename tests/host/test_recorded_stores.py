"""Each recorded function of wasi:keyvalue and wasi:blobstore: recorded live, in replay the same without an effect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
import pytest

from golem_server.durable.host_function import HostFunctions
from golem_server.host import wasi_blobstore, wasi_keyvalue
from golem_server.host.guest_stores import GuestStores
from golem_server.model.oplog import Category
from golem_server.model.types import Value
from golem_server.storage.database import Database
from tests.host import host_worker
from tests.host.host_worker import HostWorker
from tests.host.store_worker import (
    BLOBSTORE,
    KEYVALUE,
    bucket,
    good,
    guest_stores,
    outgoing,
    replay_without_effects,
    set_key,
    store_worker,
    streamed,
    whole,
)

READ, WRITE = Category.READ_REMOTE, Category.WRITE_REMOTE
BLOB = bytes(range(256)) * 1024


class Row(NamedTuple):
    """A function, what a guest does with it (giving what it learned), and the entry that is expected."""

    interface: str
    name: str
    use: Callable[[HostWorker], Awaitable[Value]]
    category: Category
    record: str
    request: dict[str, Any]


def on_bucket(interface: str, name: str, *arguments: Value) -> Any:
    async def use(worker: HostWorker) -> Value:
        return await good(worker, f"{KEYVALUE}{interface}", name, await bucket(worker), *arguments)

    return use


async def get(worker: HostWorker) -> Value:
    return await whole(worker, KEYVALUE, await on_bucket("eventual", "get", "large")(worker))


async def get_many(worker: HostWorker) -> Value:
    handles = await on_bucket("eventual-batch", "get-many", ["large", "missing", "small"])(worker)
    return [None if handle is None else await whole(worker, KEYVALUE, handle) for handle in handles]


async def set_(worker: HostWorker) -> Value:
    return await on_bucket("eventual", "set", "new", await outgoing(worker, KEYVALUE, b"12345"))(worker)


async def set_many(worker: HostWorker) -> Value:
    values = [(key, await outgoing(worker, KEYVALUE, key.encode())) for key in ("one", "three")]
    return await on_bucket("eventual-batch", "set-many", values)(worker)


def on_store(name: str, *arguments: Value) -> Any:
    async def use(worker: HostWorker) -> Value:
        return await good(worker, f"{BLOBSTORE}blobstore", name, *arguments)

    return use


def opened(name: str) -> Any:
    async def use(worker: HostWorker) -> Value:
        handle = await on_store(name, "container")(worker)
        return await good(worker, f"{BLOBSTORE}container", "[method]container.info", handle)

    return use


def on_container(name: str, *arguments: Value) -> Any:
    async def use(worker: HostWorker) -> Value:
        handle = await on_store("get-container", "container")(worker)
        return await good(worker, f"{BLOBSTORE}container", f"[method]container.{name}", handle, *arguments)

    return use


async def get_data(worker: HostWorker) -> Value:
    return await streamed(worker, BLOBSTORE, await on_container("get-data", "object", 5, 250_000)(worker), 100_000)


async def write_data(worker: HostWorker) -> Value:
    return await on_container("write-data", "new", await outgoing(worker, BLOBSTORE, b"12345"))(worker)


async def list_objects(worker: HostWorker) -> Value:
    stream = await on_container("list-objects")(worker)
    return [
        await good(
            worker, f"{BLOBSTORE}container", f"[method]stream-object-names.{name}-stream-object-names", stream, 1
        )
        for name in ("read", "skip", "read")
    ]


def key_value(
    interface: str, name: str, record: str, category: Category, use: Any, request: dict[str, Any] | None = None
) -> Row:
    return Row(
        f"{KEYVALUE}{interface}", name, use, category, f"keyvalue::{record}", {"bucket": "bucket", **(request or {})}
    )


def stored(name: str, category: Category, use: Any, request: dict[str, Any]) -> Row:
    record = f"blobstore::blobstore::{name.replace('-', '_')}"
    return Row(f"{BLOBSTORE}blobstore", name, use, category, record, request)


def contained(name: str, category: Category, use: Any, record: str | None = None, **request: Any) -> Row:
    record = f"blobstore::container::{record or name.replace('-', '_')}"
    return Row(
        f"{BLOBSTORE}container",
        f"[method]container.{name}",
        use,
        category,
        record,
        {"container": "container", **request},
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


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.interface}.{row.name}")
async def test_replay_gives_what_the_live_call_gave(
    shared_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: Row
) -> None:
    monkeypatch.setattr(host_worker, "ENVIRONMENT_ID", uuid4())
    database = Database(shared_database_url)
    await database.open()
    await check(guest_stores(database, tmp_path / "spool"), tmp_path, row)
    await database.close()


async def check(stores: GuestStores, tmp_path: Path, row: Row) -> None:
    """Use the function live and in replay.

    What was read is gone by the time of the replay.
    """
    async with store_worker(stores, tmp_path / "others") as others, store_worker(stores, tmp_path / "own") as worker:
        await fill(others)
        first = await row.use(worker)
        calls = await worker.host_calls()
        assert (calls[-1].function, calls[-1].category) == (row.record, row.category)
        assert calls[-1].request == row.request

        await others.call(f"{BLOBSTORE}blobstore", "delete-container", "container")
        await others.call(
            f"{KEYVALUE}eventual-batch", "delete-many", await bucket(others), ["small", "large", "number"]
        )
        worker.clock.advance(100)
        await replay_without_effects(worker, stores)
        assert plain(await row.use(worker)) == plain(first)
        assert worker.context.is_live
        assert await worker.host_calls() == calls


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


def plain(value: Value) -> Value:
    """The value with lists for tuples."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value))


def test_every_recorded_function_has_its_row() -> None:
    declared = HostFunctions([*wasi_keyvalue.INTERFACES, *wasi_blobstore.INTERFACES]).all()
    recorded = {(function.interface, function.name) for function in declared if function.record is not None}
    assert recorded == {(row.interface, row.name) for row in ROWS}
