"""The sum of the migrations is what tables.py says, and running them is safe."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from golem_server.model.errors import Unavailable
from golem_server.storage.database import Database
from golem_server.storage.migrate import migrate
from golem_server.storage.tables import EXTERNAL_COLUMNS, metadata


def differences(connection: Connection) -> Any:
    """What would have to be migrated for the database to equal the metadata."""
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True, "target_metadata": metadata}
    )
    return compare_metadata(context, metadata)


CATALOG = {
    "columns": """
        SELECT table_name, column_name, data_type, is_nullable, column_default, collation_name, is_identity
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
        ORDER BY 1, 2""",
    "indexes": """
        SELECT tablename, indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1, 2""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version' ORDER BY 1, 2""",
    "options": """
        SELECT relname, reloptions FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version' ORDER BY 1""",
}


async def test_migrations_build_exactly_the_tables(database: Database, empty_database_url: str) -> None:
    async with database.begin() as connection:
        assert await connection.run_sync(differences) == []
    plain = Database(empty_database_url)
    await plain.open()
    async with plain.begin() as connection:
        await connection.run_sync(metadata.create_all)
    for name, query in CATALOG.items():
        built: list[list[Any]] = []
        for each in (database, plain):
            async with each.begin() as connection:
                built.append([tuple(row) for row in await connection.execute(text(query))])
        assert built[0] == built[1], name
    await plain.close()


async def test_large_columns_are_not_compressed(database: Database) -> None:
    async with database.connection() as connection:
        for table, column in EXTERNAL_COLUMNS:
            storage = await connection.fetchval(
                "SELECT attstorage FROM pg_attribute WHERE attrelid = $1::regclass AND attname = $2", table, column
            )
            assert storage == b"e", (table, column)


async def test_servers_that_start_together_migrate_once(empty_database_url: str) -> None:
    await asyncio.gather(*(migrate(empty_database_url) for _ in range(4)))
    await migrate(empty_database_url)


async def test_database_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await migrate("postgresql://golem@127.0.0.1:1/golem", patience=timedelta(seconds=1))
