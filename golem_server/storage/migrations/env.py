"""What Alembic runs for every command: the connection comes from storage/migrate.py, or from GOLEM_DATABASE_URL."""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection

from golem_server.storage.migrate import migrate_blocking
from golem_server.storage.tables import metadata


def run(connection: Connection) -> None:
    """All steps that are due, in the caller's transaction."""
    context.configure(connection=connection, target_metadata=metadata)
    context.run_migrations()


given: object = context.config.attributes.get("connection")
if isinstance(given, Connection):
    run(given)
else:
    # The `alembic` command of a developer: the same way as the server's own.
    migrate_blocking(os.environ["GOLEM_DATABASE_URL"])
