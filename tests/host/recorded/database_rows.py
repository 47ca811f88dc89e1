"""Recorded functions of golem:rdbms, on a real PostgreSQL and, where there is one, a real MariaDB."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from golem_server.host.rdbms_database import Databases
from golem_server.model.oplog import Category
from golem_server.model.types import Value
from tests.host.rdbms_guest import Guest, Relay, guest_of, relay_to
from tests.host.recorded.world import MakeWorld, Means, Row, World

READ, WRITE = Category.READ_REMOTE, Category.WRITE_REMOTE


@asynccontextmanager
async def postgres_world(means: Means) -> AsyncGenerator[World]:
    """A worker whose database is cut off before the replay."""
    async with (
        relay_to(means.fixtures["empty_database_url"]) as (relay, address),
        guest_of(means.folder, "postgres", address) as guest,
    ):

        def disable() -> None:
            relay.refuse = True
            relay.cut()
            guest.databases.close()

        yield World(guest.worker, lambda: relay.connections, disable, {Guest: guest, Relay: relay})


@asynccontextmanager
async def mysql_world(means: Means) -> AsyncGenerator[World]:
    """A worker that has no database any more when it is replayed."""
    async with guest_of(means.folder, "mysql", means.fixtures["mariadb_url"]) as guest:

        def disable() -> None:
            guest.databases.close()
            guest.worker.services = {Databases: None}

        yield World(guest.worker, disable=disable, things={Guest: guest})


async def execute(world: World) -> Value:
    guest = world.thing(Guest)
    connection = await guest.open()
    return [
        await guest.run(connection, statement)
        for statement in ("CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1), (2)")
    ]


async def query(world: World) -> Value:
    guest = world.thing(Guest)
    connection = await guest.open()
    await execute(world)
    rows = await guest.rows(connection, "SELECT id FROM t ORDER BY id")
    return [rows, await guest.error("[method]db-connection.query", connection, "SELECT * FROM missing", [])]


def rows(kind: str, world: MakeWorld, fixture: str) -> list[Row]:
    """The rows of a kind of database."""

    def row(name: str, category: Category, use: Callable[[World], Awaitable[Value]], place: str = "method") -> Row:
        record = f"rdbms::{kind}::db-connection::{name}"
        return Row(
            f"golem:rdbms/{kind}", f"[{place}]db-connection.{name}", record, category, use, world, fixtures=(fixture,)
        )

    return [row("open", READ, execute, "static"), row("execute", WRITE, execute), row("query", WRITE, query)]


ROWS = [*rows("postgres", postgres_world, "empty_database_url"), *rows("mysql", mysql_world, "mariadb_url")]
