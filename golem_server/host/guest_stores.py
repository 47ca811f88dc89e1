"""What wasi:keyvalue and wasi:blobstore need from outside: the stores, and how much they may hold.

Everything is scoped by environment: workers of one environment share it, those of another see nothing of it
(reference: host-interfaces, sections 3.7 and 3.8).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

from golem_server.durable.context import WorkerContext
from golem_server.model.ids import WorkerNumber
from golem_server.model.stored_values import KeptValue, ObjectInfo, StoredValue, WritePlace

MAX_NAME_BYTES = 1024
"""Bytes (UTF-8) in the name of a bucket, key, container or object."""

MAX_BATCH = 1000
"""Keys or objects in one call."""

MAX_NAMES = 100_000
MAX_NAMES_BYTES = 16 << 20
"""Names in a listing, and their bytes together."""


class ValueContents(Protocol):
    """The bytes of values."""

    async def write(self, size: int, parts: Iterable[bytes]) -> StoredValue:
        """Keep `size` bytes for a row that is written next. `parts` is read one at a time."""
        ...

    async def copy(self, value: StoredValue) -> StoredValue:
        """The same bytes for another row. Raises NotFound where the value was replaced meanwhile."""
        ...

    async def keep(self, worker: WorkerNumber, value: StoredValue, begin: int, end: int) -> bytes | KeptValue:
        """The bytes from `begin` to `end` (exclusive) for a worker: as they are if they are few, else as a blob of its
        own. Raises NotFound where the value was replaced meanwhile."""
        ...

    async def keep_bytes(self, worker: WorkerNumber, content: bytes) -> KeptValue:
        """Bytes as a blob of the worker's own."""
        ...

    async def part(self, worker: WorkerNumber, value: KeptValue, offset: int) -> bytes:
        """Bytes of a worker's value from `offset` on, at most 1 MiB. The same call gives as many each time."""
        ...


class KeyValueStore(Protocol):
    """Buckets of keys."""

    async def get(self, environment_id: UUID, bucket: str, keys: Sequence[str]) -> dict[str, StoredValue]:
        """The values of those keys that there are."""
        ...

    async def exists(self, environment_id: UUID, bucket: str, key: str) -> bool:
        """Whether the key has a value."""
        ...

    async def keys(self, environment_id: UUID, bucket: str, count: int) -> list[str]:
        """The first `count` keys of a bucket."""
        ...

    async def set(self, environment_id: UUID, bucket: str, values: Mapping[str, StoredValue]) -> None:
        """Give keys their values, all or none."""
        ...

    async def delete(self, environment_id: UUID, bucket: str, keys: Sequence[str]) -> None:
        """Remove keys, whether they are there or not."""
        ...

    async def increment(self, environment_id: UUID, bucket: str, key: str, delta: int, place: WritePlace) -> int:
        """Add to a number (0 where there is none) and give the sum, once for each place. Raises InvalidInput."""
        ...

    async def compare_and_swap(
        self, environment_id: UUID, bucket: str, key: str, old: int, new: int, place: WritePlace
    ) -> bool:
        """Replace a number if it is `old`, once for each place; whether it was. Raises InvalidInput."""
        ...


class ObjectStore(Protocol):
    """Containers of objects. Times are milliseconds since the epoch."""

    async def create_container(self, environment_id: UUID, name: str, now: int) -> int:
        """Make sure that there is a container; when it was created."""
        ...

    async def container(self, environment_id: UUID, name: str) -> int | None:
        """When a container was created, None where there is none."""
        ...

    async def delete_container(self, environment_id: UUID, name: str) -> None:
        """Remove a container with all that is in it."""
        ...

    async def clear(self, environment_id: UUID, container: str) -> None:
        """Remove all objects of a container."""
        ...

    async def get(self, environment_id: UUID, container: str, name: str) -> StoredValue | None:
        """The value of an object, None where there is none."""
        ...

    async def info(self, environment_id: UUID, container: str, name: str) -> ObjectInfo | None:
        """Size and age of an object, None where there is none."""
        ...

    async def names(self, environment_id: UUID, container: str, count: int) -> list[str]:
        """The first `count` names of a container's objects."""
        ...

    async def put(self, environment_id: UUID, container: str, name: str, now: int, value: StoredValue) -> None:
        """Make an object or replace it. Raises NotFound where there is no such container."""
        ...

    async def delete(self, environment_id: UUID, container: str, names: Sequence[str]) -> None:
        """Remove objects, whether they are there or not."""
        ...

    async def move(
        self, environment_id: UUID, source: tuple[str, str], target: tuple[str, str], now: int, place: WritePlace
    ) -> None:
        """Give an object (container, name) another place, once for each place of the worker. Raises NotFound."""
        ...


@dataclass(frozen=True, slots=True)
class GuestStores:
    """The service. Sizes in bytes.

    `spool`: the folder for what guests write before it is stored. `max_value`: one value. `max_unstored`: what the
    values of one worker that are not dropped yet hold together.
    """

    contents: ValueContents
    key_values: KeyValueStore
    objects: ObjectStore
    spool: Path
    max_value: int = 256 << 20
    max_unstored: int = 1 << 30


def stores_of(context: WorkerContext) -> GuestStores:
    """The stores that the worker uses."""
    return context.service(GuestStores)


def write_place(context: WorkerContext) -> WritePlace:
    """Where the worker stands, for a write that it is about to do."""
    skipped = context.oplog.status.skipped_regions
    jump = max((region.end for region in skipped), default=0)
    return WritePlace(context.oplog.number, context.position, jump)


class Refused(Exception):
    """What the guest asks for breaks a limit: an error of the interface."""


def checked_name(kind: str, name: str) -> str:
    """The name if it is short enough. Raises Refused. `kind` is what it names: `Key`."""
    if len(name.encode()) > MAX_NAME_BYTES:
        raise Refused(f"{kind} is longer than {MAX_NAME_BYTES} bytes")
    return name


def checked_batch(kind: str, names: Sequence[str]) -> Sequence[str]:
    """The names of one call, if they are not too many and none is too long. Raises Refused."""
    if len(names) > MAX_BATCH:
        raise Refused(f"More than {MAX_BATCH} names in one call")
    for name in names:
        checked_name(kind, name)
    return names


def checked_listing(names: list[str]) -> list[str]:
    """A listing, which was asked for with one name more than it may have. Raises Refused."""
    if len(names) > MAX_NAMES or sum(len(name.encode()) for name in names) > MAX_NAMES_BYTES:
        raise Refused(f"More than {MAX_NAMES} names or {MAX_NAMES_BYTES} bytes of names to list")
    return names
