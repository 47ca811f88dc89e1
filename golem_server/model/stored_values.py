"""Values that guests keep outside of their workers, in key-value buckets and blob store containers."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from golem_server.model.ids import WorkerNumber


class StoredValue(msgspec.Struct, frozen=True, kw_only=True):
    """Where the bytes of a value are: in `data`, or as the blob `content_hash` in `namespace`. `size` in bytes."""

    size: int
    data: bytes | None = None
    namespace: str | None = None
    content_hash: str | None = None


class KeptValue(msgspec.Struct, frozen=True, kw_only=True):
    """A value, or a part of one, that a worker has seen and must be able to see again: a blob of the worker's own."""

    content_hash: str
    size: int


class WritePlace(NamedTuple):
    """The place in a worker's life where it writes: the same for each attempt at one write, and for no other write.

    `position` is the oplog index where the guest stands, `jump` the index of the last jump before it.
    """

    worker: WorkerNumber
    position: int
    jump: int


class ObjectInfo(NamedTuple):
    """An object of a container. `created_at` in milliseconds since the epoch, `size` in bytes."""

    size: int
    created_at: int
