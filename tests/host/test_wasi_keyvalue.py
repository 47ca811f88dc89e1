"""wasi:keyvalue: buckets of an environment, large values, limits, numbers that are counted once."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from pathlib import Path
from uuid import UUID

import pytest

from golem_server.host.guest_stores import (
    MAX_BATCH,
    MAX_NAME_BYTES,
    MAX_NAMES,
    MAX_NAMES_BYTES,
    GuestStores,
    Refused,
    checked_listing,
)
from golem_server.host.value_bodies import MAX_WHOLE_BYTES
from golem_server.model.errors import Unavailable
from golem_server.storage.blob_store import worker_namespace
from golem_server.storage.database import Database
from tests.host import host_worker
from tests.host.store_worker import (
    KEYVALUE,
    STREAMS,
    bucket,
    enable,
    get_key,
    good,
    guest_stores,
    outgoing,
    replay_without_effects,
    set_key,
    store_worker,
    streamed,
    text_of_error,
    whole,
)

EVENTUAL, BATCH, ATOMIC, TYPES = (f"{KEYVALUE}{name}" for name in ("eventual", "eventual-batch", "atomic", "types"))


@pytest.fixture
def stores(database: Database, tmp_path: Path) -> GuestStores:
    """Stores on the test's database."""
    return guest_stores(database, tmp_path / "spool")


