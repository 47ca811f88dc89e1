"""wasi:blobstore: containers of an environment, ranges, errors as Golem's tests have them."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from golem_server.host.guest_stores import MAX_BATCH, MAX_NAME_BYTES, GuestStores
from golem_server.model.types import Value
from golem_server.storage.database import Database
from tests.host import host_worker
from tests.host.host_worker import START_NS, HostWorker
from tests.host.store_worker import BLOBSTORE, good, guest_stores, outgoing, store_worker, streamed, whole

STORE, CONTAINER = f"{BLOBSTORE}blobstore", f"{BLOBSTORE}container"
START_MS = START_NS // 1_000_000


@pytest.fixture
def stores(database: Database, tmp_path: Path) -> GuestStores:
    """Stores on the test's database."""
    return guest_stores(database, tmp_path / "spool")


async def created(worker: HostWorker, name: str = "container") -> int:
    """A container."""
    return await good(worker, STORE, "create-container", name)


async def on(worker: HostWorker, container: int, name: str, *arguments: Value) -> Value:
    """Call a method of a container that must succeed."""
    return await good(worker, CONTAINER, f"[method]container.{name}", container, *arguments)


async def write(worker: HostWorker, container: int, name: str, content: bytes) -> None:
    """Make an object."""
    await on(worker, container, "write-data", name, await outgoing(worker, BLOBSTORE, content))


async def read(worker: HostWorker, container: int, name: str, start: int = 0, end: int = 2**64 - 1) -> bytes:
    """The bytes of an object."""
    return await whole(worker, BLOBSTORE, await on(worker, container, "get-data", name, start, end))


async def names(worker: HostWorker, container: int) -> list[str]:
    """The names of all objects."""
    listing = await on(worker, container, "list-objects")
    found, ended = await good(worker, CONTAINER, "[method]stream-object-names.read-stream-object-names", listing, 100)
    assert ended
    return sorted(found)


