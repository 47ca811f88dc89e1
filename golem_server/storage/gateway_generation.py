"""A number that grows with every change of what gateways serve: all servers on a database look at it for changes."""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from golem_server.storage.database import Database
from golem_server.storage.tables import gateway_generation


async def count_change(connection: AsyncConnection) -> None:
    """Let the number grow in the transaction of the change. Changes of gateways thereby wait for one another."""
    await connection.execute(update(gateway_generation).values(number=gateway_generation.c.number + 1))


class PostgresGatewayGeneration:
    """Implements `gateway.sites.Generation`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def current(self) -> int:
        """The number as it is now. Raises Unavailable while the database cannot be reached."""
        return await self._database.run(lambda connection: connection.fetchval("SELECT number FROM gateway_generation"))
