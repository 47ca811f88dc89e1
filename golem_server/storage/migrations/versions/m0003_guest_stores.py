"""What guests keep outside of their workers (buckets, containers), and the configuration variables of workers.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Four tables and a column."""
    op.add_column(
        "workers",
        # An empty map.
        sa.Column("config", sa.LargeBinary(), nullable=False, server_default=sa.text("'\\x80'::bytea")),
    )
    op.create_table(
        "keyvalue_entries",
        sa.Column("environment_id", sa.Uuid(), nullable=False),
        sa.Column("bucket", sa.LargeBinary(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        *_value(),
        sa.PrimaryKeyConstraint("environment_id", "bucket", "key", name="keyvalue_entries_pkey"),
    )
    op.create_table(
        "blobstore_containers",
        sa.Column("environment_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("environment_id", "name", name="blobstore_containers_pkey"),
    )
    op.create_table(
        "blobstore_objects",
        sa.Column("environment_id", sa.Uuid(), nullable=False),
        sa.Column("container", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        *_value(),
        sa.PrimaryKeyConstraint("environment_id", "container", "name", name="blobstore_objects_pkey"),
        sa.ForeignKeyConstraint(
            ["environment_id", "container"],
            ["blobstore_containers.environment_id", "blobstore_containers.name"],
            name="blobstore_objects_container_fkey",
        ),
    )
    op.create_table(
        "guest_writes",
        sa.Column("worker", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("jump", sa.BigInteger(), nullable=False),
        sa.Column("result", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("worker", name="guest_writes_pkey"),
    )
    for table in ("keyvalue_entries", "blobstore_objects"):
        op.create_index(
            f"{table}_namespace_idx", table, ["namespace"], postgresql_where=sa.text("namespace IS NOT NULL")
        )
        op.execute(f"ALTER TABLE {table} ALTER COLUMN data SET STORAGE EXTERNAL")


def _value() -> list[sa.Column[Any]]:
    return [
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary()),
        sa.Column("namespace", sa.String(collation="C")),
        sa.Column("hash", sa.Text(collation="C")),
    ]
