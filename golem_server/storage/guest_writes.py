"""Writes of guests that must not happen twice, although the first attempt's result may be lost with the server.

The result is kept in the transaction that writes; an attempt from the same place in the worker's life finds it and
writes nothing. A worker does one write at a time, so that one row each is enough.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from golem_server.model.stored_values import WritePlace
from golem_server.model.types import Value
from golem_server.storage.database import Connection, Database

_FIND = "SELECT result FROM guest_writes WHERE worker = $1 AND position = $2 AND jump = $3"
_KEEP = """
INSERT INTO guest_writes (worker, position, jump, result) VALUES ($1, $2, $3, $4)
ON CONFLICT (worker) DO UPDATE SET position = excluded.position, jump = excluded.jump, result = excluded.result
"""


async def write_once(database: Database, place: WritePlace, write: Callable[[Connection], Awaitable[Value]]) -> Value:
    """What `write` gives, which runs in a transaction; or what it gave when it ran before from this place.

    Its result must be plain (MessagePack). What it raises passes through and nothing is written.
    """

    async def attempt(connection: Connection) -> Value:
        async with connection.transaction():
            known: bytes | None = await connection.fetchval(_FIND, *place)
            if known is not None:
                return msgspec.msgpack.decode(known)
            result = await write(connection)
            await connection.execute(_KEEP, *place, msgspec.msgpack.encode(result))
            return result

    return await database.run(attempt)