async def test_workers_of_one_environment_share_what_others_do_not_see(
    stores: GuestStores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store_worker(stores, tmp_path / "1") as first, store_worker(stores, tmp_path / "2") as second:
        await set_key(first, "key", b"shared")
        assert await get_key(second, "key") == b"shared"
        assert await get_key(second, "key", "another bucket") is None
        await set_key(second, "key", b"replaced")
        assert await get_key(first, "key") == b"replaced"
    monkeypatch.setattr(host_worker, "ENVIRONMENT_ID", UUID(int=0xE2))
    async with store_worker(stores, tmp_path / "3") as stranger:
        assert await get_key(stranger, "key") is None
        assert await good(stranger, BATCH, "keys", await bucket(stranger)) == []
        await good(stranger, EVENTUAL, "delete", await bucket(stranger), "key")
    async with store_worker(stores, tmp_path / "4") as third:
        assert await get_key(third, "key") is None
    monkeypatch.undo()
    async with store_worker(stores, tmp_path / "5") as fourth:
        assert await get_key(fourth, "key") == b"replaced"


async def test_keys_and_values_may_be_any(stores: GuestStores, tmp_path: Path) -> None:
    async with store_worker(stores, tmp_path) as worker:
        for key in ("", "\0", "a\0b", "\U0010ffff", "k" * MAX_NAME_BYTES):
            await set_key(worker, key, key.encode() + b"\0\xff")
            assert await get_key(worker, key) == key.encode() + b"\0\xff"
        await set_key(worker, "empty", b"", name="b\0")
        assert await get_key(worker, "empty", name="b\0") == b""
        assert await good(worker, EVENTUAL, "exists", await bucket(worker), "empty") is False
        assert sorted(await good(worker, BATCH, "keys", await bucket(worker))) == [
            "",
            "\0",
            "a\0b",
            "k" * MAX_NAME_BYTES,
            "\U0010ffff",
        ]


async def test_many_keys_keep_their_order(stores: GuestStores, tmp_path: Path) -> None:
    async with store_worker(stores, tmp_path) as worker:
        values = [(f"{n:03}", await outgoing(worker, KEYVALUE, b"%d" % n * 30_000)) for n in range(60)]
        await good(worker, BATCH, "set-many", await bucket(worker), [*values, ("000", values[1][1])])
        wanted = ["059", "missing", "000", "000", *(key for key, _ in values)]
        handles = await good(worker, BATCH, "get-many", await bucket(worker), wanted)
        assert handles[1] is None
        read = [None if handle is None else await whole(worker, KEYVALUE, handle) for handle in handles]
        assert read[:5] == [b"59" * 30_000, None, b"1" * 30_000, b"1" * 30_000, b"1" * 30_000]
        assert read[5:] == [b"%d" % n * 30_000 for n in range(1, 60)]
        # What is read in one call does not make one huge entry.
        await worker.context.oplog.commit()
        largest = max(len(row.data) for row in await worker.store.read(worker.number, 1, 100))
        assert largest < 2 << 20, largest
        await good(worker, BATCH, "delete-many", await bucket(worker), [key for key, _ in values][1:])
        assert await good(worker, BATCH, "keys", await bucket(worker)) == ["000"]


async def test_a_value_is_consumed_once(stores: GuestStores, tmp_path: Path) -> None:
    async with store_worker(stores, tmp_path) as worker:
        value = await worker.call(TYPES, "[static]outgoing-value.new-outgoing-value")
        for part in (b"one ", b"and ", b"two"):
            await good(worker, TYPES, "[method]outgoing-value.outgoing-value-write-body-sync", value, part)
        await good(worker, EVENTUAL, "set", await bucket(worker), "key", value)
        await good(worker, EVENTUAL, "set", await bucket(worker), "again", value)
        for key in ("key", "again"):
            handle = await good(worker, EVENTUAL, "get", await bucket(worker), key)
            assert await good(worker, TYPES, "[method]incoming-value.incoming-value-size", handle) == 11
            assert await whole(worker, KEYVALUE, handle) == b"one and two"
            assert await whole(worker, KEYVALUE, handle) == b""
            assert await streamed(worker, KEYVALUE, handle) == []


async def test_breaches_of_limits_are_errors_of_the_interface(database: Database, tmp_path: Path) -> None:
    stores = guest_stores(database, tmp_path / "spool", max_value=1000, max_unstored=2000)
    async with store_worker(stores, tmp_path / "worker") as worker:
        long = "k" * (MAX_NAME_BYTES + 1)
        opened = await worker.call(TYPES, "[static]bucket.open-bucket", long)
        assert "bucket" in await text_of_error(worker, opened)
        value = await outgoing(worker, KEYVALUE, b"x" * 1000)
        held = await bucket(worker)
        for interface, name, arguments in [
            (EVENTUAL, "get", (long,)),
            (EVENTUAL, "set", (long, value)),
            (EVENTUAL, "delete", (long,)),
            (EVENTUAL, "exists", (long,)),
            (BATCH, "get-many", (["a", long],)),
            (BATCH, "set-many", ([(long, value)],)),
            (BATCH, "delete-many", ([long],)),
            (ATOMIC, "increment", (long, 1)),
            (ATOMIC, "compare-and-swap", (long, 1, 2)),
        ]:
            result = await worker.call(interface, name, held, *arguments)
            assert str(MAX_NAME_BYTES) in await text_of_error(worker, result), name
        for name, names in [("get-many", ["k"] * (MAX_BATCH + 1)), ("set-many", [("k", value)] * (MAX_BATCH + 1))]:
            assert str(MAX_BATCH) in await text_of_error(worker, await worker.call(BATCH, name, held, names))

        write = "[method]outgoing-value.outgoing-value-write-body-sync"
        assert "1000 bytes" in await text_of_error(worker, await worker.call(TYPES, write, value, b"x"))
        await outgoing(worker, KEYVALUE, b"x" * 999)
        third = await worker.call(TYPES, "[static]outgoing-value.new-outgoing-value")
        assert "2000 bytes" in await text_of_error(worker, await worker.call(TYPES, write, third, b"xx"))
        worker.context.resource_dropped(value)
        await good(worker, TYPES, write, third, b"xx")
        stream = await good(worker, TYPES, "[method]outgoing-value.outgoing-value-write-body-async", third)
        tag, error = await worker.call(STREAMS, "[method]output-stream.write", stream, b"x" * 999)
        assert (tag, error[0]) == ("err", "last-operation-failed")
        # The stream outlives the value, if the guest wants it so.
        worker.context.resource_dropped(third)
        tag, error = await worker.call(STREAMS, "[method]output-stream.write", stream, b"x")
        assert (tag, error[0]) == ("err", "last-operation-failed")


async def test_a_large_value_is_never_in_memory_as_a_whole(
    stores: GuestStores, database: Database, tmp_path: Path
) -> None:
    size = 100 << 20
    piece = bytes(range(256)) * 4096
    async with store_worker(stores, tmp_path / "worker") as worker:
        tracemalloc.start()
        rounds = asyncio.create_task(_come_round())
        value = await outgoing(worker, KEYVALUE, b"")
        stream = await good(worker, TYPES, "[method]outgoing-value.outgoing-value-write-body-async", value)
        for _ in range(size // len(piece)):
            await good(worker, STREAMS, "[method]output-stream.write", stream, piece)
            await asyncio.sleep(0)
        await good(worker, EVENTUAL, "set", await bucket(worker), "key", value)
        handle = await good(worker, EVENTUAL, "get", await bucket(worker), "key")
        stream = await good(worker, TYPES, "[method]incoming-value.incoming-value-consume-async", handle)
        read = 0
        while read < size:
            part = await good(worker, STREAMS, "[method]input-stream.read", stream, 1 << 20)
            assert part == piece[read % len(piece) :][: len(part)]
            read += len(part)
        assert await worker.call(STREAMS, "[method]input-stream.read", stream, 1) == ("err", ("closed", None))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 16 << 20, f"{peak >> 20} MiB"
        assert not rounds.done(), "the event loop stood still"
        rounds.cancel()

        handle = await good(worker, EVENTUAL, "get", await bucket(worker), "key")
        result = await worker.call(TYPES, "[method]incoming-value.incoming-value-consume-sync", handle)
        assert str(MAX_WHOLE_BYTES) in await text_of_error(worker, result)

        # The worker has one copy of its own, and the replaced value leaves nothing behind.
        await set_key(worker, "key", b"small")
        async with database.connection() as connection:
            kept = await connection.fetch("SELECT namespace, size_bytes FROM blobs")
        assert [tuple(row) for row in kept] == [(worker_namespace(worker.number), size)]


async def _come_round() -> None:
    """Fails if the event loop does not come round often."""
    while True:
        began = time.monotonic()
        await asyncio.sleep(0)
        assert time.monotonic() - began < 1


async def test_reads_of_a_stream_are_the_same_in_replay(stores: GuestStores, tmp_path: Path) -> None:
    content = bytes(range(256)) * 12_000
    async with store_worker(stores, tmp_path) as worker:
        await set_key(worker, "key", content)

        async def read() -> list[bytes]:
            handle = await good(worker, EVENTUAL, "get", await bucket(worker), "key")
            return await streamed(worker, KEYVALUE, handle, 700_000)

        first = await read()
        assert b"".join(first) == content
        await set_key(worker, "key", b"replaced")
        await replay_without_effects(worker, stores)
        await set_key(worker, "key", content)
        assert await read() == first


async def test_a_number_is_counted_once_whatever_is_lost(stores: GuestStores, tmp_path: Path) -> None:
    async with store_worker(stores, tmp_path) as worker:
        held = await bucket(worker)
        assert await good(worker, ATOMIC, "increment", held, "n", 5) == 5
        await worker.context.oplog.commit()
        # The effect happens, and the server dies before its result is written.
        worker.context.oplog.append = _die  # pyright: ignore[reportAttributeAccessIssue]
        with pytest.raises(Died):
            await worker.call(ATOMIC, "increment", held, "n", 7)
        await worker.replay(keep_buffered=False)
        held = await bucket(worker)
        assert await good(worker, ATOMIC, "increment", held, "n", 5) == 5
        assert await good(worker, ATOMIC, "increment", held, "n", 7) == 12
        assert await get_key(worker, "n") == b"12"
        worker.context.oplog.append = _die  # pyright: ignore[reportAttributeAccessIssue]
        with pytest.raises(Died):
            await worker.call(ATOMIC, "compare-and-swap", await bucket(worker), "n", 12, 3)
        await worker.replay(keep_buffered=False)
        held = await bucket(worker)
        for delta, total in ((5, 5), (7, 12)):
            assert await good(worker, ATOMIC, "increment", held, "n", delta) == total
        await get_key(worker, "n")
        assert await good(worker, ATOMIC, "compare-and-swap", await bucket(worker), "n", 12, 3) is True
        assert await get_key(worker, "n") == b"3"


class Died(BaseException):
    """The server is gone."""


def _die(_entry: object) -> int:
    raise Died


async def test_numbers(stores: GuestStores, tmp_path: Path) -> None:
    async with store_worker(stores, tmp_path) as worker:
        held = await bucket(worker)
        assert await good(worker, ATOMIC, "compare-and-swap", held, "n", 0, 1) is False
        assert await good(worker, ATOMIC, "increment", held, "n", 0) == 0
        assert await good(worker, ATOMIC, "compare-and-swap", held, "n", 1, 2) is False
        assert await good(worker, ATOMIC, "compare-and-swap", held, "n", 0, 2**64 - 2) is True
        assert await good(worker, ATOMIC, "increment", held, "n", 1) == 2**64 - 1
        result = await worker.call(ATOMIC, "increment", held, "n", 1)
        assert "64 bits" in await text_of_error(worker, result)
        await set_key(worker, "text", b"12x")
        for content in (b"", b"-1", b" 1", "²".encode(), b"9" * 30, b"x" * 100_000):
            await set_key(worker, "text", content)
            assert "not a number" in await text_of_error(
                worker, await worker.call(ATOMIC, "increment", held, "text", 1)
            )
        assert await get_key(worker, "text") == b"x" * 100_000


async def test_increments_of_many_workers_add_up(stores: GuestStores, tmp_path: Path) -> None:
    async def count(folder: Path) -> None:
        async with store_worker(stores, folder) as worker:
            held = await bucket(worker)
            for _ in range(20):
                await good(worker, ATOMIC, "increment", held, "n", 1)

    await asyncio.gather(*(count(tmp_path / str(number)) for number in range(1, 6)))
    async with store_worker(stores, tmp_path / "reader") as worker:
        assert await get_key(worker, "n") == b"100"


async def test_effects_go_on_after_replay(stores: GuestStores, tmp_path: Path) -> None:
    async with store_worker(stores, tmp_path) as worker:
        await set_key(worker, "key", b"1")
        enable(worker, stores)
        await worker.replay()
        await set_key(worker, "key", b"1")
        await set_key(worker, "key", b"2")
        assert await get_key(worker, "key") == b"2"


async def test_a_database_that_is_away_is_no_error_of_the_guest(
    stores: GuestStores, database: Database, tmp_path: Path
) -> None:
    """The worker goes on when it is back, from the same place."""
    async with store_worker(stores, tmp_path) as worker:
        await set_key(worker, "key", b"1")
        calls = await worker.host_calls()
        await database.close()
        for name, arguments in (("get", ("key",)), ("delete", ("key",)), ("exists", ("key",))):
            with pytest.raises(Unavailable):
                await worker.call(EVENTUAL, name, await bucket(worker), *arguments)
        assert await worker.host_calls() == calls
        await database.open()
        assert await get_key(worker, "key") == b"1"


def test_listings_are_bounded() -> None:
    assert len(checked_listing(["n"] * MAX_NAMES)) == MAX_NAMES
    with pytest.raises(Refused):
        checked_listing(["n"] * (MAX_NAMES + 1))
    long = "ü" * 512
    assert checked_listing([long] * (MAX_NAMES_BYTES // 1024))
    with pytest.raises(Refused):
        checked_listing([long] * (MAX_NAMES_BYTES // 1024) + ["n"])
