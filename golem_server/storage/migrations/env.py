"""What Alembic runs: all steps that are due, in the transaction that storage/migrate.py hands over."""

from __future__ import annotations

from typing import cast

from alembic import context
from sqlalchemy import Connection

from golem_server.storage.tables import metadata

context.configure(connection=cast(Connection, context.config.attributes["connection"]), target_metadata=metadata)
context.run_migrations()