async def test_containers_belong_to_an_environment(
    stores: GuestStores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store_worker(stores, tmp_path / "1") as first, store_worker(stores, tmp_path / "2") as second:
        assert await first.call(STORE, "get-container", "container") == ("err", "Container not found")
        assert await good(first, STORE, "container-exists", "container") is False
        container = await created(first)
        assert await good(first, CONTAINER, "[method]container.name", container) == "container"
        assert await good(second, STORE, "container-exists", "container") is True
        second.clock.advance(10)
        for function in ("create-container", "get-container"):
            again = await good(second, STORE, function, "container")
            information = await good(second, CONTAINER, "[method]container.info", again)
            assert information == {"name": "container", "created-at": START_MS}
        await write(first, container, "object", b"shared")
        assert await read(second, again, "object") == b"shared"
    monkeypatch.setattr(host_worker, "ENVIRONMENT_ID", UUID(int=0xE2))
    async with store_worker(stores, tmp_path / "3") as stranger:
        assert await good(stranger, STORE, "container-exists", "container") is False
        assert await names(stranger, await created(stranger)) == []


async def test_objects(stores: GuestStores, tmp_path: Path) -> None:
    async with store_worker(stores, tmp_path) as worker:
        container = await created(worker)
        content = bytes(range(256)) * 8_000
        await write(worker, container, "large", content)
        await write(worker, container, "a\0b", b"small")
        assert await names(worker, container) == ["a\0b", "large"]
        assert await on(worker, container, "has-object", "large") is True
        assert await on(worker, container, "has-object", "other") is False
        assert await on(worker, container, "object-info", "large") == {
            "name": "large",
            "container": "container",
            "created-at": START_MS,
            "size": len(content),
        }
        info = await worker.call(CONTAINER, "[method]container.object-info", container, "other")
        assert info == ("err", "Object does not exist")
        # The end of a range is exclusive, and whatever lies behind the object is not there.
        for start, end in [
            (0, 4),
            (5, 5),
            (1_048_570, 1_048_590),
            (3, 1_500_000),
            (2_047_990, 9_999_999),
            (9**9, 9**9),
        ]:
            handle = await on(worker, container, "get-data", "large", start, end)
            size = await worker.call(f"{BLOBSTORE}types", "[method]incoming-value.size", handle)
            assert size == len(content[start:end])
            assert b"".join(await streamed(worker, BLOBSTORE, handle)) == content[start:end]
        assert await read(worker, container, "a\0b", 1, 3) == b"ma"
        missing = await worker.call(CONTAINER, "[method]container.get-data", container, "other", 0, 1)
        assert missing == ("err", "Object does not exist")
        backwards = await worker.call(CONTAINER, "[method]container.get-data", container, "large", 2, 1)
        assert backwards[0] == "err"
        await on(worker, container, "delete-object", "large")
        await on(worker, container, "delete-objects", ["large", "a\0b"])
        assert await names(worker, container) == []


async def test_copies_and_moves(stores: GuestStores, database: Database, tmp_path: Path) -> None:
    async with store_worker(stores, tmp_path) as worker:
        content = b"large" * 50_000
        first, second = await created(worker, "first"), await created(worker, "second")
        await write(worker, first, "object", content)
        await write(worker, second, "target", content[::-1])
        source, target = {"container": "first", "object": "object"}, {"container": "second", "object": "target"}
        await good(worker, STORE, "copy-object", source, target)
        await on(worker, first, "delete-object", "object")
        assert await read(worker, second, "target") == content
        await good(worker, STORE, "move-object", target, source)
        assert (await names(worker, first), await names(worker, second)) == (["object"], [])
        assert await read(worker, first, "object") == content
        await good(worker, STORE, "move-object", source, source)
        assert await read(worker, first, "object") == content
        nowhere = {"container": "third", "object": "object"}
        for function in ("copy-object", "move-object"):
            assert await worker.call(STORE, function, target, source) == ("err", "Object does not exist")
            assert await worker.call(STORE, function, source, nowhere) == ("err", "Container not found")
        assert await read(worker, first, "object") == content

        await good(worker, STORE, "delete-container", "first")
        await good(worker, STORE, "delete-container", "first")
        value = await outgoing(worker, BLOBSTORE, b"late")
        late = await worker.call(CONTAINER, "[method]container.write-data", first, "object", value)
        assert late == ("err", "Container not found")
        async with database.connection() as connection:
            left = await connection.fetch("SELECT namespace FROM blobs WHERE namespace LIKE 'value/%'")
        assert len(left) == 1, "the copy that found no container waits to be swept"


async def test_a_move_that_happened_is_not_looked_for_again(stores: GuestStores, tmp_path: Path) -> None:
    async with store_worker(stores, tmp_path) as worker:
        container = await created(worker)
        await write(worker, container, "a", b"content")
        ids = [{"container": "container", "object": name} for name in "ab"]
        worker.context.oplog.append = _die  # pyright: ignore[reportAttributeAccessIssue]
        with pytest.raises(Died):
            await worker.call(STORE, "move-object", *ids)
        await worker.replay(keep_buffered=False)
        container = await created(worker)
        await write(worker, container, "a", b"content")
        await good(worker, STORE, "move-object", *ids)
        assert await names(worker, container) == ["b"]


class Died(BaseException):
    """The server is gone."""


def _die(_entry: object) -> int:
    raise Died


async def test_a_container_is_cleared(stores: GuestStores, database: Database, tmp_path: Path) -> None:
    async with store_worker(stores, tmp_path) as worker:
        container, other = await created(worker), await created(worker, "other")
        for place in (container, other):
            await write(worker, place, "large", b"x" * 100_000)
            await write(worker, place, "small", b"x")
        await on(worker, container, "clear")
        assert await names(worker, container) == []
        assert await names(worker, other) == ["large", "small"]
        async with database.connection() as connection:
            assert await connection.fetchval("SELECT count(*) FROM blobs WHERE namespace LIKE 'value/%'") == 1


async def test_names_are_taken_from_the_end_in_pieces(stores: GuestStores, tmp_path: Path) -> None:
    async with store_worker(stores, tmp_path) as worker:
        container = await created(worker)
        for name in "abcdef":
            await write(worker, container, name, b"")
        listing = await on(worker, container, "list-objects")

        async def next_names(function: str, count: int) -> Value:
            return await good(
                worker, CONTAINER, f"[method]stream-object-names.{function}-stream-object-names", listing, count
            )

        assert await next_names("read", 0) == ([], False)
        assert await next_names("read", 2) == (["f", "e"], False)
        assert await next_names("skip", 1) == (1, False)
        assert await next_names("read", 2**64 - 1) == (["c", "b", "a"], True)
        assert await next_names("skip", 5) == (0, True)


async def test_breaches_of_limits_are_errors(stores: GuestStores, tmp_path: Path) -> None:
    async with store_worker(stores, tmp_path) as worker:
        long = "n" * (MAX_NAME_BYTES + 1)
        held = await created(worker)
        value = await outgoing(worker, BLOBSTORE, b"x")
        there, far = {"container": "container", "object": "a"}, {"container": "container", "object": long}
        calls = [
            *((STORE, name, (long,)) for name in ("create-container", "get-container", "delete-container")),
            (STORE, "container-exists", (long,)),
            (STORE, "copy-object", (there, far)),
            (STORE, "move-object", (far, there)),
            *(
                (CONTAINER, f"[method]container.{name}", (held, long))
                for name in ("delete-object", "has-object", "object-info")
            ),
            (CONTAINER, "[method]container.get-data", (held, long, 0, 1)),
            (CONTAINER, "[method]container.write-data", (held, long, value)),
            (CONTAINER, "[method]container.delete-objects", (held, [long])),
            (CONTAINER, "[method]container.delete-objects", (held, ["a"] * (MAX_BATCH + 1))),
        ]
        for interface, name, arguments in calls:
            tag, text = await worker.call(interface, name, *arguments)
            assert (tag == "err" and "100" in text) or str(MAX_NAME_BYTES) in text, name
