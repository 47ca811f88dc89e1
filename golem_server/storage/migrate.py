"""Bring a database's schema up to date: the steps under migrations/, one server at a time."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from golem_server.storage.database import LOST, REFUSED, connect, unavailable

_LOCK = 0x676F6C656D
"""The advisory lock's key: "golem" as a number. Several servers that start together wait for one another."""


def configuration() -> Config:
    """Alembic's configuration; nothing is read from a file, so that an installed package needs none."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    return config


async def migrate(url: str, *, patience: timedelta = timedelta(seconds=10)) -> None:
    """Run all steps that are due, in one transaction; nothing happens if there are none.

    Raises Unavailable if the database cannot be reached within the time; what a step itself raises passes through.
    """

    async def creator() -> Any:
        return await connect(url, patience=patience, application="golem-server migrate")

    engine = create_async_engine("postgresql+asyncpg://", async_creator=creator, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            await connection.run_sync(_upgrade)
    except DBAPIError as error:
        cause = error.orig.__cause__ if error.orig is not None else None
        if isinstance(cause, (*LOST, *REFUSED)):
            raise unavailable(cause) from error
        raise
    except (*LOST, *REFUSED) as error:
        raise unavailable(error) from error
    finally:
        await engine.dispose()


def migrate_blocking(url: str) -> None:
    """The same for callers without an event loop."""
    asyncio.run(migrate(url))


def _upgrade(connection: Connection) -> None:
    config = configuration()
    config.attributes["connection"] = connection
    # It tells each step on a logger of its own; once per start is enough in ours.
    logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)
    command.upgrade(config, "head")
