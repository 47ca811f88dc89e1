"""The first tables: registry, blobs, workers, oplog, promises.

Revision ID: 0001
Revises: -
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ALIVE = sa.text("deleted_at IS NULL")


def _name() -> sa.Column[str]:
    return sa.Column("name", sa.String(collation="C"), nullable=False)


def _moment(name: str, *, required: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=not required)


def upgrade() -> None:
    """The whole schema of the first release."""
    _registry()
    _blobs()
    _workers()
    for table, column in (("workers", "record"), ("oplog", "data"), ("blob_chunks", "data")):
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL")


def _registry() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        _moment("created_at", required=True),
        _moment("deleted_at"),
        sa.PrimaryKeyConstraint("id", name="accounts_pkey"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        _moment("created_at", required=True),
        _moment("expires_at"),
        sa.PrimaryKeyConstraint("id", name="tokens_pkey"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="tokens_account_id_fkey"),
        sa.UniqueConstraint("secret_hash", name="tokens_secret_hash_key"),
    )
    op.create_index("tokens_account_id_idx", "tokens", ["account_id"])
    for table, parent, column in (
        ("applications", "accounts", "account_id"),
        ("environments", "applications", "application_id"),
    ):
        op.create_table(
            table,
            sa.Column("id", sa.Uuid(), nullable=False),
            sa.Column(column, sa.Uuid(), nullable=False),
            _name(),
            _moment("created_at", required=True),
            _moment("deleted_at"),
            sa.PrimaryKeyConstraint("id", name=f"{table}_pkey"),
            sa.ForeignKeyConstraint([column], [f"{parent}.id"], name=f"{table}_{column}_fkey"),
        )
        op.create_index(f"{table}_{column}_idx", table, [column])
        op.create_index(f"{table}_name_key", table, [column, "name"], unique=True, postgresql_where=_ALIVE)
    op.create_table(
        "components",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("environment_id", sa.Uuid(), nullable=False),
        _name(),
        _moment("created_at", required=True),
        _moment("deleted_at"),
        sa.PrimaryKeyConstraint("id", name="components_pkey"),
        sa.ForeignKeyConstraint(["environment_id"], ["environments.id"], name="components_environment_id_fkey"),
    )
    op.create_index(
        "components_name_key", "components", ["environment_id", "name"], unique=True, postgresql_where=_ALIVE
    )
    op.create_table(
        "component_revisions",
        sa.Column("component_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("wasm_hash", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("metadata", sa.LargeBinary(), nullable=False),
        sa.Column("environment", sa.LargeBinary(), nullable=False),
        _moment("created_at", required=True),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("component_id", "revision", name="component_revisions_pkey"),
        sa.ForeignKeyConstraint(["component_id"], ["components.id"], name="component_revisions_component_id_fkey"),
    )


def _blobs() -> None:
    op.create_table(
        "blobs",
        sa.Column("content", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("namespace", sa.String(collation="C"), nullable=False),
        sa.Column("hash", sa.Text(collation="C")),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("content", name="blobs_pkey"),
    )
    op.create_index("blobs_hash_key", "blobs", ["namespace", "hash"], unique=True)
    op.create_table(
        "blob_chunks",
        sa.Column("content", sa.BigInteger(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("content", "part", name="blob_chunks_pkey"),
        sa.ForeignKeyConstraint(["content"], ["blobs.content"], name="blob_chunks_content_fkey", ondelete="CASCADE"),
    )


def _workers() -> None:
    op.create_table(
        "workers",
        sa.Column("number", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("component_id", sa.Uuid(), nullable=False),
        _name(),
        sa.Column("environment_id", sa.Uuid(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("arguments", sa.LargeBinary(), nullable=False),
        sa.Column("environment", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("last_index", sa.BigInteger(), nullable=False),
        sa.Column("component_revision", sa.BigInteger(), nullable=False),
        sa.Column("retry_count", sa.Integer(), nullable=False),
        sa.Column("pending_count", sa.Integer(), nullable=False),
        sa.Column("wake_at", sa.BigInteger()),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="workers_pkey"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_index("workers_name_key", "workers", ["component_id", "name"], unique=True)
    op.create_index("workers_component_idx", "workers", ["component_id", "number"])
    op.create_index(
        "workers_recover_idx",
        "workers",
        ["number"],
        postgresql_where=sa.text("status IN (0, 4) OR pending_count > 0"),
    )
    op.create_index("workers_wake_idx", "workers", ["wake_at"], postgresql_where=sa.text("wake_at IS NOT NULL"))
    op.create_table(
        "oplog",
        sa.Column("worker", sa.BigInteger(), nullable=False),
        sa.Column("index", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("payload_hash", sa.Text(collation="C")),
        sa.PrimaryKeyConstraint("worker", "index", name="oplog_pkey"),
    )
    op.create_table(
        "promises",
        sa.Column("worker", sa.BigInteger(), nullable=False),
        sa.Column("oplog_index", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("worker", "oplog_index", name="promises_pkey"),
    )
