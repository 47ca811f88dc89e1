"""Workers that use wasi:keyvalue and wasi:blobstore on the test's database, called as a guest would call them."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from golem_server.host import wasi_blobstore, wasi_config, wasi_io, wasi_keyvalue
from golem_server.host.guest_stores import GuestStores
from golem_server.model.ids import WorkerNumber
from golem_server.model.stored_values import KeptValue
from golem_server.model.types import Value
from golem_server.storage.blob_store import PostgresBlobStore
from golem_server.storage.database import Database
from golem_server.storage.key_value_store import PostgresKeyValueStore
from golem_server.storage.object_store import PostgresObjectStore
from golem_server.storage.value_contents import PostgresValueContents
from tests.host.host_worker import HostWorker

INTERFACES = [
    *wasi_keyvalue.INTERFACES,
    *wasi_blobstore.INTERFACES,
    *wasi_config.INTERFACES,
    *wasi_io.INTERFACES,
]

KEYVALUE = "wasi:keyvalue/"
BLOBSTORE = "wasi:blobstore/"
STREAMS = "wasi:io/streams"

_numbers = itertools.count(1)


def guest_stores(database: Database, spool: Path, **limits: int) -> GuestStores:
    """The service, on real tables."""
    spool.mkdir(exist_ok=True)
    return GuestStores(
        contents=PostgresValueContents(database, PostgresBlobStore(database)),
        key_values=PostgresKeyValueStore(database),
        objects=PostgresObjectStore(database),
        spool=spool,
        **limits,
    )


class Disabled:
    """A store that must not be used: replay has no effects."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"replay used {name}")


class ReplayContents(Disabled):
    """What replay may do: read what the worker kept for itself."""

    def __init__(self, stores: GuestStores) -> None:
        self._stores = stores

    async def part(self, worker: WorkerNumber, value: KeptValue, offset: int) -> bytes:
        """A part of the worker's own copy."""
        return await self._stores.contents.part(worker, value, offset)


@asynccontextmanager
async def store_worker(stores: GuestStores, folder: Path, **facts: Any) -> AsyncGenerator[HostWorker]:
    """A new worker with a number of its own, given up at the end."""
    facts = {"number": next(_numbers), **facts}
    worker = await HostWorker.create(folder, INTERFACES, services={GuestStores: stores}, **facts)
    try:
        yield worker
    finally:
        worker.context.close()


def disable(worker: HostWorker, stores: GuestStores) -> None:
    """From its next start on the worker has stores that must not be used."""
    disabled: Any = Disabled()
    contents: Any = ReplayContents(stores)
    worker.services = {GuestStores: replace(stores, contents=contents, key_values=disabled, objects=disabled)}


async def replay_without_effects(worker: HostWorker, stores: GuestStores) -> None:
    """Start the worker again, with stores that must not be used."""
    disable(worker, stores)
    await worker.replay()


def enable(worker: HostWorker, stores: GuestStores) -> None:
    """Let a worker use its stores again, from its next start on."""
    worker.services = {GuestStores: stores}


async def good(worker: HostWorker, interface: str, name: str, *arguments: Value) -> Value:
    """Call a function that must succeed; the `ok` of its result."""
    tag, value = await worker.call(interface, name, *arguments)
    assert tag == "ok", value
    return value


async def outgoing(worker: HostWorker, package: str, content: bytes) -> int:
    """A value to be written, filled through its stream."""
    value = await worker.call(f"{package}types", "[static]outgoing-value.new-outgoing-value")
    method = "write-body-async" if package == KEYVALUE else "write-body"
    stream = await good(worker, f"{package}types", f"[method]outgoing-value.outgoing-value-{method}", value)
    for offset in range(0, len(content), 1 << 20):
        await good(worker, STREAMS, "[method]output-stream.write", stream, content[offset : offset + (1 << 20)])
    worker.context.resource_dropped(stream)
    return value


async def whole(worker: HostWorker, package: str, handle: int) -> bytes:
    """The bytes of an incoming value, in one piece."""
    return await good(worker, f"{package}types", "[method]incoming-value.incoming-value-consume-sync", handle)


async def streamed(worker: HostWorker, package: str, handle: int, length: int = 1 << 20) -> list[bytes]:
    """The bytes of an incoming value, as its stream gives them."""
    stream = await good(worker, f"{package}types", "[method]incoming-value.incoming-value-consume-async", handle)
    pieces: list[bytes] = []
    while True:
        tag, content = await worker.call(STREAMS, "[method]input-stream.blocking-read", stream, length)
        if tag == "err":
            assert content == ("closed", None)
            return pieces
        pieces.append(content)


async def bucket(worker: HostWorker, name: str = "bucket") -> int:
    """An open bucket."""
    return await good(worker, "wasi:keyvalue/types", "[static]bucket.open-bucket", name)


async def set_key(worker: HostWorker, key: str, content: bytes, name: str = "bucket") -> None:
    """Give a key a value."""
    value = await outgoing(worker, KEYVALUE, content)
    await good(worker, "wasi:keyvalue/eventual", "set", await bucket(worker, name), key, value)


async def get_key(worker: HostWorker, key: str, name: str = "bucket") -> bytes | None:
    """The value of a key."""
    handle = await good(worker, "wasi:keyvalue/eventual", "get", await bucket(worker, name), key)
    return None if handle is None else await whole(worker, KEYVALUE, handle)


async def text_of_error(worker: HostWorker, result: Value) -> str:
    """The text of a result of wasi:keyvalue that must be an error."""
    tag, handle = result
    assert tag == "err"
    return await worker.call("wasi:keyvalue/wasi-keyvalue-error", "[method]error.trace", handle)
